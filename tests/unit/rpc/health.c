/* grpc.health.v1; the messages are so small that they are written out here. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static const char check_path[] = "/grpc.health.v1.Health/Check";
static const char watch_path[] = "/grpc.health.v1.Health/Watch";

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

/* Field 1, a string. */
static size_t make_request(const char *service, uint8_t *request)
{
    size_t size = strlen(service);
    request[0] = 0x0a;
    request[1] = (uint8_t)size;
    memcpy(request + 2, service, size);
    return size > 0 ? size + 2 : 0;
}

/* Field 1, a small number. */
static int status_in(const char *data, size_t size)
{
    assert_int_equal(size, 2);
    assert_int_equal(data[0], 0x08);
    return data[1];
}

static int check(const char *service, struct err *err)
{
    uint8_t request[64];
    uint8_t *data;
    size_t size;
    if (rpc_client_call_wait(fixture.client, check_path, request, make_request(service, request), 0, true,
            &data, &size, err) < 0)
        return -1;
    int status = status_in((const char *)data, size);
    free(data);
    return status;
}

static void test_check(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(check("", &err), SERVING);
    assert_int_equal(check("test.Service", &err), SERVING);
    assert_int_equal(check("test.Serv", &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    rpc_server_set_serving(fixture.server, false);
    assert_int_equal(check("", &err), NOT_SERVING);
    rpc_server_set_serving(fixture.server, true);
    assert_int_equal(check("test.Service", &err), SERVING);
}

static struct probe *watch(const char *service)
{
    uint8_t request[64];
    size_t size = make_request(service, request);
    struct probe *probe = probe_open(&fixture, watch_path, 0, true, REACT_NOTHING);
    assert_int_equal(probe_write(probe, request, size, NULL), 0);
    probe_half_close(probe);
    return probe;
}

static void test_watch(void **state)
{
    (void)state;
    struct probe *whole = watch("");
    struct probe *unknown = watch("other.Service");
    probe_wait(whole, whole->messages == 1);
    assert_int_equal(status_in(whole->last, whole->bytes), SERVING);
    probe_wait(unknown, unknown->messages == 1);
    assert_int_equal(status_in(unknown->last, 2), SERVICE_UNKNOWN);
    rpc_server_set_serving(fixture.server, false);
    probe_wait(whole, whole->messages == 2);
    assert_int_equal(status_in(whole->last, 2), NOT_SERVING);
    rpc_server_set_serving(fixture.server, false); /* no change, no message */
    rpc_server_set_serving(fixture.server, true);
    probe_wait(whole, whole->messages == 3);
    assert_int_equal(status_in(whole->last, 2), SERVING);
    probe_cancel(unknown);
    /* A watcher does not hold up the stop. */
    fixture_server_stop(&fixture, 1000 * 1000);
    probe_wait(whole, whole->closed == 1);
    assert_int_equal(status_in(whole->last, 2), NOT_SERVING);
    assert_int_equal(whole->code, RPC_UNAVAILABLE);
    assert_int_equal(unknown->messages, 1);
}

static void test_bad_requests(void **state)
{
    struct err err = {0};
    uint8_t *data;
    size_t size;
    uint8_t large[2000] = {0x0a, 0xcd, 0x0f};
    (void)state;
    memset(large + 3, 'a', sizeof(large) - 3);
    assert_int_equal(
        rpc_client_call_wait(fixture.client, check_path, "\xff\xff", 2, 0, true, &data, &size, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(
        rpc_client_call_wait(fixture.client, check_path, large, sizeof(large), 0, true, &data, &size, &err),
        -1);
    assert_int_equal(err.kind, ERR_INVALID);
    struct probe *silent = probe_open(&fixture, check_path, 0, true, REACT_NOTHING);
    probe_half_close(silent);
    probe_wait(silent, silent->closed == 1);
    assert_int_equal(silent->code, RPC_INVALID_ARGUMENT);
    struct probe *twice = probe_open(&fixture, watch_path, 0, true, REACT_NOTHING);
    assert_int_equal(probe_write(twice, "", 0, NULL), 0);
    assert_int_equal(probe_write(twice, "", 0, NULL), 0);
    probe_wait(twice, twice->closed == 1);
    assert_int_equal(twice->code, RPC_INVALID_ARGUMENT);
}

const struct CMUnitTest health_tests[] = {
    cmocka_unit_test_setup_teardown(test_check, setup, teardown),
    cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
    cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
};
const size_t health_test_count = sizeof(health_tests) / sizeof(health_tests[0]);
