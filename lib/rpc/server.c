#include <assert.h>
#include <errno.h>
#include <grpc/slice.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/address.h"
#include "rpc/args.h"
#include "rpc/creds_private.h"
#include "rpc/server_private.h"
#include "rpc/stream_private.h"

enum {
    CALL_SLOTS = 16, /* calls that gRPC may hand over before we ask for more */
    HANDSHAKE_MS = 10 * 1000,
    HANDSHAKE_TLS_MS = 30 * 1000, /* longer than clients wait: rpc/client.c says why these do */
    KEEPALIVE_MS = 5 * 1000,
    PING_INTERVAL_MIN_MS = 100, /* clients that ping more often are cut off */
    LINGER_MS = 20,
};

/* A request for a call that gRPC has not answered yet. */
struct call_slot {
    struct rpc_tag tag;
    struct rpc_server *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

/* Made by any thread, then owned by the loop's. */
struct rpc_server {
    struct rpc_loop *loop;
    struct rpc_creds *creds;
    grpc_server *server;
    char **addresses;
    size_t address_count;
    struct rpc_method *methods;
    size_t method_count;
    struct rpc_health health;
    struct rpc_stream_limits limits;
    size_t streams_max;
    size_t stream_count;
    struct list streams;
    struct call_slot slots[CALL_SLOTS];
    size_t slots_open;

    /* The end: first new calls are refused, until the last stream has gone or the grace is over; then gRPC
     * closes the connections. A client that writes to a closed connection may fail before it has read what
     * came before, so there is a little time between the last stream's end and that. */
    struct rpc_tag shutdown_tag;
    struct rpc_timer *stop_timer;
    uint32_t grace_ms;
    int64_t stop_ms;  /* when the grace is over; 0: not stopping */
    int64_t gone_ms;  /* when a stream last ended */
    bool is_shutting; /* gRPC was asked to */
    bool is_shut;     /* and has let go of everything */
    bool *free_done;  /* of who waits; NULL: nobody, the server never came to life */
};

static void server_maybe_gone(struct rpc_server *server);
static void server_maybe_shut(struct rpc_server *server);

static int64_t now_ms(void)
{
    return clock_now_ms(clock_system());
}

static void stream_gone(void *maker)
{
    struct rpc_server *server = maker;
    server->stream_count--;
    server->gone_ms = now_ms();
    if (server->stop_ms > 0)
        server_maybe_shut(server);
    server_maybe_gone(server);
}

static void refuse(struct rpc_stream *stream, enum rpc_code code, const char *text)
{
    rpc_stream_finish(stream, code, text);
    rpc_stream_free(stream);
}

static const struct rpc_method *find_method(
    const struct rpc_method *methods, size_t count, const grpc_slice *path)
{
    for (size_t i = 0; i < count; i++) {
        if (grpc_slice_str_cmp(*path, methods[i].path) == 0)
            return &methods[i];
    }
    return NULL;
}

static void open_stream(struct rpc_server *server, grpc_call *call, const grpc_slice *path)
{
    struct rpc_stream *stream = rpc_stream_new(server->loop, call, true, &server->limits);
    size_t health_count;
    const struct rpc_method *health = rpc_health_methods(&health_count);
    const struct rpc_method *method;
    stream->gone = stream_gone;
    stream->maker = server;
    list_push_back(&server->streams, &stream->node);
    server->stream_count++;
    if (server->stop_ms > 0)
        refuse(stream, RPC_UNAVAILABLE, "the server is stopping");
    else if (server->stream_count > server->streams_max)
        refuse(stream, RPC_RESOURCE_EXHAUSTED, "too many calls at one time");
    else if ((method = find_method(server->methods, server->method_count, path)))
        method->open(stream, method->ctx);
    else if ((method = find_method(health, health_count, path)))
        method->open(stream, &server->health);
    else
        refuse(stream, RPC_UNIMPLEMENTED, "no such method");
}

static void slot_request(struct call_slot *slot)
{
    grpc_completion_queue *queue = rpc_loop_queue(slot->server->loop);
    slot->call = NULL;
    grpc_call_details_init(&slot->details);
    grpc_metadata_array_init(&slot->metadata);
    rpc_tag_post(&slot->tag);
    grpc_call_error error = grpc_server_request_call(
        slot->server->server, &slot->call, &slot->details, &slot->metadata, queue, queue, &slot->tag);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

static void slot_done(struct rpc_tag *tag, bool ok)
{
    struct call_slot *slot = list_entry(tag, struct call_slot, tag);
    struct rpc_server *server = slot->server;
    grpc_call *call = slot->call;
    grpc_slice path = grpc_slice_ref(slot->details.method);
    grpc_call_details_destroy(&slot->details);
    grpc_metadata_array_destroy(&slot->metadata);
    if (ok) {
        slot_request(slot); /* before anything else: gRPC holds calls back without a slot */
        open_stream(server, call, &path);
    } else {
        server->slots_open--;
        server_maybe_gone(server);
    }
    grpc_slice_unref(path);
}

static void server_destroy(struct rpc_server *server)
{
    struct rpc_loop *loop = server->loop;
    bool *free_done = server->free_done;
    rpc_timer_free(server->stop_timer);
    grpc_server_destroy(server->server);
    for (size_t i = 0; i < server->address_count; i++)
        free(server->addresses[i]);
    free(server->addresses);
    for (size_t i = 0; i < server->method_count; i++)
        free((char *)(uintptr_t)server->methods[i].path);
    free(server->methods);
    rpc_creds_unref(server->creds);
    free(server);
    if (free_done)
        rpc_loop_wake(loop, free_done);
    rpc_loop_release(loop);
}

static void server_maybe_gone(struct rpc_server *server)
{
    if (server->is_shut && server->slots_open == 0 && server->stream_count == 0)
        server_destroy(server);
}

static void shutdown_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_server *server = list_entry(tag, struct rpc_server, shutdown_tag);
    (void)ok;
    server->is_shut = true;
    server_maybe_gone(server);
}

static void shut(void *ctx)
{
    struct rpc_server *server = ctx;
    rpc_timer_cancel(server->stop_timer);
    server->is_shutting = true;
    server->shutdown_tag.done = shutdown_done;
    rpc_tag_post(&server->shutdown_tag);
    grpc_server_shutdown_and_notify(server->server, rpc_loop_queue(server->loop), &server->shutdown_tag);
    grpc_server_cancel_all_calls(server->server);
}

/* Now, or by the timer. */
static void server_maybe_shut(struct rpc_server *server)
{
    int64_t time_ms = now_ms();
    int64_t due_ms = server->stream_count > 0 ? server->stop_ms : server->gone_ms + LINGER_MS;
    if (server->is_shutting)
        return;
    if (due_ms > server->stop_ms)
        due_ms = server->stop_ms;
    if (due_ms > time_ms)
        rpc_timer_set(server->stop_timer, (uint64_t)(due_ms - time_ms));
    else
        shut(server);
}

static void server_stop(void *ctx)
{
    struct rpc_server *server = ctx;
    server->stop_ms = now_ms() + server->grace_ms;
    server->stop_timer = rpc_timer_new(server->loop, shut, server);
    rpc_health_stop(&server->health);
    server_maybe_shut(server);
}

/* One address, which is then known by its bound form. */
static int server_listen(struct rpc_server *server, const char *address, struct err *err)
{
    const char *path = rpc_address_unix_path(address);
    if (rpc_address_prepare(address, err) < 0)
        return -1;
    grpc_server_credentials *creds = rpc_creds_server(server->creds);
    int port = grpc_server_add_http2_port(server->server, address, creds);
    grpc_server_credentials_release(creds);
    if (port == 0)
        return rpc_address_explain(address, err);
    server->addresses[server->address_count++] =
        path ? xstrdup(address) : rpc_address_with_port(address, port);
    if (path && chmod(path, S_IRUSR | S_IWUSR) < 0)
        return err_set_errno(err, errno, "cannot protect socket '%s'", path);
    return 0;
}

static grpc_server *make_server(const struct rpc_server *server)
{
    struct rpc_args args = {.count = 0};
    rpc_args_add_common(&args, server->limits.message_bytes_max, KEEPALIVE_MS);
    rpc_args_add(&args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, PING_INTERVAL_MIN_MS);
    rpc_args_add(&args, GRPC_ARG_MAX_CONCURRENT_STREAMS, (int64_t)server->streams_max);
    rpc_args_add(
        &args, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, server->creds ? HANDSHAKE_TLS_MS : HANDSHAKE_MS);
    rpc_args_add(&args, GRPC_ARG_ALLOW_REUSEPORT, 0); /* else two servers share a port and nobody is told */
    grpc_channel_args channel_args = rpc_args_get(&args);
    grpc_server *made = grpc_server_create(&channel_args, NULL);
    grpc_server_register_completion_queue(made, rpc_loop_queue(server->loop), NULL);
    return made;
}

static void copy_methods(struct rpc_server *server, const struct rpc_server_config *config)
{
    server->methods = xcalloc(config->method_count > 0 ? config->method_count : 1, sizeof(*server->methods));
    server->method_count = config->method_count;
    for (size_t i = 0; i < config->method_count; i++) {
        assert(config->methods[i].path[0] == '/' && config->methods[i].open);
        server->methods[i] = config->methods[i];
        server->methods[i].path = xstrdup(config->methods[i].path);
    }
}

int rpc_server_new(struct rpc_loop *loop, const struct rpc_server_config *config,
    struct rpc_server **ret_server, struct err *err)
{
    struct rpc_server *server = xcalloc(1, sizeof(*server));
    size_t address_count = 0;
    rpc_loop_hold(loop);
    server->loop = loop;
    server->creds = rpc_creds_ref(config->creds);
    server->limits.message_bytes_max =
        config->message_bytes_max > 0 ? config->message_bytes_max : LIMIT_FRAME_BYTES;
    server->limits.queue_bytes_max =
        config->write_queue_bytes_max > 0 ? config->write_queue_bytes_max : LIMIT_WRITE_QUEUE_BYTES;
    server->streams_max = config->streams_max > 0 ? config->streams_max : LIMIT_STREAMS;
    list_init(&server->streams);
    copy_methods(server, config);
    rpc_health_init(&server->health, server->methods, server->method_count);
    while (config->addresses[address_count])
        address_count++;
    server->addresses = xcalloc(address_count + 1, sizeof(*server->addresses));
    server->server = make_server(server);
    for (size_t i = 0; i < address_count; i++) {
        if (server_listen(server, config->addresses[i], err) < 0) {
            rpc_loop_post(loop, server_stop, server); /* what was bound before is given back soon */
            return -1;
        }
    }
    grpc_server_start(server->server);
    for (size_t i = 0; i < CALL_SLOTS; i++) {
        server->slots[i].server = server;
        server->slots[i].tag.done = slot_done;
    }
    server->slots_open = CALL_SLOTS;
    for (size_t i = 0; i < CALL_SLOTS; i++)
        slot_request(&server->slots[i]);
    *ret_server = server;
    return 0;
}

const char *rpc_server_address(const struct rpc_server *server, size_t index)
{
    assert(index < server->address_count);
    return server->addresses[index];
}

static void notify_health(void *ctx)
{
    struct rpc_server *server = ctx;
    rpc_health_notify(&server->health);
}

void rpc_server_set_serving(struct rpc_server *server, bool serving)
{
    atomic_store_explicit(&server->health.serving, serving, memory_order_relaxed); /* the post orders it */
    rpc_loop_post(server->loop, notify_health, server);
}

void rpc_server_free(struct rpc_server *server, uint32_t grace_ms)
{
    bool is_done = false;
    if (!server)
        return;
    struct rpc_loop *loop = server->loop;
    server->grace_ms = grace_ms;
    server->free_done = &is_done;
    rpc_loop_post(loop, server_stop, server);
    rpc_loop_wait(loop, &is_done);
}
