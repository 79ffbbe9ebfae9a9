#include <inttypes.h>
#include <signal.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/state.h"

enum { EVENTS_MAX = 1000 };

/* Texts from nodes end in events and statuses: never longer than the limit, never broken UTF-8 at the cut. */
char *journal_bounded(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    if (size > LIMIT_STATUS_TEXT_BYTES) {
        size = LIMIT_STATUS_TEXT_BYTES;
        while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
            size--;
    }
    return xstrndup(text ? text : "", size);
}

void journal_event(struct core *core, bool is_warning, const char *unit, const char *node, const char *reason,
    const char *fmt, ...)
{
    va_list args;
    if (core->events.count >= EVENTS_MAX)
        return;
    va_start(args, fmt);
    char *text = xvasprintf(fmt, args);
    va_end(args);
    struct pending_event *event = vec_push_new(&core->events);
    event->reason = xstrdup(reason);
    event->text = journal_bounded(text);
    event->unit = unit ? xstrdup(unit) : NULL;
    event->node = node ? xstrdup(node) : NULL;
    event->is_warning = is_warning;
    free(text);
}

void pending_event_done(struct pending_event *event)
{
    free(event->reason);
    free(event->text);
    free(event->unit);
    free(event->node);
}

void journal_events_emit(struct core *core)
{
    size_t told = 0;
    for (; told < core->events.count; told++) {
        struct pending_event *event = &core->events.items[told];
        struct core_action *action = plan_add(core, CORE_EVENT);
        if (!action)
            break;
        action->reason = plan_keep_take(core, event->reason);
        action->text = plan_keep_take(core, event->text);
        action->unit_name = plan_keep_take(core, event->unit);
        action->node = plan_keep_take(core, event->node);
        action->is_warning = event->is_warning;
    }
    if (told == 0)
        return;
    core->events.count -= told;
    memmove(core->events.items, core->events.items + told, core->events.count * sizeof(*core->events.items));
}

static void fill(char **text)
{
    char *old = *text;
    *text = journal_bounded(old);
    free(old);
}

void journal_exit_take(struct core *core, struct status_exit *exit)
{
    /* The backtrace is cut where it came in (4 KiB); the rest is cut here. */
    if (!exit->backtrace)
        exit->backtrace = xstrdup("");
    fill(&exit->actor);
    fill(&exit->unit);
    fill(&exit->node);
    fill(&exit->reason);
    fill(&exit->decision);
    fill(&exit->cause);
    fill(&exit->rule);
    if (core->exits.count >= CORE_EXITS_MAX) {
        status_exit_done(&core->exits.items[0]);
        vec_remove_at(&core->exits, 0);
    }
    vec_push(&core->exits, *exit);
    core->is_status_dirty = true;
}

char *describe_node_exit(const struct core_node_exit *how)
{
    if (!how)
        return xstrdup("ended as asked");
    if (how->cause && how->cause[0])
        return xasprintf("%s (exit code %d)", how->cause, how->exit_code);
    if (!how->signal)
        return xasprintf("exited with %d", how->exit_code);
    const char *name = sigabbrev_np(how->signal);
    return name ? xasprintf("killed by SIG%s", name) : xasprintf("killed by signal %d", how->signal);
}
