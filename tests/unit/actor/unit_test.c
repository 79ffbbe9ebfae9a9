/* Units, libraries, listings and counters. */
#include "support.h"

#include "actor/crash.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

static enum histrio_result plain_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (is_type(message, "fail"))
        return HISTRIO_FAIL;
    if (is_type(message, "who")) {
        char path[64], unit[8], type[64];
        assert_true(actor_executing(path, sizeof(path), unit, sizeof(unit), type, sizeof(type)));
        note("executing:%s:%s:%s", path, unit, type);
    }
    if (is_type(message, "spawn"))
        histrio_spawn(ctx, "plain", NULL, 0, NULL, NULL);
    return HISTRIO_CONTINUE;
}

static void plain_stop(struct histrio_context *ctx, void *state, const char *reason)
{
    (void)state;
    note("stop:%s:%s", histrio_path(ctx), reason);
}

static enum histrio_result broken_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    (void)arguments;
    (void)size;
    histrio_fail(ctx, "cannot");
    return HISTRIO_FAIL;
}

static const struct histrio_behavior plain = {.name = "plain", .receive = plain_receive, .stop = plain_stop};
static const struct histrio_behavior broken = {
    .name = "broken", .start = broken_start, .receive = plain_receive, .stop = plain_stop};
static const struct histrio_behavior *const behaviors[] = {&plain, &broken, NULL};

static struct actor_unit_spec tree_spec(const struct actor_child_spec *children, size_t count)
{
    return (struct actor_unit_spec){.name = "tree",
        .root = {.name = "tree",
            .under = "",
            .is_supervisor = true,
            .restarts_max = 1,
            .period_ms = 60000,
            .shutdown_ms = 5000},
        .children = children,
        .child_count = count};
}

static void units_start_and_stop_in_order(void **state)
{
    (void)state;
    static const struct actor_child_spec children[] = {
        {.name = "one", .under = "", .behavior = "test.plain", .shutdown_ms = 5000},
        {.name = "two", .under = "", .behavior = "test.plain", .shutdown_ms = 5000},
    };
    struct actor_unit_spec spec = tree_spec(children, 2);
    support_start(2, behaviors);
    support_unit_spec(&spec);
    struct err err = {0};
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 2, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    tell("tree/one", "spawn", ""); /* outside of the tree: goes with the unit all the same */
    assert_int_equal(ask_error("tree/one", "sync"), HISTRIO_OK);
    support_unit_stop("tree");
    wait_note("unit:tree:stopped:shutdown");
    assert_string_equal(notes("stop:tree"), "stop:tree/two:shutdown stop:tree/one:shutdown");
    assert_int_equal(count_notes("stop::shutdown"), 1);
    assert_int_equal(actor_system_unit_stop(support_system(), "tree", &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    assert_int_equal(counters.actors, 0);
    support_unit_spec(&spec); /* and again */
    support_stop();
}

static void failures_are_reported(void **state)
{
    (void)state;
    static const struct actor_child_spec children[] = {
        {.name = "one", .under = "", .behavior = "test.plain", .shutdown_ms = 5000},
        {.name = "two", .under = "", .behavior = "test.broken", .shutdown_ms = 5000},
    };
    struct actor_unit_spec spec = tree_spec(children, 2);
    struct err err = {0};
    support_start(1, behaviors);
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), 0);
    wait_note("unit:tree:failed:shutdown: child \"two\" did not start: cannot");
    assert_int_equal(count_notes("stop:tree/one:shutdown"), 1);
    assert_int_equal(count_notes("unit:tree:running"), 0);
    spec = tree_spec(children, 1);
    support_unit_spec(&spec);
    (void)ask_error("tree/one", "fail");
    (void)ask_error("tree/one", "fail");
    wait_note("unit:tree:failed:too many restarts: tree/one: error");
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    assert_int_equal(counters.actors, 0);
    assert_int_equal(counters.restarts, 1);
    support_stop();
}

static void bad_specs_are_refused(void **state)
{
    (void)state;
    const struct actor_child_spec unknown[] = {{.name = "one", .under = "", .behavior = "test.nothing"}};
    struct actor_unit_spec spec = tree_spec(unknown, 1);
    struct err err = {0};
    support_start(1, behaviors);
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "test.nothing"));
    const struct actor_child_spec orphan[] = {{.name = "one", .under = "later", .behavior = "test.plain"}};
    spec = tree_spec(orphan, 1);
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    support_stop();
}

static void libraries_are_checked(void **state)
{
    (void)state;
    static const struct histrio_library old = {99, "old", behaviors};
    static const struct histrio_behavior nameless = {.receive = plain_receive};
    static const struct histrio_behavior *const none[] = {&nameless, NULL};
    static const struct histrio_behavior *const twice[] = {&plain, &plain, NULL};
    static const struct histrio_library unnamed = {HISTRIO_ABI_VERSION, "unnamed", none};
    static const struct histrio_library doubled = {HISTRIO_ABI_VERSION, "doubled", twice};
    static const struct histrio_library same = {HISTRIO_ABI_VERSION, "test", twice + 1};
    struct err err = {0};
    struct actor_system *system = support_start(1, behaviors);
    assert_int_equal(actor_system_add_library(system, &old, &err), -1);
    assert_non_null(strstr(err.text, "99"));
    assert_int_equal(actor_system_add_library(system, &unnamed, &err), -1);
    assert_int_equal(actor_system_add_library(system, &doubled, &err), -1);
    assert_int_equal(actor_system_add_library(system, &same, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(actor_system_load_library(system, "gone", "/nonexistent/libgone.so", &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(actor_system_load_library(system, "c", "libc.so.6", &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_true(actor_system_has_behavior(system, "test.plain"));
    assert_false(actor_system_has_behavior(system, "test.nothing"));
    support_stop();
}

static void on_row(void *ctx, const struct actor_info *info)
{
    (void)ctx;
    note("row:%s:%s:%s:%s:%llu:%s", info->path, info->unit, info->behavior, info->state,
        (unsigned long long)info->incarnation, info->last_exit_reason);
}

static void listings_show_what_runs(void **state)
{
    (void)state;
    static const struct actor_child_spec children[] = {
        {.name = "one", .under = "", .behavior = "test.plain", .shutdown_ms = 5000},
    };
    struct actor_unit_spec spec = tree_spec(children, 1);
    support_start(2, behaviors);
    support_unit_spec(&spec);
    support_unit("treehouse", "test.plain");
    (void)ask_error("tree/one", "fail");
    assert_int_equal(ask_error("tree/one", "who"), HISTRIO_OK);
    assert_string_equal(notes("executing"), "executing:tree/one:tree:who");
    actor_system_list(support_system(), "tree", on_row, NULL);
    assert_string_equal(
        notes("row"), "row:tree:tree:supervisor:Running:1: row:tree/one:tree:test.plain:Running:2:error");
    support_unit_stop("tree");
    wait_note("unit:tree:stopped:shutdown");
    actor_system_list(support_system(), "", on_row, NULL);
    assert_int_equal(count_notes("row:treehouse:treehouse:test.plain:Running:1:"), 1);
    assert_int_equal(count_notes("row:tree/one:tree:test.plain:Running:2:error"), 1);
    char text[8];
    assert_false(actor_executing(text, sizeof(text), text, sizeof(text), text, sizeof(text)));
    support_stop();
}

static void counters_tell_busy_from_idle(void **state)
{
    (void)state;
    support_start(1, behaviors);
    support_unit("idle", "test.plain");
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    (void)ask("idle", "nothing", NULL, 0, 1000);
    tell("idle", "x", "");
    actor_system_counters(support_system(), &counters);
    assert_true(counters.busy_permille <= 1000);
    assert_int_equal(counters.actors, 2); /* with the unit's supervisor */
    assert_true(counters.messages >= 1);  /* counted at the end of each turn */
    support_stop();
}

const struct CMUnitTest unit_tests[] = {
    cmocka_unit_test(units_start_and_stop_in_order),
    cmocka_unit_test(failures_are_reported),
    cmocka_unit_test(bad_specs_are_refused),
    cmocka_unit_test(libraries_are_checked),
    cmocka_unit_test(listings_show_what_runs),
    cmocka_unit_test(counters_tell_busy_from_idle),
};
const size_t unit_test_count = sizeof(unit_tests) / sizeof(unit_tests[0]);
