/* List and Watch. */
#include "support.h"

#include "base/clock.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    (void)state;
    nodes_start(1, NULL);
    unit_start(0, "a", 1);
    unit_start(0, "b", 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_stop();
    return 0;
}

static void test_list(void **state)
{
    char text[256];
    (void)state;
    list(0, "", text, sizeof(text));
    assert_non_null(strstr(text, "a Running\n"));
    assert_non_null(strstr(text, "b Running\n"));
    list(0, "b", text, sizeof(text));
    assert_string_equal(text, "b Running\n");
    list(0, "nothing", text, sizeof(text));
    assert_string_equal(text, "");
}

/* Looking waits for no handler. */
static void test_list_beside_a_stuck_worker(void **state)
{
    char text[256];
    (void)state;
    assert_int_equal(tell(0, "a", "block").error, HISTRIO_OK);
    wait_blocked();
    list(0, "a", text, sizeof(text));
    assert_string_equal(text, "a Running\n");
    assert_int_equal(ask(0, "a", "echo", 50).error, HISTRIO_TIMEOUT);
    unblock();
    assert_int_equal(ask(0, "a", "echo", 5000).error, HISTRIO_OK);
}

/* ---- a watcher ---- */

struct watching {
    const char *path;
    struct rpc_stream *stream;
    bool is_closed; /* with the lock, as the rest */
    enum rpc_code code;
    size_t events;
    uint64_t lost;
    char actor[64], state[32], reason[64]; /* of the last */
    uint64_t incarnation;
};

static void watching_event(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct watching *watching = ctx;
    struct wire_arena arena;
    ProtobufCMessage *message;
    (void)stream;
    wire_arena_init(&arena, NULL, 0, 100000);
    assert_int_equal(
        wire_unpack(&histrio__v1__watch_event__descriptor, data, size, 100000, &arena, &message, NULL), 0);
    const Histrio__V1__WatchEvent *event = (const Histrio__V1__WatchEvent *)message;
    test_lock();
    watching->events++;
    watching->lost += event->lost;
    watching->incarnation = event->incarnation;
    (void)snprintf(watching->actor, sizeof(watching->actor), "%.60s", event->actor);
    (void)snprintf(watching->state, sizeof(watching->state), "%.30s", event->state);
    (void)snprintf(watching->reason, sizeof(watching->reason), "%.60s", event->reason);
    assert_true(event->at_ms > 0);
    test_changed();
    test_unlock();
    wire_arena_done(&arena);
}

static void watching_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct watching *watching = ctx;
    rpc_stream_free(stream);
    test_lock();
    watching->is_closed = true;
    watching->code = status->code;
    test_changed();
    test_unlock();
}

static void watching_start(void *ctx)
{
    static const struct rpc_stream_events events = {.message = watching_event, .closed = watching_closed};
    struct watching *watching = ctx;
    uint8_t data[128];
    Histrio__V1__WatchRequest request = HISTRIO__V1__WATCH_REQUEST__INIT;
    request.path = (char *)(uintptr_t)watching->path;
    size_t size = wire_packed_size(&request);
    assert_in_range(size, 0, sizeof(data));
    wire_pack_into(&request, data);
    watching->stream = rpc_client_open(node_at(0)->client, "/histrio.v1.Gateway/Watch", 0, true);
    rpc_stream_listen(watching->stream, &events, watching);
    assert_int_equal(rpc_stream_write(watching->stream, data, size, NULL), 0);
    rpc_stream_half_close(watching->stream);
}

static void watch(struct watching *watching, unsigned watchers)
{
    rpc_loop_call(client_loop(), watching_start, watching);
    wait_watchers(0, watchers);
}

static void wait_events(struct watching *watching, size_t count)
{
    test_lock();
    while (watching->events < count)
        test_wait();
    test_unlock();
}

static void wait_closed(struct watching *watching)
{
    test_lock();
    while (!watching->is_closed)
        test_wait();
    test_unlock();
}

static void watching_cancel(void *ctx)
{
    rpc_stream_cancel(((struct watching *)ctx)->stream);
}

static void test_watch(void **state)
{
    struct watching all = {.path = ""}, one = {.path = "b"};
    (void)state;
    watch(&all, 1);
    watch(&one, 2);
    assert_int_equal(ask(0, "a", "fail", 5000).error, HISTRIO_CRASHED);
    wait_events(&all, 1);
    assert_string_equal(all.actor, "a");
    assert_string_equal(all.state, "Exited");
    assert_int_equal(all.incarnation, 1);
    assert_string_equal(all.reason, "error");
    assert_int_equal(ask(0, "b", "fail", 5000).error, HISTRIO_CRASHED);
    wait_events(&all, 2);
    wait_events(&one, 1);
    assert_string_equal(one.actor, "b"); /* its first: what happened to "a" did not come */
    assert_int_equal(all.lost + one.lost, 0);
    unit_start(0, "c", 3);
    wait_events(&all, 3);
    assert_string_equal(all.actor, "c");
    rpc_loop_call(client_loop(), watching_cancel, &one);
    wait_closed(&one);
    wait_watchers(0, 1);
    gateway_close(node_at(0)->gateway);
    wait_closed(&all);
    assert_int_equal(all.code, RPC_UNAVAILABLE);
    wait_watchers(0, 0);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void push_events(size_t count)
{
    static char reason[1001];
    memset(reason, 'r', sizeof(reason) - 1);
    struct actor_exit_report report = {
        .path = "a", .unit = "a", .epoch = 1, .incarnation = 1, .reason = reason, .at_wall_ms = 1};
    for (size_t i = 0; i < count; i++)
        gateway_actor_exited(node_at(0)->gateway, &report);
}

static void watching_pause(void *ctx)
{
    rpc_stream_pause_reading(((struct watching *)ctx)->stream, true);
}

static void watching_resume(void *ctx)
{
    rpc_stream_pause_reading(((struct watching *)ctx)->stream, false);
}

/* A watcher that is too slow is told how many events it missed. */
static void test_lost_events(void **state)
{
    enum { PUSHED = 20000 }; /* more than a queue and gRPC's window hold */
    struct watching slow = {.path = ""}, other = {.path = "nothing"};
    uint64_t pushed = PUSHED, known = 0, lost = 0;
    (void)state;
    watch(&slow, 1);
    watch(&other, 2);
    rpc_loop_call(client_loop(), watching_pause, &slow);
    push_events(PUSHED);
    rpc_loop_call(node_at(0)->loop, nothing, NULL); /* all of them have been tried */
    rpc_loop_call(client_loop(), watching_resume, &slow);
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    while (known < pushed) { /* what was lost is told with the next one that arrives */
        push_events(1);
        pushed++;
        /* One at a time, or there is always one that is still on its way. It may be lost as well. */
        for (unsigned looks = 0; known < pushed && looks < 200; looks++) {
            look_again(deadline_ns, "lost events");
            test_lock();
            known = slow.events + slow.lost;
            lost = slow.lost;
            test_unlock();
        }
    }
    assert_int_equal(known, pushed);
    assert_true(lost > 0);
    gateway_close(node_at(0)->gateway);
    wait_closed(&slow);
    wait_closed(&other);
    assert_int_equal(other.events, 0);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

const struct CMUnitTest look_tests[] = {
    ONE(test_list),
    ONE(test_list_beside_a_stuck_worker),
    ONE(test_watch),
    ONE(test_lost_events),
};
const size_t look_test_count = sizeof(look_tests) / sizeof(look_tests[0]);
