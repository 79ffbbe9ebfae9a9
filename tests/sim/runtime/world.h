/* The simulated world: random units of random actors, everything that they do to each other, and the rules
 * that must hold.
 *
 * Each incarnation of an actor has a record, which outlives it: what it waits for (answers, DOWNs, timers),
 * whom it is linked with, how it ended. Rules are checked as things happen and whenever everything is quiet:
 * 1. Messages of one actor to another come in order, none twice.
 * 2. Each ask has exactly one outcome, in time, as long as the asker lives; it times out only when the
 * receiver keeps it waiting, never because the receiver is gone.
 * 3. Each monitor fires exactly once, only for the dead, never after demonitor.
 * 4. A link takes along or tells, once, and not after unlink; in the end both sides agree whether there is
 * one.
 * 5. A timer fires once, not early, not after cancel.
 * 6. Tells are received, are dead letters, or still wait: none is lost.
 * 7. Quiet means: no runnable actor has a message, nobody is muted, no inbox is full, no child is between
 * incarnations.
 *    A killed node takes messages and answers along; links and monitors end with noconnection all the same.
 * 8. No supervisor restarts more often than its intensity allows, and none gives up earlier. */
#ifndef SIM_RUNTIME_WORLD_H
#define SIM_RUNTIME_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <histrio/actor.h>

#include "actor/system.h"
#include "base/map.h"
#include "base/vec.h"

enum { OUTSIDE = 0, NAMES_MAX = 64, PATH_BYTES = 128 };

struct wait {
    uint64_t number; /* of the ask, monitor or timer */
    uint32_t target; /* record, 0: not known */
    bool is_at_once; /* an ask that cannot time out */
    int64_t due_ns;
};

struct record {
    uint32_t number;
    uint32_t
        identity; /* the name's number + 1, or NAMES_MAX + number for unnamed ones: what order is about */
    struct histrio_ref ref;
    bool is_alive, traps;
    char reason[32];
    VEC(struct wait) asks;
    VEC(struct wait) monitors;
    VEC(struct wait) timers;
    VEC(uint32_t) links; /* records */
};

struct payload {
    uint32_t sender;   /* record; OUTSIDE */
    uint32_t sequence; /* for sender and the receiver's identity */
    uint32_t depth;    /* how many more acts it may cause */
    uint32_t at_once;  /* 1: an ask that is answered at once, or whose receiver ends */
};

struct window {
    VEC(int64_t) restarts_ns;
    uint32_t restarts_max, period_ms;
};

struct sim_network;

struct world {
    unsigned node_count;
    int dead_node;                /* -1: none */
    bool dead_is_declared;        /* and the others were told */
    VEC(struct record *) records; /* by number; 0 is the outside */
    char names[NAMES_MAX][PATH_BYTES];
    size_t name_count;
    struct map64 sequences_sent;     /* sender << 32 | identity -> last */
    struct map64 sequences_received; /* the same */
    struct map64 signals;            /* from << 32 | to -> exit signals that were sent and not seen */
    struct map64 links_asked;        /* from << 32 | to -> the record of to */
    struct map64 unlinked_ns;        /* from << 32 | to -> when last */
    struct map windows;              /* supervisor path -> struct window */
    int64_t budget;                  /* acts that are left */
    uint64_t peace;                  /* one in so many violent acts is done */
    uint64_t tells, received;
    uint64_t tells_on_the_way; /* between nodes */
    uint64_t tells_refused;    /* by the node that they arrived at: nobody there has the name */
    uint64_t outside_asks, outside_answers;
    uint64_t hash; /* of everything that happened, in order */
    size_t unit_count;
    bool unit_runs[16];
};

extern struct world world;
extern const struct histrio_library actors_library;

/* network.c: messages between nodes, late, but in order for each direction */
extern const struct sim_network network;
enum histrio_error network_send(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure);
enum histrio_error network_signal(void *ctx, const struct actor_signal *signal, uint64_t *ret_node);
/* What comes from that node does not arrive any more. */
void network_cut(unsigned node);
void network_done(void);

/* world.c */
/* The node of a unit, of a name below it, or of a unit's number. */
unsigned world_node_of(const char *path);
/* Once, before the first world. */
void world_intern_names(void);
void world_begin(void);
void world_end(void);
void world_drive(void *ctx);
void world_on_exited(void *ctx, const struct actor_exit_report *report);
void world_on_unit(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason);
struct record *world_record_new(void);
/* NULL: not one of ours, such as a supervisor. */
struct record *world_record_of(struct histrio_ref ref);
void world_hash(uint64_t value);

/* check.c */
/* The limits and restarts of a supervisor, made when it is not known. */
struct window *world_window(const char *path);
void world_check_quiet(void);
/* Rule 1. */
struct payload world_payload(uint32_t sender, uint32_t identity, uint32_t depth);
void world_check_order(const struct record *receiver, const struct payload *payload);

#endif
