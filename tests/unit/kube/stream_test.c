/* Streams: events on the client's thread. */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/http.h"
#include "kube/status.h"
#include "unit/kube/stage.h"
#include "unit/kube/suites.h"

#include "support/temp_folder.h" /* needs cmocka.h */

struct follower {
    struct stage *stage;
    struct kube_request request;
    struct kube_stream *stream;
    const struct kube_stream_events *events;
    struct str seen;
    bool must_cancel;
    bool is_done;
};

static void tell_done(struct follower *follower)
{
    mutex_lock(&follower->stage->lock);
    follower->is_done = true;
    condition_broadcast(&follower->stage->changed);
    mutex_unlock(&follower->stage->lock);
}

static void on_opened(void *ctx)
{
    struct follower *follower = ctx;
    str_append(&follower->seen, "opened|");
}

static void on_data(const char *data, size_t size, void *ctx)
{
    struct follower *follower = ctx;
    str_append_bytes(&follower->seen, data, size);
    if (!follower->must_cancel)
        return;
    kube_stream_cancel(follower->stream);
    tell_done(follower);
}

static void on_ended(const struct kube_stream_end *end, void *ctx)
{
    struct follower *follower = ctx;
    str_appendf(
        &follower->seen, "|ended %d %s", end->code, end->err ? err_kind_name(end->err->kind) : "fine");
    if (end->status)
        str_appendf(&follower->seen, " %s %lld", kube_reason_name(end->status->reason),
            (long long)end->status->retry_after_ms);
    if (end->body)
        str_appendf(&follower->seen, " <%s>", end->body);
    tell_done(follower);
}

static const struct kube_stream_events STREAM = {on_opened, on_data, on_ended};
static const struct kube_stream_events WHOLE = {on_opened, NULL, on_ended};

static void start(void *ctx)
{
    struct follower *follower = ctx;
    follower->stream =
        kube_stream_start(follower->stage->client, &follower->request, follower->events, follower);
}

static void start_and_cancel(void *ctx)
{
    struct follower *follower = ctx;
    start(follower);
    kube_stream_cancel(follower->stream);
    tell_done(follower);
}

static void run(struct stage *stage, struct follower *follower, stage_handler *handler,
    const struct kube_stream_events *events, void (*function)(void *ctx))
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + 20 * NS_PER_S;
    follower->stage = stage;
    follower->request.method = "GET";
    follower->request.path = "/watch";
    follower->events = events;
    str_init(&follower->seen, 1024 * 1024);
    stage->handler = handler;
    kube_http_post(kube_client_http(stage->client), function, follower);
    mutex_lock(&stage->lock);
    while (!follower->is_done)
        assert_true(condition_wait_until(&stage->changed, &stage->lock, deadline_ns));
    mutex_unlock(&stage->lock);
}

static void send_pieces(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_send(exchange, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_exchange_send(exchange, "4\r\none\n\r\n");
    http_exchange_send(exchange, "4\r\ntwo\n\r\n0\r\n\r\n");
}

static void data_comes_in_pieces(void **state)
{
    struct follower follower = {0};
    run(*state, &follower, send_pieces, &STREAM, start);
    assert_string_equal(str_text(&follower.seen), "opened|one\ntwo\n|ended 200 fine");
    str_done(&follower.seen);
}

static void without_a_data_function_it_is_a_call(void **state)
{
    struct follower follower = {0};
    struct stage *stage = *state;
    run(stage, &follower, send_pieces, &WHOLE, start);
    assert_string_equal(str_text(&follower.seen), "opened||ended 200 fine <one\ntwo\n>");
    str_done(&follower.seen);
    assert_int_equal(stage->attempts, 1);
}

static void refuse(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_refuse(exchange, 410, "Expired", "Retry-After: 3\r\n", "too old");
}

static void refusals_are_no_data(void **state)
{
    struct follower follower = {0};
    run(*state, &follower, refuse, &STREAM, start);
    assert_string_equal(str_text(&follower.seen), "|ended 410 expired Expired 3000");
    str_done(&follower.seen);
}

static void send_and_hang(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_send(exchange, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
    http_exchange_hang(exchange);
}

static void canceled_streams_say_nothing(void **state)
{
    struct follower at_once = {0}, in_data = {.must_cancel = true};
    run(*state, &at_once, send_and_hang, &STREAM, start_and_cancel);
    run(*state, &in_data, send_and_hang, &STREAM, start);
    struct stage *stage = *state;
    kube_client_free(stage->client); /* all that was to come has come */
    stage->client = NULL;
    assert_string_equal(str_text(&at_once.seen), "");
    assert_string_equal(str_text(&in_data.seen), "opened|one\n");
    str_done(&at_once.seen);
    str_done(&in_data.seen);
}

/* Credentials that cannot be read are an event as well, and may be canceled before. */
static void missing_credentials_end_it(void **state)
{
    struct stage *stage = *state;
    struct follower follower = {0}, canceled = {0};
    stage->config.token_file = (char[]){"/no/such/file"};
    run(stage, &follower, refuse, &STREAM, start);
    run(stage, &canceled, refuse, &STREAM, start_and_cancel);
    assert_string_equal(str_text(&follower.seen), "|ended 0 not found");
    assert_string_equal(str_text(&canceled.seen), "");
    assert_int_equal(http_server_requests(stage->server), 0);
    stage->config.token_file = NULL;
    str_done(&follower.seen);
    str_done(&canceled.seen);
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

static void after_a_401_the_next_one_is_fresh(void **state)
{
    struct stage *stage = *state;
    struct follower first = {0}, second = {0};
    char *folder = temp_folder_new();
    stage->config.token_file = file_join(folder, "token");
    temp_folder_write(folder, "token", "old", 0600);
    run(stage, &first, know_the_new_token, &WHOLE, start);
    assert_string_equal(str_text(&first.seen), "|ended 401 denied Unauthorized 0");
    temp_folder_write(folder, "token", "new", 0600);
    run(stage, &second, know_the_new_token, &WHOLE, start);
    assert_string_equal(str_text(&second.seen), "opened||ended 200 fine <welcome>");
    free(stage->config.token_file);
    stage->config.token_file = NULL;
    temp_folder_remove(folder);
    str_done(&first.seen);
    str_done(&second.seen);
}

const struct CMUnitTest stream_tests[6] = {
    cmocka_unit_test_setup_teardown(data_comes_in_pieces, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(without_a_data_function_it_is_a_call, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(refusals_are_no_data, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(canceled_streams_say_nothing, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(missing_credentials_end_it, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(after_a_401_the_next_one_is_fresh, stage_setup, stage_teardown),
};
