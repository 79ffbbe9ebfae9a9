/* The JSON gateway, probes and metrics, over real HTTP. */
#include "support.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "gateway/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct gateway_http *http;
static const char *trouble; /* why the node is not ready; read by http's thread between requests only */

static const char *not_ready(void *ctx)
{
    (void)ctx;
    return trouble;
}

static int setup(void **state)
{
    struct gateway_config config = {.route_wait_ms = 100};
    (void)state;
    nodes_start(1, &config);
    unit_start(0, "a", 1);
    trouble = NULL;
    struct gateway_http_config http_config = {
        .address = "127.0.0.1:0", .gateway = node_at(0)->gateway, .not_ready = not_ready};
    return gateway_http_new(&http_config, &http, NULL);
}

static int teardown(void **state)
{
    (void)state;
    gateway_close(node_at(0)->gateway);
    gateway_http_free(http);
    http = NULL;
    nodes_stop();
    return 0;
}

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint64_t port;
    assert_int_equal(text_to_u64(strrchr(gateway_http_address(http), ':') + 1, UINT16_MAX, &port, NULL), 0);
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* headers: lines, each with its end. */
static void send_with_headers(
    int fd, const char *method, const char *path, const char *headers, const char *body)
{
    char request[1024];
    int size = snprintf(request, sizeof(request),
        "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", method, path,
        headers, strlen(body), body);
    assert_int_equal(send(fd, request, (size_t)size, MSG_NOSIGNAL), size);
}

static void send_request(int fd, const char *method, const char *path, const char *body)
{
    send_with_headers(fd, method, path, "", body);
}

/* Status and body. */
struct reply {
    unsigned status;
    char body[4096];
};

static struct reply read_reply(int fd)
{
    struct reply reply = {0};
    struct str text = STR_INIT(64 * 1024);
    char buffer[4096];
    ssize_t size;
    while ((size = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        str_append_bytes(&text, buffer, (size_t)size);
    assert_int_equal(size, 0);
    assert_int_equal(sscanf(str_text(&text), "HTTP/1.1 %u ", &reply.status), 1);
    const char *end = strstr(str_text(&text), "\r\n\r\n");
    assert_non_null(end);
    (void)snprintf(reply.body, sizeof(reply.body), "%s", end + 4); /* cut: no test looks so far */
    str_done(&text);
    (void)close(fd);
    return reply;
}

static struct reply request(const char *method, const char *path, const char *body)
{
    int fd = dial();
    send_request(fd, method, path, body);
    return read_reply(fd);
}

static void expect(const char *method, const char *path, const char *body, unsigned status, const char *part)
{
    struct reply reply = request(method, path, body);
    if (reply.status != status || !strstr(reply.body, part))
        fail_msg("%s %s: %u %s", method, path, reply.status, reply.body);
}

static void test_asks(void **state)
{
    (void)state;
    assert_string_equal(request("POST", "/v1/ask/a/echo", "{\"amount\": [1, 2.5, \"x\"]}").body,
        "{\"amount\":[1,2.5,\"x\"]}\n");
    assert_string_equal(request("POST", "/v1/ask/a/echo", "").body, "null\n");
    expect("POST", "/v1/ask/a/echo?envelope=true", "[1]", 200, "{\"value\": [1], \"node\": \"");
    expect("POST", "/v1/ask/nobody/echo?envelope=true", "", 200, "{\"error\": {\"code\": \"NotFound\"");
    expect("POST", "/v1/ask/a?envelope=true", "", 200, "{\"error\": {\"code\": \"BadArgument\"");
    expect("POST", "/v1/tell/a/count", "", 202, "{}");
    expect("POST", "/v1/ask/a/count?timeout=10s", "", 200, "3"); /* echoes */
}

static struct reply request_with(const char *headers, const char *path)
{
    int fd = dial();
    send_with_headers(fd, "POST", path, headers, "");
    return read_reply(fd);
}

static void test_traces(void **state)
{
    static const char good[] =
        "TraceParent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n";
    static const char bad[] = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331\r\n";
    static const char hex[] = "\"0af7651916cd43dd8448eb211c80319cb7ad6b716920333101\"\n";
    (void)state;
    assert_string_equal(request_with(good, "/v1/ask/a/trace").body, hex);
    assert_string_equal(request_with("", "/v1/ask/a/trace").body, "\"\"\n");
    assert_int_equal(request_with(good, "/v1/tell/a/note_trace").status, 202);
    assert_string_equal(request_with("", "/v1/ask/a/noted_trace").body, hex);
    struct reply reply = request_with(bad, "/v1/ask/a/trace");
    assert_int_equal(reply.status, 200); /* never an error */
    assert_string_equal(reply.body, "\"\"\n");
}

static void test_errors_have_codes(void **state)
{
    (void)state;
    expect("POST", "/v1/ask/nobody/echo", "", 404,
        "{\"error\": {\"code\": \"NotFound\", \"text\": \"no such unit\"");
    expect("POST", "/v1/ask/a/silent?timeout=50ms", "", 504, "\"Timeout\"");
    expect("POST", "/v1/ask/a/fail", "", 500, "\"Crashed\"");
    expect("POST", "/v1/ask/a/echo", "{\"a\": ", 400, "\"BadArgument\"");
    expect("POST", "/v1/ask/a/echo", "{\"a\": 123456789012345678901234567890}", 400, "\"BadArgument\"");
    expect("POST", "/v1/ask/a/echo?timeout=soon", "", 400, "timeout");
    expect("POST", "/v1/ask/a/echo?timeout=2h", "", 400, "1ms to 1h");
    expect("POST", "/v1/ask/echo", "", 400, "<actor>/<method>");
    expect("POST", "/v1/ask/a/", "", 400, "<actor>/<method>");
    expect("POST", "/v1/ask//a/echo", "", 400, "begins or ends");
    expect("GET", "/v1/ask/a/echo", "", 405, "POST");
    expect("POST", "/v1/actors", "", 405, "GET");
    expect("GET", "/v2", "", 404, "/v2");
}

static void test_looking(void **state)
{
    (void)state;
    expect("GET", "/v1/actors", "", 200,
        "{\"actor\":\"a\",\"unit\":\"a\",\"behavior\":\"test.echo\",\"state\":\"Running\"");
    expect("GET", "/v1/actors?below=b", "", 200, "\"items\":[]");
    expect("GET", "/healthz", "", 200, "ok");
    expect("GET", "/readyz", "", 200, "ok");
    /* The unit has a supervisor. */
    expect("GET", "/metrics", "", 200, "\nhistrio_node_actors 2\n");
    expect("GET", "/metrics", "", 200, "\nhistrio_node_ready 1\n");
    trouble = "no operator was here yet";
    expect("GET", "/readyz", "", 503, "no operator was here yet");
    expect("GET", "/healthz", "", 200, "ok");
}

/* Answered when the node stops, though the actor does not answer. */
static void test_open_asks_end_with_the_node(void **state)
{
    (void)state;
    int fd = dial();
    send_request(fd, "POST", "/v1/ask/a/silent?timeout=1h", "");
    wait_asks(0, 1, 0);
    gateway_close(node_at(0)->gateway);
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.body, "the node stops"));
    expect("POST", "/v1/ask/a/echo", "", 503, "the node stops");
}

static void test_a_client_that_goes(void **state)
{
    (void)state;
    int fd = dial();
    send_request(fd, "POST", "/v1/ask/a/silent?timeout=300ms", "");
    /* The actor has it; whether it is still open is not looked at: its time may be over already. */
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    while (strcmp(request("POST", "/v1/ask/a/count", "").body, "0\n") == 0)
        look_again(deadline_ns, "the ask");
    (void)close(fd);
    wait_asks(0, 0, 0);
    expect("POST", "/v1/ask/a/echo", "1", 200, "1");
}

enum { CALLERS = 8, CALLS = 25 };

static void call_often(void *ctx)
{
    unsigned *good = ctx;
    for (int i = 0; i < CALLS; i++) {
        struct reply reply = request("POST", "/v1/ask/a/echo", "[7]");
        *good += reply.status == 200 && strcmp(reply.body, "[7]\n") == 0;
    }
}

static void test_many_callers(void **state)
{
    struct thread *threads[CALLERS];
    unsigned good[CALLERS] = {0};
    (void)state;
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(thread_start(&threads[i], "caller", call_often, &good[i], NULL), 0);
    for (int i = 0; i < CALLERS; i++) {
        thread_join(threads[i]);
        assert_int_equal(good[i], CALLS);
    }
}

const struct CMUnitTest http_tests[] = {
    cmocka_unit_test_setup_teardown(test_asks, setup, teardown),
    cmocka_unit_test_setup_teardown(test_traces, setup, teardown),
    cmocka_unit_test_setup_teardown(test_errors_have_codes, setup, teardown),
    cmocka_unit_test_setup_teardown(test_looking, setup, teardown),
    cmocka_unit_test_setup_teardown(test_open_asks_end_with_the_node, setup, teardown),
    cmocka_unit_test_setup_teardown(test_a_client_that_goes, setup, teardown),
    cmocka_unit_test_setup_teardown(test_many_callers, setup, teardown),
};
const size_t http_test_count = sizeof(http_tests) / sizeof(http_tests[0]);
