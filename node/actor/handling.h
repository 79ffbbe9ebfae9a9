/* One message, from its mailbox through the behavior's function to its end.
 *
 * Thread: the worker of the actor. */
#ifndef ACTOR_HANDLING_H
#define ACTOR_HANDLING_H

#include "actor/api_timer.h"
#include "actor/hosted.h"
#include "actor/send.h"

/* What stays the same from message to message is set once for many turns. */
struct handling {
    struct histrio_context ctx; /* message: NULL for plain ones, which nobody can answer */
    struct histrio_message view;
};

static inline void handling_init(struct handling *handling, struct worker *worker)
{
    *handling = (struct handling){
        .ctx = {.worker = worker},
        .view = {.kind = HISTRIO_TELL, .sender = {.node = worker->node_uid}},
    };
}

/* All but plain messages. */
void handle_other(struct histrio_context *ctx, struct message *message);
/* What the function returned, unless that was CONTINUE for a tell. */
void handle_result(struct histrio_context *ctx, struct message *message, enum histrio_result result);

/* Takes the message. actor: of the context; afterwards it may have ended. */
static inline void handle_message(
    struct worker *worker, struct actor *actor, struct handling *handling, struct message *message)
{
    uint32_t type = message->type;
    atomic_store_explicit(&worker->watched.executing_type, type, memory_order_relaxed);
    COUNT(worker->counters.messages, 1);
    if (__builtin_expect((message->flags & MESSAGE_PLAIN) == 0, 0)) {
        handle_other(&handling->ctx, message);
        return;
    }
    handling->view.type = type;
    handling->view.size = message->size;
    handling->view.value = message->data;
    handling->view.sender.id = message->sender;
    enum histrio_result result = actor->behavior->receive(&handling->ctx, actor->state, &handling->view);
    if (__builtin_expect(result != HISTRIO_CONTINUE, 0)) {
        if (result == HOSTED_TAKEN)
            return;
        handle_result(&handling->ctx, message, result);
    }
    slab_put(&worker->slab, message, 0);
}

#endif
