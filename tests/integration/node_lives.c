/* How a node's processes end, what is told of it, and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "node_control/life.h"
#include "node_fixture.h"
#include "suites.h"

enum { RESTART_MS = 200, END_MS = 10000, TRIES = 20 };

static int setup(void **state)
{
    (void)node_fixture_setup(state);
    node_fixture_connect(*state, FIRST_TERM);
    node_fixture_configure(*state);
    return 0;
}

static int64_t now_ms(void)
{
    return clock_now_ms(clock_system());
}

/* Waits until the process of that pid has ended; fails when it lives on. */
static void expect_gone(pid_t pid)
{
    struct pollfd polled = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    if (polled.fd < 0)
        return; /* it is gone already */
    int ready = poll(&polled, 1, END_MS);
    (void)close(polled.fd); /* nothing is written through it */
    assert_int_equal(ready, 1);
}

struct kill_times {
    int64_t exited_ms, hello_ms;
};

static struct kill_times kill_runtime(struct node_fixture *fixture)
{
    struct kill_times times;
    char uid_text[LIFE_UID_BYTES];
    uint64_t former = fixture->uid;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    int64_t killed_ms = now_ms();
    assert_int_equal(kill(fixture->runtime, SIGKILL), 0);
    struct json *report = node_process_report(&fixture->node, "exited", END_MS);
    times.exited_ms = now_ms() - killed_ms;
    assert_string_equal(json_string(json_get(report, "uid")), life_uid_format(former, uid_text));
    assert_int_equal(json_int(json_get(report, "signal")), SIGKILL);
    assert_string_equal(json_string(json_get(report, "unit")), "");
    json_free(report);
    node_fixture_follow_restart(fixture, FIRST_TERM);
    times.hello_ms = now_ms() - killed_ms;
    assert_true(fixture->uid != former);
    const Histrio__V1__PreviousLife *previous = control_client_hello(fixture->client)->previous;
    assert_non_null(previous);
    assert_true(previous->node_uid == former);
    assert_int_equal(previous->signal, SIGKILL);
    assert_int_equal(previous->n_earlier_uids, 0);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker"); /* a new process has seen no epoch */
    return times;
}

/* Each try with a node of its own, whose first restart is at once. Other work on the machine can spoil a try,
 * so two good ones of some are enough; a slow node has none. */
static void test_killed_runtime_is_reported_and_replaced(void **state)
{
    int64_t limit_ms = getenv("HISTRIO_TEST_SLOW") ? END_MS : RESTART_MS; /* set for sanitizer builds */
    int good = 0;
    for (int i = 0; i < TRIES && good < 2; i++) {
        struct kill_times times = kill_runtime(*state);
        print_message("exited after %d ms, the next life said hello after %d ms\n", (int)times.exited_ms,
            (int)times.hello_ms);
        good += times.exited_ms < limit_ms && times.hello_ms < limit_ms;
        if (good < 2) {
            (void)node_fixture_teardown(state);
            (void)setup(state);
        }
    }
    assert_int_equal(good, 2);
}

static void crash_by(struct node_fixture *fixture, const char *method, const char *frame)
{
    node_fixture_run_unit(fixture, "tellers.1", "node_behaviors.worker");
    (void)node_fixture_ask(fixture, "tellers.1", method, 2000, false);
    struct json *report = node_process_report(&fixture->node, "exited", END_MS);
    assert_int_equal(json_int(json_get(report, "signal")), SIGSEGV);
    assert_string_equal(json_string(json_get(report, "unit")), "tellers.1");
    assert_string_equal(json_string(json_get(report, "actor")), "tellers.1");
    /* The first frame is the behavior's function, named although its library exports nothing of it. */
    const char *first = strstr(json_string(json_get(report, "backtrace")), frame);
    assert_non_null(first);
    assert_null(memchr(json_string(json_get(report, "backtrace")), '\n',
        (size_t)(first - json_string(json_get(report, "backtrace")))));
    json_free(report);
}

static void test_crash_is_attributed(void **state)
{
    struct node_fixture *fixture = *state;
    uint64_t first = fixture->uid;
    crash_by(fixture, "crash", "libnode_behaviors.so(worker_receive");
    node_fixture_follow_restart(fixture, FIRST_TERM);
    uint64_t second = fixture->uid;
    crash_by(fixture, "overflow", "libnode_behaviors.so(overflow");
    node_fixture_follow_restart(fixture, FIRST_TERM);
    const Histrio__V1__PreviousLife *previous = control_client_hello(fixture->client)->previous;
    assert_non_null(previous);
    assert_true(previous->node_uid == second);
    assert_int_equal(previous->signal, SIGSEGV);
    assert_string_equal(previous->unit, "tellers.1");
    assert_string_equal(previous->actor, "tellers.1");
    assert_non_null(strstr(previous->backtrace, "libnode_behaviors.so"));
    assert_int_equal(previous->n_earlier_uids, 1);
    assert_true(previous->earlier_uids[0] == first);
}

static bool is_drained(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_DRAINED;
}

static bool is_lease_request(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_LEASE;
}

static void expect_clean_end(struct node_fixture *fixture)
{
    (void)control_client_wait(fixture->client, is_drained, NULL, "drained");
    int status = node_process_wait(&fixture->node, END_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct json *report = node_process_report(&fixture->node, "exited", END_MS);
    assert_int_equal(json_int(json_get(report, "exitCode")), 0);
    assert_int_equal(json_int(json_get(report, "signal")), 0);
    json_free(report);
    assert_int_equal(access(fixture->node.control_address + strlen("unix:"), F_OK), -1);
    assert_int_equal(access(fixture->node.link_address + strlen("unix:"), F_OK), -1);
}

static void test_sigterm_drains(void **state)
{
    struct node_fixture *fixture = *state;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    node_fixture_run_unit(fixture, "tellers.0", "node_behaviors.worker");
    assert_int_equal(kill(fixture->node.pid, SIGTERM), 0);
    expect_clean_end(fixture);
}

static void test_drain_command(void **state)
{
    struct node_fixture *fixture = *state;
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Drain drain = HISTRIO__V1__DRAIN__INIT;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    drain.timeout_ms = 5000;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_DRAIN;
    message.drain = &drain;
    control_client_send(fixture->client, &message);
    expect_clean_end(fixture);
}

static void test_drain_needs_no_operator(void **state)
{
    struct node_fixture *fixture = *state;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    control_client_free(fixture->client);
    fixture->client = NULL;
    assert_int_equal(kill(fixture->node.pid, SIGTERM), 0);
    int status = node_process_wait(&fixture->node, END_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_orphan_ends(void **state)
{
    struct node_fixture *fixture = *state;
    (void)close(fixture->node.report_fd); /* as when the run was killed */
    fixture->node.report_fd = -1;
    (void)node_process_wait(&fixture->node, END_MS);
    expect_gone(fixture->runtime);
}

static void test_runtime_follows_its_parent(void **state)
{
    struct node_fixture *fixture = *state;
    assert_int_equal(kill(fixture->node.pid, SIGKILL), 0);
    (void)node_process_wait(&fixture->node, END_MS);
    expect_gone(fixture->runtime);
}

static void test_stuck_runtime_is_killed(void **state)
{
    struct node_fixture *fixture = *state;
    assert_int_equal(kill(fixture->runtime, SIGSTOP), 0);
    (void)close(fixture->node.report_fd); /* 2 s for an orphan's drain, then SIGKILL */
    fixture->node.report_fd = -1;
    (void)node_process_wait(&fixture->node, END_MS);
    expect_gone(fixture->runtime);
}

/* A handler that never returns holds up neither the lease nor, for longer than the limits, the end of the
 * node. */
static void test_hanging_handler(void **state)
{
    static const char *const settings[] = {
        "HISTRIO_DRAIN_TIMEOUT_MS=100", "HISTRIO_HANDLER_TIMEOUT_MS=50", NULL};
    struct node_fixture *fixture = *state;
    node_process_end(&fixture->node, 0);
    node_process_start(&fixture->node, settings);
    node_fixture_follow_restart(fixture, FIRST_TERM);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    /* It answers: what follows begins to hang in its time, also on a loaded machine. */
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
    assert_int_equal(
        node_fixture_ask(fixture, "ledger", "hang", 1000, false), HISTRIO__V1__ERROR__ERROR_TIMEOUT);
    control_client_forget(fixture->client);
    (void)control_client_wait(fixture->client, is_lease_request, NULL, "lease request");
    assert_int_equal(kill(fixture->node.pid, SIGTERM), 0);
    (void)control_client_wait(fixture->client, is_drained, NULL, "drained");
    int status = node_process_wait(&fixture->node, END_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    struct json *report = node_process_report(&fixture->node, "exited", END_MS);
    assert_int_equal(json_int(json_get(report, "signal")), SIGKILL);
    json_free(report);
    expect_gone(fixture->runtime);
}

/* Nobody reads the log, as when the run is stopped by a signal: more lines than a pipe holds change nothing.
 */
static void test_log_that_nobody_reads(void **state)
{
    struct node_fixture *fixture = *state;
    struct assign_options refused = {.unit = "ledger", .behavior = "node_behaviors.worker", .node_uid = 1};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    node_process_end(&fixture->node, 0);
    node_process_start_logging_to(&fixture->node, NULL, ends[1]);
    (void)close(ends[1]); /* the node has its own copy */
    node_fixture_follow_restart(fixture, FIRST_TERM);
    for (int i = 0; i < 1000; i++) {
        refused.epoch = fixture->epoch + 1;
        node_fixture_send_assign(fixture, &refused); /* one line each, of about 150 bytes */
    }
    (void)node_fixture_assigned(fixture);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
    int waiting = 0;
    assert_int_equal(ioctl(ends[0], FIONREAD, &waiting), 0);
    assert_true(waiting > 60000); /* it was full */
    (void)close(ends[0]);
}

static void test_node_that_is_declared_dead(void **state)
{
    struct node_fixture *fixture = *state;
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Dead dead = HISTRIO__V1__DEAD__INIT;
    uint64_t former = fixture->uid;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    dead.node_uids = &former;
    dead.n_node_uids = 1;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_DEAD;
    message.dead = &dead;
    control_client_send(fixture->client, &message);
    struct json *report = node_process_report(&fixture->node, "exited", END_MS);
    assert_int_equal(json_int(json_get(report, "exitCode")), 75);
    json_free(report);
    node_fixture_follow_restart(fixture, FIRST_TERM);
    assert_true(fixture->uid != former);
}

static void test_bad_configuration_ends_with_78(void **state)
{
    static const char *const settings[] = {"HISTRIO_CREDENTIAL=short", "HISTRIO_SYSTEM=No Label", NULL};
    struct node_process node;
    (void)state;
    node_process_start(&node, settings);
    int status = node_process_wait(&node, END_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 78);
    node_process_end(&node, 0);
}

/* The address belongs to a living node: the second one says so and tries again; the first is not disturbed.
 */
static void test_taken_address(void **state)
{
    struct node_fixture *fixture = *state;
    char setting[128];
    const char *const settings[] = {setting, NULL};
    struct node_process second;
    (void)snprintf(setting, sizeof(setting), "HISTRIO_CONTROL_ADDRESS=%s", fixture->node.control_address);
    node_process_start(&second, settings);
    struct json *report = node_process_report(&second, "exited", END_MS);
    assert_int_equal(json_int(json_get(report, "exitCode")), 1);
    json_free(report);
    node_process_end(&second, 0);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    node_fixture_connect(fixture, FIRST_TERM); /* the socket is still the first one's */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, node_fixture_teardown)
const struct CMUnitTest node_lives_tests[] = {
    TEST(test_killed_runtime_is_reported_and_replaced),
    TEST(test_crash_is_attributed),
    TEST(test_sigterm_drains),
    TEST(test_drain_command),
    TEST(test_drain_needs_no_operator),
    TEST(test_orphan_ends),
    TEST(test_runtime_follows_its_parent),
    TEST(test_stuck_runtime_is_killed),
    TEST(test_hanging_handler),
    TEST(test_log_that_nobody_reads),
    TEST(test_node_that_is_declared_dead),
    TEST(test_taken_address),
    cmocka_unit_test(test_bad_configuration_ends_with_78),
};
const size_t node_lives_test_count = sizeof(node_lives_tests) / sizeof(node_lives_tests[0]);
