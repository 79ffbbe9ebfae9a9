/* What a stage shows: conditions, states, the log. */
#include "unit/core/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "types/status.h"

char *stage_condition(struct stage *stage, const char *type)
{
    struct status status;
    char *text = NULL;
    core_status(stage->core, &status);
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
        if (text_equal(condition_kind_names[kind], type))
            text = xasprintf("%s %s",
                status.conditions[kind].is_unknown ? "Unknown"
                : status.conditions[kind].is_true  ? "True"
                                                   : "False",
                status.conditions[kind].reason);
    status_done(&status);
    return text;
}

void stage_expect(struct stage *stage, const char *type, const char *condition)
{
    char *text = stage_condition(stage, type);
    assert_string_equal(text, condition);
    free(text);
}

void stage_expect_message(struct stage *stage, const char *type, const char *part)
{
    struct status status;
    core_status(stage->core, &status);
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
        if (text_equal(condition_kind_names[kind], type) && !strstr(status.conditions[kind].message, part))
            fail_msg("'%s' is not in: %s", part, status.conditions[kind].message);
    status_done(&status);
}

char *stage_unit_state(struct stage *stage, const char *name)
{
    struct status status;
    char *text = NULL;
    core_status(stage->core, &status);
    vec_for_each (unit, &status.units)
        if (text_equal(unit->unit, name))
            text = xstrdup(unit->state);
    status_done(&status);
    return text ? text : xstrdup("");
}

long stage_log_find(const struct stage *stage, const char *line)
{
    const char *found = strstr(str_text(&stage->log), line);
    return found ? found - str_text(&stage->log) : -1;
}

size_t stage_log_count(const struct stage *stage, const char *prefix)
{
    size_t count = 0;
    const char *at = str_text(&stage->log);
    while (*at) {
        count += text_starts_with(at, prefix);
        at = strchr(at, '\n') + 1; /* each line ends with one */
    }
    return count;
}

void stage_expect_rule(struct stage *stage, const char *unit, const char *rule)
{
    struct status status;
    core_status(stage->core, &status);
    vec_for_each (row, &status.units)
        if (text_equal(row->unit, unit))
            assert_string_equal(row->rule, rule);
    status_done(&status);
}
