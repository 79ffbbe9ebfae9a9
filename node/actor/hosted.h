/* actor/hosted.h: what the behavior of hosted actors (node/host) may do beyond behavior.h: it keeps messages
 * while another process handles them, and acts for its actor outside of turns.
 *
 * A hosted actor is an ordinary one, spawned with is_hosted: an exit signal that would end it goes to
 * actor_hosting.exit instead, "kill" aside.
 *
 * Thread: the actor's worker. */
#ifndef ACTOR_HOSTED_H
#define ACTOR_HOSTED_H

#include "actor/behavior.h"
#include "actor/worker.h"

/* What receive returns when it has kept the message: the runtime neither answers nor frees it. */
#define HOSTED_TAKEN ((enum histrio_result)4)

/* The message that is handled; the behavior's, once it returns HOSTED_TAKEN. */
struct message *hosted_message(const struct histrio_context *ctx, const struct histrio_message *view);

/* ---- the end of a message that was kept; each takes it ---- */

/* Answers it, if it is an ask. The attachment, NULL for none, stays the caller's. */
void hosted_reply(struct histrio_context *ctx, struct message *message, const uint8_t *value, size_t size,
    struct attachment *attachment);
void hosted_reply_error(
    struct histrio_context *ctx, struct message *message, enum histrio_error error, const char *text);
/* Its handling was cut short: an ask is answered, a tell becomes a dead letter. */
void hosted_lost(struct histrio_context *ctx, struct message *message, const char *text);
/* Its behavior did nothing with it. */
void hosted_unhandled(struct histrio_context *ctx, struct message *message);
/* Nobody is told anything. */
static inline void hosted_forget(struct worker *worker, struct message *message)
{
    message_free(worker, message);
}
/* Back to the front of the mailbox, the first of them first, as if they had not been taken out: tells and
 * asks only. */
void hosted_put_back(struct histrio_context *ctx, struct message *const *messages, size_t count);

/* From outside of all actors. */
static inline bool hosted_is_of_client(const struct message *message)
{
    return (message->flags & MESSAGE_REMOTE) == 0 && id_slot(message->sender) == 0;
}

/* Keeps a copy of these bytes for the next incarnation of the actor, in place of what was kept before. When
 * the name is free again, they are forgotten. False: all that is kept on this worker would be more than
 * total_max; what was kept before stays. */
bool hosted_keep(struct histrio_context *ctx, const uint8_t *bytes, size_t size, uint64_t total_max);
void hosted_forget_kept(struct worker *worker, struct actor *actor);
/* What was kept last, until the next call; NULL: nothing. */
const uint8_t *hosted_kept(const struct histrio_context *ctx, size_t *ret_size);

/* What the asker still waits for; 0: not known here. */
uint32_t hosted_remaining_ms(struct worker *worker, const struct message *message);

/* ---- messages of hosted actors ---- */

/* As histrio_tell() and histrio_ask_then(), with an attachment, which may be NULL and stays the caller's. */
void hosted_tell(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value,
    size_t size, struct attachment *attachment);
uint64_t hosted_ask(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, const uint8_t *value,
    size_t size, uint32_t timeout_ms, histrio_then then, void *data, struct attachment *attachment);
/* A hosted actor of this node, and not one in C. */
bool hosted_takes_attachments(const struct worker *worker, struct histrio_ref ref);

/* The outcome of one, at once and outside of its turns: the code that waits for it is in another process, and
 * the actor may be paused because that code does not end. Takes the message. */
enum histrio_error hosted_outcome(struct worker *worker, struct actor *actor, struct message *message);

/* ---- the actor ---- */

/* A context to act for that incarnation outside of its turns; false when it is gone. */
bool hosted_enter(struct worker *worker, uint64_t id, struct histrio_context *ret_ctx);
/* No turns until it is false again; exits pass. An actor that is paused when its start returns is shown as
 * Starting until hosted_started(). */
void hosted_pause(struct histrio_context *ctx, bool pause);
void hosted_started(struct histrio_context *ctx);
/* Ends it in this call. is_free: by no fault of its own, so its restart does not count. Outside of turns of
 * this actor. */
void hosted_end(struct histrio_context *ctx, const char *reason, bool is_free);
/* The same before its next message, for when its function may be on the stack. */
void hosted_end_later(struct histrio_context *ctx, const char *reason);
/* It waits for a receiver that cannot keep up. */
bool hosted_is_muted(const struct histrio_context *ctx);
bool hosted_is_suspended(const struct worker *worker);
/* Processes exist whose sockets actor_hosting.wait looks at: the worker does not spin before it calls that.
 */
void hosted_watch_processes(struct worker *worker, bool any);
/* Nobody waits for that ask of ours any more: no outcome comes, and whoever has it is told; false: its
 * outcome has come. */
bool hosted_cancel_ask(struct histrio_context *ctx, uint64_t ask);
/* Whether that message is the ask that actor_hosting.cancel speaks of. */
bool hosted_is_ask(
    const struct histrio_context *ctx, const struct message *message, struct histrio_ref asker, uint64_t ask);
/* Where an exit signal to ref goes: the root of a tree that the context's actor has spawned ends with the
 * supervisor above it, which else would start it again (not of one in C that one in C has spawned). */
struct histrio_ref hosted_exit_target(struct histrio_context *ctx, struct histrio_ref ref);
/* Who has that path now; nobody when it is free. */
struct histrio_ref hosted_present(struct histrio_context *ctx, const char *path);
/* What runs in the place of hosted actors; NULL: this node has none. */
const struct histrio_behavior *actor_hosted_behavior(struct histrio_context *ctx);
/* The file of the library that has that behavior, "" when it is linked in; NULL: no library has it. Lives as
 * long as the system. */
const char *hosted_library(struct histrio_context *ctx, const char *behavior);
/* Whether the last end of what had that path (its supervisor still holds the name) was free. */
bool hosted_end_was_free(struct histrio_context *ctx, const char *path);

#endif
