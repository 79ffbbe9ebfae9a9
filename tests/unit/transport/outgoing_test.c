/* Queues and their invariants, step by step, without streams. */
#include "suites.h"
#include "support.h"

#include "base/clock.h"
#include "base/mem.h"
#include "transport/outgoing.h"

enum { SELF = 1, THERE = 2, OTHER = 3 };

static void start(struct outgoing *outgoing)
{
    struct outgoing_limits limits = {
        .hold_ns = 2000 * NS_PER_MS, .retry_ns = 20 * NS_PER_MS, .high_bytes = 8 * 1024};
    outgoing_init(outgoing, SELF, &limits);
    outgoing_add(outgoing, THERE)->is_connected = true;
    outgoing_add(outgoing, OTHER)->is_connected = true;
    outgoing->router.version = 1;
}

static enum histrio_error send(
    struct outgoing *outgoing, const char *name, enum actor_envelope_kind kind, uint64_t ask, int64_t now_ns)
{
    bool pressure;
    struct actor_envelope envelope = {
        .kind = kind,
        .target_name = name,
        .target = {0, histrio_type(name)},
        .sender = {SELF, 7},
        .type_id = histrio_type("note"),
        .ask = ask,
        .remaining_ms = 1000,
    };
    return outgoing_send(outgoing, &envelope, now_ns, &pressure);
}

static void test_break_after_sending(void **state)
{
    (void)state;
    struct outgoing outgoing;
    start(&outgoing);
    struct outbox *there = outgoing_find(&outgoing, THERE);
    assert_true(router_place(&outgoing.router, "a", 1, THERE));
    assert_int_equal(send(&outgoing, "a", ENVELOPE_ASK, 1, 0), HISTRIO_OK);
    assert_int_equal(send(&outgoing, "a", ENVELOPE_TELL, 0, 0), HISTRIO_OK);
    struct actor_envelope reply = {
        .kind = ENVELOPE_REPLY, .target = {THERE, 9}, .ask = 33, .value = (const uint8_t *)"x", .size = 1};
    bool pressure;
    assert_int_equal(outgoing_send(&outgoing, &reply, 0, &pressure), HISTRIO_OK);
    const struct batch *batch = outgoing_take(&outgoing, there, false);
    assert_int_equal(batch->count, 3);
    assert_int_equal(send(&outgoing, "a", ENVELOPE_ASK, 2, 0), HISTRIO_OK); /* not sent yet */
    outgoing_broken(&outgoing, there, 0);
    assert_int_equal(outgoing.outcomes.count, 1);
    assert_int_equal(outgoing.outcomes.items[0].ask, 1);
    assert_int_equal(outgoing.outcomes.items[0].asker, 7);
    assert_int_equal(outgoing.outcomes.items[0].error, HISTRIO_UNCERTAIN);
    assert_int_equal(outgoing.lost_tells, 1);
    /* The reply goes again, before what waited, with a new number. */
    there->is_connected = true;
    batch = outgoing_take(&outgoing, there, false);
    assert_int_equal(batch->rows[0].ask, 33);
    assert_int_equal(batch->first, 5);
    batch = outgoing_take(&outgoing, there, false);
    assert_int_equal(batch->rows[0].ask, 2);
    assert_int_equal(batch->first, 6);
    assert_false(outgoing_acknowledge(&outgoing, there, 7, 0)); /* never sent */
    assert_true(outgoing_acknowledge(&outgoing, there, 6, 0));
    assert_null(there->sent.first);
    outgoing_done(&outgoing);
}

/* Invariants 1 and 2: a new placement waits until what is in flight to the old one has landed. */
static void test_new_place_waits_for_the_old(void **state)
{
    (void)state;
    struct outgoing outgoing;
    start(&outgoing);
    struct outbox *there = outgoing_find(&outgoing, THERE), *other = outgoing_find(&outgoing, OTHER);
    assert_true(router_place(&outgoing.router, "a", 1, THERE));
    assert_int_equal(send(&outgoing, "a", ENVELOPE_ASK, 1, 0), HISTRIO_OK);
    assert_int_equal(send(&outgoing, "a", ENVELOPE_ASK, 2, 0), HISTRIO_OK);
    assert_non_null(outgoing_take(&outgoing, there, false));
    assert_true(router_place(&outgoing.router, "a", 2, OTHER));
    assert_int_equal(send(&outgoing, "a", ENVELOPE_ASK, 3, 0), HISTRIO_OK);
    assert_null(outgoing_take(&outgoing, other, false)); /* held */
    uint64_t second = 2;
    assert_true(outgoing_return(&outgoing, there, &second, 1, false, 0));
    assert_null(outgoing_take(&outgoing, other, false));                   /* the first is still in flight */
    assert_false(outgoing_return(&outgoing, there, &second, 1, false, 0)); /* it came back already */
    assert_true(outgoing_acknowledge(&outgoing, there, 2, 0));
    const struct batch *batch = outgoing_take(&outgoing, other, false);
    assert_int_equal(batch->count, 2);
    assert_int_equal(batch->rows[0].ask, 2); /* what came back first */
    assert_int_equal(batch->rows[1].ask, 3);
    assert_int_equal(batch->targets.items[0].epoch, 2);
    assert_int_equal(outgoing.bounced, 1);
    assert_true(outgoing_acknowledge(&outgoing, other, 2, 0));
    outgoing_settle(&outgoing, 0);
    assert_true(list_is_empty(&outgoing.unsettled));
    outgoing_done(&outgoing);
}

/* The unit's node does not have it yet: again after a while, but not for ever. */
static void test_same_place_is_tried_again(void **state)
{
    (void)state;
    struct outgoing outgoing;
    start(&outgoing);
    struct outbox *there = outgoing_find(&outgoing, THERE);
    assert_true(router_place(&outgoing.router, "a", 1, THERE));
    bool pressure;
    struct actor_envelope envelope = {.kind = ENVELOPE_ASK,
        .target_name = "a",
        .target = {0, histrio_type("a")},
        .sender = {SELF, 7},
        .type_id = histrio_type("note"),
        .ask = 4,
        .remaining_ms = 60 * 1000};
    assert_int_equal(outgoing_send(&outgoing, &envelope, 0, &pressure), HISTRIO_OK);
    int64_t now_ns = 0;
    int tries = 0;
    while (outgoing.outcomes.count == 0 && tries < 1000) {
        struct batch *batch = outgoing_take(&outgoing, there, false);
        if (batch) {
            tries++;
            uint64_t sequence = batch->first;
            assert_true(outgoing_return(&outgoing, there, &sequence, 1, false, now_ns));
            assert_true(outgoing_acknowledge(&outgoing, there, sequence, now_ns));
        }
        now_ns += 5 * NS_PER_MS;
        outgoing_settle(&outgoing, now_ns);
    }
    assert_in_range(tries, 50, 101); /* each 20 ms for 2 s */
    assert_int_equal(outgoing.outcomes.items[0].error, HISTRIO_UNAVAILABLE);
    outgoing_done(&outgoing);
}

static void test_high_mark(void **state)
{
    (void)state;
    struct outgoing outgoing;
    start(&outgoing);
    struct outbox *there = outgoing_find(&outgoing, THERE);
    assert_true(router_place(&outgoing.router, "a", 1, THERE));
    uint8_t value[100] = {0};
    struct actor_envelope envelope = {.target_name = "a",
        .target = {0, histrio_type("a")},
        .type_id = histrio_type("note"),
        .value = value,
        .size = sizeof(value)};
    bool pressure = false;
    int sent = 0;
    for (; !pressure; sent++)
        assert_int_equal(outgoing_send(&outgoing, &envelope, 0, &pressure), HISTRIO_OK);
    assert_in_range(sent, 20, 82);
    assert_false(outgoing.lift_wanted);
    while (outgoing_take(&outgoing, there, false))
        ;
    assert_true(outgoing.lift_wanted);
    outgoing_done(&outgoing);
}

static void test_unit_that_comes_home(void **state)
{
    (void)state;
    struct outgoing outgoing;
    start(&outgoing);
    struct outbox *there = outgoing_find(&outgoing, THERE);
    assert_true(router_place(&outgoing.router, "a", 1, THERE));
    assert_int_equal(send(&outgoing, "a", ENVELOPE_TELL, 0, 0), HISTRIO_OK);
    assert_non_null(outgoing_take(&outgoing, there, false));
    router_hold(&outgoing.router, router_find(&outgoing.router, "a", 1), 2);
    uint64_t first = 1;
    assert_true(outgoing_return(&outgoing, there, &first, 1, false, 0));
    assert_non_null(outgoing.local.first);
    assert_int_equal(outgoing.local.first->count, 1);
    outgoing_done(&outgoing);
}

/* What a peer would refuse, and close the stream on everybody, does not leave. */
static void test_nothing_refusable_leaves(void **state)
{
    (void)state;
    struct outgoing outgoing;
    start(&outgoing);
    assert_true(router_place(&outgoing.router, "a", 1, THERE));
    bool pressure;
    const struct actor_envelope right = {.kind = ENVELOPE_ASK,
        .target_name = "a",
        .target = {0, histrio_type("a")},
        .sender = {SELF, 7},
        .type_id = histrio_type("note"),
        .ask = 4,
        .remaining_ms = 1000};
    struct actor_envelope wrong = right;
    wrong.type_id = 0;
    assert_int_equal(outgoing_send(&outgoing, &wrong, 0, &pressure), HISTRIO_BAD_ARGUMENT);
    wrong.type_id = histrio_type("\xff\xfe");
    assert_int_equal(outgoing_send(&outgoing, &wrong, 0, &pressure), HISTRIO_BAD_ARGUMENT);
    wrong = right;
    wrong.ask = 0;
    assert_int_equal(outgoing_send(&outgoing, &wrong, 0, &pressure), HISTRIO_BAD_ARGUMENT);
    wrong = right;
    wrong.sender.id = 0;
    assert_int_equal(outgoing_send(&outgoing, &wrong, 0, &pressure), HISTRIO_BAD_ARGUMENT);
    wrong = (struct actor_envelope){.kind = ENVELOPE_REPLY, .target = {THERE, 0}, .ask = 4};
    assert_int_equal(outgoing_send(&outgoing, &wrong, 0, &pressure), HISTRIO_BAD_ARGUMENT);
    assert_int_equal(outgoing_send(&outgoing, &right, 0, &pressure), HISTRIO_OK);
    struct actor_signal signal = {.kind = SIGNAL_EXIT,
        .to = {THERE, 9},
        .reason = "a\xff"
                  "b"};
    struct pending_signal *copy = outgoing_copy_signal(&signal);
    assert_string_equal(copy->signal.reason, "a?b");
    free(copy);
    outgoing_done(&outgoing);
}

static void test_asks_table(void **state)
{
    (void)state;
    struct asks asks = {0};
    for (uint64_t i = 1; i <= 5000; i++)
        asks_put(&asks, i * 977, i, (int64_t)i);
    assert_int_equal(asks.count, 5000);
    for (uint64_t i = 1; i <= 5000; i += 2)
        assert_true(asks_remove(&asks, i * 977));
    assert_false(asks_remove(&asks, 977));
    asks_sweep(&asks, 2501); /* of the even ones, those below are late */
    assert_int_equal(asks.count, 1250);
    for (uint64_t i = 2; i <= 5000; i += 2)
        assert_int_equal(asks_remove(&asks, i * 977), i >= 2501);
    assert_int_equal(asks.count, 0);
    asks_done(&asks);
}

int outgoing_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_break_after_sending),
        cmocka_unit_test(test_new_place_waits_for_the_old),
        cmocka_unit_test(test_same_place_is_tried_again),
        cmocka_unit_test(test_high_mark),
        cmocka_unit_test(test_unit_that_comes_home),
        cmocka_unit_test(test_nothing_refusable_leaves),
        cmocka_unit_test(test_asks_table),
    };
    return cmocka_run_group_tests_name("outgoing", tests, NULL, NULL);
}
