/* Tells, asks, replies, timers, spawning: what one actor can do with others. */
#include "support.h"

#include "suites.h"

#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 20 * 1000 }; /* for answers that come */

/* ---- a behavior that answers in every way ---- */

static enum histrio_result echo_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct histrio_caller *kept = state;
    if (message->kind == HISTRIO_TELL && is_type(message, "note")) {
        note("echo:%s", value_text(message));
        return HISTRIO_CONTINUE;
    }
    if (is_type(message, "echo"))
        histrio_reply(ctx, message->value, message->size);
    else if (is_type(message, "mirror") && message->kind == HISTRIO_ASK) {
        *kept = histrio_caller(ctx);
        histrio_tell(ctx, histrio_self(ctx), message->type, message->value, message->size);
    } else if (is_type(message, "mirror"))
        histrio_reply_to(ctx, *kept, message->value, message->size);
    else if (is_type(message, "twice")) {
        histrio_reply(ctx, (const uint8_t *)"1", 1);
        histrio_reply(ctx, (const uint8_t *)"2", 1);
    } else if (is_type(message, "refuse"))
        histrio_reply_error(ctx, HISTRIO_DENIED, "not you");
    else if (is_type(message, "keep"))
        *kept = histrio_caller(ctx);
    else if (is_type(message, "release"))
        histrio_reply_to(ctx, *kept, (const uint8_t *)"late", 4);
    else if (is_type(message, "crash")) {
        histrio_fail(ctx, "boom %d", 7);
        return HISTRIO_FAIL;
    } else if (is_type(message, "grumble")) {
        histrio_fail(ctx, "unwanted");
        if (message->kind == HISTRIO_ASK) { /* all of it on one visit of the worker */
            histrio_tell(ctx, histrio_self(ctx), message->type, NULL, 0);
            histrio_tell(ctx, histrio_self(ctx), histrio_type("fail"), NULL, 0);
        }
    } else if (is_type(message, "fail"))
        return HISTRIO_FAIL;
    else if (is_type(message, "stop"))
        return HISTRIO_STOP;
    else if (is_type(message, "who"))
        note("who:%s:%s:%llu:%llu", histrio_path(ctx), histrio_unit(ctx),
            (unsigned long long)histrio_epoch(ctx), (unsigned long long)histrio_incarnation(ctx));
    else if (!is_type(message, "nothing"))
        return HISTRIO_UNHANDLED;
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior echo = {
    .name = "echo", .state_size = sizeof(struct histrio_caller), .receive = echo_receive};

/* ---- one that asks another unit ---- */

static enum histrio_result on_outcome(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    (void)ctx;
    (void)state;
    note("then:%s:%u:%s", (const char *)data, outcome->error, value_text(outcome));
    return HISTRIO_CONTINUE;
}

static enum histrio_result asker_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    uint64_t *last = state;
    static char data[] = "data";
    if (message->kind == HISTRIO_REPLY || message->kind == HISTRIO_ERROR) {
        note("outcome:%u:%s:%s", message->error, value_text(message),
            message->reference == *last ? "mine" : "other");
        return HISTRIO_CONTINUE;
    }
    struct histrio_ref other = histrio_lookup(ctx, "other");
    if (is_type(message, "ask"))
        *last = histrio_ask(ctx, other, histrio_type("echo"), message->value, message->size, 10000);
    else if (is_type(message, "then"))
        histrio_ask_then(
            ctx, other, histrio_type("echo"), message->value, message->size, 10000, on_outcome, data);
    else if (is_type(message, "slow"))
        *last = histrio_ask(ctx, other, histrio_type("keep"), NULL, 0, 20);
    else if (is_type(message, "nobody"))
        *last = histrio_ask(ctx, histrio_lookup(ctx, "nobody/here"), histrio_type("x"), NULL, 0, 0);
    else if (is_type(message, "crash"))
        *last = histrio_ask(ctx, other, histrio_type("crash"), NULL, 0, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior asker = {
    .name = "asker", .state_size = sizeof(uint64_t), .receive = asker_receive};

/* ---- order between two units on two workers ---- */

enum { ORDER_MESSAGES = 20000 };

static enum histrio_result counter_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    uint32_t *next = state, number;
    (void)ctx;
    memcpy(&number, message->value, sizeof(number));
    if (number != *next)
        note("order:broken at %u", number);
    if (++*next == ORDER_MESSAGES)
        note("order:done");
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior counter = {
    .name = "counter", .state_size = sizeof(uint32_t), .receive = counter_receive};

static enum histrio_result burst_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    (void)message;
    struct histrio_ref other = histrio_lookup(ctx, "other");
    for (uint32_t i = 0; i < ORDER_MESSAGES; i++)
        histrio_tell(ctx, other, histrio_type("n"), (const uint8_t *)&i, sizeof(i));
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior burst = {.name = "burst", .receive = burst_receive};

/* ---- timers ---- */

struct timing {
    int64_t started_ns;
    uint64_t once, periodic, cancelled;
    unsigned ticks;
};

static enum histrio_result timing_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)arguments;
    (void)size;
    struct timing *timing = state;
    timing->started_ns = histrio_now_ns(ctx);
    timing->once = histrio_timer_start(ctx, 30, 0, histrio_type("once"));
    timing->periodic = histrio_timer_start(ctx, 5, 5, histrio_type("tick"));
    timing->cancelled = histrio_timer_start(ctx, 1, 0, histrio_type("never"));
    histrio_receive_timeout(ctx, 3600 * 1000);
    return HISTRIO_CONTINUE;
}

static enum histrio_result timing_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct timing *timing = state;
    if (message->kind != HISTRIO_TIMER) {
        note("cancel:%s", histrio_timer_cancel(ctx, timing->once) >= 0 ? "in time" : "too late");
        note("again:%d", (int)histrio_timer_cancel(ctx, timing->once));
        return HISTRIO_CONTINUE;
    }
    if (message->reference == 0) {
        note("idle");
        histrio_receive_timeout(ctx, 0);
    } else if (is_type(message, "never"))
        note("never");
    else if (is_type(message, "tick")) {
        if (timing->ticks == 0)
            histrio_timer_cancel(ctx, timing->cancelled);
        if (++timing->ticks == 3) {
            assert_true(histrio_timer_cancel(ctx, timing->periodic) >= 0);
            note("ticked");
        }
    } else {
        int64_t late_ns = histrio_now_ns(ctx) - timing->started_ns;
        note(late_ns >= 30 * 1000 * 1000 ? "once" : "early");
        histrio_receive_timeout(ctx, 10);
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior timing = {
    .name = "timing", .state_size = sizeof(struct timing), .start = timing_start, .receive = timing_receive};

/* ---- spawning ---- */

static enum histrio_result child_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    note("child:%s:%.*s", histrio_path(ctx), (int)size, (const char *)arguments);
    if (size == 3 && memcmp(arguments, "bad", 3) == 0) {
        histrio_fail(ctx, "bad arguments");
        return HISTRIO_FAIL;
    }
    return HISTRIO_CONTINUE;
}

static enum histrio_result child_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    (void)ctx;
    note("child got:%s", value_text(message));
    return HISTRIO_CONTINUE;
}

static void child_stop(struct histrio_context *ctx, void *state, const char *reason)
{
    (void)state;
    (void)ctx;
    note("child stop:%s", reason);
}

static const struct histrio_behavior child = {
    .name = "child", .start = child_start, .receive = child_receive, .stop = child_stop};

static enum histrio_result deep_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    enum histrio_error error = histrio_spawn(ctx, "deep", arguments, size, NULL, NULL);
    if (error == HISTRIO_UNAVAILABLE)
        note("deep enough");
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior deep = {.name = "deep", .start = deep_start, .receive = child_receive};

static enum histrio_result parent_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct histrio_ref *named = state, unnamed;
    if (message->kind == HISTRIO_DOWN) {
        note("parent down:%s", value_text(message));
        return HISTRIO_CONTINUE;
    }
    if (is_type(message, "fill")) {
        struct histrio_spawn_options options = {.name = "kid", .monitor = true};
        note("spawn:%d", histrio_spawn(ctx, "test.child", (const uint8_t *)"hi", 2, &options, named));
        note("taken:%d", histrio_spawn(ctx, "child", NULL, 0, &options, NULL));
        note("unnamed:%d", histrio_spawn(ctx, "child", (const uint8_t *)"anon", 4, NULL, &unnamed));
        note("bad:%d", histrio_spawn(ctx, "child", (const uint8_t *)"bad", 3, NULL, NULL));
        note("unknown:%d", histrio_spawn(ctx, "test.nothing", NULL, 0, NULL, NULL));
        options.name = "No Label";
        note("label:%d", histrio_spawn(ctx, "child", NULL, 0, &options, NULL));
        note("deep:%d", histrio_spawn(ctx, "deep", NULL, 0, NULL, NULL));
        histrio_tell(ctx, unnamed, histrio_type("x"), (const uint8_t *)"by ref", 6);
        histrio_tell(ctx, histrio_lookup(ctx, "./kid"), histrio_type("x"), (const uint8_t *)"by name", 7);
        note("name:%s", histrio_ref_name(ctx, *named));
    } else if (is_type(message, "kill")) {
        histrio_exit(ctx, *named, "kill");
    } else if (is_type(message, "stale")) {
        note("stale:%d", histrio_tell(ctx, *named, histrio_type("x"), NULL, 0));
        uint64_t next = named->id + (UINT64_C(1) << 32); /* the slot is free: of whom it will be */
        uint64_t forged[] = {UINT64_C(0x7fffffffffffffff), 77, next, next ^ 0x3ffffff,
            next | UINT64_C(1) << 63, named->id & 0x3ffffff, histrio_self(ctx).id ^ UINT64_C(1) << 30};
        for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
            note("forged:%d",
                histrio_tell(ctx, (struct histrio_ref){named->node, forged[i]}, histrio_type("x"), NULL, 0));
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior parent = {
    .name = "parent", .state_size = sizeof(struct histrio_ref), .receive = parent_receive};

static const struct histrio_behavior *const behaviors[] = {
    &echo, &asker, &counter, &burst, &timing, &child, &deep, &parent, NULL};

/* ---- tests ---- */

static void asks_end_exactly_once(void **state)
{
    (void)state;
    support_start(2, behaviors);
    support_unit("echo", "test.echo");
    struct answer answer = ask("echo", "echo", "hello", 5, PATIENCE_MS);
    assert_int_equal(answer.error, HISTRIO_OK);
    assert_memory_equal(answer.value, "hello", 5);
    answer = ask("echo", "twice", NULL, 0, PATIENCE_MS);
    assert_memory_equal(answer.value, "1", 1);
    answer = ask("echo", "refuse", NULL, 0, PATIENCE_MS);
    assert_int_equal(answer.error, HISTRIO_DENIED);
    assert_memory_equal(answer.value, "not you", 7);
    answer = ask("echo", "nothing", NULL, 0, PATIENCE_MS);
    assert_int_equal(answer.error, HISTRIO_OK);
    assert_memory_equal(answer.value, "\xc0", 1);
    answer = ask("echo", "fly", NULL, 0, PATIENCE_MS);
    assert_int_equal(answer.error, HISTRIO_BAD_ARGUMENT);
    assert_memory_equal(answer.value, "no method \"fly\"", 15);
    assert_int_equal(ask("echo", "keep", NULL, 0, 20).error, HISTRIO_TIMEOUT);
    assert_int_equal(ask_error("echo", "release"), HISTRIO_OK); /* too late for the first: dropped */
    assert_int_equal(ask_error("nobody", "echo"), HISTRIO_NOT_FOUND);
    assert_int_equal(ask_error("/bad//name", "echo"), HISTRIO_BAD_ARGUMENT);
    support_stop();
}

static void large_values_survive(void **state)
{
    (void)state;
    static uint8_t value[5000];
    support_start(2, behaviors);
    support_unit("one", "test.echo");
    support_unit("two", "test.echo");
    for (size_t size = 0; size < sizeof(value); size = size < 130 ? size + 1 : size * 2) {
        memset(value, (int)(size & 0xff), sizeof(value));
        struct answer answer = ask(size & 1 ? "one" : "two", "echo", value, size, PATIENCE_MS);
        assert_int_equal(answer.error, HISTRIO_OK);
        assert_memory_equal(answer.value, value, size < sizeof(answer.value) ? size : sizeof(answer.value));
    }
    support_stop();
}

/* Tells to a neighbour are copied in a way of their own, by size. */
static void told_values_of_each_size_survive(void **state)
{
    (void)state;
    uint8_t value[100];
    support_start(1, behaviors);
    support_unit("one", "test.echo");
    for (size_t size = 0; size < sizeof(value); size++) {
        for (size_t i = 0; i < sizeof(value); i++)
            value[i] = (uint8_t)(size * 7 + i);
        struct answer answer = ask("one", "mirror", value, size, PATIENCE_MS);
        assert_int_equal(answer.error, HISTRIO_OK);
        assert_int_equal(answer.size, size);
        assert_memory_equal(answer.value, value, size < sizeof(answer.value) ? size : sizeof(answer.value));
    }
    support_stop();
}

static void too_large_values_are_refused(void **state)
{
    (void)state;
    static uint8_t value[4 * 1024 * 1024 + 1];
    support_start(1, behaviors);
    support_unit("one", "test.echo");
    assert_int_equal(ask("one", "echo", value, sizeof(value), PATIENCE_MS).error, HISTRIO_BAD_ARGUMENT);
    support_stop();
}

static void a_crash_answers_and_restarts(void **state)
{
    (void)state;
    support_start(1, behaviors);
    support_unit("echo", "test.echo");
    struct answer answer = ask("echo", "crash", NULL, 0, PATIENCE_MS);
    assert_int_equal(answer.error, HISTRIO_CRASHED);
    assert_memory_equal(answer.value, "boom 7", 6);
    assert_int_equal(ask_error("echo", "who"), HISTRIO_OK); /* waits in the kept mailbox if need be */
    assert_string_equal(notes("who"), "who:echo:echo:1:2");
    wait_note("exit:echo:boom 7:Restart");
    support_stop();
}

/* The reason is of one message, whichever way that came. */
static void a_reason_is_forgotten_with_its_message(void **state)
{
    (void)state;
    support_start(1, behaviors);
    support_unit("echo", "test.echo");
    assert_int_equal(ask_error("echo", "grumble"), HISTRIO_OK);
    wait_note("exit:echo:error:Restart");
    support_stop();
}

static void actors_ask_across_workers(void **state)
{
    (void)state;
    support_start(2, behaviors);
    support_unit("asker", "test.asker");
    support_unit("other", "test.echo");
    tell("asker", "ask", "ping");
    wait_note("outcome:0:ping:mine");
    tell("asker", "then", "pong");
    wait_note("then:data:0:pong");
    tell("asker", "nobody", "");
    wait_note("outcome:1:no such actor:mine");
    tell("asker", "slow", "");
    wait_note("outcome:6:no answer in time:mine");
    tell("asker", "crash", "");
    wait_note("outcome:7:boom 7:mine");
    support_stop();
}

static void a_pair_keeps_its_order(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        support_start(workers, behaviors);
        support_unit("burst", "test.burst");
        support_unit("other", "test.counter");
        tell("burst", "go", "");
        wait_note("order:done");
        assert_string_equal(notes("order:broken"), "");
        support_stop();
    }
}

static void timers_fire_and_cancel(void **state)
{
    (void)state;
    support_start(1, behaviors);
    support_unit("timing", "test.timing");
    wait_note("ticked");
    wait_note("once");
    wait_note("idle");
    tell("timing", "cancel", "");
    wait_note("again:-1");
    assert_string_equal(notes("cancel"), "cancel:too late");
    support_stop();
}

static void actors_spawn_actors(void **state)
{
    (void)state;
    support_start(2, behaviors);
    support_unit("p", "test.parent");
    tell("p", "fill", "");
    wait_note("child got:by name");
    assert_string_equal(notes("spawn"), "spawn:0");
    assert_string_equal(notes("taken"), "taken:8");
    assert_string_equal(notes("unnamed"), "unnamed:0");
    assert_string_equal(notes("bad"), "bad:9");
    assert_string_equal(notes("unknown"), "unknown:1");
    assert_string_equal(notes("label"), "label:8");
    assert_string_equal(notes("deep:"), "deep:0");
    assert_int_equal(count_notes("deep enough"), 1);
    assert_string_equal(notes("name"), "name:p/kid");
    assert_int_equal(count_notes("child got:by ref"), 1);
    tell("p", "kill", "");
    wait_note("parent down:killed");
    assert_int_equal(count_notes("child stop:killed"), 1);
    tell("p", "stale", "");
    wait_notes("forged:1", 7);
    assert_string_equal(notes("stale"), "stale:1");
    support_stop();
}

const struct CMUnitTest message_tests[] = {
    cmocka_unit_test(asks_end_exactly_once),
    cmocka_unit_test(large_values_survive),
    cmocka_unit_test(told_values_of_each_size_survive),
    cmocka_unit_test(too_large_values_are_refused),
    cmocka_unit_test(a_crash_answers_and_restarts),
    cmocka_unit_test(a_reason_is_forgotten_with_its_message),
    cmocka_unit_test(actors_ask_across_workers),
    cmocka_unit_test(a_pair_keeps_its_order),
    cmocka_unit_test(timers_fire_and_cancel),
    cmocka_unit_test(actors_spawn_actors),
};
const size_t message_test_count = sizeof(message_tests) / sizeof(message_tests[0]);
