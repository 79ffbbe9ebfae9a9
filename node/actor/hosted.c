#include "actor/hosted.h"

#include "actor/ask.h"
#include "actor/cancel.h"
#include "actor/deadletter.h"
#include "actor/handle.h"
#include "actor/life.h"
#include "actor/link.h"
#include "actor/send.h"
#include "actor/supervisor.h"
#include "actor/system_private.h"
#include "capi/intern.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct message *hosted_message(const struct histrio_context *ctx, const struct histrio_message *view)
{
    if (ctx->message)
        return ctx->message;
    /* A plain one: the view shows its payload. */
    return (struct message *)(uintptr_t)(view->value - offsetof(struct message, data));
}

/* ---- messages that were kept ---- */

static struct histrio_caller caller_of(const struct worker *worker, const struct message *message)
{
    struct histrio_ref asker = message_sender(worker, message);
    if (histrio_ref_is_nobody(asker))
        asker = (struct histrio_ref){worker->node_uid, message->sender}; /* a clerk */
    return (struct histrio_caller){asker, message->reference};
}

void hosted_reply(struct histrio_context *ctx, struct message *message, const uint8_t *value, size_t size,
    struct attachment *attachment)
{
    if (message->kind == HISTRIO_ASK)
        send_reply(ctx->worker, ctx->actor, caller_of(ctx->worker, message), value, size, attachment);
    message_free(ctx->worker, message);
}

void hosted_reply_error(
    struct histrio_context *ctx, struct message *message, enum histrio_error error, const char *text)
{
    if (message->kind == HISTRIO_ASK)
        send_reply_error(ctx->worker, ctx->actor, caller_of(ctx->worker, message), error, text);
    message_free(ctx->worker, message);
}

void hosted_lost(struct histrio_context *ctx, struct message *message, const char *text)
{
    if (message->kind == HISTRIO_TELL)
        deadletter(ctx->worker, message, HISTRIO_CRASHED);
    hosted_reply_error(ctx, message, HISTRIO_CRASHED, text);
}

void hosted_unhandled(struct histrio_context *ctx, struct message *message)
{
    char text[192];
    if (message->kind == HISTRIO_TELL)
        deadletter(ctx->worker, message, HISTRIO_BAD_ARGUMENT);
    (void)snprintf(text, sizeof(text), "no method \"%s\"", intern_text(message->type));
    hosted_reply_error(ctx, message, HISTRIO_BAD_ARGUMENT, text); /* as handling.c says it */
}

void hosted_put_back(struct histrio_context *ctx, struct message *const *messages, size_t count)
{
    struct actor *actor = ctx->actor;
    for (size_t i = count; i-- > 0;) {
        struct message *message = messages[i];
        assert((message->flags & MESSAGE_COUNTS) != 0);
        message->next = actor->first;
        if (!actor->first)
            actor->last = message;
        actor->first = message;
    }
    actor_set_depth(actor, actor_depth(actor) + (uint32_t)count);
}

struct kept {
    size_t size;
    uint8_t bytes[];
};

static uint64_t kept_bytes(const struct kept *kept)
{
    return kept ? sizeof(*kept) + kept->size : 0;
}

bool hosted_keep(struct histrio_context *ctx, const uint8_t *bytes, size_t size, uint64_t total_max)
{
    struct worker *worker = ctx->worker;
    uint64_t others = atomic_load_explicit(&worker->counters.kept_bytes, memory_order_relaxed) -
                      kept_bytes(ctx->actor->kept);
    if (others + sizeof(struct kept) + size > total_max)
        return false;
    hosted_forget_kept(worker, ctx->actor);
    struct kept *kept = xmalloc(sizeof(*kept) + size);
    kept->size = size;
    if (size > 0)
        memcpy(kept->bytes, bytes, size);
    ctx->actor->kept = kept;
    COUNT(worker->counters.kept_bytes, kept_bytes(kept));
    return true;
}

void hosted_forget_kept(struct worker *worker, struct actor *actor)
{
    COUNT(worker->counters.kept_bytes, -kept_bytes(actor->kept));
    free(actor->kept);
    actor->kept = NULL;
}

const uint8_t *hosted_kept(const struct histrio_context *ctx, size_t *ret_size)
{
    const struct kept *kept = ctx->actor->kept;
    *ret_size = kept ? kept->size : 0;
    return kept ? kept->bytes : NULL;
}

uint32_t hosted_remaining_ms(struct worker *worker, const struct message *message)
{
    int64_t deadline_ms = message_deadline_ns(message) / NS_PER_MS;
    if (message->kind != HISTRIO_ASK)
        return 0;
    if ((message->flags & (MESSAGE_DEADLINE | MESSAGE_REMOTE)) == 0 &&
        id_worker(message->reference) == worker->number) {
        const struct ask *ask = handle_find(worker, &worker->asks, message->reference);
        deadline_ms = ask ? ask->timer.tick : deadline_ms;
    }
    if (deadline_ms == INT64_MAX / NS_PER_MS)
        return 0;
    int64_t left_ms = deadline_ms - worker_now(worker) / NS_PER_MS;
    return left_ms > 0 ? (uint32_t)left_ms : 1;
}

/* ---- messages of hosted actors ---- */

void hosted_tell(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value,
    size_t size, struct attachment *attachment)
{
    struct sending sending = {
        .to = to, .kind = HISTRIO_TELL, .type = type, .value = value, .size = size, .attachment = attachment};
    (void)send_to(ctx->worker, ctx->actor, &sending); /* a failure is a dead letter */
}

uint64_t hosted_ask(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value,
    size_t size, uint32_t timeout_ms, histrio_then then, void *data, struct attachment *attachment)
{
    struct ask *ask = ask_new(ctx->worker, ctx->actor, to, timeout_ms);
    uint64_t number = ask->number;
    ask->then = then;
    ask->data = data;
    struct sending sending = {.to = to,
        .kind = HISTRIO_ASK,
        .type = type,
        .reference = number,
        .remaining_ms = timeout_ms ? timeout_ms : ASK_TIMEOUT_DEFAULT_MS,
        .value = value,
        .size = size,
        .attachment = attachment};
    (void)send_to(ctx->worker, ctx->actor, &sending); /* failures come as the ask's outcome */
    return number;
}

enum histrio_error hosted_outcome(struct worker *worker, struct actor *actor, struct message *message)
{
    bool is_error = message->kind == HISTRIO_ERROR;
    struct ask ask = {0};
    if ((actor->flags & (ACTOR_ALIVE | ACTOR_ENDING)) == ACTOR_ALIVE &&
        ask_settle(worker, actor, message, &ask) && ask.then) {
        struct histrio_context ctx = {.worker = worker, .actor = actor, .message = message};
        struct histrio_message view = {
            .kind = message->kind,
            .error = is_error ? (uint8_t)message->error : 0,
            .size = message_value_size(message),
            .value = message_value(message),
            .sender = message_sender(worker, message),
            .reference = message->reference,
        };
        (void)ask.then(&ctx, actor->state, &view, ask.data); /* it only tells its process */
    }
    message_free(worker, message);
    return HISTRIO_OK;
}

/* ---- the actor ---- */

bool hosted_enter(struct worker *worker, uint64_t id, struct histrio_context *ret_ctx)
{
    struct actor *actor = registry_find(worker, id);
    if (!actor || (actor->flags & ACTOR_ALIVE) == 0)
        return false;
    *ret_ctx = (struct histrio_context){.worker = worker, .actor = actor};
    return true;
}

void hosted_pause(struct histrio_context *ctx, bool pause)
{
    struct actor *actor = ctx->actor;
    if (pause) {
        actor->flags |= ACTOR_PAUSED;
        return;
    }
    actor->flags &= ~(uint32_t)ACTOR_PAUSED;
    worker_schedule(ctx->worker, actor);
}

void hosted_started(struct histrio_context *ctx)
{
    if (ctx->actor->name)
        names_set_state(&ctx->worker->system->names, ctx->actor->name, "Running");
    life_awaited(ctx->actor, ctx->actor->unit);
    link_restarted(ctx->worker, ctx->actor);
    if (ctx->actor->unit)
        unit_check_running(ctx->worker, ctx->actor->unit);
}

void hosted_end(struct histrio_context *ctx, const char *reason, bool is_free)
{
    if ((ctx->actor->flags & (ACTOR_ALIVE | ACTOR_ENDING)) != ACTOR_ALIVE)
        return;
    if (is_free)
        ctx->actor->flags |= ACTOR_FREE_END;
    life_end(ctx->worker, ctx->actor, reason, NULL);
}

void hosted_end_later(struct histrio_context *ctx, const char *reason)
{
    life_end_later(ctx->worker, ctx->actor, reason);
}

bool hosted_is_muted(const struct histrio_context *ctx)
{
    return (ctx->actor->flags & ACTOR_MUTED) != 0;
}

bool hosted_is_suspended(const struct worker *worker)
{
    return atomic_load_explicit(&worker->suspended, memory_order_relaxed);
}

static struct actor *find_here(const struct worker *worker, struct histrio_ref ref)
{
    uint64_t id = ref.node == 0 ? names_present(&worker->system->names, (uint32_t)ref.id) : ref.id;
    bool is_here = id != 0 && (ref.node == 0 || ref.node == worker->node_uid);
    return is_here ? registry_find(worker, id) : NULL;
}

bool hosted_takes_attachments(const struct worker *worker, struct histrio_ref ref)
{
    const struct actor *actor = find_here(worker, ref);
    return actor && (actor->flags & (ACTOR_HOSTED | ACTOR_HOSTED_IN_C)) == ACTOR_HOSTED;
}

void hosted_watch_processes(struct worker *worker, bool any)
{
    worker->watches_processes = any;
}

bool hosted_is_ask(
    const struct histrio_context *ctx, const struct message *message, struct histrio_ref asker, uint64_t ask)
{
    return cancel_means(ctx->worker, &(struct cancel){asker, ask}, message);
}

bool hosted_cancel_ask(struct histrio_context *ctx, uint64_t ask)
{
    return ask_cancel(ctx->worker, ctx->actor, ask);
}

struct histrio_ref hosted_exit_target(struct histrio_context *ctx, struct histrio_ref ref)
{
    const struct actor *actor = find_here(ctx->worker, ref);
    const struct actor *above = actor ? registry_find(ctx->worker, actor->parent.id) : NULL;
    if (actor && (ctx->actor->flags & actor->flags & ACTOR_HOSTED_IN_C) != 0)
        return ref; /* what histrio_spawn() starts is not started again, and may trap it */
    if (above && above->name == 0 && above->parent.id == actor_id(ctx->actor) &&
        supervisor_runs(above->behavior))
        return (struct histrio_ref){ctx->worker->node_uid, actor_id(above)};
    return ref;
}

struct histrio_ref hosted_present(struct histrio_context *ctx, const char *path)
{
    uint32_t name = intern_find(path, strlen(path));
    uint64_t id = name ? names_present(&ctx->worker->system->names, name) : 0;
    return id ? (struct histrio_ref){ctx->worker->node_uid, id} : (struct histrio_ref){0};
}

const struct histrio_behavior *actor_hosted_behavior(struct histrio_context *ctx)
{
    const struct actor_hosting *hosting = ctx->worker->hosting;
    return hosting ? hosting->behavior : NULL;
}

const char *hosted_library(struct histrio_context *ctx, const char *behavior)
{
    const struct library_behavior *entry = libraries_find(&ctx->worker->system->libraries, behavior);
    if (!entry)
        return NULL;
    return entry->path ? entry->path : "";
}

bool hosted_end_was_free(struct histrio_context *ctx, const char *path)
{
    uint32_t name = intern_find(path, strlen(path));
    uint64_t id = name ? names_present(&ctx->worker->system->names, name) : 0;
    const struct actor *actor = id ? registry_find(ctx->worker, id) : NULL;
    return actor && (actor->flags & (ACTOR_HELD | ACTOR_FREE_END)) == (ACTOR_HELD | ACTOR_FREE_END);
}
