/* node_control/session.h: one Control stream, from its opening to its end: the hello's checks, frames in and
 * out. What was said after the hello goes to the owner. On the loop's thread. */
#pragma once

#include "base/list.h"
#include "node_control/command.h"
#include "rpc/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct rpc_loop;
struct session;

struct session_events {
    /* The first message was a hello: RPC_OK to accept it, else the stream ends with that and *ret_text;
     * `refused` (may be set by the owner, taken) is sent before. */
    enum rpc_code (*hello)(void *ctx, struct session *session, const struct command *command,
        const char **ret_text, struct rpc_buffer **ret_refused);
    /* Any later message. The owner takes an assign's spec by setting it to NULL. */
    void (*command)(void *ctx, struct session *session, struct command *command);
    /* The stream is over, of an accepted session; it is freed afterwards. */
    void (*ended)(void *ctx, struct session *session, const char *text);
    void *ctx;
};

enum { SESSION_HELLO_TIMEOUT_MS = 5000 };

/* Takes a stream that the server opened; frees itself at its end. It is linked into `all` until then. */
void session_accept(
    struct rpc_loop *loop, struct rpc_stream *stream, const struct session_events *events, struct list *all);

/* Sends one message; takes the buffer. What must not be lost and does not fit ends the session: the operator
 * comes back and asks for an inventory. Otherwise false says that it did not fit. */
bool session_send_take(struct session *session, struct rpc_buffer *buffer, bool must_not_be_lost);
bool session_is_idle(const struct session *session);
/* Ends it with a status; `ended` follows if it was accepted. */
void session_finish(struct session *session, enum rpc_code code, const char *text);
/* Ends all, without `ended`. */
void session_free_all(struct list *all);
