/* Two and three transports in one process, over Unix sockets: what arrives, and in which order. */
#include "suites.h"
#include "support.h"

#include "base/clock.h"
#include "rpc/server.h"

static void test_tell_and_ask(void **state)
{
    enum { ASK_MS = 120 * 1000 }; /* connecting takes some of it */
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    right->answers = true;
    fakes_place(&fakes, "tellers.0", 1, right);
    assert_int_equal(fake_tell(left, 5, "tellers.0/counter", 42, NULL), HISTRIO_OK);
    assert_int_equal(fake_ask(left, 5, "tellers.0/counter", 9, ASK_MS), HISTRIO_OK);
    fake_wait_heard(right, 2);
    fake_wait_heard(left, 1);
    const struct heard *tell = &right->heard.items[0], *ask = &right->heard.items[1],
                       *reply = &left->heard.items[0];
    assert_int_equal(tell->kind, ENVELOPE_TELL);
    assert_int_equal(tell->number, 42);
    assert_string_equal(tell->name, "tellers.0/counter");
    assert_string_equal(tell->type, "note");
    assert_int_equal(tell->sender.node, left->uid);
    assert_int_equal(tell->sender.id, 5);
    assert_int_equal(ask->kind, ENVELOPE_ASK);
    assert_in_range(ask->remaining_ms, ASK_MS / 2, ASK_MS);
    assert_int_equal(reply->kind, ENVELOPE_REPLY);
    assert_int_equal(reply->ask, 9);
    assert_int_equal(reply->number, 9);
    assert_int_equal(reply->target.node, left->uid);
    assert_int_equal(reply->target.id, 5);
    assert_int_equal(reply->sender.node, right->uid);
    fakes_stop(&fakes);
}

static void test_who_is_where(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    uint64_t version;
    assert_int_equal(fake_tell(left, 5, "nobody/x", 1, NULL), HISTRIO_UNAVAILABLE); /* no routes yet */
    assert_int_equal(
        transport_route_of(left->transport, "nobody/x", NULL, NULL, &version), TRANSPORT_ROUTE_UNKNOWN);
    assert_int_equal(version, 0);
    fakes_place(&fakes, "ledger", 1, right);
    fakes_place(&fakes, "nowhere", 2, NULL);
    assert_int_equal(fake_tell(left, 5, "nobody/x", 1, NULL), HISTRIO_NOT_FOUND);
    assert_int_equal(fake_tell(left, 5, "nowhere/x", 1, NULL), HISTRIO_UNAVAILABLE);
    assert_int_equal(fake_tell(right, 5, "ledger/none", 1, NULL), HISTRIO_NOT_FOUND);
    assert_int_equal(transport_route_of(left->transport, "ledger", NULL, NULL, NULL), TRANSPORT_ROUTE_THERE);
    assert_int_equal(
        transport_route_of(right->transport, "ledger/a/b", NULL, NULL, NULL), TRANSPORT_ROUTE_HERE);
    assert_int_equal(
        transport_route_of(left->transport, "nowhere", NULL, NULL, NULL), TRANSPORT_ROUTE_NOWHERE);
    fakes_stop(&fakes);
}

static bool is_cut(void *ctx)
{
    struct transport_counters counters;
    transport_counters(((struct fake_node *)ctx)->transport, &counters);
    return counters.peers_connected == 0;
}

static bool has_landed(void *ctx)
{
    struct transport_counters counters;
    transport_counters(((struct fake_node *)ctx)->transport, &counters);
    return counters.unacknowledged == 0;
}

static void test_order_and_batches(void **state)
{
    (void)state;
    enum { COUNT = 30000 };
    struct fakes fakes;
    struct transport_config config = {.unreachable_ms = 60000};
    fakes_start(&fakes, 2, &config);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, right);
    fakes_wait_connected(&fakes);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(fake_tell(left, 1, "ledger", i, NULL), HISTRIO_OK);
    fake_wait_heard(right, COUNT);
    wait_until(has_landed, left);
    /* What waited for a connection goes out in full frames. */
    rpc_server_free(right->server, 0);
    right->server = NULL;
    wait_until(is_cut, left);
    struct transport_counters before, after;
    transport_counters(left->transport, &before);
    for (uint64_t i = COUNT; i < 2 * COUNT; i++)
        assert_int_equal(fake_tell(left, 1, "ledger", i, NULL), HISTRIO_OK);
    fake_listen(right);
    fake_wait_heard(right, 2 * COUNT);
    for (uint64_t i = 0; i < 2 * COUNT; i++)
        assert_int_equal(right->heard.items[i].number, i);
    transport_counters(left->transport, &after);
    assert_int_equal(after.messages_sent, 2 * COUNT);
    assert_in_range(after.frames_sent - before.frames_sent, COUNT / 512, COUNT / 512 + 2);
    assert_int_equal(after.lost_tells, 0);
    fakes_stop(&fakes);
}

/* Whether the answer to the ask at *asked_ns may have waited too long for the ask behind it, which was made
 * at *now_ns and is answered by now. Begins the next one. */
static bool is_late(int64_t *asked_ns, int64_t *now_ns)
{
    enum { SOON_MS = 5 }; /* the transport waits for twice as long */
    int64_t heard_ns = clock_now_ns(clock_system());
    bool is_late = heard_ns - *asked_ns > SOON_MS * NS_PER_MS;
    *asked_ns = *now_ns;
    *now_ns = heard_ns;
    return is_late;
}

/* Acknowledgements and credit go beside the next ask: where that comes soon, nothing goes alone. */
static void test_answers_acknowledge(void **state)
{
    (void)state;
    enum { WHILE_MS = 200, ASK_MS = 60 * 1000 };
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    right->answers = true;
    fakes_place(&fakes, "ledger", 1, right);
    fakes_wait_connected(&fakes);
    int64_t asked_ns = clock_now_ns(clock_system()); /* the last ask but one */
    assert_int_equal(fake_ask(left, 5, "ledger", 1, ASK_MS), HISTRIO_OK);
    fake_wait_heard(left, 1);
    struct transport_counters before, after;
    transport_counters(right->transport, &before);
    uint64_t asks = 1, late = 0;
    int64_t started_ns = clock_now_ns(clock_system()), now_ns = started_ns;
    while (now_ns - started_ns < WHILE_MS * NS_PER_MS) {
        assert_int_equal(fake_ask(left, 5, "ledger", ++asks, ASK_MS), HISTRIO_OK);
        fake_wait_heard(left, asks);
        /* Between an answer and the next ask is less than from one ask to the next one's answer. */
        late += is_late(&asked_ns, &now_ns);
    }
    transport_counters(right->transport, &after);
    late += is_late(&asked_ns, &now_ns); /* the last answer */
    assert_in_range(after.frames_received - before.frames_received, asks - 1, asks - 1 + late);
    fakes_stop(&fakes);
}

static bool send_some(struct fake_node *node, const char *name, uint64_t *number, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fake_tell(node, 1, name, (*number)++, NULL) != HISTRIO_OK)
            return false;
    return true;
}

struct arrivals {
    struct fake_node *nodes[2];
    size_t wanted;
};

/* Not so many at one of them: the former place may still be at what came before the move. */
static bool have_arrived(void *ctx)
{
    struct arrivals *arrivals = ctx;
    return fake_heard(arrivals->nodes[0]) + fake_heard(arrivals->nodes[1]) >= arrivals->wanted;
}

/* A unit moves while messages to it are under way: all arrive, once, in order, first there and then here. */
static void test_moved_unit_keeps_order(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 3, NULL);
    struct fake_node *sender = &fakes.nodes[0], *places[2] = {&fakes.nodes[1], &fakes.nodes[2]};
    uint64_t number = 0, epoch = 1;
    fakes_place(&fakes, "ledger", epoch, places[0]);
    fakes_wait_connected(&fakes);
    for (int move = 0; move < 6; move++) {
        struct fake_node *from = places[move % 2], *to = places[(move + 1) % 2];
        assert_true(send_some(sender, "ledger", &number, 500));
        transport_unit_released(from->transport, "ledger", epoch);
        assert_true(send_some(sender, "ledger", &number, 500));
        epoch++;
        fakes_place(&fakes, "ledger", epoch, to);
        assert_true(send_some(sender, "ledger", &number, 500));
        struct arrivals arrivals = {{from, to}, number};
        wait_until(have_arrived, &arrivals); /* the next move begins when this one has settled */
    }
    bool seen[9001] = {0};
    assert_true(number <= 9000);
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < places[i]->heard.count; j++) {
            const struct heard *heard = &places[i]->heard.items[j];
            assert_true(j == 0 || heard->number > heard[-1].number);
            assert_false(seen[heard->number]);
            seen[heard->number] = true;
        }
    }
    for (uint64_t i = 0; i < number; i++)
        assert_true(seen[i]);
    struct transport_counters counters;
    transport_counters(sender->transport, &counters);
    assert_true(counters.bounced > 0);
    assert_int_equal(counters.lost_tells, 0);
    fakes_stop(&fakes);
}

/* A unit that its node released and that is placed nowhere yet: what came back waits, and goes to the next
 * place. */
static void test_moved_without_a_place_waits(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 3, NULL);
    struct fake_node *sender = &fakes.nodes[0], *from = &fakes.nodes[1], *to = &fakes.nodes[2];
    fakes_place(&fakes, "ledger", 1, from);
    fakes_wait_connected(&fakes);
    transport_unit_released(from->transport, "ledger", 1);
    uint64_t number = 0;
    assert_true(send_some(sender, "ledger", &number, 100));
    struct transport_counters counters = {0};
    while (counters.bounced < 100)
        transport_counters(sender->transport, &counters);
    fakes_place(&fakes, "ledger", 2, to);
    fake_wait_heard(to, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(to->heard.items[i].number, i);
    assert_int_equal(fake_heard(from), 0);
    fakes_stop(&fakes);
}

/* An ask to a unit that comes back too long ends, and says that nothing was executed. */
static void test_unplaced_ask_is_unavailable(void **state)
{
    (void)state;
    struct fakes fakes;
    struct transport_config config = {.hold_ms = 100};
    fakes_start(&fakes, 2, &config);
    struct fake_node *sender = &fakes.nodes[0], *from = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, from);
    transport_unit_released(from->transport, "ledger", 1);
    assert_int_equal(fake_ask(sender, 3, "ledger", 8, 5000), HISTRIO_OK);
    fake_wait_heard(sender, 1);
    assert_int_equal(sender->heard.items[0].kind, ENVELOPE_ERROR_REPLY);
    assert_int_equal(sender->heard.items[0].error, HISTRIO_UNAVAILABLE);
    assert_int_equal(sender->heard.items[0].ask, 8);
    assert_int_equal(sender->heard.items[0].target.id, 3);
    assert_int_equal(fake_heard(from), 0);
    fakes_stop(&fakes);
}

/* What a unit says that has been placed elsewhere since is not obeyed. */
static void test_old_epoch_is_fenced(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 3, NULL);
    struct fake_node *old = &fakes.nodes[0], *other = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, other);
    fakes_place(&fakes, "tellers.0", 2, old);
    struct transport_placement newer = {"tellers.0", 7, fakes.nodes[2].uid};
    transport_set_routes(other->transport, 7, false, &newer, 1);
    struct actor_envelope envelope = {
        .kind = ENVELOPE_ASK,
        .target_name = "ledger",
        .target = {0, histrio_type("ledger")},
        .sender = {old->uid, 4},
        .sender_unit = "tellers.0",
        .type = "note",
        .type_id = histrio_type("note"),
        .ask = 11,
        .remaining_ms = 5000,
    };
    bool pressure;
    assert_int_equal(old->out.send(old->out.ctx, &envelope, &pressure), HISTRIO_OK);
    fake_wait_heard(old, 1);
    assert_int_equal(old->heard.items[0].error, HISTRIO_FENCED);
    assert_int_equal(fake_heard(other), 0);
    struct transport_counters counters;
    transport_counters(other->transport, &counters);
    assert_int_equal(counters.fenced, 1);
    fakes_stop(&fakes);
}

static bool pressed(struct fake_node *node)
{
    (void)node;
    return true;
}

static bool was_lifted(void *ctx)
{
    struct fake_node *node = ctx;
    mutex_lock(&node->lock);
    bool lifted = node->lifts > 0;
    mutex_unlock(&node->lock);
    return lifted;
}

/* A peer whose actors are overloaded makes its senders wait; another peer does not notice. */
static void test_slow_peer_mutes_and_others_go_on(void **state)
{
    (void)state;
    struct fakes fakes;
    struct transport_config config = {.credit_messages = 256, .route_high_bytes = 64 * 1024};
    fakes_start(&fakes, 3, &config);
    struct fake_node *sender = &fakes.nodes[0], *slow = &fakes.nodes[1], *quick = &fakes.nodes[2];
    slow->is_pressed = pressed;
    fakes_place(&fakes, "slow", 1, slow);
    fakes_place(&fakes, "quick", 2, quick);
    fakes_wait_connected(&fakes);
    bool pressure = false;
    uint64_t sent = 0;
    while (!pressure)
        assert_int_equal(fake_tell(sender, 1, "slow", sent++, &pressure), HISTRIO_OK);
    assert_true(sent > 256);
    for (uint64_t i = 0; i < 2000; i++)
        assert_int_equal(fake_tell(sender, 1, "quick", i, NULL), HISTRIO_OK);
    fake_wait_heard(quick, 2000);
    fake_wait_heard(slow, sent);
    for (uint64_t i = 0; i < sent; i++)
        assert_int_equal(slow->heard.items[i].number, i);
    wait_until(was_lifted, sender);
    fakes_stop(&fakes);
}

static void test_signals_come_after_messages(void **state)
{
    (void)state;
    enum { ROUNDS = 200, EACH = 20 };
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, right);
    uint64_t number = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        assert_true(send_some(left, "ledger", &number, EACH));
        struct actor_signal signal = {
            .kind = SIGNAL_DOWN, .from = {left->uid, 3}, .to = {right->uid, 4}, .monitor = round + 1};
        uint64_t node;
        assert_int_equal(left->out.signal(left->out.ctx, &signal, &node), HISTRIO_OK);
        assert_int_equal(node, right->uid);
    }
    fake_wait_heard(right, ROUNDS * EACH);
    int64_t spins = 0;
    mutex_lock(&right->lock);
    while (right->signals.count < ROUNDS && spins++ < 1000)
        condition_wait(&right->changed, &right->lock);
    mutex_unlock(&right->lock);
    assert_int_equal(right->signals.count, ROUNDS);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(right->signals.items[round].monitor, round + 1);
        assert_true(right->signals.items[round].after_messages >= (round + 1) * EACH);
    }
    fakes_stop(&fakes);
}

static void test_cancels_come_after_their_asks(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, right);
    fakes_wait_connected(&fakes);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        assert_int_equal(fake_ask(left, 5, "ledger/x", round, 5000), HISTRIO_OK);
        struct actor_signal signal = {
            .kind = SIGNAL_CANCEL, .from = {left->uid, 5}, .to_name = "ledger/x", .ask = round};
        uint64_t node;
        assert_int_equal(left->out.signal(left->out.ctx, &signal, &node), HISTRIO_OK);
    }
    /* A signal behind them comes as ever: cancels have no place in the sequence. */
    struct actor_signal last = {.kind = SIGNAL_DOWN, .from = {left->uid, 3}, .to = {right->uid, 4}};
    uint64_t node;
    assert_int_equal(left->out.signal(left->out.ctx, &last, &node), HISTRIO_OK);
    mutex_lock(&right->lock);
    for (unsigned spins = 0; right->signals.count <= ROUNDS && spins < 1000; spins++)
        condition_wait(&right->changed, &right->lock);
    mutex_unlock(&right->lock);
    assert_int_equal(right->signals.count, ROUNDS + 1);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        const struct heard_signal *heard = &right->signals.items[round - 1];
        assert_int_equal(heard->kind, SIGNAL_CANCEL);
        assert_int_equal(heard->ask, round);
        assert_true(heard->from_peer);
        assert_true(heard->after_messages >= round);
    }
    assert_int_equal(right->signals.items[ROUNDS].kind, SIGNAL_DOWN);
    fakes_stop(&fakes);
}

int nodes_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tell_and_ask),
        cmocka_unit_test(test_who_is_where),
        cmocka_unit_test(test_order_and_batches),
        cmocka_unit_test(test_answers_acknowledge),
        cmocka_unit_test(test_moved_unit_keeps_order),
        cmocka_unit_test(test_moved_without_a_place_waits),
        cmocka_unit_test(test_unplaced_ask_is_unavailable),
        cmocka_unit_test(test_old_epoch_is_fenced),
        cmocka_unit_test(test_slow_peer_mutes_and_others_go_on),
        cmocka_unit_test(test_signals_come_after_messages),
        cmocka_unit_test(test_cancels_come_after_their_asks),
    };
    return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
