/* The socket to the node: frames in and out, and the texts that both sides have numbered. */
#ifndef CWORKER_CONNECTION_H
#define CWORKER_CONNECTION_H

#include "base/str.h"
#include "base/vec.h"
#include "host/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* What connection.c sets in flags of a frame whose method is one of capi/intern.h. */
enum { CONNECTION_TRANSLATED = 1 << 15 };

struct connection {
    int fd;
    bool is_over;
    uint8_t *in; /* [begin, scanned) are whole frames that were looked at, [scanned, end) are not */
    size_t in_begin, in_scanned, in_end, in_capacity;
    uint8_t *out;
    size_t out_size, out_capacity;
    int64_t out_since_ns; /* of its first byte */
    size_t mark;          /* SIZE_MAX: none */
    VEC(uint32_t) told;   /* by the number of capi/intern.h: ours on this connection, 0: not told */
    VEC(uint32_t) told_by;
    uint32_t next_text;
    VEC(uint32_t) heard; /* by the node's number - 1: of capi/intern.h */
    /* Sees each frame as soon as it has come, long before it is its turn. */
    void (*looked)(void *ctx, const struct frame *frame);
    void *ctx;
};

void connection_init(
    struct connection *connection, int fd, void (*looked)(void *ctx, const struct frame *frame), void *ctx);
void connection_done(struct connection *connection);

/* Reads once. timeout_ms 0: what is there; -1: waits without end. Sets is_over when the node has closed it or
 * sent what is no frame. */
void connection_read(struct connection *connection, int timeout_ms);
/* The next frame, its payload behind the header and valid until the next read; false: there is none. INTERN
 * never comes out here. */
bool connection_next(struct connection *connection, struct frame *ret_frame, const uint8_t **ret_payload);
/* Frames that have been taken stay where they are from now on: the buffer is the caller's to free. */
uint8_t *connection_take_buffer(struct connection *connection);
/* Frames that were taken come again, before all others. */
void connection_put_back(struct connection *connection, const void *frames, size_t size);

/* Appends a frame; header->size is set here. */
void connection_append(
    struct connection *connection, struct frame *header, const void *payload, size_t payload_size);
/* The number on this connection of a text of capi/intern.h; tells it before. 0 stays 0. */
uint32_t connection_text(struct connection *connection, uint32_t number);
/* What is appended from now on can get a frame before it. A flush gives that up for what it writes. */
void connection_mark(struct connection *connection);
void connection_append_at_mark(
    struct connection *connection, struct frame *header, const void *payload, size_t payload_size);
void connection_unmark(struct connection *connection);
/* Bytes that wait, those behind a mark aside. */
static inline size_t connection_said(const struct connection *connection)
{
    return connection->mark < connection->out_size ? connection->mark : connection->out_size;
}
/* Writes all of it, however long that takes. */
void connection_flush(struct connection *connection);

#endif
