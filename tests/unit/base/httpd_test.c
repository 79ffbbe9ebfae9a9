#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/httpd.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/thread.h"

/* A server whose handler echoes at once, or leaves the call to whoever takes it. */
struct fixture {
    struct httpd *httpd;
    struct mutex lock;
    struct condition parked_one;
    struct httpd_call *parked;
};

static struct fixture fixture;

static void echo(struct httpd_call *call)
{
    struct str text = STR_INIT(1024 * 1024);
    size_t size;
    const char *body = httpd_call_body(call, &size);
    const char *color = httpd_call_query(call, "color");
    const char *header = httpd_call_header(call, "X-Test");
    str_appendf(&text, "%s %s color=%s header=%s body=%zu:%s", httpd_call_method(call), httpd_call_path(call),
        color ? color : "-", header ? header : "-", size, body);
    httpd_call_answer(call, 200, "text/plain", text.data, text.size);
    str_done(&text);
}

static void handle(struct httpd_call *call, void *ctx)
{
    struct fixture *f = ctx;
    if (text_equal(httpd_call_path(call), "/missing")) {
        httpd_call_refuse(call, 404, "no \"%s\" here", httpd_call_path(call));
        return;
    }
    if (!text_equal(httpd_call_path(call), "/park")) {
        echo(call);
        return;
    }
    mutex_lock(&f->lock);
    f->parked = call;
    condition_signal(&f->parked_one);
    mutex_unlock(&f->lock);
}

static int setup(void **state)
{
    struct err err = {0};
    struct httpd_config config = {
        .address = "127.0.0.1:0", .handle = handle, .ctx = &fixture, .body_bytes_max = 100};
    (void)state;
    mutex_init(&fixture.lock, 1, "fixture");
    condition_init(&fixture.parked_one);
    fixture.parked = NULL;
    return httpd_new(&config, &fixture.httpd, &err);
}

static int teardown(void **state)
{
    (void)state;
    httpd_free(fixture.httpd);
    condition_done(&fixture.parked_one);
    mutex_done(&fixture.lock);
    return 0;
}

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint64_t port;
    assert_int_equal(text_to_u64(strrchr(httpd_address(fixture.httpd), ':') + 1, UINT16_MAX, &port, NULL), 0);
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){20, 0}, sizeof(struct timeval)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Everything until the server closes; the caller frees it. */
static char *exchange(const char *request)
{
    struct str answer = STR_INIT(1024 * 1024);
    _cleanup_(cleanup_close) int fd = dial();
    char buffer[4096];
    ssize_t size;
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while ((size = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        str_append_bytes(&answer, buffer, (size_t)size);
    assert_int_equal(size, 0);
    return str_steal(&answer);
}

static void expect(const char *request, const char *status, const char *end)
{
    _cleanup_(cleanup_free) char *answer = exchange(request);
    if (!text_starts_with(answer, status) || !text_ends_with(answer, end))
        fail_msg("wanted %s ... %s, got %s", status, end, answer);
}

static void requests_reach_the_handler(void **state)
{
    (void)state;
    expect("GET /a%20b?color=r%26d HTTP/1.1\r\nHost: x\r\nX-Test: yes\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 ", "GET /a b color=r&d header=yes body=0:");
    expect("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 200 ", "POST /p color=- header=- body=5:hello");
    expect("GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 ",
        "{\"error\": \"no \\\"/missing\\\" here\"}\n");
    expect("HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\n");
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    char request[400];
    char body[102];
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = 0;
    (void)snprintf(request, sizeof(request),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\nConnection: close\r\n\r\n%s", body);
    expect(request, "HTTP/1.1 413 ", "{\"error\": \"the request's body is too large\"}\n");
    expect("nonsense\r\n\r\n", "", "");
    expect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 4", "");
    expect(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ", "body=0:"); /* it lives */
}

static void answer_parked(void *ctx)
{
    struct fixture *f = ctx;
    for (int i = 0; i < 50; i++) {
        mutex_lock(&f->lock);
        while (!f->parked)
            condition_wait(&f->parked_one, &f->lock);
        struct httpd_call *call = f->parked;
        f->parked = NULL;
        mutex_unlock(&f->lock);
        echo(call);
    }
}

static void answers_may_come_from_another_thread(void **state)
{
    (void)state;
    struct thread *thread;
    assert_int_equal(thread_start(&thread, "answers", answer_parked, &fixture, NULL), 0);
    for (int i = 0; i < 50; i++)
        expect("GET /park HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ", "body=0:");
    thread_join(thread);
}

static void parked_calls_of_gone_clients_are_answered_into_nothing(void **state)
{
    (void)state;
    static const char request[] = "GET /park HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = dial();
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    mutex_lock(&fixture.lock);
    while (!fixture.parked)
        condition_wait(&fixture.parked_one, &fixture.lock);
    mutex_unlock(&fixture.lock);
    (void)close(fd);
    echo(fixture.parked);
    expect("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ", "body=0:");
}

static void end_waits(void *ctx)
{
    struct fixture *f = ctx;
    httpd_free(f->httpd);
    f->httpd = NULL;
}

static void the_end_waits_for_open_calls(void **state)
{
    (void)state;
    static const char request[] = "GET /park HTTP/1.1\r\nHost: x\r\n\r\n";
    struct thread *thread;
    int fd = dial();
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    mutex_lock(&fixture.lock);
    while (!fixture.parked)
        condition_wait(&fixture.parked_one, &fixture.lock);
    mutex_unlock(&fixture.lock);
    assert_int_equal(thread_start(&thread, "ends", end_waits, &fixture, NULL), 0);
    echo(fixture.parked);
    thread_join(thread);
    (void)close(fd);
}

static void bad_addresses_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "127.0.0.1", "localhost:1", "127.0.0.1:70000", "[::1:7", "127.0.0.1:"};
    struct httpd *httpd = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        struct httpd_config config = {.address = bad[i], .handle = handle};
        assert_int_equal(httpd_new(&config, &httpd, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
    struct err err = {0};
    struct httpd_config config = {.address = httpd_address(fixture.httpd), .handle = handle};
    assert_int_equal(httpd_new(&config, &httpd, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, httpd_address(fixture.httpd)));
}

TEST_GROUP(httpd, cmocka_unit_test_setup_teardown(requests_reach_the_handler, setup, teardown),
    cmocka_unit_test_setup_teardown(bad_requests_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(answers_may_come_from_another_thread, setup, teardown),
    cmocka_unit_test_setup_teardown(parked_calls_of_gone_clients_are_answered_into_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown(the_end_waits_for_open_calls, setup, teardown),
    cmocka_unit_test_setup_teardown(bad_addresses_are_named, setup, teardown));
