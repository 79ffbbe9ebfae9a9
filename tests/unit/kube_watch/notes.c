#include "unit/kube_watch/suites.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "unit/kube_watch/notes.h"

enum { PATIENCE_MS = 20 * 1000 };

int notes_setup(void **state)
{
    if (stage_setup(state) < 0)
        return -1;
    struct stage *stage = *state;
    struct notes *notes = xcalloc(1, sizeof(*notes));
    str_init(&notes->text, 100000);
    notes->stage = stage;
    stage->ctx = notes;
    return 0;
}

int notes_teardown(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    int result = stage_teardown(state);
    str_done(&notes->text);
    json_free(notes->lease);
    free(notes);
    return result;
}

void note(struct notes *notes, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mutex_lock(&notes->stage->lock);
    str_vappendf(&notes->text, fmt, args);
    condition_broadcast(&notes->stage->changed);
    mutex_unlock(&notes->stage->lock);
    va_end(args);
}

void note_problem_text(void *ctx, const struct err *problem)
{
    note(ctx, "problem %s|", problem ? problem->text : "over");
}

void expect_noted(struct notes *notes, const char *words)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    mutex_lock(&notes->stage->lock);
    bool is_late = false;
    const char *found = NULL;
    while (!(found = strstr(str_text(&notes->text), words)) && !is_late)
        is_late = !condition_wait_until(&notes->stage->changed, &notes->stage->lock, deadline_ns);
    if (!found)
        print_error("\"%s\" is not in: %s\n", words, str_text(&notes->text));
    _cleanup_(cleanup_free) char *rest = xstrdup(found ? found + strlen(words) : "");
    str_clear(&notes->text);
    str_append(&notes->text, rest);
    mutex_unlock(&notes->stage->lock);
    assert_non_null(found);
}
