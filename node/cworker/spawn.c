/* histrio_spawn(): the one thing that waits for the node. Actors that start meanwhile in this process start
 * inside of it, as the new one does; what else comes stays for later. */
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"
#include "capi/intern.h"
#include "cworker/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for a value and what is around it. */
enum { REQUEST_BYTES_MAX = LIMIT_VALUE_BYTES + 4096 };

/* ---- the wait ---- */

/* True when it was the answer. Starts run now, others go to `later`. */
static bool take_frame(struct cworker *worker, const struct frame *frame, const uint8_t *payload,
    uint64_t number, struct frame *ret_frame, struct str *ret_payload, struct str *later)
{
    bool is_answer = frame->kind == FRAME_REPLY || frame->kind == FRAME_ERROR;
    if (is_answer && frame->number == number) {
        *ret_frame = *frame;
        str_append_bytes(ret_payload, payload, frame_payload_bytes(frame));
        return true;
    }
    if (frame->kind == FRAME_START || frame->kind == FRAME_SNAPSHOT) {
        dispatch_frame(worker, frame, payload);
        return false;
    }
    str_append_bytes(later, frame, FRAME_HEADER_BYTES);
    str_append_bytes(later, payload, frame_payload_bytes(frame));
    return false;
}

bool spawn_wait(
    struct histrio_context *ctx, uint64_t number, struct frame *ret_frame, struct str *ret_payload)
{
    struct cworker *worker = ctx->worker;
    struct connection *connection = &worker->connection;
    struct str later = STR_INIT(SIZE_MAX / 2); /* what the node sends is bounded by its windows */
    bool has_come = false;
    if (!ctx->buffer)
        ctx->buffer = connection_take_buffer(connection); /* our caller looks at its message there */
    worker->depth++;
    while (!has_come && !connection->is_over) {
        struct frame frame;
        const uint8_t *payload;
        if (connection_next(connection, &frame, &payload)) {
            has_come = take_frame(worker, &frame, payload, number, ret_frame, ret_payload, &later);
        } else {
            dispatch_flush(worker);
            connection_read(connection, -1);
        }
    }
    worker->depth--;
    connection_put_back(connection, later.data, later.size);
    str_done(&later);
    return has_come;
}

/* ---- the request ---- */

static void put_root(
    struct str *out, const char *behavior, const uint8_t *arguments, size_t size, uint32_t mailbox_capacity)
{
    value_put_string(out, "root");
    value_put_map(out, mailbox_capacity > 0 ? 5 : 4);
    value_put_string(out, "behavior");
    value_put_map(out, 1);
    value_put_string(out, "c");
    value_put_string(out, behavior);
    value_put_string(out, "restart");
    value_put_string(out, "Temporary");
    value_put_string(out, "isolation");
    value_put_string(out, "Spawner");
    value_put_string(out, "arguments");
    value_put_bytes(out, arguments, size);
    if (mailbox_capacity > 0) {
        value_put_string(out, "mailbox");
        value_put_map(out, 1);
        value_put_string(out, "capacity");
        value_put_uint(out, mailbox_capacity);
    }
}

static void put_request(struct str *out, const char *behavior, const uint8_t *arguments, size_t size,
    const struct histrio_spawn_options *options, uint64_t monitor)
{
    size_t count = 1;
    count += options->name != NULL;
    count += options->link;
    count += monitor != 0;
    value_put_map(out, count);
    if (options->name) {
        value_put_string(out, "name");
        value_put_string(out, options->name);
    }
    if (options->link) {
        value_put_string(out, "link");
        value_put_bool(out, true);
    }
    if (monitor != 0) {
        value_put_string(out, "monitor");
        value_put_uint(out, monitor);
    }
    put_root(out, behavior, arguments, size, options->mailbox_capacity);
}

static struct histrio_ref read_ref(const struct str *reply)
{
    struct histrio_ref ref = {0};
    struct value array = value_find(value_of(reply->data, reply->size), "ref");
    (void)value_get_uint(value_at(array, 0), &ref.node); /* what the node writes is there */
    (void)value_get_uint(value_at(array, 1), &ref.id);
    return ref;
}

static enum histrio_error ask_node(
    struct histrio_context *ctx, const struct str *request, struct histrio_ref *ret_ref)
{
    struct frame answer = {0};
    struct str payload = STR_INIT(REQUEST_BYTES_MAX);
    struct frame frame = {
        .kind = FRAME_SPAWN, .actor = ctx->actor->slot, .number = api_request_number(ctx->worker)};
    connection_append(&ctx->worker->connection, &frame, request->data, request->size);
    enum histrio_error error = HISTRIO_UNAVAILABLE; /* the node is gone */
    if (spawn_wait(ctx, frame.number, &answer, &payload))
        error = answer.kind == FRAME_ERROR ? (enum histrio_error)answer.code : HISTRIO_OK;
    if (error == HISTRIO_OK)
        *ret_ref = read_ref(&payload);
    str_done(&payload);
    return error;
}

static enum histrio_error spawn(struct histrio_context *ctx, const char *behavior, const uint8_t *arguments,
    size_t size, const struct histrio_spawn_options *options, struct histrio_ref *ret_ref)
{
    struct cactor *actor = ctx->actor;
    if (!ctx->may_spawn || ctx->worker->depth >= SPAWN_DEPTH_MAX)
        return HISTRIO_UNAVAILABLE;
    bool is_bad_name = options->name && (!text_is_dns_label(options->name) || !*intern_text(actor->path));
    if (size > LIMIT_VALUE_BYTES - REASON_BYTES * 4 || is_bad_name)
        return HISTRIO_BAD_ARGUMENT;
    if (options->monitor && actor->monitors.count >= LIMIT_HOST_WATCHES)
        return HISTRIO_UNAVAILABLE;
    struct histrio_ref ref;
    struct str request = STR_INIT(REQUEST_BYTES_MAX);
    uint64_t monitor = options->monitor ? ++ctx->worker->last_number : 0;
    put_request(&request, behavior, arguments, size, options, monitor);
    enum histrio_error error = ask_node(ctx, &request, &ref);
    str_done(&request);
    if (error != HISTRIO_OK)
        return error;
    if (monitor != 0)
        vec_push(&actor->monitors, ((struct monitor){monitor, ref}));
    if (options->ret_monitor)
        *options->ret_monitor = monitor;
    if (ret_ref)
        *ret_ref = ref;
    return HISTRIO_OK;
}

/* ---- histrio/actor.h ---- */

enum histrio_error histrio_spawn_behavior(struct histrio_context *ctx,
    const struct histrio_behavior *behavior, const uint8_t *arguments, size_t size,
    const struct histrio_spawn_options *options, struct histrio_ref *ret_ref)
{
    static const struct histrio_spawn_options none;
    const struct library_behavior *entry = libraries_find_behavior(&ctx->worker->libraries, behavior);
    if (entry)
        return spawn(ctx, entry->name, arguments, size, options ? options : &none, ret_ref);
    histrio_log(ctx, HISTRIO_LOG_ERROR,
        "behavior \"%s\" is not spawned: in a worker process it must be one of HISTRIO_LIBRARY(...)",
        behavior->name);
    return HISTRIO_NOT_FOUND;
}

enum histrio_error histrio_spawn(struct histrio_context *ctx, const char *behavior, const uint8_t *arguments,
    size_t size, const struct histrio_spawn_options *options, struct histrio_ref *ret_ref)
{
    static const struct histrio_spawn_options none;
    char name[LIMIT_BEHAVIOR_NAME_BYTES + 1];
    const char *own = ctx->actor->entry->name, *dot = strchr(own, '.');
    int length = strchr(behavior, '.') || !dot
                     ? snprintf(name, sizeof(name), "%s", behavior)
                     : snprintf(name, sizeof(name), "%.*s.%s", (int)(dot - own), own, behavior);
    if (length < 0 || (size_t)length >= sizeof(name) || strchr(name, ':'))
        return HISTRIO_NOT_FOUND;
    return spawn(ctx, name, arguments, size, options ? options : &none, ret_ref);
}
