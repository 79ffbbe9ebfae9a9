/* A message on its way: in an outbox, a worker's inbox or a mailbox; always in exactly one place, which owns
 * it.
 *
 * 64 bytes with up to 20 of payload; larger ones take the next size class, see slab.h. A message that a
 * worker made comes from that worker's slab and goes back there; one that another thread made is malloc's. */
#ifndef ACTOR_MESSAGE_H
#define ACTOR_MESSAGE_H

#include "base/mem.h"

#include "actor/attachment.h"
#include "actor/slab.h"
#include "base/trace_context.h"

#include <histrio/actor.h>
#include <stdint.h>
#include <string.h>

struct worker;
struct message;

enum {
    MESSAGE_JOB = HISTRIO_RESTARTED + 1, /* not for an actor: `job` runs on the worker */
};

enum {
    MESSAGE_REMOTE = 1,  /* the first 8 bytes of the payload are the uid of the sender's node */
    MESSAGE_SETTLED = 2, /* an outcome that the runtime itself decided: its ask is kept for it */
    MESSAGE_COUNTS = 4,  /* against the mailbox's capacity: tells and asks */
    MESSAGE_PLAIN = 8, /* a tell between two actors of one worker, of the smallest class and from its slab */
    MESSAGE_ATTACHED = 16, /* message_attachment() is there; on the heap */
    MESSAGE_DEADLINE = 32, /* message_deadline_ns() is there: of an ask from another worker or node */
    MESSAGE_TRACED = 64,   /* message_trace() is there */
};

enum { MESSAGE_OUTSIDE = 255 }; /* owner of messages that no worker made */

/* Runs on the worker that got it; the message is freed by the caller afterwards. */
typedef void (*message_job)(struct worker *worker, struct message *message);

struct message {
    struct message *next;
    uint64_t target; /* an actor id, or TARGET_NAME and a name's number */
    uint64_t sender; /* an actor id, of this node unless MESSAGE_REMOTE; 0: nobody */
    union {
        uint64_t reference; /* ask, timer or monitor; of a plain message: undefined */
        message_job job;
    };
    union {
        uint32_t type;
        uint32_t error; /* of HISTRIO_ERROR, which has no type */
    };
    uint32_t size; /* of the payload, with the uid when MESSAGE_REMOTE */
    union {
        struct {
            uint8_t kind;
            uint8_t flags;
            uint8_t class; /* of the slab */
            uint8_t owner; /* the worker whose slab it came from */
        };
        uint32_t head; /* all four at once */
    };
    uint8_t data[];
};

_Static_assert(offsetof(struct message, data) == 44, "20 bytes of payload fit into one cache line");

#define TARGET_NAME (UINT64_C(1) << 63) /* actor ids have generations below 2^31 */

static inline size_t message_payload_bytes(unsigned class)
{
    return slab_class_bytes(class) - offsetof(struct message, data);
}

/* For threads that are no workers. size is at most LIMIT_VALUE_BYTES + 8. Header fields are zero. */
struct message *message_new_outside(size_t size);
/* One on the heap that holds a reference to the attachment. */
struct message *message_new_attached(size_t size, struct attachment *attachment);
/* NULL: it has none. */
struct attachment *message_attachment(const struct message *message);

/* When an ask's asker stops waiting, by the worker's clock; INT64_MAX: its own worker's table knows. To be
 * set, the message must have MESSAGE_DEADLINE_BYTES behind its payload, and no attachment. */
enum { MESSAGE_DEADLINE_BYTES = sizeof(int64_t) };
void message_set_deadline(struct message *message, int64_t deadline_ns);
int64_t message_deadline_ns(const struct message *message);

/* The trace that a client says its message belongs to; NULL: none. To be set, the message must have
 * TRACE_CONTEXT_BYTES more behind its payload, or behind its deadline, which is set before, and no
 * attachment. */
void message_set_trace(struct message *message, const struct trace_context *trace);
const struct trace_context *message_trace(const struct message *message);
/* One of class SLAB_HEAP, whoever made it. */
void message_free_heap(struct message *message);

#endif
