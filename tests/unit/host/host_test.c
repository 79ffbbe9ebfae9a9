/* Actors in worker processes: real processes and sockets, with a program in C in the place of Python
 * (puppet/puppet.c), which does what a message's method says. */
#include "unit/actor/support.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/trace_context.h"
#include "base/value.h"
#include "host/host.h"
#include "suites.h"

#include <histrio/value.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct host *host;

/* In the node: what puppets tell it becomes notes. */
static enum histrio_result listen(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)ctx;
    (void)state;
    const char *text = "";
    size_t size = 0;
    (void)value_get_string(value_of(message->value, message->size), &text, &size);
    note("heard:%s:%.*s", histrio_type_name(message->type), (int)size, text);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior listener = {.name = "listener", .receive = listen};
static const struct histrio_behavior *const behaviors[] = {&listener, NULL};

static uint64_t snapshot_bytes_max;

static void start_app(const struct host_app *app)
{
    struct err err = {0};
    struct host_config config = {.system = "bank",
        .node = "node-0",
        .node_uid = TEST_NODE_UID,
        .script_fd = -1,
        .snapshot_bytes_max = snapshot_bytes_max};
    assert_int_equal(host_new(&config, &host, &err), 0);
    host_configure(host, app);
    support_start_hosting(2, behaviors, host_hosting(host));
    support_unit("listener", "test.listener");
}

static void start(unsigned workers)
{
    start_app(&(struct host_app){.interpreter = HOST_PUPPET, .workers = workers});
}

static void stop(void)
{
    support_stop();
    host_free(host);
}

/* Short where it is killed since it does not stop; else more than any machine needs. */
static uint32_t shutdown_ms = 500;

static void unit(enum actor_isolation isolation, const char *second_behavior, uint32_t restarts_max)
{
    struct actor_child_spec children[] = {
        {.name = "one", .under = "", .behavior = "m:One", .shutdown_ms = shutdown_ms, .isolation = isolation},
        {.name = "two",
            .under = "",
            .behavior = second_behavior,
            .shutdown_ms = shutdown_ms,
            .isolation = isolation},
    };
    struct actor_unit_spec spec = {.name = "unit",
        .root = {.name = "unit",
            .is_supervisor = true,
            .restarts_max = restarts_max,
            .period_ms = 60000,
            .shutdown_ms = ACTOR_SHUTDOWN_INFINITY},
        .children = children,
        .child_count = 2};
    support_unit_present(&spec);
}

static void done(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    const char *text = (const char *)value;
    if (error == HISTRIO_OK && !value_get_string(value_of(value, size), &text, &size))
        size = 0;
    note("%s:%s:%.*s", (const char *)ctx, histrio_error_name(error), (int)size, text);
}

static struct str value_of_text(const char *text)
{
    struct str value = STR_INIT(4096);
    value_put_string(&value, text);
    return value;
}

/* Its outcome is a note: "label:OK:text". */
static void ask_later(const char *label, const char *target, const char *deed, const char *text)
{
    struct str value = value_of_text(text);
    actor_system_ask(support_system(), target, deed, (const uint8_t *)value.data, value.size, 60000, done,
        (void *)(uintptr_t)label);
    str_done(&value);
}

static void tell_text(const char *target, const char *deed, const char *text)
{
    struct str value = value_of_text(text);
    assert_int_equal(
        actor_system_tell(support_system(), target, deed, (const uint8_t *)value.data, value.size), 0);
    str_done(&value);
}

static void messages_come_and_go(void **state)
{
    (void)state;
    start(2);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("a", "unit/one", "echo", "hello");
    wait_note("a:OK:hello");
    ask_later("b", "unit/two", "error", "not today");
    wait_note("b:Application:not today");
    ask_later("c", "unit/one", "relay", "unit/two"); /* asks the other, in another process */
    wait_note("c:OK:");
    tell_text("unit/one", "tell", "listener");
    wait_note("heard:echo:");
    struct host_counters counters;
    host_counters(host, &counters);
    assert_int_equal(counters.actors, 2);
    assert_int_equal(counters.processes, 2);
    assert_int_equal(counters.processes_lost, 0);
    assert_true(counters.deliveries >= 6);
    stop();
}

static void on_row(void *ctx, const struct actor_info *info)
{
    (void)ctx;
    note("row:%s:%s:%s", info->path, info->behavior, info->state);
}

/* What does not say that it takes them is not disturbed by them: an older package. */
static void traces_are_for_who_takes_them(void **state)
{
    struct trace_context trace;
    (void)state;
    assert_true(trace_context_parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &trace));
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    struct str value = value_of_text("hello");
    actor_system_ask_traced(support_system(), &trace, "unit/one", "echo", (const uint8_t *)value.data,
        value.size, 60000, done, "a");
    str_done(&value);
    wait_note("a:OK:hello");
    stop();
}

static void who_asks_for_what_is_not_handled_is_told(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("a", "unit/one", "unhandled", "");
    wait_note("a:BadArgument:no method \"unhandled\""); /* as of an actor in the node */
    stop();
}

static void states_are_kept_up_to_a_total(void **state)
{
    (void)state;
    snapshot_bytes_max = 48;
    start(1);
    snapshot_bytes_max = 0;
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3);
    ask_later("a", "unit/one", "keep", "good");
    wait_note("a:OK:good");
    ask_later("b", "unit/one", "keep", "more than there is room for in all that is kept for all the actors");
    wait_note("b:Application:the state after it is not kept: the states of all actors take all memory that "
              "they may take");
    ask_later("c", "unit/two", "keep", "too much beside what the other has");
    wait_note("c:Application:the state after it is not kept: the states of all actors take all memory that "
              "they may take");
    ask_later("d", "unit/two", "echo", "of that one only");
    wait_note("d:OK:of that one only");
    ask_later("e", "unit/one", "crash", "");
    ask_later("f", "unit/one", "kept", "");
    wait_note("f:OK:good");
    ask_later("g", "unit/one", "keep", "");
    wait_note("g:OK:"); /* the two are in different processes */
    ask_later("h", "unit/two", "keep", "enough now that there is less");
    wait_note("h:OK:enough now that there is less");
    stop();
}

static void starts_are_waited_for_by_messages_only(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_PROCESS, "m:Slow", 3); /* which never starts */
    ask_later("x", "unit/two", "echo", "waits");
    ask_later("y", "unit/one", "echo", "goes");
    wait_note("y:OK:goes");
    actor_system_list(support_system(), "unit", on_row, NULL);
    assert_int_equal(count_notes("row:unit/two:m:Slow:Starting"), 1);
    assert_int_equal(count_notes("row:unit/one:m:One:Running"), 1);
    assert_string_equal(notes("x:"), "");
    assert_int_equal(count_notes("unit:unit:running"), 0); /* it waits for all */
    stop();
}

static void failed_starts_are_exits(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Fails", 2);
    wait_note(
        "unit:unit:failed:too many restarts: unit/two: start failed: ImportError: no module (bank.py:3)");
    wait_notes("exit:unit/two:start failed: ImportError: no module (bank.py:3):Restart", 2);
    stop();
}

static void a_crash_in_the_constructor_is_charged(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Dies", 1);
    wait_note("unit:unit:failed:too many restarts: unit/two: start failed: SIGSEGV bank.py:41 in add");
    assert_int_equal(count_notes("exit:unit/one:SIGSEGV bank.py:41 in add:Restart"), 0);
    stop();
}

/* On a busy machine the zygote gets no core for a while: what it will say is waited for. */
static void a_zygote_may_be_late(void **state)
{
    (void)state;
    (void)setenv("PUPPET_WAITS", "400", 1);
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Dies", 0); /* before the zygote has said that it forked */
    wait_note("unit:unit:failed:too many restarts: unit/two: start failed: SIGSEGV bank.py:41 in add");
    stop();
    start(1);
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3);
    ask_later("x", "unit/one", "exit", "");
    wait_note("x:Crashed:unit/one crashed in \"exit\": exit code 3; maybe executed");
    stop();
}

static int no_longer_late(void **state)
{
    (void)state;
    return unsetenv("PUPPET_WAITS");
}

static void only_what_was_executing_is_lost(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 1);
    ask_later("a", "unit/one", "ignore", "a"); /* delivered, not begun */
    tell_text("unit/one", "ignore", "b");
    ask_later("held", "unit/two", "hold", "c");
    ask_later("crash", "unit/two", "crash", "d");
    ask_later("behind", "unit/two", "echo", "e");
    wait_note("crash:Crashed:unit/two crashed in \"crash\": SIGSEGV bank.py:41 in add; maybe executed");
    wait_note("held:Crashed:unit/two crashed in \"hold\": SIGSEGV bank.py:41 in add; maybe executed");
    wait_note("behind:OK:e");
    wait_note("exit:unit/two:SIGSEGV bank.py:41 in add:Restart");
    wait_note("exit:unit/one:host process ended: SIGSEGV bank.py:41 in add in unit/two:Restart");
    ask_later("again", "unit/one", "echo", "f");
    wait_note("again:OK:f");
    assert_string_equal(notes("a:"), ""); /* the next incarnation has it, and ignores it as well */
    struct host_counters counters;
    host_counters(host, &counters);
    assert_int_equal(counters.processes_lost, 1);
    stop();
}

static void others_are_not_charged(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    static const struct actor_child_spec innocent[] = {
        {.name = "bystander", .under = "", .behavior = "m:Three", .shutdown_ms = 500}};
    struct actor_unit_spec spec = {.name = "other",
        .root = {.name = "other",
            .is_supervisor = true,
            .restarts_max = 0,
            .period_ms = 60000,
            .shutdown_ms = ACTOR_SHUTDOWN_INFINITY},
        .children = innocent,
        .child_count = 1};
    support_unit_spec(&spec);
    for (unsigned i = 1; i <= 3; i++) {
        ask_later("x", "other/bystander", "echo", "there");
        wait_notes("x:OK:there", i);
        ask_later("y", "unit/two", "exit", "");
        wait_notes("y:Crashed:unit/two crashed in \"exit\": exit code 3; maybe executed", i);
        wait_notes("exit:other/bystander:host process ended: exit code 3 in unit/two:Restart", i);
    }
    ask_later("y", "unit/two", "exit", "");
    wait_note("unit:unit:failed:too many restarts: unit/two: exit code 3");
    stop();
}

static void an_answer_that_was_not_written_is_not_handled_twice(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("x", "unit/one", "lost", "");
    wait_note("x:Crashed:unit/one crashed in \"lost\": exit code 3; it was executed, its answer is lost");
    wait_note("exit:unit/one:host process ended: exit code 3:Restart"); /* nobody was executing */
    stop();
}

static void isolation_bounds_a_crash(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3);
    ask_later("a", "unit/one", "echo", "1");
    ask_later("b", "unit/two", "echo", "2");
    wait_note("a:OK:1");
    wait_note("b:OK:2");
    ask_later("c", "unit/two", "crash", "");
    wait_note("exit:unit/two:SIGSEGV bank.py:41 in add:Restart");
    ask_later("d", "unit/two", "echo", "3");
    wait_note("d:OK:3");
    assert_string_equal(notes("exit:unit/one"), "");
    support_unit_stop("unit");
    wait_note("unit:unit:stopped:shutdown");
    stop();
}

static void wait_for_spare(uint64_t started)
{
    struct host_counters counters;
    do
        host_counters(host, &counters);
    while (counters.spares != 1 || counters.spares_started != started);
}

static void one_process_is_ready_before_it_is_wanted(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3); /* workers 1 and 2 */
    wait_for_spare(1);
    struct host_counters counters;
    host_counters(host, &counters);
    assert_int_equal(counters.processes, 2);
    assert_int_equal(counters.processes_started, 2);
    ask_later("a", "unit/two", "crash", "");
    ask_later("b", "unit/two", "worker", "");
    wait_note("b:OK:3"); /* the spare one */
    wait_for_spare(2);
    ask_later("c", "unit/one", "exit", "");
    ask_later("d", "unit/one", "worker", "");
    wait_note("d:OK:4");
    support_unit_stop("unit");
    wait_note("unit:unit:stopped:shutdown");
    wait_for_spare(3);
    host_counters(host, &counters);
    assert_int_equal(counters.processes_started, 4);
    assert_int_equal(counters.processes_lost, 2);
    stop();
}

static void a_spare_process_that_ends_is_replaced(void **state)
{
    (void)state;
    (void)setenv("PUPPET_DIES", "3", 1);
    start(1);
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 0);
    wait_for_spare(2);
    struct host_counters counters;
    host_counters(host, &counters);
    assert_int_equal(counters.processes_lost, 0); /* no actor's */
    ask_later("a", "unit/one", "spawn", "m:Child");
    wait_note("a:OK:");
    ask_later("c", "unit/one/child", "worker", "");
    wait_note("c:OK:4");
    assert_string_equal(notes("exit:"), "");
    (void)unsetenv("PUPPET_DIES");
    stop();
}

static void a_new_app_has_a_spare_process_of_its_own(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3);
    wait_for_spare(1);
    host_configure(host, &(struct host_app){.interpreter = HOST_PUPPET, .workers = 2});
    struct host_counters counters;
    do
        host_counters(host, &counters);
    while (counters.spares != 0);
    ask_later("a", "unit/two", "crash", "");
    ask_later("b", "unit/two", "worker", "");
    wait_note("b:OK:4"); /* of the new zygote; 3 was the former app's */
    wait_for_spare(2);
    ask_later("c", "unit/one", "worker", "");
    wait_note("c:OK:1");
    stop();
}

static void a_group_shares_one_process(void **state)
{
    (void)state;
    start(4);
    unit(ACTOR_ISOLATION_GROUP, "m:Two", 3);
    ask_later("a", "unit/one", "echo", "1");
    ask_later("b", "unit/two", "echo", "2");
    wait_note("a:OK:1");
    wait_note("b:OK:2");
    struct host_counters counters;
    host_counters(host, &counters);
    assert_int_equal(counters.processes, 1);
    stop();
}

static void actors_fail_and_stop_by_themselves(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("a", "unit/one", "fail", "ValueError: no (bank.py:7)");
    ask_later("b", "unit/one", "echo", "behind");
    wait_note("a:Crashed:ValueError: no (bank.py:7)");
    wait_note("b:OK:behind"); /* was delivered, or in the mailbox: the next incarnation has it */
    wait_note("exit:unit/one:ValueError: no (bank.py:7):Restart");
    ask_later("c", "unit/one", "stop", "");
    wait_note("exit:unit/one:normal:Restart");
    assert_string_equal(notes("exit:unit/two"), "");
    stop();
}

static void patient_unit(enum actor_isolation isolation, const char *second_behavior, uint32_t restarts_max)
{
    uint32_t before = shutdown_ms;
    shutdown_ms = 60000;
    unit(isolation, second_behavior, restarts_max);
    shutdown_ms = before;
}

static void stops_are_behind_what_was_delivered(void **state)
{
    (void)state;
    start(1);
    patient_unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    for (unsigned i = 0; i < 20; i++)
        ask_later("x", "unit/one", "echo", "y");
    wait_notes("x:OK:y", 20);
    support_unit_stop("unit");
    wait_note("unit:unit:stopped:shutdown");
    assert_int_equal(count_notes("exit:unit/one:shutdown:Shutdown"), 1);
    assert_int_equal(count_notes("exit:unit/two:shutdown:Shutdown"), 1);
    stop();
}

static void what_does_not_stop_is_dropped(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("x", "unit/one", "hold", "");
    ask_later("y", "unit/two", "echo", "1");
    wait_note("y:OK:1");
    support_unit_stop("unit");
    wait_note("x:Crashed:unit/one crashed in \"hold\": killed; maybe executed");
    wait_note("unit:unit:stopped:shutdown");
    assert_int_equal(count_notes("exit:unit/one:killed:Shutdown"), 1);
    stop();
}

static void a_killed_actor_does_not_go_on(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 0);
    ask_later("a", "unit/one", "echo", "1");
    wait_note("a:OK:1");
    ask_later("x", "unit/two", "stuck", "");
    struct host_counters counters;
    do
        host_counters(host, &counters);
    while (counters.deliveries_open == 0);
    support_unit_stop("unit"); /* its handler is on the stack: only the process can be ended */
    wait_note("exit:unit/two:killed:Shutdown");
    wait_note("unit:unit:stopped:shutdown");
    stop();
}

static void an_event_loop_that_is_stuck_does_not_go_on(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("x", "unit/one", "loop", "");
    ask_later("y", "unit/two", "echo", "behind");
    wait_note("y:OK:behind");
    tell_text("unit/two", "kill", "unit/one");
    wait_note("exit:unit/one:killed:Restart");
    wait_note("exit:unit/two:host process ended: killed with unit/one:Restart");
    ask_later("z", "unit/one", "echo", "again");
    wait_note("z:OK:again");
    stop();
}

static void spawned_actors_have_supervisors(void **state)
{
    (void)state;
    start(3); /* a process for each */
    patient_unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("s", "unit/one", "spawn", "m:Child");
    wait_note("s:OK:");
    ask_later("a", "unit/one/child", "echo", "there");
    wait_note("a:OK:there");
    ask_later("c", "unit/one/child", "crash", "");
    wait_note("heard:DOWN:SIGSEGV bank.py:41 in add\n" /* the spawner monitors it */
              "  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 519 in string_at\n"
              "  File \"/app/bank.py\", line 41 in add\n");
    wait_note("exit:unit/one/child:SIGSEGV bank.py:41 in add:Restart");
    ask_later("b", "unit/one/child", "echo", "again");
    wait_note("b:OK:again");
    support_unit_stop("unit");
    wait_note("unit:unit:stopped:shutdown");
    assert_int_equal(count_notes("exit:unit/one/child:shutdown:Shutdown"), 1);
    stop();
}

static void a_spawn_that_fails_leaves_nothing(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("s", "unit/one", "spawn", "m:Fails");
    wait_note("s:Application:ImportError: no module (bank.py:3)");
    ask_later("a", "unit/one/child", "echo", "x");
    wait_note("a:NotFound:no such actor");
    ask_later("t", "unit/one", "spawn", "m:Child");
    wait_note("t:OK:");
    stop();
}

static void signals_and_timers_are_deliveries(void **state)
{
    (void)state;
    start(2);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    tell_text("unit/one", "timer", "");
    wait_note("heard:TIMER:");
    ask_later("a", "unit/one", "trap", "");
    wait_note("a:OK:");
    tell_text("unit/two", "kill", "unit/one"); /* cannot be trapped */
    wait_note("exit:unit/one:killed:Restart");
    stop();
}

/* Until unit/one has ended for a reason with that in it. */
static void wait_exit(const char *part)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + 20 * NS_PER_S;
    for (; !strstr(notes("exit:unit/one"), part); (void)poll(NULL, 0, 1))
        if (clock_now_ns(clock_system()) > deadline_ns)
            fail_msg("waited for an exit with \"%s\"; log: %s", part, notes(""));
}

static void hostile_processes_are_killed(void **state)
{
    (void)state;
    static const char *const ways[] = {"garbage", "short", "foreign", "text", "hello", "node"};
    static const char *const reasons[] = {"a frame of 4008636142", "a frame of 10 bytes",
        "TELL from actor 4000", "text 999", "it speaks protocol 0", "START is for the node"};
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 100);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        ask_later("x", "unit/one", "hostile", ways[i]);
        char begin[128];
        (void)snprintf(begin, sizeof(begin), "broke the protocol: %s", reasons[i]);
        struct host_counters counters;
        do
            host_counters(host, &counters);
        while (counters.processes_lost < i + 1);
        ask_later("y", "unit/two", "echo", ways[i]);
        char wanted[64];
        (void)snprintf(wanted, sizeof(wanted), "y:OK:%s", ways[i]);
        wait_note(wanted);
        host_counters(host, &counters);
        assert_int_equal(counters.processes_lost, i + 1); /* the message that did it is not handled again */
        wait_exit(begin);
    }
    stop();
}

static void handlers_that_do_not_return_end_their_process(void **state)
{
    (void)state;
    start_app(&(struct host_app){.interpreter = HOST_PUPPET, .workers = 1, .handler_timeout_ms = 100});
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3);
    ask_later("x", "unit/one", "stuck", "");
    wait_note("x:Crashed:unit/one crashed in \"stuck\": timeout; maybe executed");
    wait_note("exit:unit/one:timeout:Restart");
    stop();
}

static void a_zygote_is_replaced(void **state)
{
    (void)state;
    start(2);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 0);
    ask_later("a", "unit/two", "echo", "1");
    wait_note("a:OK:1");
    tell_text("unit/one", "orphan", ""); /* kills it, and with it all processes: nobody's fault */
    wait_note("exit:unit/one:host process ended: its zygote ended:Restart");
    wait_note("exit:unit/two:host process ended: its zygote ended:Restart");
    ask_later("b", "unit/two", "echo", "2");
    ask_later("c", "unit/one", "echo", "3");
    wait_note("b:OK:2");
    wait_note("c:OK:3");
    stop();
}

/* With a sanitizer every process has more than that from its beginning: there it is no test. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define TESTS_MEMORY 1
static void memory_is_limited(void **state)
{
    (void)state;
    start_app(
        &(struct host_app){.interpreter = HOST_PUPPET, .workers = 1, .memory_bytes_max = UINT64_C(1) << 29});
    unit(ACTOR_ISOLATION_PROCESS, "m:Two", 3);
    ask_later("x", "unit/one", "eat", "");
    struct host_counters counters;
    do
        host_counters(host, &counters);
    while (counters.processes_lost == 0);
    ask_later("y", "unit/one", "echo", "again");
    wait_note("y:OK:again");
    wait_exit("MiB of 512 MiB:Restart");
    stop();
}
#endif

/* A node that may not act: neither do its processes. */
static void suspended_processes_stand_still(void **state)
{
    (void)state;
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("a", "unit/one", "echo", "1");
    wait_note("a:OK:1");
    actor_system_set_suspended(support_system(), true);
    struct actor_counters counters;
    for (unsigned i = 0; i < 100; i++)
        actor_system_counters(support_system(), &counters);
    assert_int_equal(actor_system_tell(support_system(), "unit/one", "tell", NULL, 0), HISTRIO_UNAVAILABLE);
    actor_system_set_suspended(support_system(), false);
    ask_later("b", "unit/one", "echo", "2");
    wait_note("b:OK:2");
    stop();
}

/* What was configured before a unit is there for it, also when the worker has never polled or is not idle. */
static void the_app_is_there_before_its_units(void **state)
{
    (void)state;
    struct actor_unit_spec spec = {.name = "unit",
        .root = {.name = "unit", .behavior = "m:One", .period_ms = 60000, .shutdown_ms = 500}};
    for (unsigned i = 0; i < 20; i++) {
        struct err err = {0};
        struct host_config config = {
            .system = "bank", .node = "node-0", .node_uid = TEST_NODE_UID, .script_fd = -1};
        assert_int_equal(host_new(&config, &host, &err), 0);
        support_start_hosting(1, behaviors, host_hosting(host));
        host_configure(host, &(struct host_app){.interpreter = HOST_PUPPET, .workers = 1});
        assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), 0);
        wait_note("unit:unit:running");
        assert_string_equal(notes("exit"), "");
        stop();
    }
}

static void a_missing_interpreter_is_told(void **state)
{
    (void)state;
    start_app(&(struct host_app){.interpreter = "/nowhere/python3"});
    struct actor_unit_spec spec = {.name = "unit",
        .root = {.name = "unit", .behavior = "m:One", .period_ms = 60000, .shutdown_ms = 500}};
    struct err err;
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), 0);
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "unit:unit:failed:");
    for (unsigned i = 0; i < 100 && !*notes(wanted); i++)
        wait_note("unit:unit:starting");
    wait_note(
        "exit:unit:no host process: cannot start \"/nowhere/python3\": No such file or directory:GiveUp");
    stop();
}

static void a_zygote_that_ends_is_told(void **state)
{
    (void)state;
    (void)setenv("PUPPET_FAILS", "No module named histrio", 1);
    start_app(&(struct host_app){.interpreter = HOST_PUPPET});
    struct actor_unit_spec spec = {.name = "unit",
        .root = {.name = "unit", .behavior = "m:One", .period_ms = 60000, .shutdown_ms = 500}};
    struct err err;
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), 0);
    wait_note("unit:unit:starting");
    while (!*notes("exit:unit:"))
        wait_note("unit:unit:starting");
    assert_non_null(strstr(notes("exit:unit:"), "ended with exit code 1"));
    assert_non_null(strstr(notes("exit:unit:"), "No module named histrio"));
    (void)unsetenv("PUPPET_FAILS");
    stop();
}

static void windows_are_bounded(void **state)
{
    (void)state;
    enum { MESSAGES = 1000, WINDOW = 256 };
    start(1);
    unit(ACTOR_ISOLATION_SHARED, "m:Two", 3);
    ask_later("a", "unit/two", "echo", "1");
    wait_note("a:OK:1");
    for (unsigned i = 0; i < MESSAGES; i++)
        ask_later("x", "unit/one", "ignore", "");
    ask_later("b", "unit/two", "echo", "2");
    wait_note("b:OK:2");
    struct host_counters counters;
    struct actor_counters actors;
    do {
        host_counters(host, &counters);
        actor_system_counters(support_system(), &actors);
        assert_true(counters.deliveries_open <= WINDOW);
    } while (counters.deliveries_open < WINDOW ||
             counters.deliveries_open + actors.mailbox_depth < MESSAGES); /* these go to it by turns */
    stop();
}

const struct CMUnitTest host_tests[] = {
    cmocka_unit_test(messages_come_and_go),
    cmocka_unit_test(traces_are_for_who_takes_them),
    cmocka_unit_test(who_asks_for_what_is_not_handled_is_told),
    cmocka_unit_test(states_are_kept_up_to_a_total),
    cmocka_unit_test(starts_are_waited_for_by_messages_only),
    cmocka_unit_test(failed_starts_are_exits),
    cmocka_unit_test(a_crash_in_the_constructor_is_charged),
    cmocka_unit_test_teardown(a_zygote_may_be_late, no_longer_late),
    cmocka_unit_test(only_what_was_executing_is_lost),
    cmocka_unit_test(others_are_not_charged),
    cmocka_unit_test(an_answer_that_was_not_written_is_not_handled_twice),
    cmocka_unit_test(isolation_bounds_a_crash),
    cmocka_unit_test(one_process_is_ready_before_it_is_wanted),
    cmocka_unit_test(a_spare_process_that_ends_is_replaced),
    cmocka_unit_test(a_new_app_has_a_spare_process_of_its_own),
    cmocka_unit_test(a_group_shares_one_process),
    cmocka_unit_test(actors_fail_and_stop_by_themselves),
    cmocka_unit_test(stops_are_behind_what_was_delivered),
    cmocka_unit_test(what_does_not_stop_is_dropped),
    cmocka_unit_test(a_killed_actor_does_not_go_on),
    cmocka_unit_test(an_event_loop_that_is_stuck_does_not_go_on),
    cmocka_unit_test(spawned_actors_have_supervisors),
    cmocka_unit_test(a_spawn_that_fails_leaves_nothing),
    cmocka_unit_test(signals_and_timers_are_deliveries),
    cmocka_unit_test(hostile_processes_are_killed),
    cmocka_unit_test(handlers_that_do_not_return_end_their_process),
    cmocka_unit_test(a_zygote_is_replaced),
#ifdef TESTS_MEMORY
    cmocka_unit_test(memory_is_limited),
#endif
    cmocka_unit_test(suspended_processes_stand_still),
    cmocka_unit_test(the_app_is_there_before_its_units),
    cmocka_unit_test(a_missing_interpreter_is_told),
    cmocka_unit_test(a_zygote_that_ends_is_told),
    cmocka_unit_test(windows_are_bounded),
};
const size_t host_test_count = sizeof(host_tests) / sizeof(host_tests[0]);
