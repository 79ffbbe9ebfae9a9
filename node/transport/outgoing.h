/* transport/outgoing.h: everything that waits to leave the node or for an acknowledgement, and the order that
 * it must keep. Pure: no streams, no clock; one lock of the owner (TRANSPORT_RANK_OUTGOING) guards all of it,
 * routes included.
 *
 * Invariants:
 * 1. Rows in flight of a unit (in an open batch, or sent and not acknowledged) are all with one peer,
 * addressed at one epoch: queue->flight, queue->flight_epoch. So a receiver that refuses one refuses all
 * later ones.
 * 2. While rows of a unit came back, or were held because of 1, newer ones are held. When none is in flight
 * any more, those that came back go first, in their order, then those that were held.
 * 3. Rows to references (unnamed actors, replies) have no unit and are never held. A reply that may be lost
 * is sent again: the asker takes the first.
 * 4. An ask that is taken ends here only by an outcome, or on the peer's side by a reply. */
#pragma once

#include "actor/system.h"
#include "base/list.h"
#include "transport/asks.h"
#include "transport/batch.h"
#include "transport/router.h"
#include "transport/texts.h"

/* A signal with its texts. Freed with free(). */
struct pending_signal {
    struct list_node node;
    uint64_t sequence; /* given by whom sends it */
    uint64_t after;    /* the row that must be taken first */
    uint64_t from_epoch, to_epoch;
    const char *from_unit, *to_unit; /* NULL: none */
    struct actor_signal signal;
    char texts[];
};

/* What waits for one peer. */
struct outbox {
    uint64_t node_uid;
    char *node_name, *link_address;
    bool is_dead;
    bool is_connected;           /* its Messages stream is up: set by the loop */
    bool is_reachable;           /* connected, or not for so long that waiting makes no sense */
    bool is_writing;             /* a write is in flight, after which the loop looks for more by itself */
    bool is_over;                /* senders were told to wait */
    struct list_node dirty_node; /* in outgoing.dirty */
    struct batch_list open, sent;
    uint64_t next_sequence; /* of the next row; from 1 */
    uint64_t sent_sequence; /* of the last row that was sent */
    struct asks asks;
    struct list signals; /* struct pending_signal that the loop has not taken yet */
    size_t signal_count;
    void *peer; /* the owner's */
};

/* Messages under way of one unit. */
struct unit_queue {
    struct list_node node; /* in outgoing.unsettled while something came back or is held */
    struct route_unit *unit;
    struct outbox *flight;
    uint64_t flight_epoch;
    uint64_t in_flight;
    struct batch_list returned, held;
    struct list signals;   /* that must come after the held rows */
    bool is_over;          /* senders were told to wait */
    int64_t retry_at_ns;   /* not before */
    int64_t hold_until_ns; /* 0: nothing came back since the last quiet moment */
};

/* An ask that ended here. */
struct outcome {
    uint64_t ask, asker;
    enum histrio_error error;
};

struct outgoing_limits {
    int64_t hold_ns, retry_ns;
    size_t high_bytes;
};

struct outgoing {
    struct outgoing_limits limits;
    struct router router;
    struct texts texts;
    struct map64 outboxes; /* by node uid; struct outbox */
    struct list dirty;     /* outboxes with something to send */
    struct list unsettled; /* struct unit_queue */
    struct batch *spare;   /* for the next use */
    size_t spare_count;
    const char *last_unit_text; /* cache: the last sender's unit */
    struct route_unit *last_unit;
    bool is_closed;
    /* For the owner, to do without the lock. */
    VEC(struct outcome) outcomes;
    struct batch_list local; /* rows whose unit turned out to be here */
    bool lift_wanted;        /* senders may go on */
    bool wake_wanted;        /* the loop should look at `dirty` and `unsettled` */
    uint64_t bounced, fenced, lost_tells, uncertain_asks;
};

void outgoing_init(struct outgoing *outgoing, uint64_t self, const struct outgoing_limits *limits);
void outgoing_done(struct outgoing *outgoing);

struct outbox *outgoing_find(const struct outgoing *outgoing, uint64_t node_uid);
struct outbox *outgoing_add(struct outgoing *outgoing, uint64_t node_uid); /* or the one that is there */

/* Of struct actor_outbound. */
enum histrio_error outgoing_send(
    struct outgoing *outgoing, const struct actor_envelope *envelope, int64_t now_ns, bool *ret_pressure);
enum histrio_error outgoing_signal(
    struct outgoing *outgoing, const struct actor_signal *signal, int64_t now_ns, uint64_t *ret_node);

/* With its texts, and nothing else filled in. */
struct pending_signal *outgoing_copy_signal(const struct actor_signal *signal);

/* The next batch to send, which is then in flight and stays ours; NULL: none. only_full: one that waits for
 * more rows stays. */
struct batch *outgoing_take(struct outgoing *outgoing, struct outbox *outbox, bool only_full);
/* False: the peer acknowledges what it never got. */
bool outgoing_acknowledge(
    struct outgoing *outgoing, struct outbox *outbox, uint64_t sequence, int64_t now_ns);
/* These rows came back. False: they are not in flight, or no rows to a unit. */
bool outgoing_return(struct outgoing *outgoing, struct outbox *outbox, const uint64_t *sequences,
    size_t count, bool is_fenced, int64_t now_ns);

/* The stream broke: what was not acknowledged is lost or uncertain. */
void outgoing_broken(struct outgoing *outgoing, struct outbox *outbox, int64_t now_ns);
/* What was never sent is given up. */
void outgoing_unreachable(struct outgoing *outgoing, struct outbox *outbox, int64_t now_ns);
/* The peer is dead: as broken; what was never sent goes where its unit is placed next. */
void outgoing_dead(struct outgoing *outgoing, struct outbox *outbox, int64_t now_ns);
/* Everything waiting ends. */
void outgoing_close(struct outgoing *outgoing);

/* Routes changed, or time has passed. */
void outgoing_settle(struct outgoing *outgoing, int64_t now_ns);
