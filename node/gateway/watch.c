/* List and Watch: looking at the actors of this node. */
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "gateway/gateway_private.h"
#include "rpc/loop.h"
#include "wire/wire.h"

enum {
    EVENTS_MAX = 10 * 1000, /* on their way from the workers */
    LIST_BYTES_MAX = LIMIT_FRAME_BYTES - 64 * 1024,
    LIST_ROW_BYTES = 96, /* of a row beside its texts, rounded up */
};

/* ---- List ---- */

struct listing {
    VEC(Histrio__V1__ListedActor *) rows;
    size_t bytes;
    bool is_cut;
};

static void add_row(void *ctx, const struct actor_info *info)
{
    struct listing *listing = ctx;
    size_t bytes = LIST_ROW_BYTES + strlen(info->path);
    if (listing->bytes + bytes > LIST_BYTES_MAX) {
        listing->is_cut = true;
        return;
    }
    listing->bytes += bytes;
    Histrio__V1__ListedActor *row = xcalloc(1, sizeof(*row));
    histrio__v1__listed_actor__init(row);
    row->actor = xstrdup(info->path);
    row->incarnation = info->incarnation;
    row->state = (char *)info->state; /* lives for ever */
    row->epoch = info->epoch;
    row->mailbox_depth = info->mailbox_depth;
    vec_push(&listing->rows, row);
}

void list_answer(struct gateway_call *call, const Histrio__V1__ListRequest *request)
{
    struct listing listing = {0};
    actor_system_list(call->gateway->actors, request->path, add_row, &listing);
    Histrio__V1__ListResponse response = HISTRIO__V1__LIST_RESPONSE__INIT;
    response.n_actors = listing.rows.count;
    response.actors = listing.rows.items;
    response.cut = listing.is_cut;
    gateway_answer(call, &response);
    vec_for_each (row, &listing.rows) {
        free((*row)->actor);
        free(*row);
    }
    vec_done(&listing.rows);
}

/* ---- Watch ---- */

void watch_start(struct gateway_call *call, const Histrio__V1__WatchRequest *request)
{
    if (strlen(request->path) > LIMIT_ADDRESS_BYTES) {
        gateway_refuse(call, RPC_INVALID_ARGUMENT, "the path is too long");
        return;
    }
    call->watch_path = xstrdup(request->path);
    atomic_fetch_add_explicit(&call->gateway->watcher_count, 1, memory_order_relaxed);
}

void watch_end(struct gateway_call *call)
{
    if (!call->watch_path)
        return;
    atomic_fetch_sub_explicit(&call->gateway->watcher_count, 1, memory_order_relaxed);
    free(call->watch_path);
    call->watch_path = NULL;
}

static bool is_below(const char *actor, const char *path)
{
    size_t size = strlen(path);
    return size == 0 || (strncmp(actor, path, size) == 0 && (actor[size] == 0 || actor[size] == '/'));
}

static void free_event(struct gateway_event *event)
{
    free(event->actor);
    free(event->reason);
    free(event);
}

static void show(struct gateway_call *call, const struct gateway_event *event)
{
    call->lost += event->lost;
    if (!is_below(event->actor, call->watch_path))
        return;
    Histrio__V1__WatchEvent message = HISTRIO__V1__WATCH_EVENT__INIT;
    message.actor = event->actor;
    message.incarnation = event->incarnation;
    message.state = (char *)event->state; /* packing only reads it */
    message.reason = event->reason;
    message.at_ms = event->at_ms;
    message.lost = call->lost;
    struct err err;
    size_t size = wire_packed_size(&message);
    struct rpc_buffer *buffer = rpc_buffer_new(size);
    wire_pack_into(&message, rpc_buffer_data(buffer));
    if (rpc_stream_write_take(call->stream, buffer, &err) < 0)
        call->lost++; /* a slow client; one that is gone says so by `closed` */
    else
        call->lost = 0;
}

static void show_all(void *ctx)
{
    struct gateway *gateway = ctx;
    struct list events;
    list_init(&events);
    mutex_lock(&gateway->events_lock);
    list_append_all(&events, &gateway->events);
    gateway->event_count = 0;
    gateway->is_events_posted = false;
    mutex_unlock(&gateway->events_lock);
    struct list_node *node;
    while ((node = list_pop_front(&events))) {
        struct gateway_event *event = list_entry(node, struct gateway_event, node);
        list_for_each (call, &gateway->calls, struct gateway_call, node)
            if (call->watch_path)
                show(call, event);
        free_event(event);
    }
}

static void push(struct gateway *gateway, struct gateway_event *event)
{
    mutex_lock(&gateway->events_lock);
    bool is_full = gateway->event_count >= EVENTS_MAX;
    bool post = !is_full && !gateway->is_events_posted;
    if (is_full)
        gateway->events_lost++;
    else {
        event->lost = gateway->events_lost;
        gateway->events_lost = 0;
        list_push_back(&gateway->events, &event->node);
        gateway->event_count++;
        gateway->is_events_posted = true;
    }
    mutex_unlock(&gateway->events_lock);
    if (is_full)
        free_event(event);
    if (post)
        rpc_loop_post(gateway->config.loop, show_all, gateway);
}

static bool is_watched(const struct gateway *gateway)
{
    return atomic_load_explicit(&gateway->watcher_count, memory_order_relaxed) > 0;
}

void gateway_actor_exited(struct gateway *gateway, const struct actor_exit_report *report)
{
    if (!is_watched(gateway))
        return;
    struct gateway_event *event = xcalloc(1, sizeof(*event));
    event->actor = xstrdup(report->path);
    event->reason = xstrdup(report->reason);
    text_make_utf8(event->reason);
    event->incarnation = report->incarnation;
    event->state = "Exited";
    event->at_ms = report->at_wall_ms;
    push(gateway, event);
}

static const char *state_name(enum actor_unit_state state)
{
    switch (state) {
    case UNIT_STARTING:
    case UNIT_PRESENT: return "Starting";
    case UNIT_RUNNING: return "Running";
    case UNIT_STOPPING: return "Stopping";
    case UNIT_FAILED: return "Failed";
    case UNIT_STOPPED: return "Stopped";
    }
    return "";
}

void gateway_unit_changed(struct gateway *gateway, const char *unit, uint64_t epoch,
    enum actor_unit_state state, const char *reason)
{
    (void)epoch; /* List shows it */
    if (!is_watched(gateway))
        return;
    struct gateway_event *event = xcalloc(1, sizeof(*event));
    event->actor = xstrdup(unit);
    event->reason = xstrdup(reason ? reason : "");
    text_make_utf8(event->reason);
    event->state = state_name(state);
    event->at_ms = clock_wall_ms(gateway->clock);
    push(gateway, event);
}

void watch_done(struct gateway *gateway)
{
    struct list_node *node;
    while ((node = list_pop_front(&gateway->events)))
        free_event(list_entry(node, struct gateway_event, node));
}
