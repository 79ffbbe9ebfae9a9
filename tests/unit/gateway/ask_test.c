/* Asks: routes, deadlines, ends. */
#include "support.h"

#include "base/clock.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "transport/transport.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <string.h>

static int setup_two(void **state)
{
    (void)state;
    nodes_start(2, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_stop();
    return 0;
}

static void check_error(struct answer answer, enum histrio_error error)
{
    if (answer.code != RPC_OK || answer.error != error)
        fail_msg("status %d, error %s: %s", (int)answer.code, histrio_error_name(answer.error), answer.text);
    if (error != HISTRIO_OK)
        assert_true(*answer.text); /* people read it */
}

static void test_ask_here_and_there(void **state)
{
    (void)state;
    unit_start(0, "a", 1);
    unit_start(1, "b", 2);
    for (size_t node = 0; node < 2; node++) {
        struct request request = {.actor = "a", .method = "echo", .value = "\xa2hi", .size = 3};
        struct answer answer = ask_request(node, &request);
        check_error(answer, HISTRIO_OK);
        assert_int_equal(answer.size, 3);
        assert_memory_equal(answer.value, "\xa2hi", 3);
        assert_string_equal(answer.node, "node-0");
        request.actor = "b";
        answer = ask_request(node, &request);
        check_error(answer, HISTRIO_OK);
        assert_memory_equal(answer.value, "\xa2hi", 3);
        assert_string_equal(answer.node, "node-1");
    }
}

static void check_trace(struct answer answer, const char *hex)
{
    check_error(answer, HISTRIO_OK);
    size_t head = strlen(hex) < 32 ? 1 : 2; /* of a text in msgpack */
    assert_int_equal(answer.size, head + strlen(hex));
    assert_memory_equal(answer.value + head, hex, strlen(hex));
}

static void test_traces(void **state)
{
    static const char hex[] = "0af7651916cd43dd8448eb211c80319cb7ad6b716920333101";
    static const char *const ignored[] = {"", "nonsense", "00-0af7651916cd43dd8448eb211c80319c-0-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"};
    (void)state;
    unit_start(0, "a", 1);
    unit_start(1, "b", 2);
    for (size_t node = 0; node < 2; node++) {
        struct request request = {.actor = node == 0 ? "b" : "a",
            .method = "trace",
            .value = "\xa2hi",
            .size = 3,
            .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
        check_trace(ask_request(node, &request), hex); /* there */
        request.actor = node == 0 ? "a" : "b";
        check_trace(ask_request(node, &request), hex);
        request.method = "note_trace";
        check_error(tell_request(node, &request), HISTRIO_OK);
        check_trace(ask(node, request.actor, "noted_trace", 5000), hex);
        check_trace(ask(node, request.actor, "trace", 5000), ""); /* of that message only */
        request.method = "trace";
        for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
            request.trace = ignored[i];
            check_trace(ask_request(node, &request), "");
        }
    }
}

static void test_errors_of_actors(void **state)
{
    (void)state;
    unit_start(0, "a", 1);
    unit_start(1, "b", 2);
    for (size_t node = 0; node < 2; node++) {
        check_error(ask(node, "nothing", "echo", 5000), HISTRIO_NOT_FOUND);
        check_error(ask(node, "a/nothing", "echo", 5000), HISTRIO_NOT_FOUND);
        check_error(ask(node, "a", "no such method", 5000), HISTRIO_BAD_ARGUMENT);
        check_error(ask(node, "b", "fail", 5000), HISTRIO_CRASHED);
    }
}

/* What an actor says itself is no reason to ask it again. */
static void test_actor_that_answers_unavailable_is_asked_once(void **state)
{
    (void)state;
    unit_start(0, "a", 1);
    for (size_t node = 0; node < 2; node++) {
        struct answer answer = ask(node, "a", "unavailable", 5000);
        check_error(answer, HISTRIO_UNAVAILABLE);
        assert_string_equal(answer.text, "says the actor");
    }
    assert_int_equal(ask(0, "a", "count", 5000).value[0], 2);
}

static void test_ask_waits_for_a_route(void **state)
{
    (void)state;
    struct request request = {.actor = "a", .method = "count", .timeout_ms = PATIENCE_MS};
    struct flight *before_routes = ask_begin(0, &request); /* then a unit may be any */
    wait_asks(0, 1, 1);
    unit_route(SIZE_MAX, "a", 1);
    struct flight *before_place = ask_begin(0, &request);
    wait_asks(0, 2, 2);
    unit_start(1, "a", 2);
    check_error(ask_end(before_routes), HISTRIO_OK);
    check_error(ask_end(before_place), HISTRIO_OK);
    wait_asks(0, 0, 0);
}

/* Its node has it, and its actor is not there yet. */
static void test_ask_while_the_unit_starts(void **state)
{
    (void)state;
    unit_start(1, "b", 1);
    check_error(ask(0, "b", "echo", 5000), HISTRIO_OK); /* connected */
    unit_start_slowly(0, "a", 2);
    struct request request = {.actor = "a", .method = "count", .timeout_ms = PATIENCE_MS};
    struct flight *here = ask_begin(0, &request);
    struct flight *there = ask_begin(1, &request);
    wait_asks(0, 1, 1);
    wait_asks(1, 1, 0);
    unblock();
    check_error(ask_end(here), HISTRIO_OK);
    check_error(ask_end(there), HISTRIO_OK);
}

static void test_route_wait_runs_out(void **state)
{
    (void)state;
    nodes_start(1, &(struct gateway_config){.route_wait_ms = 60});
    unit_route(SIZE_MAX, "a", 1);
    struct answer answer = ask(0, "a", "echo", PATIENCE_MS);
    check_error(answer, HISTRIO_UNAVAILABLE);
    assert_in_range(answer.took_ms, 60, PATIENCE_MS / 2);
    answer = ask(0, "a", "echo", 30); /* its own time is shorter */
    check_error(answer, HISTRIO_TIMEOUT);
    assert_in_range(answer.took_ms, 30, PATIENCE_MS / 2);
}

static void test_timeout(void **state)
{
    (void)state;
    unit_start(0, "a", 1);
    for (size_t node = 0; node < 2; node++) {
        struct answer answer = ask(node, "a", "silent", 50);
        check_error(answer, HISTRIO_TIMEOUT);
        assert_in_range(answer.took_ms, 50, PATIENCE_MS / 2);
        wait_asks(node, 0, 0);
    }
}

static void test_too_many_asks(void **state)
{
    (void)state;
    nodes_start(1, &(struct gateway_config){.asks_max = 2});
    unit_route(SIZE_MAX, "b", 1);
    unit_start(0, "a", 2);
    struct request waiting = {.actor = "b", .method = "count", .timeout_ms = PATIENCE_MS};
    struct flight *first = ask_begin(0, &waiting);
    struct flight *second = ask_begin(0, &waiting);
    wait_asks(0, 2, 2);
    assert_int_equal(ask(0, "a", "echo", 5000).code, RPC_RESOURCE_EXHAUSTED);
    unit_start(0, "b", 3);
    check_error(ask_end(first), HISTRIO_OK);
    check_error(ask_end(second), HISTRIO_OK);
    check_error(ask(0, "a", "echo", 5000), HISTRIO_OK);
}

static void test_dead_node(void **state)
{
    (void)state;
    const uint64_t dead = node_at(1)->uid;
    unit_start(1, "a", 1);
    check_error(ask(0, "a", "count", 5000), HISTRIO_OK); /* connected */
    struct request request = {.actor = "a", .method = "silent", .timeout_ms = PATIENCE_MS};
    struct flight *flight = ask_begin(0, &request);
    while (ask(1, "a", "count", 5000).value[0] == 0)
        continue; /* until it came there */
    transport_set_dead(node_at(0)->transport, &dead, 1);
    check_error(ask_end(flight), HISTRIO_UNCERTAIN);
    request.method = "count";
    flight = ask_begin(0, &request);
    wait_asks(0, 1, 1);
    unit_start(0, "a", 2); /* its successor */
    struct answer answer = ask_end(flight);
    check_error(answer, HISTRIO_OK);
    assert_int_equal(answer.value[0], 0);
    assert_string_equal(answer.node, "node-0");
}

/* ---- clients that go ---- */

struct leaving {
    size_t node;
    uint8_t data[128];
    size_t size;
    struct rpc_stream *stream;
    bool is_closed; /* with the lock */
};

static void leaving_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream, (void)data, (void)size, (void)ctx;
    fail_msg("an answer came");
}

static void leaving_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct leaving *leaving = ctx;
    rpc_stream_free(stream);
    test_lock();
    leaving->is_closed = status->code == RPC_CANCELLED;
    test_changed();
    test_unlock();
}

static void leaving_ask(void *ctx)
{
    static const struct rpc_stream_events events = {.message = leaving_message, .closed = leaving_closed};
    struct leaving *leaving = ctx;
    leaving->stream =
        rpc_client_open(node_at(leaving->node)->client, "/histrio.v1.Gateway/Ask", PATIENCE_MS, true);
    rpc_stream_listen(leaving->stream, &events, leaving);
    assert_int_equal(rpc_stream_write(leaving->stream, leaving->data, leaving->size, NULL), 0);
    rpc_stream_half_close(leaving->stream);
}

static void leaving_leaves(void *ctx)
{
    rpc_stream_cancel(((struct leaving *)ctx)->stream);
}

static void leave(const char *actor, const char *method, uint32_t timeout_ms, size_t waiting)
{
    struct leaving leaving = {0};
    Histrio__V1__AskRequest request = HISTRIO__V1__ASK_REQUEST__INIT;
    request.actor = (char *)(uintptr_t)actor;
    request.method = (char *)(uintptr_t)method;
    request.timeout_ms = timeout_ms;
    leaving.size = wire_packed_size(&request);
    assert_in_range(leaving.size, 1, sizeof(leaving.data));
    wire_pack_into(&request, leaving.data);
    rpc_loop_call(client_loop(), leaving_ask, &leaving);
    wait_asks(0, 1, waiting);
    rpc_loop_call(client_loop(), leaving_leaves, &leaving);
    test_lock();
    while (!leaving.is_closed)
        test_wait();
    test_unlock();
    wait_asks(0, 0, 0);
}

static void test_client_leaves(void **state)
{
    (void)state;
    unit_start(0, "a", 1);
    unit_start(1, "b", 2);
    leave("a", "silent", 3600 * 1000, 0);
    leave("b", "silent", 3600 * 1000, 0);
    unit_route(SIZE_MAX, "c", 3);
    leave("c", "silent", PATIENCE_MS, 1); /* nothing holds it: it goes at once */
    check_error(ask(0, "a", "echo", 5000), HISTRIO_OK);
}

static uint64_t signals_of(size_t node)
{
    struct transport_counters counters;
    transport_counters(node_at(node)->transport, &counters);
    return counters.signals_received;
}

/* What it asked is not executed, when it has not been begun. */
static void test_client_leaves_before_its_turn(void **state)
{
    (void)state;
    unit_start(1, "b", 2);
    check_error(ask(0, "b", "echo", 5000), HISTRIO_OK); /* connected */
    struct request block = {.actor = "b", .method = "block", .timeout_ms = PATIENCE_MS};
    struct flight *blocking = ask_begin(1, &block);
    wait_blocked();
    leave("b", "silent", PATIENCE_MS, 0);
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    while (signals_of(1) == 0)
        look_again(deadline_ns, "the word");
    check_error(ask(0, "b/nothing", "echo", 5000), HISTRIO_NOT_FOUND); /* the link has handed it over */
    unblock();
    check_error(ask_end(blocking), HISTRIO_OK);
    assert_int_equal(ask(0, "b", "count", 5000).value[0], 2);
}

static void test_close_with_asks_under_way(void **state)
{
    (void)state;
    unit_start(0, "a", 1);
    unit_start(1, "b", 2);
    unit_route(SIZE_MAX, "c", 3);
    check_error(ask(0, "b", "echo", 5000), HISTRIO_OK);
    struct request silent = {.actor = "a", .method = "silent", .timeout_ms = PATIENCE_MS};
    struct request away = {.actor = "b", .method = "silent", .timeout_ms = PATIENCE_MS};
    struct request waiting = {.actor = "c", .method = "silent", .timeout_ms = PATIENCE_MS};
    struct flight *flights[] = {ask_begin(0, &silent), ask_begin(0, &away), ask_begin(0, &waiting)};
    wait_asks(0, 3, 1);
    gateway_close(node_at(0)->gateway);
    assert_int_equal(ask_end(flights[0]).code, RPC_UNAVAILABLE);
    assert_int_equal(ask_end(flights[1]).code, RPC_UNAVAILABLE);
    check_error(ask_end(flights[2]), HISTRIO_UNAVAILABLE);
    assert_int_equal(ask(0, "a", "echo", 5000).code, RPC_UNAVAILABLE);
    check_error(ask(1, "b", "echo", 5000), HISTRIO_OK); /* the other one serves */
}

enum { MANY = 300 };

static void test_many_asks(void **state)
{
    static struct flight *flights[MANY];
    static const char *const actors[] = {"a", "b", "a/nothing"};
    (void)state;
    unit_start(0, "a", 1);
    unit_start(1, "b", 2);
    for (size_t i = 0; i < MANY; i++) {
        struct request request = {
            .actor = actors[i % 3], .method = "echo", .value = "\x07", .size = 1, .timeout_ms = PATIENCE_MS};
        flights[i] = ask_begin(i % 2, &request);
    }
    for (size_t i = 0; i < MANY; i++)
        check_error(ask_end(flights[i]), i % 3 == 2 ? HISTRIO_NOT_FOUND : HISTRIO_OK);
}

#define TWO(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown)
#define OWN(name) cmocka_unit_test_teardown(name, teardown)

const struct CMUnitTest ask_tests[] = {
    TWO(test_ask_here_and_there),
    TWO(test_traces),
    TWO(test_errors_of_actors),
    TWO(test_actor_that_answers_unavailable_is_asked_once),
    TWO(test_ask_waits_for_a_route),
    TWO(test_ask_while_the_unit_starts),
    OWN(test_route_wait_runs_out),
    TWO(test_timeout),
    OWN(test_too_many_asks),
    TWO(test_dead_node),
    TWO(test_client_leaves),
    TWO(test_client_leaves_before_its_turn),
    TWO(test_close_with_asks_under_way),
    TWO(test_many_asks),
};
const size_t ask_test_count = sizeof(ask_tests) / sizeof(ask_tests[0]);
