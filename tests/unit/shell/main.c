/* The act loop with hands that obey, fail, or are not allowed any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/core.h"
#include "operator_control/control.h"
#include "shell/shell.h"
#include "types/fence_record.h"
#include "types/status.h"
#include "types/system.h"

struct fixture {
    struct clock_virtual clock;
    struct shell shell;
    struct str log; /* "write create bank-nodes-0 " */
    enum err_kind write_fails;
    bool create_fails;
    int acts_left; /* may_act says no when it is 0 */
};

static int write_fence(void *ctx, const struct fence_record *record, struct err *err)
{
    struct fixture *fixture = ctx;
    str_appendf(&fixture->log, "write %u ", (unsigned)record->term);
    return fixture->write_fails ? err_set(err, fixture->write_fails, "not now") : 0;
}

static int create_node(void *ctx, const struct core_action *action, struct err *err)
{
    struct fixture *fixture = ctx;
    str_appendf(&fixture->log, "create %s ", action->node);
    return fixture->create_fails ? err_set(err, ERR_SYSTEM, "no room") : 0;
}

static int delete_node(void *ctx, const struct core_action *action, struct err *err)
{
    struct fixture *fixture = ctx;
    str_appendf(&fixture->log, "delete %s ", action->node);
    return err_set(err, ERR_NOT_FOUND, "gone already");
}

static void tell_event(void *ctx, const struct core_action *action)
{
    (void)ctx;
    assert_non_null(action->text);
}

static void note_status(void *ctx)
{
    (void)ctx;
}

static bool may_act(void *ctx)
{
    struct fixture *fixture = ctx;
    return fixture->acts_left-- > 0;
}

static void ignore_event(struct control_event *event, void *ctx)
{
    (void)ctx;
    control_event_free(event);
}

static int begin(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    struct system_spec *spec = system_spec_new();
    struct core_options options = {.system_uid = "uid-1", .seed = 1};
    struct control_config control = {.system = "bank",
        .system_uid = "uid-1",
        .credential = (const uint8_t *)"x",
        .credential_size = 1,
        .software = "test/1",
        .code_folders = "",
        .listener = ignore_event};
    spec->name = xstrdup("bank");
    spec->nodes.replicas = 1;
    spec->supervision.backoff.initial_ms = 100;
    spec->supervision.backoff.max_ms = 1000;
    spec->failure.node_lease_ms = 3000;
    clock_virtual_init(&fixture->clock, NS_PER_S, 1000);
    str_init(&fixture->log, 10000);
    fixture->acts_left = 1000;
    fixture->shell.core = core_new(&options, spec, NULL);
    fixture->shell.clock = &fixture->clock.clock;
    fixture->shell.hands = (struct shell_hands){
        write_fence, create_node, delete_node, tell_event, note_status, may_act, fixture};
    system_spec_unref(spec);
    *state = fixture;
    return control_new(&control, &fixture->shell.control, NULL);
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    control_free(fixture->shell.control);
    core_free(fixture->shell.core);
    str_done(&fixture->log);
    free(fixture);
    return 0;
}

static void assert_log(struct fixture *fixture, const char *expected)
{
    assert_string_equal(str_text(&fixture->log), expected);
    str_clear(&fixture->log);
}

static void pass(struct fixture *fixture, int64_t ms)
{
    clock_virtual_advance(&fixture->clock, ms * NS_PER_MS);
    shell_act(&fixture->shell);
}

static void test_node_after_durable_record(void **state)
{
    struct fixture *fixture = *state;
    shell_act(&fixture->shell);
    assert_log(fixture, "write 1 create bank-nodes-0 ");
    shell_act(&fixture->shell);
    assert_log(fixture, "");
    assert_false(fixture->shell.is_lost);
}

static void test_record_cannot_be_written(void **state)
{
    struct fixture *fixture = *state;
    fixture->write_fails = ERR_UNAVAILABLE;
    shell_act(&fixture->shell);
    assert_log(fixture, "write 1 ");
    assert_true(fixture->shell.wake_at_ms < INT64_MAX);
    fixture->write_fails = ERR_NONE;
    pass(fixture, 2000);
    assert_log(fixture, "write 1 create bank-nodes-0 ");
}

static void test_conflict_ends_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->write_fails = ERR_CONFLICT;
    shell_act(&fixture->shell);
    assert_log(fixture, "write 1 ");
    assert_true(fixture->shell.is_lost);
}

static void test_no_action_without_lease(void **state)
{
    struct fixture *fixture = *state;
    fixture->acts_left = 0;
    shell_act(&fixture->shell);
    assert_log(fixture, "");
    assert_true(fixture->shell.is_lost);
}

/* The Lease ends while the record is being written: nothing follows the write. */
static void test_lease_ends_in_between(void **state)
{
    struct fixture *fixture = *state;
    fixture->acts_left = 1;
    shell_act(&fixture->shell);
    assert_null(strstr(str_text(&fixture->log), "create"));
    assert_true(fixture->shell.is_lost);
}

static void test_failed_creation_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct status status = {0};
    fixture->create_fails = true;
    shell_act(&fixture->shell);
    assert_non_null(strstr(str_text(&fixture->log), "create bank-nodes-0 "));
    core_status(fixture->shell.core, &status);
    assert_non_null(strstr(status.conditions[CONDITION_STALLED].message, "no room"));
    status_done(&status);
    fixture->create_fails = false;
    str_clear(&fixture->log);
    pass(fixture, 5000); /* by backoff, under another name */
    assert_null(strstr(str_text(&fixture->log), "bank-nodes-0"));
    assert_non_null(strstr(str_text(&fixture->log), "create bank-nodes-"));
}

static void test_stop(void **state)
{
    struct fixture *fixture = *state;
    shell_act(&fixture->shell);
    (void)shell_tick(&fixture->shell);
    core_stop(fixture->shell.core, 0);
    shell_act(&fixture->shell);
    assert_non_null(strstr(str_text(&fixture->log), "delete bank-nodes-0 "));
    assert_true(fixture->shell.is_stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_node_after_durable_record, begin, end),
        cmocka_unit_test_setup_teardown(test_record_cannot_be_written, begin, end),
        cmocka_unit_test_setup_teardown(test_conflict_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(test_no_action_without_lease, begin, end),
        cmocka_unit_test_setup_teardown(test_lease_ends_in_between, begin, end),
        cmocka_unit_test_setup_teardown(test_failed_creation_is_told, begin, end),
        cmocka_unit_test_setup_teardown(test_stop, begin, end),
    };
    return cmocka_run_group_tests_name("shell", tests, NULL, NULL);
}
