/* Broken streams, dead nodes, wrong hellos, hostile peers. */
#include "suites.h"
#include "support.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "transport/convert.h"

#include <stdatomic.h>

/* ---- reconnects ---- */

struct sending {
    struct fake_node *node;
    uint64_t count;
    uint64_t refused;
    atomic_bool stop;
};

static void keep_sending(void *ctx)
{
    struct sending *sending = ctx;
    while (!atomic_load(&sending->stop)) {
        bool pressure = false;
        if (fake_tell(sending->node, 1, "ledger", sending->count++, &pressure) != HISTRIO_OK)
            sending->refused++;
        if (pressure) { /* as the runtime does: wait until it is lifted */
            mutex_lock(&sending->node->lock);
            (void)condition_wait_until(
                &sending->node->changed, &sending->node->lock, clock_now_ns(clock_system()) + NS_PER_MS);
            mutex_unlock(&sending->node->lock);
        }
    }
}

/* The stream breaks again and again under load: nothing comes twice or out of order, and what is missing was
 * counted. */
static void test_reconnects_keep_order(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, right);
    fakes_wait_connected(&fakes);
    struct sending sending = {.node = left};
    struct thread *thread;
    struct err err;
    assert_int_equal(thread_start(&thread, "sender", keep_sending, &sending, &err), 0);
    for (int i = 0; i < 5; i++) {
        fake_wait_heard(right, fake_heard(right) + 2000);
        fake_restart_server(right);
    }
    fake_wait_heard(right, fake_heard(right) + 2000);
    atomic_store(&sending.stop, true);
    thread_join(thread);
    uint64_t last = sending.count;
    assert_int_equal(fake_tell(left, 1, "ledger", last, NULL), HISTRIO_OK);
    int64_t deadline_ns = patience_deadline_ns();
    mutex_lock(&right->lock);
    while (right->heard.items[right->heard.count - 1].number != last)
        if (!condition_wait_until(&right->changed, &right->lock, deadline_ns))
            break;
    mutex_unlock(&right->lock);
    for (size_t i = 1; i < right->heard.count; i++)
        assert_true(right->heard.items[i].number > right->heard.items[i - 1].number);
    assert_int_equal(right->heard.items[right->heard.count - 1].number, last);
    struct transport_counters counters;
    transport_counters(left->transport, &counters);
    assert_true(counters.reconnects >= 5);
    assert_true(right->heard.count + counters.lost_tells + sending.refused >= last + 1);
    fakes_stop(&fakes);
}

static void send_signal(struct fake_node *from, struct fake_node *to, uint64_t monitor)
{
    struct actor_signal signal = {
        .kind = SIGNAL_MONITOR, .from = {from->uid, 3}, .to = {to->uid, 4}, .monitor = monitor};
    uint64_t node;
    assert_int_equal(from->out.signal(from->out.ctx, &signal, &node), HISTRIO_OK);
}

static bool has_200_signals(void *ctx)
{
    struct fake_node *node = ctx;
    mutex_lock(&node->lock);
    bool has = node->signals.count >= 200;
    mutex_unlock(&node->lock);
    return has;
}

/* Signals survive broken streams: each comes once, in order. */
static void test_signals_survive_reconnects(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, right);
    for (uint64_t i = 1; i <= 200; i++) {
        (void)fake_tell(left, 1, "ledger", i, NULL); /* may get lost: the signal comes all the same */
        send_signal(left, right, i);
        if (i % 60 == 0)
            fake_restart_server(right);
    }
    wait_until(has_200_signals, right);
    assert_int_equal(right->signals.count, 200);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(right->signals.items[i].monitor, i + 1);
    fakes_stop(&fakes);
}

/* ---- death ---- */

static bool knows_dead(void *ctx)
{
    struct fake_node *node = ctx;
    mutex_lock(&node->lock);
    bool knows = node->dead.count > 0;
    mutex_unlock(&node->lock);
    return knows;
}

static bool has_acknowledged(void *ctx)
{
    struct transport_counters counters;
    transport_counters(((struct fake_node *)ctx)->transport, &counters);
    return counters.unacknowledged == 0 && counters.queued_bytes == 0;
}

/* Asks that the dead node had, acknowledged or not, are uncertain; references to it are gone; told once. */
static void test_death_of_a_node(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *left = &fakes.nodes[0], *right = &fakes.nodes[1];
    fakes_place(&fakes, "ledger", 1, right);
    assert_int_equal(fake_ask(left, 3, "ledger", 21, 60000), HISTRIO_OK);
    fake_wait_heard(right, 1);
    wait_until(has_acknowledged, left);
    transport_set_dead(left->transport, &right->uid, 1);
    transport_set_dead(left->transport, &right->uid, 1);
    transport_set_roster(left->transport, 2, NULL, 0, &right->uid, 1);
    wait_until(knows_dead, left);
    fake_wait_heard(left, 1);
    assert_int_equal(left->heard.items[0].kind, ENVELOPE_ERROR_REPLY);
    assert_int_equal(left->heard.items[0].error, HISTRIO_UNCERTAIN);
    assert_int_equal(left->heard.items[0].ask, 21);
    assert_int_equal(left->heard.items[0].target.id, 3);
    assert_int_equal(fake_tell(left, 3, "ledger", 1, NULL), HISTRIO_UNAVAILABLE);
    struct actor_envelope envelope = {.target = {right->uid, 9}, .type_id = histrio_type("note")};
    bool pressure;
    assert_int_equal(left->out.send(left->out.ctx, &envelope, &pressure), HISTRIO_NOT_FOUND);
    /* The dead one speaks on: it is not heard, and may not connect. */
    struct actor_envelope late = {.target = {left->uid, 9}, .type = "note", .type_id = histrio_type("note")};
    (void)right->out.send(right->out.ctx, &late, &pressure);
    struct transport_counters counters = {0};
    transport_close(left->transport); /* waits for what is under way on the loop */
    transport_counters(left->transport, &counters);
    assert_int_equal(counters.peers_connected, 0);
    assert_int_equal(counters.uncertain_asks, 1);
    assert_int_equal(left->dead.count, 1);
    assert_int_equal(left->heard.count, 1);
    fakes_stop(&fakes);
}

static bool has_lost_one(void *ctx)
{
    struct transport_counters counters;
    transport_counters(((struct fake_node *)ctx)->transport, &counters);
    return counters.peers_connected == 1;
}

/* What never left for a dead node goes to the unit's next place; an ask too. */
static void test_unsent_goes_to_the_next_place(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 3, NULL);
    struct fake_node *left = &fakes.nodes[0], *dying = &fakes.nodes[1], *next = &fakes.nodes[2];
    fakes_place(&fakes, "ledger", 1, dying);
    fakes_wait_connected(&fakes);
    rpc_server_free(dying->server, 0);
    dying->server = NULL;
    wait_until(has_lost_one, left);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(fake_tell(left, 1, "ledger", i, NULL), HISTRIO_OK);
    transport_set_dead(left->transport, &dying->uid, 1);
    fakes_place(&fakes, "ledger", 2, next);
    fake_wait_heard(next, 50);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(next->heard.items[i].number, i);
    fakes_stop(&fakes);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* Never connected for long: nothing was executed, and senders are told so. */
static void test_unreachable(void **state)
{
    (void)state;
    struct fakes fakes;
    struct clock_virtual clock; /* so that it is not too long before the first ask, on a slow machine */
    clock_virtual_init(&clock, 1000 * NS_PER_S, 0);
    struct transport_config config = {.unreachable_ms = 100, .heartbeat_ms = 20, .clock = &clock.clock};
    fakes_start(&fakes, 1, &config);
    struct fake_node *left = &fakes.nodes[0];
    struct transport_member away = {999, "away", "unix:/nonexistent/link.sock"};
    transport_set_roster(left->transport, 2, &away, 1, NULL, 0);
    struct transport_placement placement = {"ledger", 1, 999};
    transport_set_routes(left->transport, 1, true, &placement, 1);
    assert_int_equal(fake_ask(left, 3, "ledger", 5, 60000), HISTRIO_OK);
    rpc_loop_call(left->loop, nothing, NULL); /* the time of its peer has begun */
    clock_virtual_advance(&clock, 100 * NS_PER_MS);
    fake_wait_heard(left, 1);
    assert_int_equal(left->heard.items[0].error, HISTRIO_UNAVAILABLE);
    assert_int_equal(fake_ask(left, 3, "ledger", 6, 60000), HISTRIO_UNAVAILABLE);
    assert_int_equal(transport_route_of(left->transport, "ledger", NULL, NULL, NULL), TRANSPORT_ROUTE_CUT);
    fakes_stop(&fakes);
}

/* ---- strangers ---- */

struct stranger {
    struct rpc_loop *loop;
    const char *address;
    const void *data;
    size_t size;
    struct rpc_client *client;
    struct rpc_stream *stream;
    struct mutex lock;
    struct condition changed;
    bool is_closed;
    enum rpc_code code;
};

static void stranger_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream;
    (void)data;
    (void)size;
    (void)ctx;
}

static void stranger_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct stranger *stranger = ctx;
    rpc_stream_free(stream);
    mutex_lock(&stranger->lock);
    stranger->is_closed = true;
    stranger->code = status->code;
    condition_broadcast(&stranger->changed);
    mutex_unlock(&stranger->lock);
}

static const struct rpc_stream_events stranger_events = {
    .message = stranger_message, .closed = stranger_closed};

static void stranger_speak(void *ctx)
{
    struct stranger *stranger = ctx;
    stranger->stream = rpc_client_open(stranger->client, "/histrio.v1.Link/Messages", 0, true);
    rpc_stream_listen(stranger->stream, &stranger_events, stranger);
    struct err err;
    assert_int_equal(rpc_stream_write(stranger->stream, stranger->data, stranger->size, &err), 0);
}

/* What a stream with these first bytes ends with. */
static enum rpc_code speak(struct fake_node *to, const void *data, size_t size)
{
    struct stranger stranger = {.data = data, .size = size};
    struct err err;
    struct rpc_client_config config = {.address = to->address};
    assert_int_equal(rpc_loop_new("stranger", &stranger.loop, &err), 0);
    assert_int_equal(rpc_client_new(stranger.loop, &config, &stranger.client, &err), 0);
    mutex_init(&stranger.lock, 1001, "stranger");
    condition_init(&stranger.changed);
    rpc_loop_call(stranger.loop, stranger_speak, &stranger);
    int64_t deadline_ns = patience_deadline_ns();
    mutex_lock(&stranger.lock);
    while (!stranger.is_closed)
        if (!condition_wait_until(&stranger.changed, &stranger.lock, deadline_ns))
            break;
    mutex_unlock(&stranger.lock);
    rpc_client_free(stranger.client);
    rpc_loop_free(stranger.loop);
    assert_true(stranger.is_closed);
    condition_done(&stranger.changed);
    mutex_done(&stranger.lock);
    return stranger.code;
}

static enum rpc_code speak_hello(struct fake_node *to, const struct link_hello *hello)
{
    size_t size;
    uint8_t *data = link_encode_messages_hello(hello, &size);
    enum rpc_code code = speak(to, data, size);
    free(data);
    return code;
}

static void test_wrong_hellos(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *node = &fakes.nodes[1];
    const struct link_hello right = {
        1, 1, "bank", "system-1", "x", "", "", "", "test", 101, (const uint8_t *)"secret", sizeof("secret")};
    struct link_hello hello = right;
    hello.credential = (const uint8_t *)"secreT";
    assert_int_equal(speak_hello(node, &hello), RPC_UNAUTHENTICATED);
    hello.credential_size = 0;
    assert_int_equal(speak_hello(node, &hello), RPC_UNAUTHENTICATED);
    hello = right;
    hello.system_uid = "system-2";
    assert_int_equal(speak_hello(node, &hello), RPC_FAILED_PRECONDITION);
    hello = right;
    hello.node_uid = 50;
    assert_int_equal(speak_hello(node, &hello), RPC_UNAVAILABLE); /* not in the roster */
    hello.node_uid = node->uid;
    assert_int_equal(speak_hello(node, &hello), RPC_FAILED_PRECONDITION);
    hello = right;
    hello.protocol_min = hello.protocol_max = 2;
    assert_int_equal(speak_hello(node, &hello), RPC_FAILED_PRECONDITION);
    uint64_t dead = 60;
    transport_set_dead(node->transport, &dead, 1);
    hello = right;
    hello.node_uid = dead;
    assert_int_equal(speak_hello(node, &hello), RPC_FAILED_PRECONDITION);
    /* The pair that was there goes on. */
    fakes_place(&fakes, "ledger", 1, node);
    assert_int_equal(fake_tell(&fakes.nodes[0], 1, "ledger", 1, NULL), HISTRIO_OK);
    fake_wait_heard(node, 1);
    fakes_stop(&fakes);
}

static void test_garbage(void **state)
{
    (void)state;
    struct fakes fakes;
    fakes_start(&fakes, 2, NULL);
    struct fake_node *node = &fakes.nodes[1];
    assert_int_equal(speak(node, "\xff\xff\xff\xff garbage", 12), RPC_INVALID_ARGUMENT);
    struct link_extra extra = {.credit_bytes = 1, .credit_messages = 1};
    size_t size;
    uint8_t *data = link_encode_extra(&extra, &size);
    assert_int_equal(speak(node, data, size), RPC_INVALID_ARGUMENT); /* no hello */
    free(data);
    struct transport_counters counters;
    transport_counters(node->transport, &counters);
    assert_int_equal(counters.protocol_errors, 2);
    fakes_stop(&fakes);
}

int faults_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reconnects_keep_order),
        cmocka_unit_test(test_signals_survive_reconnects),
        cmocka_unit_test(test_death_of_a_node),
        cmocka_unit_test(test_unsent_goes_to_the_next_place),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_wrong_hellos),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
