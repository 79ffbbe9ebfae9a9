/* Unary calls, reconnects, bad addresses. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_start(&fixture, test_transport(), NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static int call_wait(const char *path, const char *request, uint64_t timeout_ms, bool wait_for_ready,
    char *response, struct err *err)
{
    uint8_t *data;
    size_t size;
    *err = (struct err){0};
    if (rpc_client_call_wait(fixture.client, path, request, strlen(request), timeout_ms, wait_for_ready,
            &data, &size, err) < 0)
        return -1;
    (void)snprintf(response, PROBE_TEXT, "%.*s", (int)size, (const char *)data);
    free(data);
    return 0;
}

static void check_call_fails(const char *path, uint64_t timeout_ms, enum err_kind kind)
{
    char response[PROBE_TEXT];
    struct err err;
    assert_int_equal(call_wait(path, "x", timeout_ms, false, response, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_non_null(strstr(err.text, path)); /* it says what failed */
}

static void test_unary(void **state)
{
    char response[PROBE_TEXT];
    struct err err;
    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(call_wait("/test.Service/Reverse", "abc", 0, false, response, &err), 0);
        assert_string_equal(response, "cba");
        if (i == 0)
            assert_int_equal(call_wait("/test.Service/Reverse", "", 5000, true, response, &err), 0);
    }
}

static void test_unary_failures(void **state)
{
    (void)state;
    check_call_fails("/test.Service/Nothing", 0, ERR_INVALID);
    check_call_fails("/test.Service/Refuse", 0, ERR_DENIED);
    check_call_fails("/test.Service/Hand", 30, ERR_TIMEOUT);
}

static void test_too_large_request(void **state)
{
    struct err err = {0};
    uint8_t *data;
    size_t size = 9 * 1024 * 1024;
    uint8_t *request = xcalloc(1, size);
    (void)state;
    assert_int_equal(rpc_client_call_wait(fixture.client, "/test.Service/Reverse", request, size, 0, false,
                         &data, &size, &err),
        -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    free(request);
}

static void test_no_server(void **state)
{
    char response[PROBE_TEXT];
    struct err err;
    (void)state;
    fixture_server_stop(&fixture, 0);
    check_call_fails("/test.Service/Reverse", 0, ERR_UNAVAILABLE);
    /* With wait_for_ready it is the deadline that ends it. */
    assert_int_equal(call_wait("/test.Service/Reverse", "x", 50, true, response, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
}

static struct probe *open_echo(const char *text)
{
    struct probe *probe = probe_open(&fixture, "/test.Service/Echo", 0, true, REACT_NOTHING);
    (void)probe_write(probe, text, strlen(text), NULL); /* a stream that has ended says so by its end */
    return probe;
}

static void test_streams_end_with_the_server(void **state)
{
    static const struct fixture_options none = {0};
    (void)state;
    struct probe *first = open_echo("a");
    probe_wait(first, first->messages == 1);
    fixture_server_stop(&fixture, 0);
    probe_wait(first, first->closed == 1);
    assert_true(first->code == RPC_UNAVAILABLE || first->code == RPC_CANCELLED);
    fixture_server_start(&fixture, &none);
    struct probe *second = open_echo("b");
    probe_wait(second, second->messages == 1 || second->closed == 1);
    if (probe_read(second, closed)) { /* it met the old connection, whose end is on its way */
        assert_int_equal(second->code, RPC_UNAVAILABLE);
        second = open_echo("b");
        probe_wait(second, second->messages == 1);
    }
}

/* A client that waits while the server is away is served soon after it came back. The server stays away for
 * longer than gRPC's own shortest pause between attempts, by several failed attempts. */
static void test_reconnect_is_quick(void **state)
{
    static const struct fixture_options none = {0};
    char response[PROBE_TEXT];
    struct err err;
    int64_t best_ms = INT64_MAX;
    (void)state;
    for (int i = 0; i < 5; i++) {
        if (call_wait("/test.Service/Reverse", "ab", 0, true, response, &err) < 0)
            fail_msg("%s", err.text);
        fixture_server_stop(&fixture, 0);
        /* One call meets the broken connection, or waits for the next one; after it the break is known. */
        assert_int_equal(call_wait("/test.Service/Reverse", "ab", 50, true, response, &err), -1);
        struct probe *waiting = open_echo("a");
        for (int tries = 0; tries == 0 || err.kind != ERR_TIMEOUT; tries++) {
            assert_int_equal(call_wait("/test.Service/Reverse", "ab", 300, true, response, &err), -1);
            if (err.kind != ERR_TIMEOUT)
                assert_int_equal(err.kind, ERR_UNAVAILABLE); /* a thread that slept: it is known by now */
            assert_true(tries < 3);
        }
        if (probe_read(waiting, closed)) /* as that one */
            waiting = open_echo("a");
        int64_t before_ms = clock_now_ms(clock_system());
        fixture_server_start(&fixture, &none);
        probe_wait(waiting, waiting->messages == 1);
        int64_t passed_ms = clock_now_ms(clock_system()) - before_ms;
        best_ms = passed_ms < best_ms ? passed_ms : best_ms;
    }
    if (test_transport() == TRANSPORT_UNIX)
        assert_in_range(best_ms, 0, 100);
    else
        assert_in_range(best_ms, 0, 2000);
}

static void test_free_ends_streams(void **state)
{
    (void)state;
    struct probe *idle = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    rpc_client_free(fixture.client);
    fixture.client = NULL;
    probe_wait(idle, idle->closed == 1);
    assert_int_equal(idle->code, RPC_CANCELLED);
    probe_wait(server, server->closed == 1);
}

static void check_bad_address(const char *address)
{
    struct err err = {0};
    struct rpc_client *client = NULL;
    struct rpc_client_config config = {.address = address};
    assert_int_equal(rpc_client_new(fixture.client_loop, &config, &client, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, address[0] ? address : "address"));
}

static void test_bad_addresses(void **state)
{
    char long_path[200] = "unix:/";
    struct err err = {0};
    struct rpc_client *client = NULL;
    struct rpc_client_config config = {.address = long_path};
    (void)state;
    check_bad_address("");
    check_bad_address("localhost");
    check_bad_address("localhost:");
    check_bad_address("localhost:70000");
    check_bad_address("localhost:x");
    check_bad_address(":7070");
    check_bad_address("::1:7070");
    check_bad_address("[::1:7070");
    memset(long_path + 6, 'a', sizeof(long_path) - 7);
    assert_int_equal(rpc_client_new(fixture.client_loop, &config, &client, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "longer"));
}

static void test_client_that_never_connects(void **state)
{
    struct rpc_client *client = NULL;
    struct rpc_client_config config = {.address = "localhost:1"};
    (void)state;
    assert_int_equal(rpc_client_new(fixture.client_loop, &config, &client, NULL), 0);
    rpc_client_free(client);
    rpc_client_free(NULL);
}

struct late_timer {
    struct rpc_timer *timer;
    struct mutex lock;
    struct condition fired;
    bool is_set, has_fired; /* guarded */
    int64_t set_ns;
};

static void late_timer_fires(void *ctx)
{
    struct late_timer *late = ctx;
    mutex_lock(&late->lock);
    late->has_fired = true;
    condition_signal(&late->fired);
    mutex_unlock(&late->lock);
}

static void set_late_timer(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx)
{
    struct late_timer *late = ctx;
    (void)status, (void)data, (void)size;
    late->timer = rpc_timer_new(fixture.client_loop, late_timer_fires, late);
    rpc_timer_set(late->timer, 20);
    mutex_lock(&late->lock);
    late->is_set = true;
    late->set_ns = clock_now_ns(clock_system());
    condition_signal(&late->fired);
    mutex_unlock(&late->lock);
}

static void free_late_timer(void *ctx)
{
    rpc_timer_free(((struct late_timer *)ctx)->timer);
}

/* On a loop where nothing else happens: it must not sleep on what it knew before the callback. */
static void test_timer_set_by_a_callback(void **state)
{
    struct late_timer late = {0};
    int64_t deadline_ns = patience_deadline();
    (void)state;
    mutex_init(&late.lock, 1, "late timer");
    condition_init(&late.fired);
    rpc_client_call(fixture.client, "/test.Service/Reverse", "abc", 3, 5000, true, set_late_timer, &late);
    mutex_lock(&late.lock);
    while (!late.is_set && condition_wait_until(&late.fired, &late.lock, deadline_ns))
        continue;
    deadline_ns = late.set_ns + 4 * NS_PER_S; /* before keepalive would wake it */
    while (!late.has_fired && condition_wait_until(&late.fired, &late.lock, deadline_ns))
        continue;
    bool has_fired = late.has_fired;
    mutex_unlock(&late.lock);
    rpc_loop_call(fixture.client_loop, free_late_timer, &late);
    condition_done(&late.fired);
    mutex_done(&late.lock);
    assert_true(has_fired);
}

const struct CMUnitTest client_tests[] = {
    cmocka_unit_test_setup_teardown(test_unary, setup, teardown),
    cmocka_unit_test_setup_teardown(test_unary_failures, setup, teardown),
    cmocka_unit_test_setup_teardown(test_too_large_request, setup, teardown),
    cmocka_unit_test_setup_teardown(test_no_server, setup, teardown),
    cmocka_unit_test_setup_teardown(test_streams_end_with_the_server, setup, teardown),
    cmocka_unit_test_setup_teardown(test_reconnect_is_quick, setup, teardown),
    cmocka_unit_test_setup_teardown(test_free_ends_streams, setup, teardown),
    cmocka_unit_test_setup_teardown(test_bad_addresses, setup, teardown),
    cmocka_unit_test_setup_teardown(test_client_that_never_connects, setup, teardown),
    cmocka_unit_test_setup_teardown(test_timer_set_by_a_callback, setup, teardown),
};
const size_t client_test_count = sizeof(client_tests) / sizeof(client_tests[0]);
