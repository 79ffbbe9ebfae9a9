/* Bytes that no friend would send. */
#include "harness.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_start(&fixture, test_transport(), NULL);
    return 0;
}

/* The server takes less than the client sends. */
static int setup_small_messages(void **state)
{
    static const struct fixture_options small = {.message_bytes_max = 10 * 1000};
    static const struct fixture_options large = {.message_bytes_max = 0};
    (void)state;
    fixture_start(&fixture, test_transport(), &large);
    fixture_server_stop(&fixture, 0);
    fixture_server_start(&fixture, &small);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static int connect_raw(void)
{
    int fd = -1;
    if (test_transport() == TRANSPORT_UNIX) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", fixture.folder);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    } else {
        const char *port = strrchr(fixture.address, ':') + 1;
        struct sockaddr_in name = {.sin_family = AF_INET,
            .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    }
    return fd;
}

/* Sends what fits until the server hangs up; it must do so by itself when the bytes are wrong from the start.
 */
static void send_garbage(const uint8_t *data, size_t size, bool expect_hangup)
{
    uint8_t answer[4096];
    int fd = connect_raw();
    (void)send(fd, data, size, MSG_NOSIGNAL);
    if (expect_hangup) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t got = 1;
        while (got > 0) {
            assert_int_equal(poll(&poll_fd, 1, 30 * 1000), 1);
            got = recv(fd, answer, sizeof(answer), 0);
        }
    }
    (void)close(fd);
}

static void check_still_serves(void)
{
    uint8_t *data;
    size_t size;
    struct err err = {0};
    if (rpc_client_call_wait(
            fixture.client, "/test.Service/Reverse", "ok", 2, 30 * 1000, true, &data, &size, &err) < 0)
        fail_msg("%s", err.text);
    assert_memory_equal(data, "ko", 2);
    free(data);
}

static void test_garbage(void **state)
{
    static const char http1[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t data[4096];
    struct rng rng;
    (void)state;
    rng_seed(&rng, 7);
    send_garbage((const uint8_t *)http1, sizeof(http1) - 1, true);
    for (int i = 0; i < 30; i++) {
        /* Random bytes at once, and after a correct beginning, when they are frames with absurd lengths and
         * types. */
        size_t start = 0;
        if (i % 2 == 1) {
            memcpy(data, preface, sizeof(preface) - 1);
            start = sizeof(preface) - 1;
        }
        for (size_t k = start; k < sizeof(data); k++)
            data[k] = (uint8_t)rng_u64(&rng);
        send_garbage(data, sizeof(data), i % 2 == 0);
    }
    check_still_serves();
}

static void test_half_a_connection(void **state)
{
    int fds[40];
    (void)state;
    for (size_t i = 0; i < 40; i++)
        fds[i] = connect_raw(); /* and not a byte */
    check_still_serves();
    for (size_t i = 0; i < 40; i++)
        (void)close(fds[i]);
}

static void test_message_too_large(void **state)
{
    (void)state;
    uint8_t *data = xcalloc(1, 20 * 1000);
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, true, REACT_NOTHING);
    assert_int_equal(probe_write(client, data, 9 * 1000, NULL), 0);
    struct probe *server = fixture_accept(&fixture);
    probe_wait(server, server->messages == 1);
    assert_int_equal(probe_write(client, data, 20 * 1000, NULL), 0);
    free(data);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_RESOURCE_EXHAUSTED);
    probe_wait(server, server->closed == 1);
    assert_int_equal(server->code, RPC_CANCELLED);
    assert_int_equal(server->messages, 1);
    assert_int_equal(server->half_closed, 0); /* a failure is no orderly end */
    check_still_serves();
}

static void test_unknown_methods(void **state)
{
    static const char *const paths[] = {
        "/", "/x", "/test.Service/Nothing", "/test.Service/", "/test.Service/Echo2"};
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct probe *client = probe_open(&fixture, paths[i], 0, true, REACT_NOTHING);
        probe_wait(client, client->closed == 1);
        assert_int_equal(client->code, RPC_UNIMPLEMENTED);
    }
}

static void test_peer_vanishes(void **state)
{
    (void)state;
    /* A correct beginning, then silence, then nobody. */
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    for (int i = 0; i < 20; i++)
        send_garbage((const uint8_t *)preface, sizeof(preface), false);
    check_still_serves();
}

/* Speaks as much HTTP/2 as a connection needs, and nothing after that, until the other side gives up. */
static void silent_peer(void *ctx)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};
    const int *listener = ctx;
    uint8_t data[4096];
    int fd = accept4(*listener, NULL, NULL, SOCK_CLOEXEC);
    (void)send(fd, settings, sizeof(settings), MSG_NOSIGNAL);
    while (recv(fd, data, sizeof(data), 0) > 0)
        continue;
    (void)close(fd);
}

static void test_silent_peer_is_given_up(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct thread *thread;
    char address[160];
    (void)state;
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/silent", fixture.folder);
    (void)snprintf(address, sizeof(address), "unix:%s", name.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(thread_start(&thread, "silent", silent_peer, &listener, NULL), 0);
    struct rpc_client *friendly = fixture.client;
    struct rpc_client_config config = {.address = address, .keepalive_ms = 200};
    assert_int_equal(rpc_client_new(fixture.client_loop, &config, &fixture.client, NULL), 0);
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, true, REACT_NOTHING);
    assert_int_equal(probe_write(client, "hello?", 6, NULL), 0);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_UNAVAILABLE);
    thread_join(thread);
    (void)close(listener);
    rpc_client_free(friendly);
}

const struct CMUnitTest hostile_tests[] = {
    cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
    cmocka_unit_test_setup_teardown(test_half_a_connection, setup, teardown),
    cmocka_unit_test_setup_teardown(test_message_too_large, setup_small_messages, teardown),
    cmocka_unit_test_setup_teardown(test_unknown_methods, setup, teardown),
    cmocka_unit_test_setup_teardown(test_peer_vanishes, setup, teardown),
    cmocka_unit_test_setup_teardown(test_silent_peer_is_given_up, setup, teardown),
};
const size_t hostile_test_count = sizeof(hostile_tests) / sizeof(hostile_tests[0]);
