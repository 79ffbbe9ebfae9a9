/* The units of a system, and who holds them. Private to this module.
 *
 * 1. A hold is a node uid that has the unit, or may have it: because it said so, or because an assignment was
 * decided for it. It ends when that uid said that it does not hold the unit and has seen the hold's epoch
 * (R8), or is dead.
 * 2. A unit without holds is nowhere. Only then it is placed again.
 * 3. The first hold has the highest epoch; all others are strays and are revoked. */
#ifndef CORE_UNIT_TABLE_H
#define CORE_UNIT_TABLE_H

#include "base/backoff.h"
#include "base/vec.h"
#include "core/core.h"
#include "placement/placement.h"

struct node;

#define UNIT_RULE_INITIAL "Initial"

enum hold_phase {
    HOLD_ASSIGNED, /* no answer yet */
    HOLD_RUNNING,
    HOLD_REVOKING,
};

struct hold {
    uint64_t uid;
    uint64_t epoch;
    int64_t generation;
    enum hold_phase phase;
    bool is_counted;  /* its failure was charged to the unit already */
    bool was_sent;    /* the assignment was, in any session: it may be on its way */
    uint64_t session; /* of the node, in which the command of the phase was sent; 0: not sent */
};

/* Why a unit is not to be placed although the spec has it. */
enum unit_rest { REST_NONE, REST_QUARANTINED, REST_ENDED };

struct unit_actor {
    char *path;
    char *state;
    char *behavior;
    char *last_exit;
    uint64_t incarnation;
    uint32_t mailbox_depth;
    int64_t last_exit_wall_ms;
};

struct unit {
    char *name;
    const struct unit_spec *spec; /* NULL: the spec has it no more */
    VEC(struct hold) holds;       /* falling epochs */
    enum unit_rest rest;
    char *reason;          /* why it is not running; NULL: none */
    const char *rule;      /* what placed it, or will: see status.h; UNIT_RULE_INITIAL at first */
    uint64_t after_change; /* the fence change that must be durable before it is placed */
    uint64_t last_epoch;   /* of its last hold */

    /* Restarts. */
    struct backoff backoff;
    VEC(int64_t) failures_ms; /* inside of the period */
    VEC(int64_t) crashes_ms;  /* failures that took a node down, inside of the period */
    int64_t not_before_ms;
    int64_t running_since_ms; /* 0: not running */
    uint64_t restarts;
    int64_t node_death_ms;  /* when a node died under it without attribution; 0: never */
    bool is_suspect;        /* two such deaths within the period: placed one at a time */
    bool is_strict;         /* the deaths were crashes, not kills: one, and not a growing number */
    int64_t trial_since_ms; /* 0: not on trial */
    bool is_strict_trial;

    /* Hints and explanations. */
    char *last_node;   /* where it is or was */
    char *failed_node; /* where it failed last; NULL: nowhere */
    char *move_to;     /* the node that it is asked to go to; NULL: none */
    struct placement_explanation explanation;
    bool is_unplaceable_told; /* since it ran last */

    int64_t balanced_for; /* the generation of the spec for which it was moved to balance */

    /* What the nodes were told. */
    uint64_t route_uid;
    uint64_t route_epoch;
    uint64_t route_version;

    VEC(struct unit_actor) actors;
    char *crash_actor; /* the last crash that was attributed to it */
    char *crash_reason;
    int64_t crash_wall_ms;
};

struct unit *unit_find(const struct core *core, const char *name);
/* Takes over core->wanted: new units appear, others lose their spec or get another one. */
void units_take_spec(struct core *core);
/* For a unit that a node reports and the spec does not have. */
struct unit *unit_add_stranger(struct core *core, const char *name);
void unit_free(struct unit *unit);

/* The hold of that uid, or NULL. */
struct hold *unit_hold_of(struct unit *unit, uint64_t uid);
/* The first hold, NULL for none. */
struct hold *unit_hold(const struct unit *unit);
/* Adds a hold, or raises the epoch of the one that is there. */
struct hold *unit_hold_put(
    struct unit *unit, uint64_t uid, uint64_t epoch, int64_t generation, enum hold_phase phase);
void unit_hold_remove(struct core *core, struct unit *unit, uint64_t uid);
bool unit_is_running(const struct unit *unit);
/* The phase changes; the command of the new one was not sent. */
void hold_set_phase(struct hold *hold, enum hold_phase phase);
void unit_set_reason(struct unit *unit, const char *reason);
void unit_set_last_node(struct unit *unit, const char *node);
/* NULL: nowhere any more. */
void unit_set_move(struct core *core, struct unit *unit, const char *node);
void unit_actors_clear(struct unit *unit);

/* Revokes what must go, begins moves, drops units that are gone. */
void units_decide(struct core *core);
/* Places what may be placed. */
void units_place(struct core *core);
/* ASSIGN and REVOKE. */
void units_emit(struct core *core);
/* SEND_ROUTES. */
void routes_emit(struct core *core);

/* Nodes and holds as a board; *ret_nodes is the node behind each index and is freed by the caller. */
struct placement_board *units_board(const struct core *core, struct node ***ret_nodes);

#endif
