/* Blocking calls: what is retried, how often, and what is told. */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "kube/status.h"
#include "unit/kube/stage.h"
#include "unit/kube/suites.h"

#include "support/temp_folder.h" /* needs cmocka.h */

static void answer_echo(struct stage *stage, struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *agent = http_exchange_header(exchange, "User-Agent");
    _cleanup_(cleanup_free) char *accept = http_exchange_header(exchange, "Accept");
    _cleanup_(cleanup_free) char *type = http_exchange_header(exchange, "Content-Type");
    _cleanup_(cleanup_free) char *token = http_exchange_header(exchange, "Authorization");
    _cleanup_(cleanup_free) char *user = http_exchange_header(exchange, "Impersonate-User");
    _cleanup_(cleanup_free) char *text = xasprintf(
        "%s %s|%s|%s|%s|%s|%s", exchange->method, exchange->target, agent, accept, type, token, user);
    (void)stage;
    http_exchange_answer(exchange, 200, "", text);
}

static void a_call_carries_who_we_are(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = answer_echo;
    stage->config.token = (char[]){"secret"};
    stage->config.impersonate_user = (char[]){"root"};
    _cleanup_(cleanup_free) char *text = stage_call(stage, "PUT", "/a?b=c", NULL, &err);
    if (!text)
        fail_msg("%s", err.text);
    assert_string_equal(
        text, "PUT /a?b=c|histrio-test/1|application/json|application/json|Bearer secret|root");
    assert_int_equal(stage->attempts, 1);
    assert_int_equal(stage->retries, 0);
}

static void refuse(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_refuse(exchange, 404, "NotFound", "", "pods not found");
}

static void a_refusal_has_a_status(void **state)
{
    struct stage *stage = *state;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct err err = {0};
    stage->handler = refuse;
    assert_null(stage_call(stage, "GET", "/api/v1/pods?x=y", &status, &err));
    assert_int_equal(status.reason, KUBE_REASON_NOT_FOUND);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.text, "GET /api/v1/pods: NotFound: pods not found");
    assert_null(stage_call(stage, "GET", "/api/v1/pods", NULL, NULL));
    assert_int_equal(http_server_requests(stage->server), 2);
}

/* The first two are turned away. */
static void busy_at_first(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    if (exchange->number == 0)
        http_exchange_refuse(exchange, 429, "TooManyRequests", "Retry-After: 1\r\n", "busy");
    else if (exchange->number == 1)
        http_exchange_refuse(exchange, 503, "ServiceUnavailable", "Retry-After: 1\r\n", "starting");
    else
        http_exchange_answer(exchange, 200, "", exchange->body);
}

static void retry_after_is_obeyed(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    int64_t begun_ms = clock_now_ms(clock_system());
    stage->handler = busy_at_first;
    _cleanup_(cleanup_free) char *text = stage_call(stage, "POST", "/a", NULL, &err);
    if (!text)
        fail_msg("%s", err.text);
    assert_string_equal(text, "{}");
    assert_true(clock_now_ms(clock_system()) - begun_ms >= 2000);
    assert_int_equal(stage->attempts, 3);
    assert_int_equal(stage->retries, 2);
    assert_int_equal(stage->codes[0], 429);
    assert_int_equal(stage->codes[2], 200);
}

static void busy_without_a_time(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_refuse(exchange, 429, "TooManyRequests", "", "cannot evict");
}

static void without_retry_after_nothing_is_retried(void **state)
{
    struct stage *stage = *state;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct err err = {0};
    stage->handler = busy_without_a_time;
    assert_null(stage_call(stage, "GET", "/a", &status, &err));
    assert_int_equal(err.kind, ERR_BUSY);
    assert_int_equal(status.reason, KUBE_REASON_TOO_MANY_REQUESTS);
    assert_int_equal(http_server_requests(stage->server), 1);
}

static void busy_for_long(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_refuse(exchange, 429, "TooManyRequests", "Retry-After: 100\r\n", "busy");
}

static void the_deadline_ends_retries(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    int64_t begun_ms = clock_now_ms(clock_system());
    stage->handler = busy_for_long;
    assert_null(stage_call(stage, "GET", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_BUSY);
    assert_int_equal(err.retry_after_ms, 100000);
    assert_true(clock_now_ms(clock_system()) - begun_ms < 5000); /* it does not wait for what is too late */
    assert_int_equal(http_server_requests(stage->server), 1);
}

static void reset_twice(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    if (exchange->number < 2)
        http_exchange_reset(exchange);
    else
        http_exchange_answer(exchange, 200, "", "fine");
}

static void a_broken_get_is_retried(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = reset_twice;
    _cleanup_(cleanup_free) char *text = stage_call(stage, "GET", "/a", NULL, &err);
    if (!text)
        fail_msg("%s", err.text);
    assert_string_equal(text, "fine");
    assert_int_equal(stage->attempts, 3);
}

static void a_broken_write_is_not(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = reset_twice;
    assert_null(stage_call(stage, "POST", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_int_equal(http_server_requests(stage->server), 1);
    assert_int_equal(stage->codes[0], 0);
}

static void no_server_is_told_at_once(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    int64_t begun_ms = clock_now_ms(clock_system());
    stage->handler = refuse;
    free(stage->config.server);
    stage->config.server = xstrdup("http://127.0.0.1:1");
    assert_null(stage_call(stage, "GET", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_true(clock_now_ms(clock_system()) - begun_ms < 5000);
}

static void know_the_new_token(struct stage *stage, struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *token = http_exchange_header(exchange, "Authorization");
    (void)stage;
    if (text_equal(token, "Bearer new"))
        http_exchange_answer(exchange, 200, "", "welcome");
    else
        http_exchange_refuse(exchange, 401, "Unauthorized", "", "Unauthorized");
}

static void a_refused_token_is_read_again(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    char *folder = temp_folder_new();
    stage->handler = know_the_new_token;
    stage->config.token_file = file_join(folder, "token");
    temp_folder_write(folder, "token", "old", 0600);
    assert_null(stage_call(stage, "POST", "/a", NULL, &err)); /* the file gives the same one again */
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(stage->attempts, 2);
    temp_folder_write(folder, "token", "new", 0600);
    _cleanup_(cleanup_free) char *text = stage_call(stage, "POST", "/a", NULL, &err);
    if (!text)
        fail_msg("%s", err.text);
    assert_string_equal(text, "welcome");
    assert_null(strstr(err.text, "old"));
    free(stage->config.token_file);
    stage->config.token_file = NULL;
    temp_folder_remove(folder);
}

static void a_fixed_token_is_refused_once(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = know_the_new_token;
    stage->config.token = (char[]){"old"};
    assert_null(stage_call(stage, "GET", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(stage->attempts, 1);
}

static void refuse_in_part(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_send(exchange, "HTTP/1.1 413 Too Large\r\nContent-Length: 1000\r\n\r\n{\"kind\":");
    exchange->must_close = true;
}

static void a_refusal_that_breaks_off_stands(void **state)
{
    struct stage *stage = *state;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct err err = {0};
    stage->handler = refuse_in_part;
    assert_null(stage_call(stage, "GET", "/a", &status, &err));
    assert_int_equal(status.reason, KUBE_REASON_TOO_LARGE);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(stage->attempts, 1);
}

static void warn(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_answer(exchange, 200,
        exchange->number < 3 ? "Warning: 299 - \"old field\"\r\n" : "Warning: 299 - \"other\"\r\n", "");
}

static void warnings_are_told_once(void **state)
{
    struct stage *stage = *state;
    stage->handler = warn;
    for (int at = 0; at < 3; at++)
        free(stage_call(stage, "GET", "/a", NULL, NULL));
    assert_int_equal(stage->warnings, 1);
    assert_string_equal(stage->last_warning, "old field");
    free(stage_call(stage, "GET", "/a", NULL, NULL));
    assert_int_equal(stage->warnings, 2);
}

static void the_rate_is_limited(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage_client(stage, (struct kube_client_config){.requests_per_s = 50, .burst = 5});
    stage->handler = answer_echo;
    int64_t begun_ms = clock_now_ms(clock_system());
    for (int at = 0; at < 15; at++) {
        _cleanup_(cleanup_free) char *text = stage_call(stage, "GET", "/a", NULL, &err);
        assert_non_null(text);
    }
    assert_true(clock_now_ms(clock_system()) - begun_ms >= 190); /* 10 at 20 ms */
    stage_client(stage, (struct kube_client_config){.requests_per_s = 0.01, .burst = 1, .timeout_ms = 1000});
    free(stage_call(stage, "GET", "/a", NULL, &err));
    assert_null(stage_call(stage, "GET", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_non_null(strstr(err.text, "rate limit"));
}

static void hang(struct stage *stage, struct http_exchange *exchange)
{
    mutex_lock(&stage->lock);
    stage->ctx = stage; /* it is here */
    condition_broadcast(&stage->changed);
    mutex_unlock(&stage->lock);
    http_exchange_hang(exchange);
}

static void stop_when_hanging(void *ctx)
{
    struct stage *stage = ctx;
    mutex_lock(&stage->lock);
    while (!stage->ctx)
        condition_wait(&stage->changed, &stage->lock);
    mutex_unlock(&stage->lock);
    kube_client_stop(stage->client);
}

static void stopping_ends_calls(void **state)
{
    struct stage *stage = *state;
    struct thread *thread = NULL;
    struct err err = {0};
    stage->handler = hang;
    assert_int_equal(thread_start(&thread, "test stop", stop_when_hanging, stage, NULL), 0);
    assert_null(stage_call(stage, "GET", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_CANCELED);
    assert_null(stage_call(stage, "GET", "/a", NULL, &err));
    assert_int_equal(err.kind, ERR_CANCELED);
    thread_join(thread);
}

static void many_call(void *ctx)
{
    struct stage *stage = ctx;
    for (int at = 0; at < 50; at++) {
        _cleanup_(cleanup_free) char *text = stage_call(stage, at % 2 ? "GET" : "POST", "/a", NULL, NULL);
        assert_non_null(text);
    }
}

static void many_threads_call(void **state)
{
    struct stage *stage = *state;
    struct thread *threads[4];
    stage->handler = answer_echo;
    for (int at = 0; at < 4; at++)
        assert_int_equal(thread_start(&threads[at], "test caller", many_call, stage, NULL), 0);
    for (int at = 0; at < 4; at++)
        thread_join(threads[at]);
    assert_int_equal(http_server_requests(stage->server), 200);
    assert_int_equal(stage->attempts, 200);
}

const struct CMUnitTest call_tests[15] = {
    cmocka_unit_test_setup_teardown(a_call_carries_who_we_are, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(a_refusal_has_a_status, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(a_refusal_that_breaks_off_stands, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(retry_after_is_obeyed, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(without_retry_after_nothing_is_retried, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(the_deadline_ends_retries, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(a_broken_get_is_retried, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(a_broken_write_is_not, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(no_server_is_told_at_once, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(a_refused_token_is_read_again, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(a_fixed_token_is_refused_once, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(warnings_are_told_once, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(the_rate_is_limited, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(stopping_ends_calls, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(many_threads_call, stage_setup, stage_teardown),
};
