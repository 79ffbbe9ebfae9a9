/* transport/router.h: which node a unit is on, and what to do with a message for it. Pure: no streams, no
 * threads, no clock. Owned by struct outgoing and guarded by its lock.
 *
 * What is known of a unit only goes forward: its placement with the highest epoch wins, whether the operator
 * told it or a peer. Units are never freed before the router, so pointers to them may be kept. */
#pragma once

#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct text;
struct unit_queue;

struct route_unit {
    char *name;
    uint32_t index;           /* counts up from 0 */
    bool is_named;            /* in the operator's routes; else only heard of */
    bool is_held;             /* by this node, at own_epoch */
    bool is_starting;         /* held, and not all of its actors are there yet */
    uint64_t node_uid;        /* 0: nowhere */
    uint64_t epoch;           /* of that placement, the highest seen */
    uint64_t own_epoch;       /* at which this node holds it, or held it last; 0: never */
    struct text *text;        /* its name, once a message left from it or for it */
    struct unit_queue *queue; /* its messages under way; NULL: never had any */
};

struct router {
    uint64_t self; /* our node uid */
    uint64_t version;
    struct map units; /* name -> struct route_unit */
};

enum route_verdict {
    ROUTE_DELIVER, /* to an actor of this node */
    ROUTE_FORWARD, /* to the node unit->node_uid */
    ROUTE_BOUNCE,  /* "moved": the sender shall route again */
    ROUTE_FENCED,  /* the sender is not obeyed any more */
    ROUTE_NOT_FOUND,
    ROUTE_UNAVAILABLE, /* placed nowhere now, or here and not started yet */
};

void router_init(struct router *router, uint64_t self);
void router_done(struct router *router); /* the queues are the owner's */

/* The length of the first component of an actor's name: "tellers.0" of "tellers.0/counter". */
size_t router_unit_size(const char *name);
/* NULL: never heard of. */
struct route_unit *router_find(const struct router *router, const char *unit, size_t size);
/* Made when it is not there; NULL when the name is no unit's, or there are too many. */
struct route_unit *router_add(struct router *router, const char *unit);

/* A placement that the operator sent. False: it is older than what is known, or no unit. */
bool router_place(struct router *router, const char *unit, uint64_t epoch, uint64_t node_uid);
/* Full routes: between begin and end, units that are not placed are forgotten. */
void router_begin_full(struct router *router);
void router_end_full(struct router *router);

/* What a peer says of a unit. False: nothing new. */
bool router_learn(struct route_unit *unit, uint64_t epoch, uint64_t node_uid);

/* Held, but nothing is delivered by name yet; router_hold() follows. */
void router_start(struct router *router, struct route_unit *unit, uint64_t epoch);
void router_hold(struct router *router, struct route_unit *unit, uint64_t epoch);
void router_release(struct route_unit *unit, uint64_t epoch);

/* A message of an actor here to a name of this unit that no actor here has: FORWARD, NOT_FOUND or
 * UNAVAILABLE; DELIVER when the unit is here, for messages that come back. */
enum route_verdict router_send(const struct router *router, const struct route_unit *unit);

/* A message of a peer for a name of `unit`, which it believes to be here at `epoch`: DELIVER or BOUNCE. */
enum route_verdict router_receive(const struct route_unit *unit, uint64_t epoch);
/* A message of a peer from `unit`, which it says to hold at `epoch`: DELIVER, or FENCED. */
enum route_verdict router_receive_from(const struct route_unit *unit, uint64_t epoch);
