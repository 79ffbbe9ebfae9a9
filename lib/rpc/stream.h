/* rpc/stream.h: a bidirectional stream of byte messages, the same at the client's and the server's end. A
 * unary call is a stream with one message each way. Belongs to its loop (rpc/loop.h): all on the loop's
 * thread unless said otherwise.
 *
 * Life: client end: made by rpc_client_open(); server end: handed to rpc_method.open. The owner must call
 * rpc_stream_free() exactly once, at any time, also inside a callback; that cancels what is still under way,
 * and no callback comes after it. `closed` comes exactly once unless the stream was freed before. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct rpc_stream;

/* gRPC's status numbers, those that Histrio uses. */
enum rpc_code {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_FAILED_PRECONDITION = 9,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
    RPC_UNAUTHENTICATED = 16,
};

struct rpc_status {
    enum rpc_code code;
    const char *text; /* valid during the callback */
};

struct rpc_stream_events {
    /* One message; `data` is valid during the call. The next message is read after the callback returned,
     * unless reading is paused: that is the back-pressure of the stream. */
    void (*message)(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx);
    /* The write queue fell to or below half of its limit after a write was refused. May be NULL. */
    void (*writable)(struct rpc_stream *stream, void *ctx);
    /* All queued writes have been handed to the transport. May be NULL: for batching by "no write in flight".
     */
    void (*idle)(struct rpc_stream *stream, void *ctx);
    /* The peer will send no more messages (client half-closed; server ends only). May be NULL. */
    void (*half_closed)(struct rpc_stream *stream, void *ctx);
    /* The end: server end: the client went or the status was sent; client end: the final status. */
    void (*closed)(struct rpc_stream *stream, const struct rpc_status *status, void *ctx);
};

/* Must be called before the first callback can come, i.e. inside rpc_method.open, or right after
 * rpc_client_open(). Called again, also inside a callback, it hands the stream to another listener. */
void rpc_stream_listen(struct rpc_stream *stream, const struct rpc_stream_events *events, void *ctx);

/* A message to fill in place and to send without a further copy. */
struct rpc_buffer;
struct rpc_buffer *rpc_buffer_new(size_t size);
uint8_t *rpc_buffer_data(struct rpc_buffer *buffer);
void rpc_buffer_free(struct rpc_buffer *buffer); /* only for one that was not sent */

/* Queues one message; takes `buffer`, also on failure. ERR_BUSY: the queue's limit in bytes is reached
 * (nothing was queued; `writable` follows). ERR_LIMIT: larger than a message may be. ERR_CANCELED: the stream
 * has ended, or was half-closed or finished. What is written within one callback goes out together when that
 * has returned. */
int rpc_stream_write_take(struct rpc_stream *stream, struct rpc_buffer *buffer, struct err *err);
int rpc_stream_write(struct rpc_stream *stream, const void *data, size_t size, struct err *err); /* copies */
/* As the limit counts them: with what is in flight, and about 128 bytes a message beside its own. */
size_t rpc_stream_queued_bytes(const struct rpc_stream *stream);
bool rpc_stream_is_idle(const struct rpc_stream *stream); /* nothing queued and no write in flight */

/* While paused no `message` comes; one that was under way is kept for later, and lost if the call fails
 * before. */
void rpc_stream_pause_reading(struct rpc_stream *stream, bool paused);

/* Client end: no more messages from us. Server end: use rpc_stream_finish(). Queued messages go out before. A
 * finished server end may be freed at once: the queue and the status still go out. */
void rpc_stream_half_close(struct rpc_stream *stream);
void rpc_stream_finish(struct rpc_stream *stream, enum rpc_code code, const char *text);

/* Ends it now; `closed` follows with RPC_CANCELLED. */
void rpc_stream_cancel(struct rpc_stream *stream);
void rpc_stream_free(struct rpc_stream *stream);

/* "ipv4:127.0.0.1:1234", "unix:..." as gRPC reports it; valid until the next call or the stream's free. A
 * client end knows it once the server has answered. */
const char *rpc_stream_peer(struct rpc_stream *stream);

/* Whether the peer proved to be `name`, by a DNS name of its certificate. False on plaintext connections. A
 * client end knows it once the server has answered. */
bool rpc_stream_peer_has_name(struct rpc_stream *stream, const char *name);

/* A status as an error: -1 and *err, or 0 for RPC_OK. Any thread. */
int rpc_status_error(const struct rpc_status *status, struct err *err);
