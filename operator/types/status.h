/* What is seen of a system: the status of the ActorSystem object, and for a local run the rows behind `get`
 * and `describe` as well. Filled by core/core.h, written by api/status_json.h.
 *
 * Owner: the struct owns all its texts (never NULL: "" for none) and lists. Pure. */
#ifndef TYPES_STATUS_H
#define TYPES_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

enum condition_kind {
    CONDITION_READY,
    CONDITION_RECONCILING,
    CONDITION_STALLED,
    CONDITION_DEGRADED,
    CONDITION_COUNT
};
extern const char *const condition_kind_names[];

struct status_condition {
    bool is_true;
    bool is_unknown; /* then is_true is false: nothing was observed yet */
    char *reason;    /* one word: "AllUnitsRunning" */
    char *message;
    int64_t since_wall_ms; /* of the last change of is_true */
};

struct status_node {
    char *node;
    char *pod;
    char *kube_node;
    char *zone;
    char *state;  /* Starting, Joining, Connected, Disconnected, Lost, Restarting, Draining, Ended */
    char *reason; /* why it is not well: "ImagePullBackOff", ... */
    char *message;
    char *template_hash; /* what it was made from */
    bool is_updated;     /* from what nodes are to be made from now */
    uint64_t uid;        /* 0: no runtime now */
    int64_t pid;         /* of the runtime; 0: unknown */
    uint32_t units;
    uint32_t actors;
    uint64_t mailbox_depth;
    uint64_t messages;
    uint64_t dead_letters;
    uint32_t busy_permille;
    uint64_t memory_bytes;
    uint32_t runtime_restarts;
    bool is_cordoned;
    char *link_address;
    char *gateway_address;
    int64_t started_wall_ms;
};

struct status_unit {
    char *unit;
    char *entry;
    char *node;     /* "": nowhere */
    uint64_t epoch; /* 0: never placed */
    char *state;    /* Pending, Starting, Running, Lost, Stopping, Backoff, Quarantined, Stopped */
    char *reason;   /* why it is not running, or why it was placed last */
    char *rule;     /* Initial, Proof, Assertion, Restart, Move, Balance, Adopted, Resume: what placed it */
    uint64_t restarts;
};

struct status_actor {
    char *path; /* "tellers.0/counter" */
    char *unit;
    char *node;
    char *state; /* Starting, Running, Restarting, Stopped, Quarantined, Pending */
    char *behavior;
    uint64_t epoch;
    uint64_t incarnation;
    uint32_t mailbox_depth;
    char *last_exit; /* reason */
    int64_t last_exit_wall_ms;
};

/* One end of an actor, or of a node's runtime (actor is then the node's name). */
struct status_exit {
    char *actor;
    char *unit;
    char *node;
    char *reason;
    char *decision; /* what was done: Restart, RestartAll, RestartRest, Remove, GiveUp, Replace, Quarantine */
    char *cause;    /* the actor whose failure caused it; "": its own */
    char *rule;     /* Proof or Assertion for nodes; "" for actors */
    char *backtrace; /* of crashes, when known */
    uint64_t epoch;
    uint64_t incarnation;
    int64_t at_wall_ms;
};

struct status_quarantine {
    char *unit;
    char *reason;
    int64_t at_wall_ms;
};

struct status {
    char *system;
    char *system_uid;
    int64_t observed_generation;
    uint32_t term;
    struct status_condition conditions[CONDITION_COUNT];
    uint32_t units_desired, units_running;
    uint32_t nodes_desired, nodes_ready, nodes_updated;
    uint32_t replicas; /* nodes that exist, those that leave included */
    uint64_t actors;
    uint64_t restarts; /* of actors, units and runtimes, since the core began */
    int64_t started_wall_ms;
    VEC(struct status_node) nodes;
    VEC(struct status_unit) units;
    VEC(struct status_actor) actor_rows;
    VEC(struct status_exit) exits; /* newest last, at most CORE_EXITS_MAX */
    uint64_t exits_lost;
    VEC(struct status_quarantine) quarantined;
};

void status_done(struct status *status);
void status_exit_done(struct status_exit *exit);
void status_exit_copy(struct status_exit *to, const struct status_exit *from);

#endif
