#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "support/tls.h"

enum {
    PATIENCE_S =
        60, /* far beyond what a sanitizer on a busy machine needs; only a failing test waits so long */
    RANK_FIXTURE = 10,
    RANK_PROBE = 20,
};

int64_t patience_deadline(void)
{
    return clock_now_ns(clock_system()) + PATIENCE_S * NS_PER_S;
}

static struct probe *probe_new(struct fixture *fixture, struct rpc_loop *loop, enum reaction reaction)
{
    struct probe *probe = xcalloc(1, sizeof(*probe));
    probe->fixture = fixture;
    probe->loop = loop;
    probe->reaction = reaction;
    mutex_init(&probe->lock, RANK_PROBE, "probe");
    condition_init(&probe->changed);
    mutex_lock(&fixture->lock);
    assert_true(fixture->probe_count < 2 * PROBES_MAX);
    fixture->probes[fixture->probe_count++] = probe;
    mutex_unlock(&fixture->lock);
    return probe;
}

static void changed(struct probe *probe) RELEASE(&probe->lock)
{
    condition_broadcast(&probe->changed);
    mutex_unlock(&probe->lock);
}

static void drop_stream(struct probe *probe)
{
    rpc_stream_free(probe->stream);
    probe->stream = NULL;
}

/* A message may come after it was told that its stream has ended: then there is nobody to be answered. What
 * fails here would end the program without a word, as this is not the test's thread. */
static void check_written(int result, const struct err *err)
{
    if (result < 0)
        assert_int_equal(err->kind, ERR_CANCELED);
}

static void reverse(struct probe *probe, const uint8_t *data, size_t size)
{
    struct rpc_buffer *buffer = rpc_buffer_new(size);
    struct err err;
    for (size_t i = 0; i < size; i++)
        rpc_buffer_data(buffer)[i] = data[size - 1 - i];
    check_written(rpc_stream_write_take(probe->stream, buffer, &err), &err);
    rpc_stream_finish(probe->stream, RPC_OK, "");
    drop_stream(probe);
}

static void hand_over(struct probe *probe);

static void burst(struct probe *probe)
{
    struct err err;
    for (uint32_t i = 0; i < BURST; i++)
        check_written(rpc_stream_write(probe->stream, &i, sizeof(i), &err), &err);
}

static void react(struct probe *probe, const uint8_t *data, size_t size)
{
    struct err err;
    if (probe->reaction == REACT_ECHO)
        check_written(rpc_stream_write(probe->stream, data, size, &err), &err);
    else if (probe->reaction == REACT_REVERSE)
        reverse(probe, data, size);
    else if (probe->reaction == REACT_FREE)
        drop_stream(probe);
    else if (probe->reaction == REACT_BURST)
        burst(probe);
    else if (probe->reaction == REACT_PAUSE)
        rpc_stream_pause_reading(probe->stream, true);
    else if (probe->reaction == REACT_HAND_OVER)
        hand_over(probe);
}

static void on_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct probe *probe = ctx;
    uint32_t number = 0;
    assert_ptr_equal(stream, probe->stream);
    mutex_lock(&probe->lock);
    if (size >= sizeof(number))
        memcpy(&number, data, sizeof(number));
    if (probe->messages > 0 && number != probe->last_number + 1)
        probe->disorder++;
    probe->last_number = number;
    probe->messages++;
    probe->bytes += size;
    (void)snprintf(probe->last, sizeof(probe->last), "%.*s", size < PROBE_TEXT ? (int)size : PROBE_TEXT - 1,
        (const char *)data);
    (void)snprintf(probe->peer, sizeof(probe->peer), "%s", rpc_stream_peer(stream));
    changed(probe);
    react(probe, data, size);
}

static void refill(struct probe *probe)
{
    uint8_t data[1024] = {0};
    while (rpc_stream_write(probe->stream, data, sizeof(data), NULL) == 0)
        continue;
}

static void on_writable(struct rpc_stream *stream, void *ctx)
{
    struct probe *probe = ctx;
    (void)stream;
    mutex_lock(&probe->lock);
    probe->writable++;
    changed(probe);
    if (probe->reaction == REACT_REFILL)
        refill(probe);
}

static void on_idle(struct rpc_stream *stream, void *ctx)
{
    struct probe *probe = ctx;
    assert_true(rpc_stream_is_idle(stream));
    mutex_lock(&probe->lock);
    probe->idle++;
    changed(probe);
}

static void on_half_closed(struct rpc_stream *stream, void *ctx)
{
    struct probe *probe = ctx;
    mutex_lock(&probe->lock);
    probe->half_closed++;
    changed(probe);
    if (probe->reaction == REACT_ECHO)
        rpc_stream_finish(stream, RPC_OK, "all echoed");
}

static void on_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct probe *probe = ctx;
    assert_ptr_equal(stream, probe->stream);
    if (probe->reaction == REACT_FREE_AT_CLOSE)
        drop_stream(probe);
    mutex_lock(&probe->lock);
    probe->closed++;
    probe->code = status->code;
    (void)snprintf(probe->text, sizeof(probe->text), "%s", status->text ? status->text : "");
    changed(probe);
}

static const struct rpc_stream_events probe_events = {.message = on_message,
    .writable = on_writable,
    .idle = on_idle,
    .half_closed = on_half_closed,
    .closed = on_closed};

static struct probe *attach(struct fixture *fixture, struct rpc_stream *stream, enum reaction reaction)
{
    struct probe *probe = probe_new(fixture, fixture->server_loop, reaction);
    probe->is_server = true;
    probe->stream = stream;
    rpc_stream_listen(stream, &probe_events, probe);
    return probe;
}

static void add_accepted(struct fixture *fixture, struct probe *probe)
{
    mutex_lock(&fixture->lock);
    assert_true(fixture->accepted_count < PROBES_MAX);
    fixture->accepted[fixture->accepted_count++] = probe;
    condition_broadcast(&fixture->changed);
    mutex_unlock(&fixture->lock);
}

static void open_hand(struct rpc_stream *stream, void *ctx)
{
    struct fixture *fixture = ctx;
    mutex_lock(&fixture->lock);
    enum reaction reaction = fixture->hand_reaction;
    mutex_unlock(&fixture->lock);
    add_accepted(fixture, attach(fixture, stream, reaction));
}

void fixture_set_hand_reaction(struct fixture *fixture, enum reaction reaction)
{
    mutex_lock(&fixture->lock);
    fixture->hand_reaction = reaction;
    mutex_unlock(&fixture->lock);
}

static void hand_over(struct probe *probe)
{
    struct rpc_stream *stream = probe->stream;
    probe->stream = NULL; /* the other's from here on */
    add_accepted(probe->fixture, attach(probe->fixture, stream, REACT_ECHO));
}

static void open_echo(struct rpc_stream *stream, void *ctx)
{
    (void)attach(ctx, stream, REACT_ECHO);
}

static void open_reverse(struct rpc_stream *stream, void *ctx)
{
    (void)attach(ctx, stream, REACT_REVERSE);
}

static void open_refuse(struct rpc_stream *stream, void *ctx)
{
    (void)ctx;
    rpc_stream_finish(stream, RPC_PERMISSION_DENIED, "not for you");
    rpc_stream_free(stream);
}

void fixture_server_start(struct fixture *fixture, const struct fixture_options *options)
{
    const struct rpc_method methods[] = {
        {.path = "/test.Service/Hand", .open = open_hand, .ctx = fixture},
        {.path = "/test.Service/Echo", .open = open_echo, .ctx = fixture},
        {.path = "/test.Service/Reverse", .open = open_reverse, .ctx = fixture},
        {.path = "/test.Service/Refuse", .open = open_refuse, .ctx = fixture},
    };
    const char *addresses[] = {fixture->address, NULL};
    struct err err = {0};
    struct rpc_server_config config = {.addresses = addresses,
        .methods = methods,
        .method_count = sizeof(methods) / sizeof(methods[0]),
        .message_bytes_max = options->message_bytes_max,
        .write_queue_bytes_max = options->write_queue_bytes_max,
        .streams_max = options->streams_max,
        .creds = fixture->server_creds};
    if (rpc_server_new(fixture->server_loop, &config, &fixture->server, &err) < 0)
        fail_msg("%s", err.text);
    (void)snprintf(fixture->address, sizeof(fixture->address), "%s", rpc_server_address(fixture->server, 0));
}

void fixture_server_stop(struct fixture *fixture, uint32_t grace_ms)
{
    rpc_server_free(fixture->server, grace_ms);
    fixture->server = NULL;
}

/* The server is a node, the client the operator. */
static void make_creds(struct fixture *fixture)
{
    struct certs_pair authority = tls_authority(SYSTEM_UID);
    fixture->server_creds = tls_creds(&authority, ROLE_NODE, SYSTEM_UID);
    fixture->client_creds = tls_creds(&authority, ROLE_OPERATOR, SYSTEM_UID);
    certs_pair_done(&authority);
}

void fixture_connect(struct fixture *fixture, struct rpc_creds *creds, const char *server_name)
{
    struct rpc_client_config config = {
        .address = fixture->address, .creds = creds, .server_name = server_name};
    struct err err = {0};
    rpc_client_free(fixture->client);
    if (rpc_client_new(fixture->client_loop, &config, &fixture->client, &err) < 0)
        fail_msg("%s", err.text);
}

void fixture_start(struct fixture *fixture, enum transport transport, const struct fixture_options *options)
{
    static const struct fixture_options none = {0};
    struct err err = {0};
    *fixture = (struct fixture){.transport = transport};
    mutex_init(&fixture->lock, RANK_FIXTURE, "fixture");
    condition_init(&fixture->changed);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/histrio-rpc-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    if (transport == TRANSPORT_UNIX)
        (void)snprintf(fixture->address, sizeof(fixture->address), "unix:%s/socket", fixture->folder);
    else
        (void)snprintf(fixture->address, sizeof(fixture->address), "127.0.0.1:0");
    if (transport == TRANSPORT_TLS)
        make_creds(fixture);
    assert_int_equal(rpc_loop_new("test-server", &fixture->server_loop, &err), 0);
    assert_int_equal(rpc_loop_new("test-client", &fixture->client_loop, &err), 0);
    if (transport != TRANSPORT_UNIX) /* both ways of waiting are tested */
        rpc_loop_set_busy_poll(fixture->client_loop, 20);
    fixture_server_start(fixture, options ? options : &none);
    struct rpc_client_config config = {.address = fixture->address,
        .message_bytes_max = options ? options->message_bytes_max : 0,
        .write_queue_bytes_max = options ? options->write_queue_bytes_max : 0,
        .creds = fixture->client_creds,
        .server_name = SERVER_NAME};
    if (rpc_client_new(fixture->client_loop, &config, &fixture->client, &err) < 0)
        fail_msg("%s", err.text);
}

struct probe_call {
    struct probe *probe;
    const void *data;
    size_t size;
    struct err *err;
    enum rpc_code code;
    const char *text;
    bool paused;
    int result;
    size_t bytes;
};

static void do_free(void *ctx)
{
    drop_stream(((struct probe_call *)ctx)->probe);
}

void probe_free_stream(struct probe *probe)
{
    struct probe_call call = {.probe = probe};
    rpc_loop_call(probe->loop, do_free, &call);
}

void fixture_stop(struct fixture *fixture)
{
    rpc_client_free(fixture->client);
    rpc_server_free(fixture->server, 0); /* no new probes from here on */
    for (size_t i = 0; i < fixture->probe_count; i++)
        probe_free_stream(fixture->probes[i]);
    rpc_loop_free(fixture->client_loop);
    rpc_loop_free(fixture->server_loop);
    rpc_creds_unref(fixture->client_creds);
    rpc_creds_unref(fixture->server_creds);
    for (size_t i = 0; i < fixture->probe_count; i++) {
        mutex_done(&fixture->probes[i]->lock);
        condition_done(&fixture->probes[i]->changed);
        free(fixture->probes[i]);
    }
    mutex_done(&fixture->lock);
    condition_done(&fixture->changed);
    assert_int_equal(file_remove_tree(fixture->folder, NULL), 0);
}

struct probe *fixture_accept(struct fixture *fixture)
{
    int64_t deadline_ns = patience_deadline();
    struct probe *probe = NULL;
    mutex_lock(&fixture->lock);
    while (fixture->accepted_taken == fixture->accepted_count &&
           condition_wait_until(&fixture->changed, &fixture->lock, deadline_ns))
        continue;
    if (fixture->accepted_taken < fixture->accepted_count)
        probe = fixture->accepted[fixture->accepted_taken++];
    mutex_unlock(&fixture->lock);
    assert_non_null(probe);
    return probe;
}

struct opening {
    struct fixture *fixture;
    struct probe *probe;
    const char *path;
    uint64_t timeout_ms;
    bool wait_for_ready;
    bool has_burst;
};

static void do_open(void *ctx)
{
    struct opening *opening = ctx;
    opening->probe->stream = rpc_client_open(
        opening->fixture->client, opening->path, opening->timeout_ms, opening->wait_for_ready);
    rpc_stream_listen(opening->probe->stream, &probe_events, opening->probe);
    if (opening->has_burst)
        burst(opening->probe);
}

struct probe *probe_open(struct fixture *fixture, const char *path, uint64_t timeout_ms, bool wait_for_ready,
    enum reaction reaction)
{
    struct probe *probe = probe_new(fixture, fixture->client_loop, reaction);
    struct opening opening = {.fixture = fixture,
        .probe = probe,
        .path = path,
        .timeout_ms = timeout_ms,
        .wait_for_ready = wait_for_ready};
    rpc_loop_call(fixture->client_loop, do_open, &opening);
    return probe;
}

struct probe *probe_open_burst(struct fixture *fixture, const char *path, enum reaction reaction)
{
    struct probe *probe = probe_new(fixture, fixture->client_loop, reaction);
    struct opening opening = {.fixture = fixture, .probe = probe, .path = path, .has_burst = true};
    rpc_loop_call(fixture->client_loop, do_open, &opening);
    return probe;
}

static void do_write(void *ctx)
{
    struct probe_call *call = ctx;
    call->result = rpc_stream_write(call->probe->stream, call->data, call->size, call->err);
}

int probe_write(struct probe *probe, const void *data, size_t size, struct err *err)
{
    struct probe_call call = {.probe = probe, .data = data, .size = size, .err = err};
    rpc_loop_call(probe->loop, do_write, &call);
    return call.result;
}

void probe_write_number(struct probe *probe, uint32_t number, size_t size)
{
    uint8_t *data = xcalloc(1, size);
    struct err err = {0};
    assert_true(size >= sizeof(number));
    memcpy(data, &number, sizeof(number));
    if (probe_write(probe, data, size, &err) < 0)
        fail_msg("%s", err.text);
    free(data);
}

static void do_fill(void *ctx)
{
    refill(((struct probe_call *)ctx)->probe);
}

void probe_fill(struct probe *probe)
{
    struct probe_call call = {.probe = probe};
    rpc_loop_call(probe->loop, do_fill, &call);
}

static void do_half_close(void *ctx)
{
    rpc_stream_half_close(((struct probe_call *)ctx)->probe->stream);
}

void probe_half_close(struct probe *probe)
{
    struct probe_call call = {.probe = probe};
    rpc_loop_call(probe->loop, do_half_close, &call);
}

static void do_finish(void *ctx)
{
    struct probe_call *call = ctx;
    rpc_stream_finish(call->probe->stream, call->code, call->text);
}

void probe_finish(struct probe *probe, enum rpc_code code, const char *text)
{
    struct probe_call call = {.probe = probe, .code = code, .text = text};
    rpc_loop_call(probe->loop, do_finish, &call);
}

static void do_cancel(void *ctx)
{
    rpc_stream_cancel(((struct probe_call *)ctx)->probe->stream);
}

void probe_cancel(struct probe *probe)
{
    struct probe_call call = {.probe = probe};
    rpc_loop_call(probe->loop, do_cancel, &call);
}

static void do_pause(void *ctx)
{
    struct probe_call *call = ctx;
    rpc_stream_pause_reading(call->probe->stream, call->paused);
}

void probe_pause(struct probe *probe, bool paused)
{
    struct probe_call call = {.probe = probe, .paused = paused};
    rpc_loop_call(probe->loop, do_pause, &call);
}

static void do_queued_bytes(void *ctx)
{
    struct probe_call *call = ctx;
    call->bytes = rpc_stream_queued_bytes(call->probe->stream);
}

size_t probe_queued_bytes(struct probe *probe)
{
    struct probe_call call = {.probe = probe};
    rpc_loop_call(probe->loop, do_queued_bytes, &call);
    return call.bytes;
}
