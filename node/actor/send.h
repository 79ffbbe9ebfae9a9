/* From a sender to a mailbox, wherever it is.
 *
 * Thread: the worker that is given. All functions take the message. */
#ifndef ACTOR_SEND_H
#define ACTOR_SEND_H

#include "actor/hosted.h"

/* What goes out: message fields by name, value borrowed. */
struct sending {
    struct histrio_ref to;
    uint8_t kind;  /* HISTRIO_TELL, ASK, REPLY, ERROR */
    uint8_t error; /* of HISTRIO_ERROR */
    uint32_t type;
    uint64_t reference;
    uint32_t remaining_ms; /* of an ask, as its asker's table has it, for other workers and nodes */
    const void *value;
    size_t size;
    struct attachment *attachment;     /* borrowed, as the value; NULL: none */
    const struct trace_context *trace; /* the same; of a tell or ask without attachment */
};

/* Finds where `to` is, builds the message, and delivers it or hands it on. sender may be NULL (nobody). A
 * message that cannot be delivered is dealt with (dead letter, or the error reply of an ask). */
enum histrio_error send_to(struct worker *worker, struct actor *sender, const struct sending *sending);

/* A message for an actor or name of this node, with its target set. */
enum histrio_error send_message(struct worker *worker, struct actor *sender, struct message *message);

/* The mailbox is at its mark: see pressure.h. */
enum histrio_error send_deliver_full(
    struct worker *worker, struct actor *sender, struct actor *actor, struct message *message);

/* A message is in the mailbox. */
static inline enum histrio_error send_wake(struct worker *worker, struct actor *actor)
{
    if ((actor->flags & (ACTOR_QUEUED | ACTOR_MUTED | ACTOR_PAUSED | ACTOR_HELD | ACTOR_STARTING)) == 0)
        runqueue_push(worker, actor);
    return HISTRIO_OK;
}

static inline enum histrio_error send_push(
    struct worker *worker, struct actor *actor, struct message *message)
{
    mailbox_push(actor, message);
    return send_wake(worker, actor);
}

/* Into the mailbox of an actor of this worker, subject to its limits. */
static inline enum histrio_error send_deliver(
    struct worker *worker, struct actor *sender, struct actor *actor, struct message *message)
{
    if (__builtin_expect((actor->flags & ACTOR_HOSTED) != 0, 0) &&
        (message->kind == HISTRIO_REPLY || message->kind == HISTRIO_ERROR))
        return hosted_outcome(worker, actor, message);
    if (__builtin_expect(actor_depth(actor) >= actor->high, 0))
        return send_deliver_full(worker, sender, actor, message);
    return send_push(worker, actor, message);
}

/* A message that the runtime makes for an actor of its own worker: does not count, is never refused. */
void send_notice(struct worker *worker, struct actor *actor, uint8_t kind, uint64_t reference,
    struct histrio_ref sender, const char *text);

/* The same with any value. */
void send_notice_value(struct worker *worker, struct actor *actor, uint8_t kind, uint64_t reference,
    struct histrio_ref sender, const void *value, size_t size);

/* What to do with a message whose target is gone or refuses it. */
void send_undeliverable(struct worker *worker, struct message *message, enum histrio_error why);

/* The outcome of an ask, to wherever the asker is. */
void send_reply(struct worker *worker, struct actor *sender, struct histrio_caller caller, const void *value,
    size_t size, struct attachment *attachment);
void send_reply_error(struct worker *worker, struct actor *sender, struct histrio_caller caller,
    enum histrio_error error, const char *text);

/* Runs `job` on another worker (or on this one, later), with the message's target, sender and payload as
 * arguments. */
void send_job(struct worker *worker, unsigned to, struct message *message, message_job job);

/* A message that came into the worker's inbox. */
void send_arrived(struct worker *worker, struct message *message);

/* Nobody, when a clerk asks for somebody outside. */
static inline struct histrio_ref message_sender(const struct worker *worker, const struct message *message)
{
    struct histrio_ref ref = {worker->node_uid, message->sender};
    if (__builtin_expect((message->flags & MESSAGE_REMOTE) != 0, 0))
        memcpy(&ref.node, message->data, sizeof(ref.node));
    else if (__builtin_expect(id_slot(message->sender) == 0, 0))
        ref = (struct histrio_ref){0};
    return ref;
}
static inline const uint8_t *message_value(const struct message *message)
{
    return message->data + ((message->flags & MESSAGE_REMOTE) != 0 ? sizeof(uint64_t) : 0);
}
static inline uint32_t message_value_size(const struct message *message)
{
    return message->size - ((message->flags & MESSAGE_REMOTE) != 0 ? (uint32_t)sizeof(uint64_t) : 0);
}

#endif
