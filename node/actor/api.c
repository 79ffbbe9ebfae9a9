/* histrio/actor.h: who we are, names, messages. */
#include "actor/ask.h"
#include "actor/send.h"
#include "actor/system_private.h"
#include "base/limits.h"
#include "base/log.h"
#include "capi/intern.h"
#include "capi/name.h"

#include <stdio.h>
#include <stdlib.h>

struct histrio_ref histrio_self(struct histrio_context *ctx)
{
    return (struct histrio_ref){ctx->worker->node_uid, actor_id(ctx->actor)};
}

struct histrio_ref histrio_parent(struct histrio_context *ctx)
{
    return ctx->actor->parent;
}

const char *histrio_path(struct histrio_context *ctx)
{
    return intern_text(ctx->actor->name);
}

const char *histrio_unit(struct histrio_context *ctx)
{
    return ctx->actor->unit ? unit_name(ctx->actor->unit) : "";
}

uint64_t histrio_epoch(struct histrio_context *ctx)
{
    return ctx->actor->unit ? ctx->actor->unit->epoch : 0;
}

uint64_t histrio_incarnation(struct histrio_context *ctx)
{
    return ctx->actor->name ? names_incarnation(&ctx->worker->system->names, ctx->actor->name) : 1;
}

uint64_t actor_system_name(struct actor_system *system, const char *name)
{
    (void)system; /* texts are numbered for the whole process */
    size_t size = strlen(name);
    return name_is_valid(name, size) ? intern_outside(name, size) : 0;
}

struct histrio_ref histrio_lookup(struct histrio_context *ctx, const char *name)
{
    return (struct histrio_ref){0, name_lookup(intern_text(ctx->actor->name), name)};
}

const char *histrio_ref_name(struct histrio_context *ctx, struct histrio_ref ref)
{
    if (ref.node == 0)
        return intern_text((uint32_t)ref.id);
    const struct actor *actor = ref.node == ctx->worker->node_uid ? registry_find(ctx->worker, ref.id) : NULL;
    return actor ? intern_text(actor->name) : "";
}

/* At most 20 bytes, without a call: two overlapping copies of a fixed size do for any size between. */
static inline void copy_small(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size >= 8) {
        if (size > 16)
            memcpy(to + 8, from + 8, 8);
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; i++)
            to[i] = from[i];
    }
}

/* gcc would else give the function other arguments than it has here. */
#ifdef __clang__
#define KEEPS_ITS_ARGUMENTS __attribute__((noinline))
#else
#define KEEPS_ITS_ARGUMENTS __attribute__((noipa))
#endif

/* To other workers and nodes, with a large value, to a full mailbox or to nobody. Takes just what
 * histrio_tell() takes, in the same registers, so that getting here is a jump, and the common case there
 * needs no stack. */
static KEEPS_ITS_ARGUMENTS enum histrio_error tell_further(
    struct histrio_context *ctx, uint64_t node, uint64_t id, uint32_t type, const uint8_t *value, size_t size)
{
    struct sending sending = {
        .to = {node, id}, .kind = HISTRIO_TELL, .type = type, .value = value, .size = size};
    return send_to(ctx->worker, ctx->actor, &sending);
}

/* The common case without a detour: an actor of this worker with room in its mailbox, and a value that fits
 * into the smallest message. node and id: the reference as it was given; present: the actor behind it. */
static inline __attribute__((always_inline)) enum histrio_error tell_here(struct histrio_context *ctx,
    uint64_t present, uint64_t node, uint64_t id, uint32_t type, const uint8_t *value, size_t size)
{
    struct worker *worker = ctx->worker;
    struct actor *actor = registry_find(worker, present);
    if (__builtin_expect(!actor || size > message_payload_bytes(0), 0))
        return tell_further(ctx, node, id, type, value, size);
    uint32_t depth = actor_depth(actor);
    if (__builtin_expect(depth >= actor->high || !slab_has(&worker->slab, 0), 0))
        return tell_further(ctx, node, id, type, value, size);
    struct message *message = slab_get(&worker->slab, 0);
    message->target = present;
    message->sender = actor_id(ctx->actor);
    message->type = type;
    message->size = (uint32_t)size;
    message->head = worker->plain_head;
    if (size > 0)
        copy_small(message->data, value, size);
    mailbox_append(actor, message, depth);
    return send_wake(worker, actor);
}

static KEEPS_ITS_ARGUMENTS enum histrio_error tell_name(
    struct histrio_context *ctx, uint64_t node, uint64_t id, uint32_t type, const uint8_t *value, size_t size)
{
    uint64_t present = names_present(&ctx->worker->system->names, (uint32_t)id);
    return tell_here(ctx, present, node, id, type, value, size);
}

enum histrio_error histrio_tell(
    struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value, size_t size)
{
    if (__builtin_expect(to.node == ctx->worker->node_uid, 1))
        return tell_here(ctx, to.id, to.node, to.id, type, value, size);
    if (to.node == 0)
        return tell_name(ctx, to.node, to.id, type, value, size);
    return tell_further(ctx, to.node, to.id, type, value, size);
}

uint64_t histrio_ask(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value,
    size_t size, uint32_t timeout_ms)
{
    return histrio_ask_then(ctx, to, type, value, size, timeout_ms, NULL, NULL);
}

uint64_t histrio_ask_then(struct histrio_context *ctx, struct histrio_ref to, uint32_t type,
    const uint8_t *value, size_t size, uint32_t timeout_ms, histrio_then then, void *data)
{
    return hosted_ask(ctx, to, type, value, size, timeout_ms, then, data, NULL);
}

/* ---- answers ---- */

static struct histrio_caller current_caller(const struct histrio_context *ctx)
{
    if (!ctx->message || ctx->message->kind != HISTRIO_ASK)
        return (struct histrio_caller){0};
    struct histrio_ref asker = message_sender(ctx->worker, ctx->message);
    if (histrio_ref_is_nobody(asker))
        asker = (struct histrio_ref){ctx->worker->node_uid, ctx->message->sender}; /* a clerk */
    return (struct histrio_caller){asker, ctx->message->reference};
}

/* True when the caller has not been answered by us yet, as far as we know. */
static void forget_caller(struct histrio_context *ctx, struct histrio_caller caller)
{
    struct histrio_caller current = current_caller(ctx);
    if (current.ask == caller.ask && histrio_ref_equal(current.asker, caller.asker))
        ctx->answered = true;
    if (!ctx->actor->side)
        return;
    vec_for_each (taken, &ctx->actor->side->callers) {
        if (taken->ask == caller.ask && histrio_ref_equal(taken->asker, caller.asker)) {
            vec_remove_swap(&ctx->actor->side->callers, (size_t)(taken - ctx->actor->side->callers.items));
            return;
        }
    }
}

struct histrio_caller histrio_caller(struct histrio_context *ctx)
{
    struct histrio_caller caller = current_caller(ctx);
    if (caller.ask != 0 && !ctx->answered && !ctx->taken) {
        ctx->taken = true;
        vec_push(&actor_side(ctx->worker, ctx->actor)->callers, caller);
    }
    return caller;
}

void histrio_reply(struct histrio_context *ctx, const uint8_t *value, size_t size)
{
    if (!ctx->answered)
        histrio_reply_to(ctx, current_caller(ctx), value, size);
}

void histrio_reply_error(struct histrio_context *ctx, enum histrio_error error, const char *text)
{
    if (!ctx->answered)
        histrio_reply_error_to(ctx, current_caller(ctx), error, text);
}

void histrio_reply_to(
    struct histrio_context *ctx, struct histrio_caller caller, const uint8_t *value, size_t size)
{
    if (caller.ask == 0)
        return;
    forget_caller(ctx, caller);
    send_reply(ctx->worker, ctx->actor, caller, value, size, NULL);
}

void histrio_reply_error_to(
    struct histrio_context *ctx, struct histrio_caller caller, enum histrio_error error, const char *text)
{
    if (caller.ask == 0)
        return;
    forget_caller(ctx, caller);
    send_reply_error(
        ctx->worker, ctx->actor, caller, error == HISTRIO_OK ? HISTRIO_APPLICATION : error, text);
}

/* ---- time and logs ---- */

int64_t histrio_now_ns(struct histrio_context *ctx)
{
    return worker_now(ctx->worker);
}

int64_t histrio_wall_ms(struct histrio_context *ctx)
{
    return clock_wall_ms(ctx->worker->system->clock);
}

uint64_t histrio_random(struct histrio_context *ctx)
{
    return rng_u64(&ctx->worker->rng);
}

void histrio_log(struct histrio_context *ctx, enum histrio_log_level level, const char *format, ...)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR};
    enum log_level of_base = levels[(unsigned)level <= HISTRIO_LOG_ERROR ? level : HISTRIO_LOG_ERROR];
    if (!log_enabled(of_base))
        return;
    va_list arguments;
    va_start(arguments, format);
    char text[1024];
    (void)vsnprintf(text, sizeof(text), format, arguments); /* longer ones are cut */
    va_end(arguments);
    log_event(of_base, text, "system", ctx->worker->system->name, "unit", histrio_unit(ctx), "actor",
        histrio_path(ctx), "incarnation", log_number(histrio_incarnation(ctx)), NULL);
}
