/* Requests that are none, and tells. */
#include "support.h"

#include "base/limits.h"
#include "rpc/client.h"
#include "rpc/loop.h"

#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    (void)state;
    nodes_start(1, NULL);
    unit_start(0, "a", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_stop();
    return 0;
}

static const char *const methods[] = {"Ask", "Tell", "List", "Watch"};
enum { METHODS = 4 };

static void test_credential(void **state)
{
    (void)state;
    const struct gateway_config config = {.credential = (const uint8_t *)"secret", .credential_size = 6};
    static const char *const wrong[] = {NULL, "secre", "secret!", "Secret"};
    nodes_start(1, &config);
    unit_start(0, "a", 1);
    struct request request = {.actor = "a", .method = "count", .credential = "secret"};
    assert_int_equal(ask_request(0, &request).code, RPC_OK);
    assert_int_equal(tell_request(0, &request).code, RPC_OK);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        request.credential = wrong[i];
        assert_int_equal(ask_request(0, &request).code, RPC_UNAUTHENTICATED);
        assert_int_equal(tell_request(0, &request).code, RPC_UNAUTHENTICATED);
    }
    for (size_t i = 0; i < METHODS; i++) /* an empty message is a request without one */
        assert_int_equal(call_bytes(0, methods[i], "", 0).code, RPC_UNAUTHENTICATED);
    assert_int_equal(asks_of(0).all, 0);
    assert_int_equal(watchers_of(0), 0);
}

static void test_garbage(void **state)
{
    (void)state;
    for (size_t i = 0; i < METHODS; i++) {
        assert_int_equal(call_bytes(0, methods[i], "\xff\xff\xff\xff", 4).code, RPC_INVALID_ARGUMENT);
        assert_int_equal(
            call_bytes(0, methods[i], "\x0a\x02\xff\xfe", 4).code, RPC_INVALID_ARGUMENT); /* UTF-8 */
        assert_int_equal(call_bytes(0, methods[i], "\x0a\x7f", 2).code, RPC_INVALID_ARGUMENT);
    }
    assert_int_equal(ask(0, "a", "echo", 5000).error, HISTRIO_OK);
}

static void check_refused(const char *actor, const char *method, const void *value, size_t size)
{
    struct request request = {.actor = actor, .method = method, .value = value, .size = size};
    struct answer answer = ask_request(0, &request);
    assert_int_equal(answer.code, RPC_OK);
    assert_int_equal(answer.error, HISTRIO_BAD_ARGUMENT);
    assert_true(*answer.text);
    answer = tell_request(0, &request);
    assert_int_equal(answer.code, RPC_OK);
    assert_int_equal(answer.error, HISTRIO_BAD_ARGUMENT);
    assert_true(*answer.text);
}

static void test_bad_names_and_values(void **state)
{
    static char name[LIMIT_ADDRESS_BYTES + 2], method[LIMIT_MESSAGE_TYPE_BYTES + 2];
    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    memset(method, 'm', sizeof(method) - 1);
    check_refused("", "echo", NULL, 0);
    check_refused("a", "", NULL, 0);
    check_refused("/a", "echo", NULL, 0);
    check_refused("a/", "echo", NULL, 0);
    check_refused(name, "echo", NULL, 0);
    check_refused("a", method, NULL, 0);
    check_refused("a", "echo", "\xc1", 1);      /* not msgpack */
    check_refused("a", "echo", "\xd4\x50.", 3); /* a pickle: only actors in Python send each other these */
    check_refused("a", "echo", "\x81\xa1k\xc7\x01\x51.", 7);
    check_refused("a", "echo", "\x01\x02", 2); /* two values */
    char *large = calloc(1, LIMIT_VALUE_BYTES + 1);
    assert_non_null(large);
    memcpy(large, "\xc6\x00\x3f\xff\xfc", 5); /* 4 MiB and one byte in all */
    check_refused("a", "echo", large, LIMIT_VALUE_BYTES + 1);
    free(large);
    assert_int_equal(ask(0, "a", "count", 5000).value[0], 0); /* nothing came through */
}

static void test_tell(void **state)
{
    (void)state;
    assert_int_equal(tell(0, "a", "echo").error, HISTRIO_OK);
    assert_int_equal(tell(0, "a", "echo").error, HISTRIO_OK);
    assert_int_equal(ask(0, "a", "count", 5000).value[0], 2); /* in order behind them */
    assert_int_equal(tell(0, "nothing", "echo").error, HISTRIO_NOT_FOUND);
    unit_route(SIZE_MAX, "b", 2);
    assert_int_equal(tell(0, "b", "echo").error, HISTRIO_UNAVAILABLE);
}

static void test_tell_there(void **state)
{
    (void)state;
    nodes_start(2, NULL);
    assert_int_equal(tell(0, "a", "echo").error, HISTRIO_UNAVAILABLE); /* no routes yet */
    unit_start(1, "a", 1);
    assert_int_equal(ask(0, "a", "count", 5000).error, HISTRIO_OK);
    assert_int_equal(tell(0, "a", "echo").error, HISTRIO_OK);
    assert_int_equal(ask(0, "a", "count", 5000).value[0], 1);
}

/* ---- streams that are no unary calls ---- */

struct odd {
    const char *method;
    unsigned requests;
    enum rpc_code code;
    bool is_closed; /* with the lock, as the code */
};

static void odd_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream, (void)data, (void)size, (void)ctx;
}

static void odd_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct odd *odd = ctx;
    rpc_stream_free(stream);
    test_lock();
    odd->code = status->code;
    odd->is_closed = true;
    test_changed();
    test_unlock();
}

static void odd_start(void *ctx)
{
    static const struct rpc_stream_events events = {.message = odd_message, .closed = odd_closed};
    struct odd *odd = ctx;
    struct rpc_stream *stream = rpc_client_open(node_at(0)->client, odd->method, PATIENCE_MS, true);
    rpc_stream_listen(stream, &events, odd);
    for (unsigned i = 0; i < odd->requests; i++)
        assert_int_equal(rpc_stream_write(stream, "", 0, NULL), 0);
    rpc_stream_half_close(stream);
}

static enum rpc_code odd_code(const char *method, unsigned requests)
{
    struct odd odd = {.method = method, .requests = requests};
    rpc_loop_call(client_loop(), odd_start, &odd);
    test_lock();
    while (!odd.is_closed)
        test_wait();
    test_unlock();
    return odd.code;
}

static void test_none_or_two_requests(void **state)
{
    (void)state;
    assert_int_equal(odd_code("/histrio.v1.Gateway/Ask", 0), RPC_INVALID_ARGUMENT);
    assert_int_equal(odd_code("/histrio.v1.Gateway/Tell", 0), RPC_INVALID_ARGUMENT);
    assert_int_equal(odd_code("/histrio.v1.Gateway/List", 0), RPC_INVALID_ARGUMENT);
    assert_int_equal(odd_code("/histrio.v1.Gateway/Watch", 0), RPC_INVALID_ARGUMENT);
    assert_int_equal(odd_code("/histrio.v1.Gateway/Watch", 2), RPC_INVALID_ARGUMENT);
    assert_int_equal(watchers_of(0), 0);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define OWN(name) cmocka_unit_test_teardown(name, teardown)

const struct CMUnitTest request_tests[] = {
    OWN(test_credential),
    ONE(test_garbage),
    ONE(test_bad_names_and_values),
    ONE(test_tell),
    OWN(test_tell_there),
    ONE(test_none_or_two_requests),
};
const size_t request_test_count = sizeof(request_tests) / sizeof(request_tests[0]);
