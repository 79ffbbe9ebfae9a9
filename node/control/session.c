#include "node_control/session.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "node_control/convert.h"
#include "rpc/loop.h"
#include "wire/arena.h"

#include <stdlib.h>

enum { ARENA_BYTES_MAX = 4 * LIMIT_FRAME_BYTES };

struct session {
    struct list_node node;
    struct rpc_stream *stream;
    struct rpc_timer *hello_timer;
    struct session_events events;
    struct wire_arena arena;
    bool is_accepted;
    bool is_finished; /* the status is on its way: nothing of the peer counts any more */
};

static void session_free(struct session *session)
{
    list_remove(&session->node);
    rpc_timer_free(session->hello_timer);
    rpc_stream_free(session->stream);
    wire_arena_done(&session->arena);
    free(session);
}

void session_free_all(struct list *all)
{
    list_for_each_safe (session, all, struct session, node)
        session_free(session);
}

void session_finish(struct session *session, enum rpc_code code, const char *text)
{
    if (session->is_finished)
        return;
    session->is_finished = true;
    rpc_stream_finish(session->stream, code, text);
}

bool session_send_take(struct session *session, struct rpc_buffer *buffer, bool must_not_be_lost)
{
    struct err err = {0};
    if (session->is_finished) {
        rpc_buffer_free(buffer);
        return false;
    }
    if (rpc_stream_write_take(session->stream, buffer, &err) == 0)
        return true;
    if (must_not_be_lost && err.kind == ERR_BUSY) {
        log_event(LOG_WARNING, "the operator does not read: session ended", "error", err.text, NULL);
        session->is_finished = true;
        rpc_stream_cancel(session->stream);
    }
    return false;
}

bool session_is_idle(const struct session *session)
{
    return session->is_finished || rpc_stream_is_idle(session->stream);
}

static void handle_hello(struct session *session, const struct command *command)
{
    const char *text = "the first message must be a hello";
    struct rpc_buffer *refused = NULL;
    enum rpc_code code = RPC_INVALID_ARGUMENT;
    if (command->kind == COMMAND_HELLO)
        code = session->events.hello(session->events.ctx, session, command, &text, &refused);
    if (code == RPC_OK) {
        rpc_timer_cancel(session->hello_timer);
        return;
    }
    log_event(LOG_WARNING, "control session refused", "peer", rpc_stream_peer(session->stream), "error", text,
        NULL);
    if (refused)
        (void)session_send_take(session, refused, false); /* the status says the same */
    session_finish(session, code, text);
}

static void handle_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct session *session = ctx;
    struct command command;
    struct err err = {0};
    (void)stream; /* it is session->stream */
    if (session->is_finished)
        return;
    if (convert_command(data, size, &session->arena, &command, &err) < 0) {
        log_event(LOG_WARNING, "control message refused", "peer", rpc_stream_peer(session->stream), "error",
            err.text, NULL);
        session_finish(session, RPC_INVALID_ARGUMENT, err.text);
    } else if (!session->is_accepted) {
        /* Set first: in hello() the owner already sends. A refusal finishes the session. */
        session->is_accepted = true;
        handle_hello(session, &command);
        session->is_accepted = !session->is_finished;
    } else {
        session->events.command(session->events.ctx, session, &command);
    }
    command_done(&command);
    wire_arena_reset(&session->arena);
}

static void handle_half_closed(struct rpc_stream *stream, void *ctx)
{
    (void)stream; /* it is session->stream */
    session_finish(ctx, RPC_OK, "");
}

static void handle_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct session *session = ctx;
    (void)stream; /* it is session->stream */
    if (session->is_accepted)
        session->events.ended(session->events.ctx, session, status->text);
    session_free(session);
}

static void handle_hello_timeout(void *ctx)
{
    session_finish(ctx, RPC_DEADLINE_EXCEEDED, "no hello came");
}

void session_accept(
    struct rpc_loop *loop, struct rpc_stream *stream, const struct session_events *events, struct list *all)
{
    static const struct rpc_stream_events stream_events = {
        .message = handle_message, .half_closed = handle_half_closed, .closed = handle_closed};
    struct session *session = xcalloc(1, sizeof(*session));
    session->stream = stream;
    session->events = *events;
    session->hello_timer = rpc_timer_new(loop, handle_hello_timeout, session);
    wire_arena_init(&session->arena, NULL, 0, ARENA_BYTES_MAX);
    list_push_back(all, &session->node);
    rpc_timer_set(session->hello_timer, SESSION_HELLO_TIMEOUT_MS);
    rpc_stream_listen(stream, &stream_events, session);
}
