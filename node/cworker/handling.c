/* Calls of behaviors, and what follows from their results. */
#include "base/limits.h"
#include "base/mem.h"
#include "capi/intern.h"
#include "cworker/private.h"
#include "cworker/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is executing ---- */

struct frame_of_call {
    struct begun_before before;
    const struct cactor *executing;
    uint32_t type;
};

static struct frame_of_call enter(struct cactor *actor, uint32_t type)
{
    struct cworker *worker = actor->worker;
    struct frame_of_call call = {.before = begun_enter(&worker->begun, actor->slot, cworker_now()),
        .executing = worker->executing,
        .type = worker->executing_type};
    worker->executing = actor;
    worker->executing_type = type;
    return call;
}

static void leave(struct cworker *worker, const struct frame_of_call *call)
{
    worker->executing = call->executing;
    worker->executing_type = call->type;
    begun_leave(&worker->begun, &call->before);
}

static size_t begin(struct cworker *worker, uint64_t delivery)
{
    if (delivery == 0)
        return 0;
    if (begun_is_full(&worker->begun))
        dispatch_flush(worker);
    return begun_add(&worker->begun, delivery);
}

static void end(struct cworker *worker, size_t entry)
{
    if (entry != 0)
        begun_over(&worker->begun, entry);
}

static void context_done(struct histrio_context *ctx)
{
    free(ctx->fail_reason);
    free(ctx->buffer);
}

/* ---- answers ---- */

void answer_frame(struct cactor *actor, enum frame_kind kind, unsigned code, uint64_t number,
    const void *payload, size_t size)
{
    struct frame frame = {
        .kind = (uint8_t)kind, .code = (uint8_t)code, .actor = actor->slot, .number = number};
    connection_append(&actor->worker->connection, &frame, payload, size);
}

void answer_text(struct cactor *actor, enum frame_kind kind, unsigned code, uint64_t number, const char *text)
{
    answer_frame(actor, kind, code, number, text, strnlen(text, REASON_BYTES - 1));
}

void answer_taken(struct cactor *actor)
{
    vec_for_each (delivery, &actor->taken)
        answer_text(actor, FRAME_ERROR, HISTRIO_CRASHED, *delivery, "the actor ended before it answered");
    vec_clear(&actor->taken);
}

static void answer_ask(struct histrio_context *ctx, enum histrio_result result)
{
    static const uint8_t nil = 0xc0;
    struct cactor *actor = ctx->actor;
    char text[192];
    switch (result) {
    case HISTRIO_FAIL:
        if (!ctx->taken)
            answer_text(actor, FRAME_ERROR, HISTRIO_CRASHED, ctx->delivery,
                ctx->fail_reason ? ctx->fail_reason : "error");
        break;
    case HISTRIO_UNHANDLED:
        (void)snprintf(text, sizeof(text), "no method \"%s\"", intern_text(ctx->message->type));
        if (ctx->taken)
            histrio_reply_error(ctx, HISTRIO_BAD_ARGUMENT, text);
        else
            answer_text(actor, FRAME_ERROR, HISTRIO_BAD_ARGUMENT, ctx->delivery, text);
        break;
    case HISTRIO_CONTINUE:
    case HISTRIO_STOP:
        if (!ctx->taken)
            answer_frame(actor, FRAME_REPLY, 0, ctx->delivery, &nil, sizeof(nil));
        break;
    }
}

static void end_delivery(
    struct histrio_context *ctx, const struct handled *handled, enum histrio_result result)
{
    if (handled->delivery == 0)
        return;
    if (handled->message->kind == HISTRIO_ASK) {
        if (!ctx->answered)
            answer_ask(ctx, result);
        return;
    }
    bool is_dead_letter = handled->message->kind == HISTRIO_TELL && result == HISTRIO_UNHANDLED;
    answer_frame(
        ctx->actor, FRAME_DONE, is_dead_letter ? FRAME_DONE_UNHANDLED : 0, handled->delivery, NULL, 0);
}

/* ---- the end of an actor ---- */

static void run_stop(struct cactor *actor, const char *reason)
{
    struct cworker *worker = actor->worker;
    if (actor->entry->behavior->stop) {
        struct histrio_context ctx = {.worker = worker, .actor = actor};
        struct frame_of_call call = enter(actor, 0);
        actor->entry->behavior->stop(&ctx, actor->state, reason);
        leave(worker, &call);
        context_done(&ctx);
    }
    answer_taken(actor);
}

static void fail(struct cactor *actor, uint64_t delivery, const char *reason)
{
    bool is_normal = strcmp(reason, "normal") == 0;
    answer_text(actor, FRAME_FAILED, is_normal ? FRAME_FAILED_NORMAL : 0, delivery, is_normal ? "" : reason);
    instance_free(actor);
}

/* After each function but stop: it may have wanted to be the last. */
static void end_if_wanted(struct histrio_context *ctx, enum histrio_result result)
{
    struct cactor *actor = ctx->actor;
    const char *reason = NULL;
    if (result == HISTRIO_STOP || result == HISTRIO_FAIL)
        reason = ctx->fail_reason ? ctx->fail_reason : result == HISTRIO_FAIL ? "error" : "normal";
    else if (actor->exit_reason)
        reason = actor->exit_reason;
    if (!reason)
        return;
    char *copy = xstrdup(reason); /* it may live in what ends here */
    run_stop(actor, copy);
    fail(actor, 0, copy);
    free(copy);
}

/* ---- all calls ---- */

void handle_message(struct cworker *worker, struct cactor *actor, const struct handled *handled)
{
    const struct histrio_message *message = handled->message;
    struct histrio_context ctx = {.worker = worker,
        .actor = actor,
        .message = message,
        .delivery = message->kind == HISTRIO_ASK ? handled->delivery : 0,
        .may_spawn = true};
    size_t entry = begin(worker, handled->delivery);
    struct frame_of_call call = enter(actor, message->type);
    snapshot_begin(actor);
    enum histrio_result result = handled->then ? handled->then(&ctx, actor->state, message, handled->data)
                                               : actor->entry->behavior->receive(&ctx, actor->state, message);
    result = snapshot_take(&ctx, result);
    leave(worker, &call);
    end_delivery(&ctx, handled, result);
    end(worker, entry);
    actor->last_message_ns = actor->receive_timeout_ms > 0 ? cworker_now() : 0;
    end_if_wanted(&ctx, result);
    context_done(&ctx);
}

static enum histrio_result run_start(struct histrio_context *ctx, const uint8_t *arguments, size_t size)
{
    const struct histrio_behavior *behavior = ctx->actor->entry->behavior;
    if ((behavior->flags & HISTRIO_TRAP_EXITS) != 0)
        histrio_trap_exits(ctx, true);
    enum histrio_result restored;
    if (snapshot_restore(ctx, &restored))
        return restored;
    return behavior->start ? behavior->start(ctx, ctx->actor->state, arguments, size) : HISTRIO_CONTINUE;
}

void handle_start(
    struct cworker *worker, struct cactor *actor, uint64_t delivery, const uint8_t *arguments, size_t size)
{
    struct histrio_context ctx = {.worker = worker, .actor = actor, .may_spawn = true};
    size_t entry = begin(worker, delivery);
    struct frame_of_call call = enter(actor, 0);
    enum histrio_result result = run_start(&ctx, arguments, size);
    leave(worker, &call);
    if (result == HISTRIO_STOP || result == HISTRIO_FAIL) {
        fail(actor, delivery, ctx.fail_reason ? ctx.fail_reason : "error");
        end(worker, entry);
    } else {
        answer_frame(actor, FRAME_DONE, 0, delivery, NULL, 0);
        end(worker, entry);
        actor->last_message_ns = cworker_now();
        end_if_wanted(&ctx, HISTRIO_CONTINUE);
    }
    context_done(&ctx);
}

void handle_stop(struct cworker *worker, struct cactor *actor, uint64_t delivery, const char *reason)
{
    size_t entry = begin(worker, delivery);
    run_stop(actor, reason);
    answer_frame(actor, FRAME_DONE, 0, delivery, NULL, 0);
    end(worker, entry);
    instance_free(actor);
}
