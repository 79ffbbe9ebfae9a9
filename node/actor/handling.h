/* One message, from its mailbox through the behavior's function to its end.
 *
 * Thread: the worker of the actor. */
#ifndef ACTOR_HANDLING_H
#define ACTOR_HANDLING_H

#include "actor/api_timer.h"
#include "actor/send.h"

/* Everything but a plain tell of this node. */
void handle_other(struct histrio_context *ctx, struct message *message);
/* What the function returned, unless that was CONTINUE for a tell. */
void handle_result(struct histrio_context *ctx, enum histrio_result result);

/* Takes the message. ctx is that of the turn. Afterwards the actor may have ended. */
static inline void handle_message(struct histrio_context *ctx, struct message *message)
{
    struct worker *worker = ctx->worker;
    struct actor *actor = ctx->actor;
    ctx->message = message;
    ctx->answered = false;
    ctx->taken = false;
    atomic_store_explicit(&worker->watched.executing_type, message->type, memory_order_relaxed);
    COUNT(worker->watched.steps, 1);
    if (__builtin_expect(message->kind == HISTRIO_TELL && (message->flags & MESSAGE_REMOTE) == 0, 1)) {
        struct histrio_message view = {
            .type = message->type,
            .kind = HISTRIO_TELL,
            .size = message->size,
            .value = message->data,
            .sender = message_sender(worker, message),
        };
        enum histrio_result result = actor->behavior->receive(ctx, actor->state, &view);
        if (__builtin_expect(result != HISTRIO_CONTINUE || ctx->fail_reason, 0))
            handle_result(ctx, result);
    } else {
        handle_other(ctx, message);
    }
    if (__builtin_expect((actor->flags & ACTOR_TIMES_OUT) != 0, 0))
        api_receive_timeout_restart(worker, actor);
    message_free(worker, message);
}

#endif
