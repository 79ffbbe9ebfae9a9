/* Bounded mailboxes, muting, dead letters, and what becomes of a mailbox when its actor ends. */
#include "support.h"

#include "base/mutex.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

/* A receiver that stands still in "block" until the test opens the gate: then its mailbox fills up. */
static struct {
    struct mutex lock;
    struct condition changed;
    bool is_open, is_ready;
} gate;

static void gate_close(void)
{
    if (!gate.is_ready) {
        mutex_init(&gate.lock, 940, "test gate");
        condition_init(&gate.changed);
        gate.is_ready = true;
    }
    gate.is_open = false;
}

static void gate_open(void)
{
    mutex_lock(&gate.lock);
    gate.is_open = true;
    condition_broadcast(&gate.changed);
    mutex_unlock(&gate.lock);
}

static enum histrio_result slow_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (is_type(message, "block")) {
        note("blocked");
        mutex_lock(&gate.lock);
        while (!gate.is_open)
            condition_wait(&gate.changed, &gate.lock);
        mutex_unlock(&gate.lock);
    } else if (is_type(message, "crash")) {
        return HISTRIO_FAIL;
    } else if (is_type(message, "stop")) {
        return HISTRIO_STOP;
    } else if (message->kind == HISTRIO_ASK) {
        histrio_reply(ctx, (const uint8_t *)"ok", 2);
    } else {
        note("got:%s", value_text(message));
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior slow = {.name = "slow", .receive = slow_receive};

enum { FLOOD = 200, ROUNDS = 50 };

/* Sends bursts to "slow" and to itself, and says after each burst that it runs. */
static enum histrio_result flood_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    unsigned *round = state;
    (void)message;
    for (unsigned i = 0; i < FLOOD; i++)
        histrio_tell(ctx, histrio_lookup(ctx, "slow"), histrio_type("n"), (const uint8_t *)"n", 1);
    note("flooded:%u", ++*round);
    if (*round < ROUNDS)
        histrio_tell(ctx, histrio_self(ctx), histrio_type("again"), NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior flood = {
    .name = "flood", .state_size = sizeof(unsigned), .receive = flood_receive};

/* Sends "1" ... "6" and says what each send returned. */
static enum histrio_result count_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    (void)message;
    for (char i = '1'; i <= '6'; i++)
        note("sent:%d",
            histrio_tell(ctx, histrio_lookup(ctx, "../slow"), histrio_type("n"), (const uint8_t *)&i, 1));
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior count = {.name = "count", .receive = count_receive};

static const struct histrio_behavior *const behaviors[] = {&slow, &flood, &count, NULL};

static void start_slow(uint32_t capacity, enum actor_overflow overflow, bool drop)
{
    struct actor_unit_spec spec = {.name = "slow",
        .root = {.name = "slow",
            .under = "",
            .behavior = "test.slow",
            .shutdown_ms = 5000,
            .restarts_max = 3,
            .period_ms = 5000,
            .mailbox_capacity = capacity,
            .overflow = overflow,
            .drop_mailbox_on_restart = drop}};
    support_unit_spec(&spec);
}

/* "count" and "slow" on one worker, as children of one supervisor, so that sends see the mailbox at once. */
static void overflow_policy(enum actor_overflow overflow, const char *sent, const char *got, unsigned dead)
{
    const struct actor_child_spec children[] = {
        {.name = "slow",
            .under = "",
            .behavior = "test.slow",
            .shutdown_ms = 5000,
            .mailbox_capacity = 3,
            .overflow = overflow},
        {.name = "count", .under = "", .behavior = "test.count", .shutdown_ms = 5000},
    };
    struct actor_unit_spec spec = {.name = "u",
        .root = {.name = "u",
            .under = "",
            .is_supervisor = true,
            .restarts_max = 1,
            .period_ms = 1000,
            .shutdown_ms = 5000},
        .children = children,
        .child_count = 2};
    support_start(1, behaviors);
    support_unit_spec(&spec);
    tell("u/count", "go", "");
    assert_int_equal(ask_error("u/count", "sync"), HISTRIO_OK);
    assert_int_equal(ask_error("u/slow", "sync"), HISTRIO_OK);
    assert_true(strncmp(notes("sent"), sent, strlen(sent)) == 0);
    assert_true(strncmp(notes("got"), got, strlen(got)) == 0);
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    assert_true(counters.dead_letters >= dead);
    support_stop();
}

static void fail_refuses_what_is_new(void **state)
{
    (void)state;
    overflow_policy(ACTOR_OVERFLOW_FAIL, "sent:0 sent:0 sent:0 sent:5 sent:5 sent:5", "got:1 got:2 got:3", 3);
}

static void drop_newest_keeps_the_old(void **state)
{
    (void)state;
    overflow_policy(ACTOR_DROP_NEWEST, "sent:0 sent:0 sent:0 sent:5", "got:1 got:2 got:3", 3);
}

static void drop_oldest_keeps_the_new(void **state)
{
    (void)state;
    overflow_policy(ACTOR_DROP_OLDEST, "sent:0 sent:0 sent:0 sent:0 sent:0 sent:0", "got:4 got:5 got:6", 3);
}

static void wait_takes_all(void **state)
{
    (void)state;
    overflow_policy(
        ACTOR_WAIT, "sent:0 sent:0 sent:0 sent:0 sent:0 sent:0", "got:1 got:2 got:3 got:4 got:5 got:6", 0);
}

static void senders_wait_for_an_overloaded_receiver(void **state)
{
    (void)state;
    gate_close();
    support_start(2, behaviors);
    start_slow(100, ACTOR_WAIT, false);
    support_unit("flood", "test.flood"); /* on the other worker */
    tell("slow", "block", "");
    wait_note("blocked");
    tell("flood", "go", "");
    /* Its worker is not blocked, so it floods on until it hears that it has to wait: the receiver's worker
     * cannot say so before the gate opens. Then it is held back, and let go again, as often as it takes. */
    wait_note("flooded:1");
    gate_open();
    wait_note("flooded:50");
    wait_notes("got:n", FLOOD * ROUNDS);
    support_stop();
}

static void clients_are_refused_by_a_full_mailbox(void **state)
{
    (void)state;
    gate_close();
    support_start(2, behaviors);
    start_slow(2, ACTOR_WAIT, false);
    tell("slow", "block", "");
    wait_note("blocked");
    for (unsigned i = 0; i < 4; i++)
        tell("slow", "n", "x");
    gate_open();
    enum histrio_error error;
    do
        error = ask_error("slow", "sync"); /* refused as well, as long as the mailbox is full */
    while (error == HISTRIO_MAILBOX_FULL);
    assert_int_equal(error, HISTRIO_OK);
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    assert_true(counters.dead_letters >= 2);
    support_stop();
}

static void a_kept_mailbox_survives(void **state)
{
    (void)state;
    gate_close();
    support_start(1, behaviors);
    start_slow(0, ACTOR_WAIT, false);
    tell("slow", "block", "");
    wait_note("blocked");
    tell("slow", "n", "1");
    tell("slow", "crash", "");
    tell("slow", "n", "2");
    gate_open();
    wait_note("got:2");
    assert_string_equal(notes("got"), "got:1 got:2");
    assert_int_equal(count_notes("exit:slow:error:Restart"), 1);
    support_stop();
}

static void a_dropped_mailbox_is_answered(void **state)
{
    (void)state;
    gate_close();
    support_start(1, behaviors);
    start_slow(0, ACTOR_WAIT, true);
    tell("slow", "block", "");
    wait_note("blocked");
    tell("slow", "crash", "");
    tell("slow", "n", "lost");
    tell("slow", "n", "lost");
    gate_open();
    wait_note("exit:slow:error:Restart");
    assert_int_equal(ask_error("slow", "sync"), HISTRIO_OK);
    assert_string_equal(notes("got"), "");
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    assert_int_equal(counters.dead_letters, 2);
    support_stop();
}

static void on_late_answer(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    (void)value;
    (void)size;
    note("%s:%d", (const char *)ctx, error);
}

static void an_ended_actor_answers_its_mailbox(void **state)
{
    (void)state;
    static char queued[] = "queued";
    gate_close();
    support_start(1, behaviors);
    struct actor_unit_spec spec = {.name = "slow",
        .root = {.name = "slow",
            .under = "",
            .behavior = "test.slow",
            .restart = ACTOR_TEMPORARY,
            .shutdown_ms = 5000,
            .restarts_max = 1,
            .period_ms = 1000}};
    support_unit_spec(&spec);
    tell("slow", "block", "");
    wait_note("blocked");
    tell("slow", "stop", "");
    actor_system_ask(support_system(), "slow", "sync", NULL, 0, 10000, on_late_answer, queued);
    gate_open();
    wait_note("queued:1");
    wait_note("unit:slow:stopped:normal");
    assert_int_equal(ask_error("slow", "sync"), HISTRIO_NOT_FOUND);
    support_stop();
}

static void a_stuck_handler_is_reported_once(void **state)
{
    (void)state;
    gate_close();
    support_start(1, behaviors); /* limit: 100 ms */
    start_slow(0, ACTOR_WAIT, false);
    tell("slow", "block", "");
    wait_note("stuck:slow:block");
    gate_open();
    assert_int_equal(ask_error("slow", "sync"), HISTRIO_OK);
    assert_int_equal(count_notes("stuck:slow:block"), 1);
    support_stop();
}

static void suspension_holds_handlers(void **state)
{
    (void)state;
    support_start(2, behaviors);
    start_slow(0, ACTOR_WAIT, false);
    assert_int_equal(ask_error("slow", "sync"), HISTRIO_OK);
    actor_system_set_suspended(support_system(), true);
    assert_int_equal(ask_error("slow", "sync"), HISTRIO_UNAVAILABLE);
    actor_system_set_suspended(support_system(), false);
    assert_int_equal(ask_error("slow", "sync"), HISTRIO_OK);
    support_stop();
}

const struct CMUnitTest mailbox_tests[] = {
    cmocka_unit_test(fail_refuses_what_is_new),
    cmocka_unit_test(drop_newest_keeps_the_old),
    cmocka_unit_test(drop_oldest_keeps_the_new),
    cmocka_unit_test(wait_takes_all),
    cmocka_unit_test(senders_wait_for_an_overloaded_receiver),
    cmocka_unit_test(clients_are_refused_by_a_full_mailbox),
    cmocka_unit_test(a_kept_mailbox_survives),
    cmocka_unit_test(a_dropped_mailbox_is_answered),
    cmocka_unit_test(an_ended_actor_answers_its_mailbox),
    cmocka_unit_test(a_stuck_handler_is_reported_once),
    cmocka_unit_test(suspension_holds_handlers),
};
const size_t mailbox_test_count = sizeof(mailbox_tests) / sizeof(mailbox_tests[0]);
