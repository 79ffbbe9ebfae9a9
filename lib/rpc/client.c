#include "rpc/client.h"

#include <assert.h>
#include <grpc/slice.h>

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "rpc/address.h"
#include "rpc/args.h"
#include "rpc/client_private.h"
#include "rpc/creds_private.h"
#include "rpc/stream_private.h"

enum {
    RECONNECT_MIN_MS = 20,
    RECONNECT_MAX_MS = 1000,
    RECONNECT_MAX_UNIX_MS = 50, /* an attempt costs a few microseconds and concerns no other machine */
    CONNECT_TIMEOUT_MS = 5 * 1000,
    CONNECT_TIMEOUT_TLS_MS = 20 * 1000, /* a handshake that is given up was work for nothing, on both sides:
                                           with hundreds at once on a busy machine few would ever end */
    KEEPALIVE_MS = 5 * 1000,
    RESOLVE_INTERVAL_MS = 1000,
};

/* gRPC waits at least 100 ms between two attempts, and longer each time. So the client watches the state of
 * its channel, and while somebody waits for a lost connection it asks gRPC by a timer of its own to try
 * again. */
struct rpc_client {
    struct rpc_loop *loop;
    struct rpc_creds *creds;
    grpc_channel *channel;
    struct rpc_stream_limits limits;
    struct list streams;
    struct rpc_tag watch_tag;
    grpc_connectivity_state state;
    bool is_watching;
    bool is_freed;
    struct rpc_timer *retry_timer;
    bool is_retry_armed;
    struct backoff backoff;
    struct rng rng;
};

static void arm_retry(struct rpc_client *client)
{
    if (client->is_retry_armed || client->is_freed || list_is_empty(&client->streams))
        return;
    client->is_retry_armed = true;
    int64_t delay_ms = backoff_next(&client->backoff, clock_now_ms(clock_system()), &client->rng);
    rpc_timer_set(client->retry_timer, (uint64_t)delay_ms);
}

static void look_at_state(struct rpc_client *client)
{
    client->state = grpc_channel_check_connectivity_state(client->channel, 0);
    if (client->state == GRPC_CHANNEL_READY)
        backoff_reset(&client->backoff);
    else if (client->state == GRPC_CHANNEL_TRANSIENT_FAILURE)
        arm_retry(client);
}

static void retry(void *ctx)
{
    struct rpc_client *client = ctx;
    client->is_retry_armed = false;
    /* The state stays the same from one failed attempt to the next, so the watch says nothing: look. */
    look_at_state(client);
    if (client->state == GRPC_CHANNEL_TRANSIENT_FAILURE)
        grpc_channel_reset_connect_backoff(client->channel);
}

static void watch(struct rpc_client *client)
{
    client->is_watching = true;
    rpc_tag_post(&client->watch_tag);
    grpc_channel_watch_connectivity_state(client->channel, client->state, gpr_inf_future(GPR_CLOCK_MONOTONIC),
        rpc_loop_queue(client->loop), &client->watch_tag);
}

static void client_destroy(struct rpc_client *client)
{
    struct rpc_loop *loop = client->loop;
    rpc_timer_free(client->retry_timer);
    rpc_creds_unref(client->creds);
    free(client);
    rpc_loop_release(loop);
}

static void watch_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_client *client = list_entry(tag, struct rpc_client, watch_tag);
    (void)ok; /* there is no deadline, so only a change or the end of the channel brings it */
    client->is_watching = false;
    if (client->is_freed) {
        client_destroy(client);
        return;
    }
    look_at_state(client);
    watch(client);
}

static grpc_channel *make_channel(
    const struct rpc_client_config *config, const char *target, bool is_unix, size_t message_bytes_max)
{
    struct rpc_args args = {.count = 0};
    uint32_t max_ms = is_unix ? RECONNECT_MAX_UNIX_MS : RECONNECT_MAX_MS;
    rpc_args_add_common(
        &args, message_bytes_max, config->keepalive_ms > 0 ? config->keepalive_ms : KEEPALIVE_MS);
    rpc_args_add(&args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
        config->reconnect_min_ms > 0 ? config->reconnect_min_ms : RECONNECT_MIN_MS);
    rpc_args_add(&args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
        config->reconnect_max_ms > 0 ? config->reconnect_max_ms : max_ms);
    rpc_args_add(&args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, /* in spite of its name */
        config->creds ? CONNECT_TIMEOUT_TLS_MS : CONNECT_TIMEOUT_MS);
    rpc_args_add(&args, GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, RESOLVE_INTERVAL_MS);
    rpc_args_add(&args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1); /* no connection shared with another client */
    rpc_args_add(&args, GRPC_ARG_ENABLE_RETRIES, 0);            /* what is sent again is our decision */
    rpc_args_add(&args, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    rpc_args_add(&args, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    rpc_args_add(&args, GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT32_MAX);
    if (config->creds)
        rpc_args_add_text(&args, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, config->server_name);
    grpc_channel_args channel_args = rpc_args_get(&args);
    grpc_channel_credentials *creds = rpc_creds_channel(config->creds);
    grpc_channel *channel = grpc_channel_create(target, creds, &channel_args);
    grpc_channel_credentials_release(creds);
    return channel;
}

int rpc_client_new(struct rpc_loop *loop, const struct rpc_client_config *config,
    struct rpc_client **ret_client, struct err *err)
{
    _cleanup_(cleanup_free) char *target = NULL;
    if (config->creds && (!config->server_name || !*config->server_name))
        return err_set(err, ERR_INVALID, "'%s': who shall answer there is not named", config->address);
    if (rpc_address_target(config->address, &target, err) < 0)
        return -1;
    bool is_unix = rpc_address_unix_path(config->address) != NULL;
    struct rpc_client *client = xcalloc(1, sizeof(*client));
    rpc_loop_hold(loop);
    client->loop = loop;
    client->creds = rpc_creds_ref(config->creds);
    client->limits.message_bytes_max =
        config->message_bytes_max > 0 ? config->message_bytes_max : LIMIT_FRAME_BYTES;
    client->limits.queue_bytes_max =
        config->write_queue_bytes_max > 0 ? config->write_queue_bytes_max : LIMIT_WRITE_QUEUE_BYTES;
    client->channel = make_channel(config, target, is_unix, client->limits.message_bytes_max);
    client->watch_tag.done = watch_done;
    client->retry_timer = rpc_timer_new(loop, retry, client);
    list_init(&client->streams);
    (void)rng_seed_from_system(&client->rng);
    uint32_t min_ms = config->reconnect_min_ms > 0 ? config->reconnect_min_ms : RECONNECT_MIN_MS;
    uint32_t max_ms = config->reconnect_max_ms > 0 ? config->reconnect_max_ms
                      : is_unix                    ? RECONNECT_MAX_UNIX_MS
                                                   : RECONNECT_MAX_MS;
    backoff_init(&client->backoff, min_ms, max_ms > min_ms ? max_ms : min_ms, 0);
    *ret_client = client;
    return 0;
}

struct rpc_stream *rpc_client_open(
    struct rpc_client *client, const char *path, uint64_t timeout_ms, bool wait_for_ready)
{
    assert(rpc_loop_is_current(client->loop));
    assert(!client->is_freed);
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (timeout_ms > 0)
        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
            gpr_time_from_millis(timeout_ms > INT32_MAX ? INT32_MAX : (int64_t)timeout_ms, GPR_TIMESPAN));
    grpc_slice method = grpc_slice_from_copied_string(path);
    grpc_call *call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
        rpc_loop_queue(client->loop), method, NULL, deadline, NULL);
    grpc_slice_unref(method);
    struct rpc_stream *stream = rpc_stream_new(client->loop, call, false, &client->limits);
    if (wait_for_ready)
        stream->header_flags =
            GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    list_push_back(&client->streams, &stream->node);
    if (!client->is_watching) {
        client->state = GRPC_CHANNEL_IDLE;
        watch(client);
    } else {
        look_at_state(client);
    }
    return stream;
}

static void client_close(void *ctx)
{
    struct rpc_client *client = ctx;
    client->is_freed = true;
    list_for_each_safe (stream, &client->streams, struct rpc_stream, node) {
        list_remove(&stream->node);
        rpc_stream_cancel(stream);
    }
    rpc_timer_cancel(client->retry_timer);
    grpc_channel_destroy(client->channel); /* brings watch_done() */
    if (!client->is_watching)
        client_destroy(client);
}

void rpc_client_free(struct rpc_client *client)
{
    if (client)
        rpc_loop_post(client->loop, client_close, client);
}

struct rpc_loop *rpc_client_loop(const struct rpc_client *client)
{
    return client->loop;
}
