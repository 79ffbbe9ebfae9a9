/* Listening, limits, the graceful stop. */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_start(&fixture, test_transport(), NULL);
    return 0;
}

static int setup_few_streams(void **state)
{
    static const struct fixture_options options = {.streams_max = 3};
    (void)state;
    fixture_start(&fixture, test_transport(), &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static int listen_at(const char *first, const char *second, struct err *err)
{
    const char *addresses[] = {first, second, NULL};
    struct rpc_server_config config = {.addresses = addresses};
    struct rpc_server *server = NULL;
    if (rpc_server_new(fixture.server_loop, &config, &server, err) < 0)
        return -1;
    rpc_server_free(server, 0);
    return 0;
}

static void check_cannot_listen(const char *address, enum err_kind kind, const char *why)
{
    struct err err = {0};
    assert_int_equal(listen_at(address, NULL, &err), -1);
    const char *named = strncmp(address, "unix:", 5) == 0 ? address + 5 : address;
    if (err.kind != kind || !strstr(err.text, why) || !strstr(err.text, named))
        fail_msg("%s", err.text);
}

static void test_address_taken(void **state)
{
    (void)state;
    if (test_transport() == TRANSPORT_UNIX) {
        check_cannot_listen(fixture.address, ERR_CONFLICT, "listens");
        assert_int_equal(
            access(fixture.address + strlen("unix:"), F_OK), 0); /* the other's socket is still there */
    } else {
        check_cannot_listen(fixture.address, ERR_SYSTEM, "in use");
    }
    struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, true, REACT_NOTHING);
    assert_int_equal(probe_write(client, "still here", 10, NULL), 0);
    probe_wait(client, client->messages == 1);
}

static void test_bad_addresses(void **state)
{
    char address[160];
    struct err err = {0};
    (void)state;
    check_cannot_listen("unix:relative", ERR_INVALID, "absolute");
    check_cannot_listen("127.0.0.1", ERR_INVALID, "host:port");
    check_cannot_listen("127.0.0.1:99999", ERR_INVALID, "65535");
    check_cannot_listen("192.0.2.1:7070", ERR_SYSTEM, "assign"); /* not an address of this machine */
    (void)snprintf(address, sizeof(address), "unix:%s/none/socket", fixture.folder);
    check_cannot_listen(address, ERR_NOT_FOUND, "cannot listen");
    (void)snprintf(address, sizeof(address), "%s/file", fixture.folder);
    int fd = open(address, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)snprintf(address, sizeof(address), "unix:%s/file", fixture.folder);
    assert_int_equal(listen_at(address, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "not a socket"));
    /* The first of two is given back when the second is refused. */
    (void)snprintf(address, sizeof(address), "unix:%s/second", fixture.folder);
    assert_int_equal(listen_at(address, "192.0.2.1:7070", &err), -1);
}

static void test_stale_socket_is_replaced(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char address[160];
    struct stat info;
    struct err err = {0};
    (void)state;
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/stale", fixture.folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    (void)close(fd);
    (void)snprintf(address, sizeof(address), "unix:%s", name.sun_path);
    const char *addresses[] = {address, "127.0.0.1:0", NULL};
    struct rpc_server_config config = {.addresses = addresses};
    struct rpc_server *server = NULL;
    if (rpc_server_new(fixture.server_loop, &config, &server, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(rpc_server_address(server, 0), address);
    assert_string_not_equal(rpc_server_address(server, 1), "127.0.0.1:0");
    assert_int_equal(stat(name.sun_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    rpc_server_free(server, 0);
    assert_int_equal(access(name.sun_path, F_OK), -1); /* removed with the server */
}

static void test_streams_max(void **state)
{
    struct probe *held[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        held[i] = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
        (void)fixture_accept(&fixture);
    }
    /* One more from another connection: within one, HTTP/2 makes the client wait. */
    struct rpc_client *first = fixture.client;
    fixture.client = NULL; /* kept */
    fixture_connect(&fixture, fixture.client_creds, SERVER_NAME);
    struct probe *more = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    probe_wait(more, more->closed == 1);
    assert_int_equal(more->code, RPC_RESOURCE_EXHAUSTED);
    probe_cancel(held[0]);
    probe_wait(held[0], held[0]->closed == 1);
    probe_wait(fixture.accepted[0], fixture.accepted[0]->closed == 1);
    struct probe *again = probe_open(&fixture, "/test.Service/Echo", 0, false, REACT_NOTHING);
    assert_int_equal(probe_write(again, "room", 4, NULL), 0);
    probe_wait(again, again->messages == 1);
    rpc_client_free(first);
}

struct stopping {
    struct fixture *fixture;
    uint32_t grace_ms;
};

static void stop_server(void *ctx)
{
    struct stopping *stopping = ctx;
    fixture_server_stop(stopping->fixture, stopping->grace_ms);
}

static void test_graceful_stop(void **state)
{
    struct stopping stopping = {.fixture = &fixture, .grace_ms = 1000 * 1000};
    struct thread *thread;
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    assert_int_equal(thread_start(&thread, "stopper", stop_server, &stopping, NULL), 0);
    /* New calls are refused, once the stop has begun. */
    for (bool refused = false; !refused;) {
        struct probe *late = probe_open(&fixture, "/test.Service/Refuse", 0, false, REACT_FREE_AT_CLOSE);
        probe_wait(late, late->closed == 1);
        refused = late->code == RPC_UNAVAILABLE;
        assert_true(fixture.probe_count < PROBES_MAX);
        if (refused)
            break;
        /* Nothing tells from outside that the stopper got the processor: a while for it. */
        mutex_lock(&late->lock);
        (void)condition_wait_until(
            &late->changed, &late->lock, clock_now_ns(clock_system()) + 20 * NS_PER_MS);
        mutex_unlock(&late->lock);
    }
    /* The open stream works on in both directions. */
    assert_int_equal(probe_write(client, "up", 2, NULL), 0);
    probe_wait(server, server->messages == 1);
    assert_int_equal(probe_write(server, "down", 4, NULL), 0);
    probe_wait(client, client->messages == 1);
    probe_finish(server, RPC_OK, "in peace");
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_OK);
    thread_join(thread); /* long before the grace is over, though nobody has freed the streams */
}

static void test_stop_after_grace(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    int64_t before_ms = clock_now_ms(clock_system());
    fixture_server_stop(&fixture, 100);
    assert_true(clock_now_ms(clock_system()) - before_ms >= 100);
    assert_int_equal(probe_read(server, closed), 1); /* told before the server is gone */
    assert_int_equal(server->code, RPC_CANCELLED);
    probe_wait(client, client->closed == 1);
    assert_int_not_equal(client->code, RPC_OK);
}

static void test_restart_many_times(void **state)
{
    static const struct fixture_options none = {0};
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, true, REACT_NOTHING);
        (void)probe_write(client, "x", 1, NULL); /* the old connection may still be in use, and end it */
        if (i % 2 == 0)
            probe_wait(client, client->messages == 1 || client->closed == 1);
        fixture_server_stop(&fixture, 0);
        fixture_server_start(&fixture, &none);
        probe_cancel(client);
        probe_wait(client, client->closed == 1);
    }
}

const struct CMUnitTest server_tests[] = {
    cmocka_unit_test_setup_teardown(test_address_taken, setup, teardown),
    cmocka_unit_test_setup_teardown(test_bad_addresses, setup, teardown),
    cmocka_unit_test_setup_teardown(test_stale_socket_is_replaced, setup, teardown),
    cmocka_unit_test_setup_teardown(test_streams_max, setup_few_streams, teardown),
    cmocka_unit_test_setup_teardown(test_graceful_stop, setup, teardown),
    cmocka_unit_test_setup_teardown(test_stop_after_grace, setup, teardown),
    cmocka_unit_test_setup_teardown(test_restart_many_times, setup, teardown),
};
const size_t server_test_count = sizeof(server_tests) / sizeof(server_tests[0]);
