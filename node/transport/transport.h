/* transport/transport.h: messages and signals between the nodes of a system.
 *
 * A pair of nodes has two streams (link.proto), which the node with the smaller uid dials. Sending is at most
 * once and in order for each pair of actors, also when a unit moves: what comes back as "moved" is sent again
 * before newer messages to that unit. An ask that cannot be delivered is answered through `deliver` of struct
 * transport_inbound: UNCERTAIN when it may have been executed, UNAVAILABLE, NOT_FOUND or FENCED when it was
 * not.
 *
 * Threads: streams belong to the rpc loop that it is given; outbound's functions are called on worker threads
 * and only queue under a lock (rank TRANSPORT_RANK_OUTGOING). Each function says who may call it. Callbacks
 * never come with a lock held. */
#pragma once

#include "actor/system.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct err;
struct rpc_creds;
struct rpc_loop;
struct rpc_method;
struct transport;

/* docs/locks.md */
enum { TRANSPORT_RANK_OUTGOING = 600 };

/* What came in, and where it goes: functions of actor/system.h with the same contracts, so that tests can
 * stand in for the runtime. Called on the loop's thread and on the thread that called transport_set_dead() or
 * _set_roster(). */
struct transport_inbound {
    enum histrio_error (*deliver)(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure);
    void (*signal)(void *ctx, const struct actor_signal *signal);
    bool (*is_overloaded)(
        void *ctx, uint64_t name); /* of a name's number; may be NULL: credit then goes back slowly */
    uint64_t (*name)(void *ctx, const char *name);
    void (*node_dead)(void *ctx, uint64_t node_uid);
    void (*pressure_lifted)(void *ctx);
    void *ctx;
};

/* Everything is copied, `loop` and `clock` are borrowed. Zero means the default. */
struct transport_config {
    struct rpc_loop *loop;
    struct clock *clock;                                                      /* NULL: the system's */
    const char *system, *system_uid, *node_name, *pod_uid, *kube_node, *zone; /* NULL is "" */
    uint64_t node_uid;
    const uint8_t *credential;
    size_t credential_size;
    struct rpc_creds *creds;  /* of the links that we dial, a reference is taken; the server that carries our
                                 methods has the same. NULL: plaintext; else only nodes of system_uid are
                                 dialled and let in */
    uint32_t heartbeat_ms;    /* 200 */
    uint32_t unreachable_ms;  /* 1,000: not connected for so long, sends are answered with UNAVAILABLE */
    uint32_t hold_ms;         /* 2,000: how long messages wait for the next placement of a unit that moved */
    uint32_t retry_ms;        /* 20: how soon a message is sent again that came back from its unit's node */
    size_t route_high_bytes;  /* 1 MiB: more than that waiting for one peer mutes senders */
    uint32_t credit_messages; /* 65,536: what a peer may send before it hears from us */
    uint32_t credit_bytes;    /* 8 MiB */
};

/* Any thread. */
int transport_new(const struct transport_config *config, struct transport **ret_transport, struct err *err);

/* For actor_system_config.outbound; valid as long as the transport. */
struct actor_outbound transport_outbound(struct transport *transport);

/* Before the server listens and before the first roster; once. The second is the first with the runtime's
 * functions. */
void transport_attach_inbound(struct transport *transport, const struct transport_inbound *inbound);
void transport_attach(struct transport *transport, struct actor_system *actors);

/* The methods of service Link, for a server on the same loop. Valid as long as the transport; the server must
 * be freed before it. */
const struct rpc_method *transport_methods(struct transport *transport, size_t *ret_count);

/* ---- what the operator says. Any thread; copied ---- */

struct transport_member {
    uint64_t node_uid;
    const char *node_name;
    const char *link_address;
};

/* All members (our own uid among them is skipped) and all uids declared dead. A uid that was ever dead stays
 * dead. An older version than the last is ignored but for its dead. */
void transport_set_roster(struct transport *transport, uint64_t version,
    const struct transport_member *members, size_t member_count, const uint64_t *dead_uids,
    size_t dead_count);

/* Closes the streams of these uids, discards what was not read from them, ends asks in flight to them with
 * UNCERTAIN, routes again what was never sent, and then calls node_dead of the runtime, once for each uid. */
void transport_set_dead(struct transport *transport, const uint64_t *node_uids, size_t count);

struct transport_placement {
    const char *unit;
    uint64_t epoch;
    uint64_t node_uid; /* 0: nowhere */
};

/* is_full: units that are not named do not exist any more. A placement with a lower epoch than is known is
 * ignored. */
void transport_set_routes(struct transport *transport, uint64_t version, bool is_full,
    const struct transport_placement *placements, size_t count);

/* ---- what the node holds. Any thread ---- */

/* Before the unit's first actor starts: its messages carry the epoch, and those to it wait, as its actors are
 * not there yet. */
void transport_unit_starts(struct transport *transport, const char *unit, uint64_t epoch);
/* When all its actors have started, and after the last one ended. */
void transport_unit_held(struct transport *transport, const char *unit, uint64_t epoch);
void transport_unit_released(struct transport *transport, const char *unit, uint64_t epoch);

/* ---- questions. Any thread ---- */

enum transport_route {
    TRANSPORT_ROUTE_UNKNOWN,  /* no such unit, or no routes yet (then *ret_version is 0) */
    TRANSPORT_ROUTE_NOWHERE,  /* placed nowhere now */
    TRANSPORT_ROUTE_HERE,     /* this node holds it */
    TRANSPORT_ROUTE_STARTING, /* placed here, and not all of it is there yet */
    TRANSPORT_ROUTE_THERE,    /* on a peer that can be reached, as far as is known */
    TRANSPORT_ROUTE_CUT,      /* on a peer that cannot be reached now */
};

/* Of the unit that the actor `name` ("tellers.0/counter") belongs to. The ret_ arguments may be NULL. */
enum transport_route transport_route_of(struct transport *transport, const char *name, uint64_t *ret_node_uid,
    uint64_t *ret_epoch, uint64_t *ret_version);

/* The name of a node; "" when it is not known. `buffer` is filled and returned. */
const char *transport_node_name(struct transport *transport, uint64_t node_uid, char *buffer, size_t size);

/* `changed` is called on the loop's thread after changes that may alter an answer above. One watcher; NULL
 * takes it off. Any thread but the loop's; after it returned the former one is not called any more. */
void transport_watch(struct transport *transport, void (*changed)(void *ctx), void *ctx);

struct transport_counters {
    uint64_t messages_sent, messages_received, frames_sent, frames_received, bytes_sent, bytes_received;
    uint64_t signals_sent, signals_received;
    uint64_t bounced;        /* rows that came back "moved" and were routed again */
    uint64_t fenced;         /* rows refused or dropped for an old epoch */
    uint64_t lost_tells;     /* sent or accepted, and then not delivered for sure */
    uint64_t uncertain_asks; /* ended with UNCERTAIN */
    uint64_t reconnects, refused_hellos, protocol_errors;
    uint32_t peers, peers_connected;
    uint64_t queued_bytes, unacknowledged;
};
void transport_counters(struct transport *transport, struct transport_counters *ret_counters);

/* ---- the end ---- */

/* Any thread but the loop's. Closes all streams; asks that wait end with UNCERTAIN or UNAVAILABLE; from then
 * on sends are answered with UNAVAILABLE. No callback of the inbound comes when it has returned. May be
 * called twice. */
void transport_close(struct transport *transport);
/* After the server and the runtime are gone. Any thread but the loop's. NULL is fine. */
void transport_free(struct transport *transport);
