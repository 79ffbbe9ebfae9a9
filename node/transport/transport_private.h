/* transport/transport_private.h: the transport and its peers, as the files of this module share them.
 *
 * Everything belongs to the loop's thread, but for what `lock` guards. Callbacks of the inbound are made
 * without the lock: whoever may have made outcomes calls transport_drain() after unlocking. */
#pragma once

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "base/role.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "transport/convert.h"
#include "transport/outgoing.h"
#include "transport/transport.h"
#include "wire/arena.h"

struct rpc_client;

enum link_kind { LINK_MESSAGES, LINK_SYSTEM };

/* One stream with a peer, from its opening on. */
struct link {
    struct list_node node; /* in transport.links */
    struct transport *transport;
    struct peer *peer; /* NULL: accepted, and no hello yet */
    struct rpc_stream *stream;
    enum link_kind kind;
    bool is_dialled;
    bool is_up; /* hellos were exchanged */
    int64_t opened_ns;
    /* Of Messages. */
    struct link_encoder encoder;
    struct link_decoder decoder;
    uint64_t batch_number;                   /* counts what came in, for link_unit.checked_batch */
    int64_t credit_bytes, credit_messages;   /* that we have */
    int64_t granted_bytes, granted_messages; /* that the peer has */
};

/* A signal that waits until the messages sent before it have been taken. */
struct waiting_signal {
    struct list_node node;
    uint64_t after;
    struct pending_signal *copy;
};

struct peer {
    struct transport *transport;
    struct outbox *outbox;
    struct link *messages, *system; /* NULL: none */
    struct rpc_client *client;      /* when we dial */
    struct rpc_timer *redial_timer;
    struct backoff backoff;
    bool is_buried;          /* its death has been dealt with */
    int64_t disconnected_ns; /* since when Messages is down */
    /* Messages, in. */
    uint64_t taken;                             /* the highest row that was dealt with */
    uint64_t acknowledged;                      /* of these, what the peer was told */
    uint64_t spent_bytes, spent_messages;       /* credit to give back */
    uint64_t withheld_bytes, withheld_messages; /* the same, later: receivers are overloaded */
    uint64_t overloaded;                        /* the number of an overloaded receiver; 0: it has none */
    struct rpc_timer *acknowledge_timer;
    bool is_acknowledge_armed;
    /* Signals. */
    struct list signals_sent; /* struct pending_signal, not acknowledged */
    uint64_t signal_sequence; /* the last given out */
    uint64_t signals_taken, signals_acknowledged;
    struct list signals_waiting; /* struct waiting_signal */
    size_t signals_waiting_count;
    uint64_t nonce, echo;
};

struct transport {
    struct rpc_loop *loop;
    struct clock *clock;
    struct transport_config config;  /* its texts are ours */
    struct link_hello hello;         /* of ours */
    char peer_name[ROLE_NAME_BYTES]; /* in the certificates of all of us */
    struct transport_inbound inbound;
    struct rpc_method methods[2];
    struct mutex lock;
    struct outgoing outgoing GUARDED_BY(&lock);
    struct transport_counters counters GUARDED_BY(&lock);
    int64_t coarse_ns GUARDED_BY(&lock); /* when the loop last looked: good enough for how long things wait */
    bool is_flush_posted GUARDED_BY(&lock);
    bool is_refresh_posted GUARDED_BY(&lock);
    struct list links;
    struct rpc_timer *tick_timer, *settle_timer;
    bool is_settle_armed;
    int64_t swept_ns;
    struct rng rng;
    struct wire_arena arena; /* of the frame that is being read */
    void (*changed)(void *ctx);
    void *changed_ctx;
    bool is_closed;
};

static inline int64_t transport_now(const struct transport *transport)
{
    return transport->clock->monotonic_ns(transport->clock);
}

/* transport.c */
/* After anything that may have changed what is outgoing: tells the runtime, and has the loop look at what
 * became ready. */
void transport_drain(struct transport *transport);
/* Posts transport_refresh() once for a burst of changes. Any thread, without the lock. */
void transport_refresh_later(struct transport *transport);
void transport_notify(struct transport *transport);

/* peer.c */
struct peer *peer_new(struct transport *transport, struct outbox *outbox);
void peer_free(struct peer *peer);
void peer_dial(struct peer *peer); /* what is not open yet, if dialling is ours to do */
void peer_bury(struct peer *peer); /* declared dead */
void peer_tick(struct peer *peer, int64_t now_ns);

/* link.c */
void link_accept_messages(struct rpc_stream *stream, void *ctx);
void link_accept_system(struct rpc_stream *stream, void *ctx);
void link_dial(struct peer *peer, enum link_kind kind);
/* Ends and frees it; the peer finds out by peer_link_ended(). */
void link_end(struct link *link, enum rpc_code code, const char *text);
void peer_link_up(struct peer *peer, struct link *link);
void peer_link_ended(struct peer *peer, struct link *link);
/* Sends a frame and frees it. */
void link_send_take(struct link *link, uint8_t *data, size_t size);
/* The peer does not keep to the protocol. */
void link_violated(struct link *link, const char *text);

/* messages.c */
void messages_up(struct peer *peer);
void messages_received(struct link *link, const struct link_frame *frame, size_t size);
void messages_flush(struct peer *peer);
void messages_acknowledge(struct peer *peer); /* the timer */
struct link_extra messages_extra(struct peer *peer);

/* deliver.c */
/* Hands the rows of a batch to the runtime; false: the peer is dead. *ret_pressed: a receiver is overloaded,
 * its number is in peer->overloaded. */
bool deliver_batch(struct link *link, const struct link_frame *frame, bool *ret_pressed);
void deliver_local(struct transport *transport, const struct batch *batch);
void deliver_outcome(struct transport *transport, const struct outcome *outcome);

/* system.c */
void system_up(struct peer *peer);
void system_received(struct link *link, const struct system_frame *frame);
void system_flush(struct peer *peer);
void system_beat(struct peer *peer);
void system_run_waiting(struct peer *peer); /* rows were taken */
void system_forget(struct peer *peer);
