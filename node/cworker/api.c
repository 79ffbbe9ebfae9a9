/* histrio/actor.h by frames: who we are, messages, answers. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"
#include "capi/intern.h"
#include "capi/name.h"
#include "cworker/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who we are ---- */

struct histrio_ref histrio_self(struct histrio_context *ctx)
{
    return ctx->actor->self;
}

struct histrio_ref histrio_parent(struct histrio_context *ctx)
{
    return ctx->actor->parent;
}

const char *histrio_path(struct histrio_context *ctx)
{
    return intern_text(ctx->actor->path);
}

const char *histrio_unit(struct histrio_context *ctx)
{
    return ctx->actor->unit;
}

uint64_t histrio_epoch(struct histrio_context *ctx)
{
    return ctx->actor->epoch;
}

uint64_t histrio_incarnation(struct histrio_context *ctx)
{
    return ctx->actor->incarnation;
}

struct histrio_ref histrio_lookup(struct histrio_context *ctx, const char *name)
{
    return (struct histrio_ref){0, name_lookup(intern_text(ctx->actor->path), name)};
}

const char *histrio_ref_name(struct histrio_context *ctx, struct histrio_ref ref)
{
    if (ref.node == 0)
        return intern_text((uint32_t)ref.id);
    vec_for_each (slot, &ctx->worker->slots)
        if (slot->actor && histrio_ref_equal(slot->actor->self, ref))
            return intern_text(slot->actor->path);
    return "";
}

/* ---- messages ---- */

uint64_t api_request_number(struct cworker *worker)
{
    return UINT64_C(1) << 63 | ++worker->last_number;
}

void api_send(
    struct histrio_context *ctx, struct frame *frame, struct histrio_ref to, const void *payload, size_t size)
{
    struct connection *connection = &ctx->worker->connection;
    frame->actor = ctx->actor->slot;
    if (to.node == 0) {
        frame->name = connection_text(connection, (uint32_t)to.id);
    } else {
        frame->ref_node = to.node;
        frame->ref_id = to.id;
    }
    connection_append(connection, frame, payload, size);
    if (connection_said(connection) > GATHER_BYTES || connection->out_size > HELD_BYTES)
        dispatch_flush(ctx->worker);
}

enum histrio_error histrio_tell(
    struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value, size_t size)
{
    if (size > LIMIT_VALUE_BYTES)
        return HISTRIO_BAD_ARGUMENT;
    if (histrio_ref_is_nobody(to))
        return HISTRIO_NOT_FOUND;
    struct frame frame = {.kind = FRAME_TELL, .method = connection_text(&ctx->worker->connection, type)};
    api_send(ctx, &frame, to, value, size);
    return HISTRIO_OK;
}

uint64_t histrio_ask(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value,
    size_t size, uint32_t timeout_ms)
{
    return histrio_ask_then(ctx, to, type, value, size, timeout_ms, NULL, NULL);
}

/* The outcome of an ask that cannot even be sent comes as a message, too. */
static void fail_ask(struct cworker *worker, uint64_t number, enum histrio_error error, const char *text)
{
    vec_push(&worker->failed_asks, ((struct failed_ask){number, error, text}));
}

uint64_t histrio_ask_then(struct histrio_context *ctx, struct histrio_ref to, uint32_t type,
    const uint8_t *value, size_t size, uint32_t timeout_ms, histrio_then then, void *data)
{
    struct cworker *worker = ctx->worker;
    struct ask *ask = ask_new(ctx->actor);
    if (!ask)
        abort(); /* a million open asks: as when memory ends */
    uint64_t number = ask->number;
    ask->then = then;
    ask->data = data;
    if (size > LIMIT_VALUE_BYTES) {
        fail_ask(worker, number, HISTRIO_BAD_ARGUMENT, "the value is larger than a message may be");
    } else if (histrio_ref_is_nobody(to)) {
        fail_ask(worker, number, HISTRIO_NOT_FOUND, "nobody is asked");
    } else {
        struct frame frame = {.kind = FRAME_ASK,
            .method = connection_text(&worker->connection, type),
            .number = number,
            .timeout_ms = timeout_ms};
        api_send(ctx, &frame, to, value, size);
    }
    return number;
}

/* ---- answers ---- */

struct histrio_caller histrio_caller(struct histrio_context *ctx)
{
    if (ctx->delivery == 0)
        return (struct histrio_caller){0};
    if (!ctx->answered && !ctx->taken) {
        ctx->taken = true;
        vec_push(&ctx->actor->taken, ctx->delivery); /* deliveries come in their order: it stays sorted */
        answer_frame(ctx->actor, FRAME_TAKEN, 0, ctx->delivery, NULL, 0);
    }
    return (struct histrio_caller){ctx->message->sender, ctx->delivery};
}

static bool take_out(struct cactor *actor, uint64_t delivery)
{
    size_t low = 0, high = actor->taken.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (actor->taken.items[middle] < delivery)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == actor->taken.count || actor->taken.items[low] != delivery)
        return false;
    vec_remove_at(&actor->taken, low);
    return true;
}

/* Whose delivery it is that nobody has answered yet; NULL: it was answered. Any actor of this process may
 * answer for another one. */
static struct cactor *find_waiting(struct histrio_context *ctx, uint64_t delivery)
{
    if (delivery == 0)
        return NULL;
    if (delivery == ctx->delivery && !ctx->taken) {
        bool waits = !ctx->answered;
        ctx->answered = true;
        return waits ? ctx->actor : NULL;
    }
    if (take_out(ctx->actor, delivery)) {
        ctx->answered |= delivery == ctx->delivery;
        return ctx->actor;
    }
    vec_for_each (slot, &ctx->worker->slots)
        if (slot->actor && take_out(slot->actor, delivery))
            return slot->actor;
    return NULL;
}

void histrio_reply(struct histrio_context *ctx, const uint8_t *value, size_t size)
{
    histrio_reply_to(ctx, (struct histrio_caller){.ask = ctx->delivery}, value, size);
}

void histrio_reply_error(struct histrio_context *ctx, enum histrio_error error, const char *text)
{
    histrio_reply_error_to(ctx, (struct histrio_caller){.ask = ctx->delivery}, error, text);
}

void histrio_reply_to(
    struct histrio_context *ctx, struct histrio_caller caller, const uint8_t *value, size_t size)
{
    struct cactor *actor = find_waiting(ctx, caller.ask);
    if (!actor)
        return;
    if (size > LIMIT_VALUE_BYTES)
        answer_text(actor, FRAME_ERROR, HISTRIO_BAD_ARGUMENT, caller.ask,
            "the answer is larger than a message may be");
    else
        answer_frame(actor, FRAME_REPLY, 0, caller.ask, value, size);
}

void histrio_reply_error_to(
    struct histrio_context *ctx, struct histrio_caller caller, enum histrio_error error, const char *text)
{
    struct cactor *actor = find_waiting(ctx, caller.ask);
    if (actor)
        answer_frame(actor, FRAME_ERROR, error == HISTRIO_OK ? HISTRIO_APPLICATION : error, caller.ask, text,
            strnlen(text, LIMIT_VALUE_BYTES));
}

/* ---- chance and logs ---- */

int64_t histrio_now_ns(struct histrio_context *ctx)
{
    (void)ctx;
    return cworker_now();
}

int64_t histrio_wall_ms(struct histrio_context *ctx)
{
    (void)ctx;
    return clock_wall_ms(clock_system());
}

uint64_t histrio_random(struct histrio_context *ctx)
{
    return rng_u64(&ctx->worker->rng);
}

void histrio_log(struct histrio_context *ctx, enum histrio_log_level level, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* longer ones are cut */
    va_end(arguments);
    struct str value = STR_INIT(2048);
    value_put_map(&value, 1);
    value_put_string(&value, "message");
    value_put_string(&value, text);
    answer_frame(ctx->actor, FRAME_LOG, level, 0, value.data, value.size);
    str_done(&value);
}
