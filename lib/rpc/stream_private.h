/* rpc/stream_private.h: one gRPC call at either end. Private to module rpc; on the loop's thread.
 *
 * Invariants
 * 1. At most one batch that sends and one that receives a message is under way; `batches` counts all that
 * are, and the stream is not freed before it is 0 and the owner has freed it.
 * 2. Callbacks come only from completions and from stream_later(), never from inside a function that an owner
 * calls.
 * 3. `call` is given back as soon as the call has ended and no batch is under way, so that a server or a
 * channel does not wait for an owner who keeps the stream. */
#pragma once

#include <grpc/grpc.h>

#include "base/list.h"
#include "rpc/loop_private.h"
#include "rpc/stream.h"
#include "rpc/tag.h"

struct rpc_stream {
    struct rpc_loop *loop;
    grpc_call *call;
    bool is_server;
    bool is_started;   /* the batch that waits for the end has been started */
    bool is_listening; /* rpc_stream_listen() was called */
    bool is_cancelled; /* by us */
    bool is_freed;     /* by its owner */
    bool is_ended;     /* gRPC told the end */
    bool is_told;      /* and so did we */
    unsigned batches;
    struct rpc_stream_events events;
    void *ctx;
    struct rpc_later later;
    char *peer;

    /* Who made it and wants to know when it is over. */
    struct list_node node;
    void (*gone)(void *maker);
    void *maker;

    /* Sending: rpc/stream_send.c. */
    struct rpc_tag send_tag;
    struct rpc_buffer *first;
    struct rpc_buffer *last;
    grpc_byte_buffer *sending;
    size_t sending_cost;
    size_t queued_bytes; /* with `sending` */
    size_t queue_bytes_max;
    size_t message_bytes_max;
    uint32_t header_flags;
    bool is_sending;
    bool header_wanted;
    bool header_sent;
    bool close_wanted; /* half-close or finish */
    bool close_sent;
    bool wants_writable;
    bool tell_idle;
    enum rpc_code finish_code;
    char *finish_text;

    /* Receiving: rpc/stream_receive.c. */
    struct rpc_tag receive_tag;
    grpc_byte_buffer *received;
    bool is_receiving;
    bool is_paused;
    bool receive_ended;

    /* The end: rpc/stream.c. */
    struct rpc_tag end_tag;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_status_code status;
    grpc_slice status_text;
    int client_went;
};

struct rpc_stream_limits {
    size_t message_bytes_max;
    size_t queue_bytes_max;
};

/* Takes `call`. Nothing is started before the loop comes to its later work. */
struct rpc_stream *rpc_stream_new(
    struct rpc_loop *loop, grpc_call *call, bool is_server, const struct rpc_stream_limits *limits);

void rpc_stream_touch(struct rpc_stream *stream); /* start what can be started when the callbacks are over */

/* Starts a batch; false when gRPC refuses, which only happens to a call that is beyond use. */
bool rpc_stream_start(struct rpc_stream *stream, const grpc_op *ops, size_t count, struct rpc_tag *tag);
/* Around the body of a completion or of later work: the second may free the stream. */
void rpc_stream_enter(struct rpc_stream *stream);
void rpc_stream_leave(struct rpc_stream *stream);

void rpc_stream_send_init(struct rpc_stream *stream);
void rpc_stream_send_next(struct rpc_stream *stream);
void rpc_stream_send_drop(struct rpc_stream *stream); /* what is queued */

void rpc_stream_receive_init(struct rpc_stream *stream);
void rpc_stream_receive_next(struct rpc_stream *stream);
void rpc_stream_receive_drop(struct rpc_stream *stream); /* what was received and not delivered */
void rpc_stream_deliver(struct rpc_stream *stream);
