/* node_control/assignments.h: which units this node holds or has seen, and what it answers to assign and
 * revoke (R1, R8).
 *
 * 1. The highest epoch seen for a unit only grows; an assignment is obeyed only with an epoch above it, and
 * every assignment to us that is refused for another reason than its uid counts as seen, so that "seen"
 * proves that no older one can still take effect.
 * 2. A unit is held at one epoch at a time: a newer assignment of a held unit stops it first and starts when
 * it has ended.
 * 3. Every assign gets exactly one answer, when its outcome is known; so does a revoke, but for one that is
 * repeated before the unit has ended: the end answers the highest of them.
 *
 * Pure: events in, actions out; the shell performs the actions in order. Owned by the control loop's thread.
 */
#pragma once

#include "actor/system.h"
#include "base/map.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same numbers as histrio.v1.RefusalReason. */
enum refusal {
    REFUSAL_NO = 0,
    REFUSAL_OF_OLD_TERM = 1,
    REFUSAL_OF_OLD_EPOCH = 2,
    REFUSAL_WITHOUT_LEASE = 3,
    REFUSAL_OF_WRONG_UID = 4,
    REFUSAL_START_FAILED = 5,
    REFUSAL_OF_BAD_SPEC = 6,
    REFUSAL_OF_STRANGE_TERM = 7,
    REFUSAL_WHILE_DRAINING = 8,
};
const char *refusal_name(enum refusal refusal);

enum { ASSIGNMENT_REASON_BYTES = 512 };

/* An assignment that waits: for the end of the unit's former epoch, or for the lease. */
struct assignment_next {
    uint64_t epoch; /* 0: none waits */
    int64_t generation;
    void *spec;
    bool needs_lease;
};

struct assignment {
    char *unit;
    uint64_t seen_epoch;
    bool is_listed; /* the next five are of a unit that is held, or was given up or ended by itself */
    enum actor_unit_state state;
    uint64_t epoch;
    int64_t generation;
    char reason[ASSIGNMENT_REASON_BYTES];
    bool is_answer_due;    /* of the assign of `epoch` */
    uint64_t revoke_epoch; /* of a revoke that is to be answered at the unit's end; 0: none */
    struct assignment_next next;
};

enum assignment_action_kind {
    ASSIGNMENT_START,         /* `spec` at `epoch`; the spec belongs to the action */
    ASSIGNMENT_STOP,          /* the unit */
    ASSIGNMENT_ANSWER_ASSIGN, /* with refusal, reason, seen epoch */
    ASSIGNMENT_ANSWER_REVOKE,
};

struct assignment_action {
    enum assignment_action_kind kind;
    char *unit; /* a copy */
    uint64_t epoch;
    int64_t generation;
    uint64_t seen_epoch;
    enum refusal refusal;
    char *reason; /* a copy; NULL is "" */
    void *spec;
};

struct assignment_actions {
    VEC(struct assignment_action) list;
};

struct assignments {
    struct map units; /* name -> struct assignment */
    uint64_t node_uid;
    bool is_draining;
    void (*free_spec)(void *spec);
};

/* What is known of the lease when an assignment comes in. */
enum assignment_lease {
    ASSIGNMENT_LEASE_HELD,
    ASSIGNMENT_LEASE_EXPECTED, /* an echo is under way, or the libraries are being loaded: the assignment
                                  waits */
    ASSIGNMENT_LEASE_NONE,
};

void assignments_init(struct assignments *assignments, uint64_t node_uid, void (*free_spec)(void *spec));
void assignments_done(struct assignments *assignments);

struct assignment_request {
    const char *unit;
    uint64_t epoch;
    uint64_t node_uid;
    int64_t generation;
    void *spec;                /* taken, also when refused; NULL: it makes no sense to this node */
    enum refusal spec_refusal; /* then which refusal it gets, and why */
    const char *spec_error;
};

/* All of these append to `actions`. The term of the message has been obeyed by lease.h. */
void assignments_assign(struct assignments *assignments, const struct assignment_request *request_take_spec,
    enum assignment_lease lease, struct assignment_actions *actions);
void assignments_revoke(struct assignments *assignments, const char *unit, uint64_t epoch, uint64_t node_uid,
    struct assignment_actions *actions);
/* The lease is held and the libraries are there: what waited for them goes on. */
void assignments_lease_held(struct assignments *assignments, struct assignment_actions *actions);
/* It will not come (timeout, session ended): what waited for it is refused. */
void assignments_lease_lost(
    struct assignments *assignments, const char *reason, struct assignment_actions *actions);
/* What the runtime reports; an epoch that is not the held one is ignored. */
void assignments_unit_changed(struct assignments *assignments, const char *unit, uint64_t epoch,
    enum actor_unit_state state, const char *reason, struct assignment_actions *actions);
/* An ASSIGNMENT_START could not be performed. */
void assignments_start_failed(struct assignments *assignments, const char *unit, uint64_t epoch,
    enum refusal refusal, const char *reason, struct assignment_actions *actions);
/* From now on all is refused, and what is held is stopped. */
void assignments_drain(struct assignments *assignments, struct assignment_actions *actions);

bool assignment_is_held(const struct assignment *assignment);
bool assignments_have_waiting(const struct assignments *assignments); /* for the lease */
size_t assignments_held_count(const struct assignments *assignments);
uint64_t assignments_seen_epoch(const struct assignments *assignments, const char *unit);

/* Frees what the actions own (specs only where still set). */
void assignment_actions_done(struct assignment_actions *actions, void (*free_spec)(void *spec));
