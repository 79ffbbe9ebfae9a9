/* Large data of messages: a file in memory (memfd) that the sending process made and the receiving one maps.
 * The node holds its descriptor, beside the message (actor/attachment.h), until that is over, and looks at
 * nothing in it. docs/host.md, "Large data".
 *
 * Descriptors travel with the first byte of their frame, so on each connection they come in the order of
 * those frames, and at most the next frame's is there before its frame is whole. */
#ifndef HOST_BUFFERS_H
#define HOST_BUFFERS_H

#include "actor/attachment.h"
#include "base/vec.h"

#include <stdint.h>
#include <sys/types.h>

struct frame;
struct host;
struct process;

enum { BUFFERS_EXT = 82, BUFFERS_ARRIVED_MAX = 2, BUFFERS_LOST = -1 };

/* Of a host: what its messages hold. */
struct buffers_account {
    uint64_t bytes_max, bytes;
    uint32_t files_max, files;
};

struct buffers_outgoing {
    uint64_t position; /* in the stream, of the frame it goes with */
    struct attachment *attachment;
};

/* Of a connection. */
struct buffers_port {
    int arrived[BUFFERS_ARRIVED_MAX]; /* their frames are not whole yet; BUFFERS_LOST: we had no room for it
                                       */
    unsigned arrived_count;
    VEC(struct buffers_outgoing) outgoing; /* in order */
    uint64_t sent;                         /* bytes, ever */

    /* Of the frame that is handled. */
    struct attachment *came; /* NULL: it has none */
    const char *refused;     /* why it was let go; NULL: it was not */
};

/* bytes_max 0: half of the memory that there is. */
void buffers_account_init(struct buffers_account *account, uint64_t bytes_max);

/* As recv() and send() on the process's socket, for its buffers of bytes; descriptors aside. */
ssize_t buffers_receive(struct process *process, void *data, size_t size);
ssize_t buffers_send(struct process *process, const void *data, size_t size);

/* Before the frame is handled: came or refused is set if it has large data. False: it breaks the protocol. */
bool buffers_begin_frame(struct process *process, const struct frame *frame, const uint8_t *payload);
void buffers_end_frame(struct process *process);
/* All that was read is handled: nothing may be left. False: it breaks the protocol. */
bool buffers_are_matched(const struct process *process);

/* process_append() of a message; attachment may be NULL. False, and nothing is appended: the process runs C,
 * which gets the bytes themselves, and they are more than a message holds. */
bool buffers_append(struct process *process, struct frame *header, const void *payload, size_t size,
    struct attachment *attachment);
#define BUFFERS_TOO_LARGE "more than the 4 MiB that a message to an actor in C holds"
/* The connection is over. */
void buffers_done(struct process *process);

#endif
