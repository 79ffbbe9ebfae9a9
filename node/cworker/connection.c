#include "cworker/connection.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "capi/intern.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_BYTES = 256 * 1024, OUT_KEPT_BYTES = 1024 * 1024 };

void connection_init(
    struct connection *connection, int fd, void (*looked)(void *ctx, const struct frame *frame), void *ctx)
{
    *connection = (struct connection){.fd = fd, .mark = SIZE_MAX, .looked = looked, .ctx = ctx};
}

void connection_done(struct connection *connection)
{
    if (connection->fd >= 0)
        (void)close(connection->fd); /* nothing is buffered in it */
    free(connection->in);
    free(connection->out);
    vec_done(&connection->told);
    vec_done(&connection->told_by);
    vec_done(&connection->heard);
}

/* ---- in ---- */

/* Room for so many bytes behind what is there; frames that were taken go. */
static void in_reserve(struct connection *connection, size_t size)
{
    size_t used = connection->in_end - connection->in_begin;
    if (used + size > connection->in_capacity) {
        size_t capacity = used + size > IN_BYTES ? used + size : IN_BYTES;
        uint8_t *other = xmalloc(capacity);
        if (used > 0)
            memcpy(other, connection->in + connection->in_begin, used);
        free(connection->in);
        connection->in = other;
        connection->in_capacity = capacity;
    } else if (connection->in_begin > 0) {
        memmove(connection->in, connection->in + connection->in_begin, used);
    }
    connection->in_scanned -= connection->in_begin;
    connection->in_end = used;
    connection->in_begin = 0;
}

static void hear_text(struct connection *connection, const struct frame *frame, const uint8_t *payload)
{
    if (frame->method == 0 || frame->method > LIMIT_HOST_TEXTS) {
        connection->is_over = true; /* the node does not say such a thing */
        return;
    }
    while (connection->heard.count < frame->method)
        vec_push(&connection->heard, 0);
    connection->heard.items[frame->method - 1] = intern((const char *)payload, frame_payload_bytes(frame));
}

static void scan(struct connection *connection)
{
    while (connection->in_scanned < connection->in_end) {
        struct frame frame = {0};
        struct err err = {0};
        uint8_t *data = connection->in + connection->in_scanned;
        size_t size = connection->in_end - connection->in_scanned;
        int whole = frame_parse(data, size, &frame, &err);
        if (whole < 0)
            connection->is_over = true;
        else if (whole == 0 && frame.size > size)
            in_reserve(connection, frame.size - size); /* once for all of a large one */
        if (whole <= 0)
            return;
        if (frame.kind == FRAME_INTERN) {
            hear_text(connection, &frame, data + FRAME_HEADER_BYTES);
        } else if ((frame.flags & CONNECTION_TRANSLATED) == 0) {
            frame.method = frame.method > 0 && frame.method <= connection->heard.count
                               ? connection->heard.items[frame.method - 1]
                               : 0;
            frame.flags |= CONNECTION_TRANSLATED;
            memcpy(data, &frame, sizeof(frame));
            connection->looked(connection->ctx, &frame);
        }
        connection->in_scanned += frame.size;
    }
}

void connection_read(struct connection *connection, int timeout_ms)
{
    struct pollfd polled = {.fd = connection->fd, .events = POLLIN};
    if (connection->is_over || (timeout_ms > 0 && poll(&polled, 1, timeout_ms) <= 0))
        return;
    if (connection->in_begin == connection->in_end)
        connection->in_begin = connection->in_scanned = connection->in_end = 0;
    if (connection->in_capacity - connection->in_end < IN_BYTES / 4)
        in_reserve(connection, IN_BYTES / 4);
    ssize_t got = recv(connection->fd, connection->in + connection->in_end,
        connection->in_capacity - connection->in_end, timeout_ms < 0 ? 0 : MSG_DONTWAIT);
    if (got > 0) {
        connection->in_end += (size_t)got;
        scan(connection);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        connection->is_over = true;
    }
}

bool connection_next(struct connection *connection, struct frame *ret_frame, const uint8_t **ret_payload)
{
    while (connection->in_begin < connection->in_scanned) {
        const uint8_t *data = connection->in + connection->in_begin;
        memcpy(ret_frame, data, sizeof(*ret_frame));
        connection->in_begin += ret_frame->size;
        *ret_payload = data + FRAME_HEADER_BYTES;
        if (ret_frame->kind != FRAME_INTERN)
            return true;
    }
    return false;
}

uint8_t *connection_take_buffer(struct connection *connection)
{
    uint8_t *taken = connection->in;
    size_t used = connection->in_end - connection->in_begin;
    connection->in_capacity = used > IN_BYTES ? used : IN_BYTES;
    connection->in = xmalloc(connection->in_capacity);
    if (used > 0)
        memcpy(connection->in, taken + connection->in_begin, used);
    connection->in_scanned -= connection->in_begin;
    connection->in_end = used;
    connection->in_begin = 0;
    return taken;
}

void connection_put_back(struct connection *connection, const void *frames, size_t size)
{
    if (size == 0)
        return;
    size_t used = connection->in_end - connection->in_begin;
    uint8_t *both = xmalloc(size + used + IN_BYTES);
    memcpy(both, frames, size);
    if (used > 0)
        memcpy(both + size, connection->in + connection->in_begin, used);
    free(connection->in);
    connection->in = both;
    connection->in_capacity = size + used + IN_BYTES;
    connection->in_scanned = size + connection->in_scanned - connection->in_begin;
    connection->in_end = size + used;
    connection->in_begin = 0;
}

/* ---- out ---- */

static void out_reserve(struct connection *connection, size_t size)
{
    if (connection->out_size + size <= connection->out_capacity)
        return;
    connection->out_capacity = (connection->out_size + size) * 2;
    connection->out = xrealloc(connection->out, connection->out_capacity);
}

static void append_bytes(struct connection *connection, const void *bytes, size_t size)
{
    out_reserve(connection, size);
    if (size > 0)
        memcpy(connection->out + connection->out_size, bytes, size);
    connection->out_size += size;
}

void connection_append(
    struct connection *connection, struct frame *header, const void *payload, size_t payload_size)
{
    header->size = (uint32_t)(FRAME_HEADER_BYTES + payload_size);
    if (connection->out_size == 0)
        connection->out_since_ns = clock_now_ns(clock_system());
    out_reserve(connection, header->size);
    append_bytes(connection, header, FRAME_HEADER_BYTES);
    append_bytes(connection, payload, payload_size);
}

void connection_mark(struct connection *connection)
{
    connection->mark = connection->out_size;
}

void connection_append_at_mark(
    struct connection *connection, struct frame *header, const void *payload, size_t payload_size)
{
    size_t mark = connection->mark, behind = connection->out_size - mark;
    uint8_t *held = behind > 0 ? xmemdup(connection->out + mark, behind) : NULL;
    connection->out_size = mark;
    connection_append(connection, header, payload, payload_size);
    append_bytes(connection, held, behind);
    free(held);
}

void connection_unmark(struct connection *connection)
{
    connection->mark = SIZE_MAX;
}

uint32_t connection_text(struct connection *connection, uint32_t number)
{
    if (number == 0)
        return 0;
    while (connection->told.count <= number)
        vec_push(&connection->told, 0);
    if (connection->told.items[number] != 0)
        return connection->told.items[number];
    uint32_t ours = connection->next_text++ % LIMIT_HOST_TEXTS;
    if (ours < connection->told_by.count) { /* the oldest of them gives its number away */
        connection->told.items[connection->told_by.items[ours]] = 0;
        connection->told_by.items[ours] = number;
    } else {
        vec_push(&connection->told_by, number);
    }
    connection->told.items[number] = ours + 1;
    struct frame header = {.kind = FRAME_INTERN, .method = ours + 1};
    const char *text = intern_text(number);
    connection_append(connection, &header, text, strnlen(text, LIMIT_HOST_TEXT_BYTES));
    return ours + 1;
}

void connection_flush(struct connection *connection)
{
    for (size_t sent = 0; sent < connection->out_size && !connection->is_over;) {
        ssize_t some =
            send(connection->fd, connection->out + sent, connection->out_size - sent, MSG_NOSIGNAL);
        if (some > 0)
            sent += (size_t)some;
        else if (errno != EINTR)
            connection->is_over = true; /* the node is gone */
    }
    connection->out_size = 0;
    if (connection->mark != SIZE_MAX)
        connection->mark = 0;
    if (connection->out_capacity > OUT_KEPT_BYTES) {
        free(connection->out);
        connection->out = NULL;
        connection->out_capacity = 0;
    }
}
