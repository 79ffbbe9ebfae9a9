/* The thread, its timers, and requests as they are on the wire. */
#include "kube/http.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "unit/kube/http_server.h"
#include "unit/kube/suites.h"

enum { LOCK_RANK = 1001 };

/* A request and what came of it. */
struct trial {
    struct kube_http *http;
    struct kube_http_request request;
    struct kube_http_call *call;
    struct mutex lock;
    struct condition changed;
    bool has_ended;
    bool is_gone;    /* after a cancel: what was posted behind it ran */
    struct str seen; /* what happened, as a text */
    struct err err;
    bool was_sent;
    bool must_cancel; /* at the first data */
};

struct stage {
    struct http_server *server;
    struct kube_http *http;
    _Atomic(void (*)(struct http_exchange *exchange)) handle; /* changed between requests */
};

static void handle(struct http_exchange *exchange, void *ctx)
{
    struct stage *stage = ctx;
    void (*function)(struct http_exchange *) = atomic_load(&stage->handle);
    function(exchange);
}

static int setup(void **state)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    stage->server = http_server_new(handle, stage);
    assert_int_equal(kube_http_new("test kube", &stage->http, NULL), 0);
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    kube_http_free(stage->http);
    http_server_free(stage->server);
    free(stage);
    return 0;
}

static void on_head(const struct kube_http_head *head, void *ctx)
{
    struct trial *trial = ctx;
    str_appendf(&trial->seen, "%d %s %lld", head->code, head->content_type, (long long)head->retry_after_ms);
    for (const char *const *warning = head->warnings; *warning; warning++)
        str_appendf(&trial->seen, " <%s>", *warning);
    str_append(&trial->seen, "\n");
}

static void set_gone(void *ctx)
{
    struct trial *trial = ctx;
    mutex_lock(&trial->lock);
    trial->is_gone = true;
    condition_broadcast(&trial->changed);
    mutex_unlock(&trial->lock);
}

static void on_data(const char *data, size_t size, void *ctx)
{
    struct trial *trial = ctx;
    str_append_bytes(&trial->seen, data, size);
    if (!trial->must_cancel)
        return;
    kube_http_cancel(trial->call);
    set_gone(trial);
}

static void on_end(const struct err *err, bool was_sent, void *ctx)
{
    struct trial *trial = ctx;
    mutex_lock(&trial->lock);
    if (err)
        trial->err = *err;
    trial->was_sent = was_sent;
    trial->has_ended = true;
    condition_broadcast(&trial->changed);
    mutex_unlock(&trial->lock);
}

static void start(void *ctx)
{
    static const struct kube_http_events events = {on_head, on_data, on_end};
    struct trial *trial = ctx;
    assert_true(kube_http_is_own_thread(trial->http));
    trial->call = kube_http_start(trial->http, &trial->request, &events, trial);
}

static struct trial *trial_new(struct stage *stage, const char *method, const char *url)
{
    struct trial *trial = xcalloc(1, sizeof(*trial));
    trial->http = stage->http;
    trial->request = (struct kube_http_request){.method = method, .url = url, .timeout_ms = 10000};
    mutex_init(&trial->lock, LOCK_RANK, "test trial");
    condition_init(&trial->changed);
    str_init(&trial->seen, 1024 * 1024);
    return trial;
}

static void trial_wait(struct trial *trial)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + 20 * NS_PER_S;
    mutex_lock(&trial->lock);
    while (!trial->has_ended)
        assert_true(condition_wait_until(&trial->changed, &trial->lock, deadline_ns));
    mutex_unlock(&trial->lock);
}

static void trial_run(struct trial *trial)
{
    kube_http_post(trial->http, start, trial);
    trial_wait(trial);
}

static void trial_free(struct trial *trial)
{
    if (!trial)
        return;
    mutex_done(&trial->lock);
    condition_done(&trial->changed);
    str_done(&trial->seen);
    free(trial);
}

/* A GET of the server; the caller frees the trial. */
static struct trial *get(struct stage *stage, void (*handler)(struct http_exchange *exchange))
{
    stage->handle = handler;
    struct trial *trial = trial_new(stage, "GET", http_server_url(stage->server));
    trial_run(trial);
    return trial;
}

/* ---- */

static void answer_with_everything(struct http_exchange *exchange)
{
    http_exchange_send(exchange, "HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\n");
    http_exchange_answer(exchange, 429,
        "Retry-After: 2\r\nWarning: 299 - \"say \\\"hi\\\"\"\r\nWarning: 299 agent \"two\"\r\nWarning: 299 - "
        "none\r\n",
        "body");
}

static void an_answer_is_told(void **state)
{
    struct trial *trial = get(*state, answer_with_everything);
    assert_int_equal(trial->err.kind, ERR_NONE);
    assert_string_equal(str_text(&trial->seen), "429 application/json 2000 <say \"hi\"> <two>\nbody");
    trial_free(trial);
}

static void answer_nothing(struct http_exchange *exchange)
{
    http_exchange_send(exchange, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void an_answer_without_a_body_is_told(void **state)
{
    struct trial *trial = get(*state, answer_nothing);
    assert_string_equal(str_text(&trial->seen), "204  0\n");
    assert_true(trial->has_ended);
    trial_free(trial);
}

static void echo(struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *agent = http_exchange_header(exchange, "User-Agent");
    _cleanup_(cleanup_free) char *expect = http_exchange_header(exchange, "Expect");
    _cleanup_(cleanup_free) char *text = xasprintf("%s %s [%s] [%s] %zu %.10s", exchange->method,
        exchange->target, agent, expect, exchange->body_size, exchange->body);
    http_exchange_answer(exchange, 200, "", text);
}

static void a_request_is_sent(void **state)
{
    static const char *const METHODS[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
    struct stage *stage = *state;
    static const char *const headers[] = {"User-Agent: me", "Content-Type: text/plain", NULL};
    _cleanup_(cleanup_free) char *url = xasprintf("%s/a/../b%%2F?c=d", http_server_url(stage->server));
    _cleanup_(cleanup_free) char *body = xcalloc(1, 3000001);
    stage->handle = echo;
    memset(body, 'x', 3000000);
    for (const char *const *method = METHODS; *method; method++) {
        struct trial *trial = trial_new(stage, *method, url);
        bool has_body = strcmp(*method, "GET") != 0;
        trial->request.headers = headers;
        trial->request.body = has_body ? body : NULL;
        trial->request.body_size = has_body ? 3000000 : 0;
        trial_run(trial);
        _cleanup_(cleanup_free) char *expected =
            xasprintf("200 application/json 0\n%s /a/../b%%2F?c=d [me] [] %s", *method,
                has_body ? "3000000 xxxxxxxxxx" : "0 ");
        assert_string_equal(str_text(&trial->seen), expected);
        trial_free(trial);
    }
    assert_int_equal(http_server_requests(stage->server), 5);
}

static void answer_slowly(struct http_exchange *exchange)
{
    http_exchange_send(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    http_exchange_hang(exchange);
}

static void time_is_limited(void **state)
{
    struct stage *stage = *state;
    struct trial *trial = NULL;
    bool has_begun = false;
    stage->handle = answer_slowly;
    /* On a slow machine the time may be over before the answer begins: then with more of it. */
    for (int64_t timeout_ms = 100; !has_begun && timeout_ms <= 10000; timeout_ms *= 10) {
        trial_free(trial);
        trial = trial_new(stage, "GET", http_server_url(stage->server));
        trial->request.timeout_ms = timeout_ms;
        trial_run(trial);
        assert_int_equal(trial->err.kind, ERR_TIMEOUT);
        has_begun = strcmp(str_text(&trial->seen), "200  0\nabc") == 0;
    }
    assert_true(trial->was_sent);
    assert_string_equal(str_text(&trial->seen), "200  0\nabc");
    trial_free(trial);
}

static void answer_much(struct http_exchange *exchange)
{
    http_exchange_answer(exchange, 200, "", "0123456789");
}

static void sizes_are_limited(void **state)
{
    struct stage *stage = *state;
    stage->handle = answer_much;
    for (size_t limit = 9; limit <= 10; limit++) {
        struct trial *trial = trial_new(stage, "GET", http_server_url(stage->server));
        trial->request.bytes_max = limit;
        trial_run(trial);
        assert_int_equal(trial->err.kind, limit == 9 ? ERR_LIMIT : ERR_NONE);
        trial_free(trial);
    }
}

static void break_off(struct http_exchange *exchange)
{
    if (exchange->number == 0) {
        http_exchange_reset(exchange);
        return;
    }
    http_exchange_send(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    exchange->must_close = true;
}

static void broken_connections_are_told(void **state)
{
    struct stage *stage = *state;
    struct trial *trial = get(stage, break_off);
    assert_int_equal(trial->err.kind, ERR_UNAVAILABLE);
    assert_true(trial->was_sent);
    trial_free(trial);
    trial = get(stage, break_off);
    assert_int_equal(trial->err.kind, ERR_UNAVAILABLE);
    assert_string_equal(str_text(&trial->seen), "200  0\nabc");
    trial_free(trial);
    trial = trial_new(stage, "GET", "http://127.0.0.1:1/");
    trial_run(trial);
    assert_int_equal(trial->err.kind, ERR_UNAVAILABLE);
    assert_false(trial->was_sent);
    trial_free(trial);
    trial = trial_new(stage, "GET", "gopher://127.0.0.1:1/");
    trial_run(trial);
    assert_int_equal(trial->err.kind, ERR_INVALID);
    trial_free(trial);
}

/* The first request of a connection is answered, the second one ends it: a body must not be sent again. */
static void answer_once(struct http_exchange *exchange)
{
    if (exchange->number == 0)
        http_exchange_answer(exchange, 200, "", "fine");
    else
        http_exchange_reset(exchange);
}

static void a_body_is_sent_once(void **state)
{
    struct stage *stage = *state;
    trial_free(get(stage, answer_once));
    struct trial *trial = trial_new(stage, "POST", http_server_url(stage->server));
    trial->request.body = "b";
    trial->request.body_size = 1;
    trial_run(trial);
    assert_int_equal(trial->err.kind, ERR_UNAVAILABLE);
    assert_true(trial->was_sent);
    assert_int_equal(http_server_requests(stage->server), 2);
    trial_free(trial);
}

static void cancel(void *ctx)
{
    struct trial *trial = ctx;
    kube_http_cancel(trial->call);
}

static void wait_gone(struct trial *trial)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + 20 * NS_PER_S;
    mutex_lock(&trial->lock);
    while (!trial->is_gone)
        assert_true(condition_wait_until(&trial->changed, &trial->lock, deadline_ns));
    mutex_unlock(&trial->lock);
}

static void canceled_requests_say_nothing(void **state)
{
    struct stage *stage = *state;
    stage->handle = answer_slowly;
    struct trial *at_once = trial_new(stage, "GET", http_server_url(stage->server));
    struct trial *in_data = trial_new(stage, "GET", http_server_url(stage->server));
    in_data->must_cancel = true;
    kube_http_post(stage->http, start, at_once);
    kube_http_post(stage->http, cancel, at_once);
    kube_http_post(stage->http, start, in_data);
    wait_gone(in_data);
    trial_free(get(stage, answer_much)); /* the thread has gone on for a while */
    assert_false(at_once->has_ended);
    assert_false(in_data->has_ended);
    assert_string_equal(str_text(&in_data->seen), "200  0\nabc");
    trial_free(at_once);
    trial_free(in_data);
}

static void stopping_ends_all(void **state)
{
    struct stage *stage = *state;
    stage->handle = answer_slowly;
    struct trial *open = trial_new(stage, "GET", http_server_url(stage->server));
    struct trial *late = trial_new(stage, "GET", http_server_url(stage->server));
    kube_http_post(stage->http, start, open);
    kube_http_stop(stage->http);
    kube_http_post(stage->http, start, late);
    trial_wait(open);
    trial_wait(late);
    assert_int_equal(open->err.kind, ERR_CANCELED);
    assert_int_equal(late->err.kind, ERR_CANCELED);
    trial_free(open);
    trial_free(late);
}

/* ---- timers ---- */

struct clockwork {
    struct kube_http *http;
    struct kube_http_timer timers[4];
    struct str seen;
    struct trial *trial; /* told at the end */
};

struct tick {
    struct clockwork *clockwork;
    char name;
};

static void on_tick(void *ctx)
{
    struct tick *tick = ctx;
    str_append_char(&tick->clockwork->seen, tick->name);
    if (tick->name == 'b') /* due at the same time as c */
        kube_http_timer_cancel(&tick->clockwork->timers[2]);
    if (tick->name == 'd')
        set_gone(tick->clockwork->trial);
}

static void set_timers(void *ctx)
{
    static struct tick ticks[4];
    struct clockwork *clockwork = ctx;
    int64_t now_ms = clock_now_ms(clock_system());
    for (size_t at = 0; at < 4; at++)
        ticks[at] = (struct tick){clockwork, (char)('a' + at)};
    kube_http_timer_set(clockwork->http, &clockwork->timers[3], now_ms + 60, on_tick, &ticks[3]);
    kube_http_timer_set(clockwork->http, &clockwork->timers[0], now_ms + 100000, on_tick, &ticks[0]);
    kube_http_timer_set(clockwork->http, &clockwork->timers[1], now_ms - 1, on_tick, &ticks[1]);
    kube_http_timer_set(clockwork->http, &clockwork->timers[2], now_ms - 1, on_tick, &ticks[2]);
    kube_http_timer_set(clockwork->http, &clockwork->timers[0], now_ms + 30, on_tick, &ticks[0]); /* moved */
}

static void timers_run_in_order(void **state)
{
    struct stage *stage = *state;
    struct clockwork clockwork = {.http = stage->http, .trial = trial_new(stage, "GET", "")};
    int64_t begun_ms = clock_now_ms(clock_system());
    str_init(&clockwork.seen, 100);
    kube_http_post(stage->http, set_timers, &clockwork);
    wait_gone(clockwork.trial);
    assert_string_equal(str_text(&clockwork.seen), "bad");
    assert_true(clock_now_ms(clock_system()) - begun_ms >= 60);
    str_done(&clockwork.seen);
    trial_free(clockwork.trial);
}

const struct CMUnitTest http_tests[10] = {
    cmocka_unit_test_setup_teardown(an_answer_is_told, setup, teardown),
    cmocka_unit_test_setup_teardown(an_answer_without_a_body_is_told, setup, teardown),
    cmocka_unit_test_setup_teardown(a_request_is_sent, setup, teardown),
    cmocka_unit_test_setup_teardown(time_is_limited, setup, teardown),
    cmocka_unit_test_setup_teardown(sizes_are_limited, setup, teardown),
    cmocka_unit_test_setup_teardown(broken_connections_are_told, setup, teardown),
    cmocka_unit_test_setup_teardown(a_body_is_sent_once, setup, teardown),
    cmocka_unit_test_setup_teardown(canceled_requests_say_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown(stopping_ends_all, setup, teardown),
    cmocka_unit_test_setup_teardown(timers_run_in_order, setup, teardown),
};
