/* Watch: exits of actors and changes of units below a path, as they happen. Events come from worker threads
 * into one bounded queue, and the loop hands them to every watcher that wants them. */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "gateway/private.h"
#include "rpc/loop.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdlib.h>
#include <string.h>

struct watch {
    struct list_node node;
    struct gateway *gateway;
    struct rpc_stream *stream;
    char *path;
    uint64_t lost;
};

struct watch_event {
    struct list_node node;
    char *actor;
    char *reason;
    const char *state; /* a literal */
    uint64_t incarnation;
    int64_t at_ms;
};

static void event_free(struct watch_event *event)
{
    free(event->actor);
    free(event->reason);
    free(event);
}

static bool is_below(const char *actor, const char *path)
{
    size_t size = strlen(path);
    return size == 0 || (strncmp(actor, path, size) == 0 && (actor[size] == '\0' || actor[size] == '/'));
}

static void watch_send(struct watch *watch, const struct watch_event *event)
{
    Histrio__V1__WatchEvent message = HISTRIO__V1__WATCH_EVENT__INIT;
    message.actor = event->actor;
    message.incarnation = event->incarnation;
    message.state = (char *)(uintptr_t)event->state;
    message.reason = event->reason;
    message.at_ms = event->at_ms;
    message.lost = watch->lost;
    struct rpc_buffer *buffer = rpc_buffer_new(wire_packed_size(&message));
    wire_pack_into(&message, rpc_buffer_data(buffer));
    struct err err;
    if (rpc_stream_write_take(watch->stream, buffer, &err) < 0)
        watch->lost++; /* its client is too slow; the next event that fits says how many it missed */
    else
        watch->lost = 0;
}

static void deliver_events(void *ctx)
{
    struct gateway *gateway = ctx;
    struct list events;
    list_init(&events);
    mutex_lock(&gateway->events_lock);
    list_append_all(&events, &gateway->events);
    uint64_t lost = gateway->events_lost;
    gateway->event_count = 0;
    gateway->events_lost = 0;
    gateway->events_posted = false;
    mutex_unlock(&gateway->events_lock);
    list_for_each_safe (event, &events, struct watch_event, node) {
        list_for_each (watch, &gateway->watches, struct watch, node) {
            if (is_below(event->actor, watch->path))
                watch_send(watch, event);
        }
        list_remove(&event->node);
        event_free(event);
    }
    list_for_each (watch, &gateway->watches, struct watch, node) {
        watch->lost += lost;
    }
}

/* Any thread. Takes the event. */
static void queue_event(struct gateway *gateway, struct watch_event *event)
{
    bool must_post = false;
    mutex_lock(&gateway->events_lock);
    bool fits = gateway->event_count < GATEWAY_EVENTS_MAX;
    if (fits) {
        list_push_back(&gateway->events, &event->node);
        gateway->event_count++;
    } else {
        gateway->events_lost++;
    }
    must_post = !gateway->events_posted;
    gateway->events_posted = true;
    mutex_unlock(&gateway->events_lock);
    if (!fits)
        event_free(event);
    if (must_post)
        rpc_loop_post(gateway->config.loop, deliver_events, gateway);
}

static bool nobody_watches(struct gateway *gateway)
{
    /* Only spares work: who begins to watch at this moment may miss the event either way. */
    return atomic_load_explicit(&gateway->watch_count, memory_order_relaxed) == 0;
}

void gateway_actor_exited(struct gateway *gateway, const struct actor_exit_report *report)
{
    if (nobody_watches(gateway))
        return;
    struct watch_event *event = xcalloc(1, sizeof(*event));
    event->actor = xstrdup(report->path);
    event->reason = xstrdup(report->reason);
    event->state = text_starts_with(report->decision, "Restart") ? "Restarting" : "Stopped";
    event->incarnation = report->incarnation;
    event->at_ms = report->at_wall_ms;
    queue_event(gateway, event);
}

static const char *unit_state_text(enum actor_unit_state state)
{
    switch (state) {
    case UNIT_STARTING: return "Starting";
    case UNIT_RUNNING: return "Running";
    case UNIT_STOPPING: return "Stopping";
    case UNIT_FAILED: return "Failed";
    case UNIT_STOPPED: return "Stopped";
    }
    return "Unknown";
}

void gateway_unit_changed(struct gateway *gateway, const char *unit, uint64_t epoch,
    enum actor_unit_state state, const char *reason)
{
    (void)epoch; /* of no use to clients, who address the unit by name */
    if (nobody_watches(gateway))
        return;
    struct watch_event *event = xcalloc(1, sizeof(*event));
    event->actor = xstrdup(unit);
    event->reason = xstrdup(reason ? reason : "");
    event->state = unit_state_text(state);
    event->at_ms = clock_wall_ms(gateway->config.clock);
    queue_event(gateway, event);
}

static void watch_free(struct watch *watch)
{
    list_remove(&watch->node);
    atomic_fetch_sub_explicit(&watch->gateway->watch_count, 1, memory_order_relaxed);
    free(watch->path);
    free(watch);
}

static void watch_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)status;
    rpc_stream_free(stream);
    watch_free(ctx);
}

static void watch_more(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream; /* one request a call: more are ignored */
    (void)data;
    (void)size;
    (void)ctx;
}

static void watch_request(struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessage *message)
{
    const Histrio__V1__WatchRequest *request = (const Histrio__V1__WatchRequest *)message;
    if (!call_check_credential(gateway, stream, &request->credential))
        return;
    static const struct rpc_stream_events events = {.message = watch_more, .closed = watch_closed};
    struct watch *watch = xcalloc(1, sizeof(*watch));
    watch->gateway = gateway;
    watch->stream = stream;
    watch->path = xstrdup(request->path);
    list_push_back(&gateway->watches, &watch->node);
    atomic_fetch_add_explicit(&gateway->watch_count, 1, memory_order_relaxed);
    rpc_stream_listen(stream, &events, watch);
}

void watch_open(struct rpc_stream *stream, void *gateway)
{
    call_accept(gateway, stream, &histrio__v1__watch_request__descriptor, watch_request);
}

void watch_close_all(struct gateway *gateway)
{
    list_for_each_safe (watch, &gateway->watches, struct watch, node) {
        call_refuse(watch->stream, RPC_UNAVAILABLE, "the node is stopping");
        watch_free(watch);
    }
}

void watch_discard_events(struct gateway *gateway)
{
    struct list events;
    list_init(&events);
    mutex_lock(&gateway->events_lock);
    list_append_all(&events, &gateway->events);
    mutex_unlock(&gateway->events_lock);
    list_for_each_safe (event, &events, struct watch_event, node) {
        list_remove(&event->node);
        event_free(event);
    }
}
