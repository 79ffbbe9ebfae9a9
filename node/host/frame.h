/* Frames between the node and its worker processes, as docs/host.md has them: 48 bytes little endian, then
 * the payload. Pure: bytes in, structs out. */
#ifndef HOST_FRAME_H
#define HOST_FRAME_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum { FRAME_HEADER_BYTES = 48, FRAME_PROTOCOL = 1 };

enum frame_kind {
    FRAME_HELLO = 1,
    FRAME_WELCOME,
    FRAME_INTERN,
    FRAME_START,
    FRAME_STOP,
    FRAME_DROP,
    FRAME_TELL,
    FRAME_ASK,
    FRAME_REPLY,
    FRAME_ERROR,
    FRAME_DONE,
    FRAME_FAILED,
    FRAME_CANCEL,
    FRAME_SPAWN,
    FRAME_MONITOR,
    FRAME_DEMONITOR,
    FRAME_DOWN,
    FRAME_LINK,
    FRAME_UNLINK,
    FRAME_EXIT,
    FRAME_TIMER_START,
    FRAME_TIMER_CANCEL,
    FRAME_TIMER,
    FRAME_LOG,
    FRAME_TRAP,
    FRAME_TAKEN,
    FRAME_SNAPSHOT,
    FRAME_KIND_END
};

enum { FRAME_HAS_BUFFERS = 1 }; /* flag: a descriptor comes with it, see buffers.h */
/* A message of a client that belongs to a trace, to a process whose HELLO said that it takes them: an ext
 * value with the trace, TRACE_CONTEXT_BYTES, and behind it the message's own value. */
enum { FRAME_TRACED_EXT = 83 };
enum {
    FRAME_FAILED_NORMAL = 1,  /* code of FAILED: it stopped, and did not fail */
    FRAME_DONE_UNHANDLED = 1, /* code of DONE: nothing was done with the tell */
    FRAME_MONITOR_LASTS = 1,  /* code of MONITOR: over restarts */
    FRAME_DOWN_ENDED = 1,     /* codes of DOWN: no end for good; the payload is the value of the message */
    FRAME_DOWN_RESTARTED = 2,
};

/* The header as it is on the wire. */
struct frame {
    uint32_t size; /* with the header */
    uint8_t kind;
    uint8_t code;
    uint16_t flags;
    uint32_t actor;
    uint32_t method;
    uint64_t number;
    uint32_t timeout_ms;
    uint32_t name;
    uint64_t ref_node;
    uint64_t ref_id;
};

_Static_assert(sizeof(struct frame) == FRAME_HEADER_BYTES, "the struct is the wire format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "of a little-endian machine");

/* The frame at the beginning of data. 1: *ret_frame is filled, its payload is in data behind the header; 0:
 * it is not whole yet, and ret_frame->size, if not 0, is what it will take; -1: no frame can begin like this.
 */
int frame_parse(const uint8_t *data, size_t size, struct frame *ret_frame, struct err *err);

static inline size_t frame_payload_bytes(const struct frame *frame)
{
    return frame->size - FRAME_HEADER_BYTES;
}

/* "ASK", ...; "?" for none. */
const char *frame_kind_name(unsigned kind);

#endif
