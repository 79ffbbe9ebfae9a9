/* The simulated world around the operator core: nodes that follow the node's rules (R1, R8), a network that
 * delays, drops and delivers late, a disk for the fence record, crashes of everything, and checks after each
 * step. One seed is one history. Single-threaded, virtual time in ms. */
#ifndef SIM_CORE_WORLD_H
#define SIM_CORE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"
#include "core/core.h"
#include "types/fence_record.h"
#include "types/system.h"
#include "types/unit.h"

enum { NAME_BYTES = 48, HASH_BYTES = 16, UNITS_MAX = 48, DEAD_MAX = 256, TEXT_BYTES = 400, TTL_MS = 1000 };

struct world;
struct sim_node;

enum message_kind {
    TO_ASSIGN,
    TO_REVOKE,
    TO_ROSTER,
    TO_ROUTES,
    TO_DEAD,
    TO_DRAIN,
    TO_INVENTORY,
    FROM_ASSIGNED,
    FROM_REVOKED,
    FROM_INVENTORY,
    FROM_DRAINED,
    FROM_ACKNOWLEDGED,
    FROM_REFUSED
};

struct sim_unit {
    char name[NAME_BYTES];
    uint64_t epoch;
    int64_t generation;
    enum core_unit_state state;
    uint64_t change; /* grows with each state, so that an old timer does nothing */
};

struct sim_seen {
    char name[NAME_BYTES];
    uint64_t epoch;
};

struct sim_route {
    char name[NAME_BYTES];
    uint64_t epoch;
    uint64_t uid;
};

struct message {
    enum message_kind kind;
    uint32_t term;
    uint64_t uid; /* of the node it is for, or from */
    uint64_t connection;
    char unit[NAME_BYTES];
    uint64_t epoch;
    int64_t generation;
    enum core_refusal refusal;
    uint64_t seen_epoch;
    uint64_t version;
    bool is_full;
    size_t count; /* of the one list in use */
    struct sim_unit units[UNITS_MAX];
    struct sim_seen seen[UNITS_MAX];
    size_t seen_count;
    struct sim_route routes[UNITS_MAX];
    uint64_t uids[DEAD_MAX];
    size_t uid_count;
};

/* What a unit's code does, by its name in this seed. */
enum unit_habit {
    HABIT_GOOD,
    HABIT_START_FAILS,
    HABIT_GIVES_UP,
    HABIT_CRASHES,
    HABIT_CRASHES_SILENTLY,
    HABIT_ENDS
};

/* What the checker knows of a unit, apart from the core. */
struct truth {
    enum unit_habit habit;
    uint64_t epoch_max;
    uint64_t epoch_uid;
    VEC(int64_t) failures; /* times of those that the core was told, in the period */
    bool failed;           /* the core was told of a failure since the last assignment */
    uint64_t failed_epoch; /* what failed then; inventories tell it again */
    uint64_t moves;        /* in the present rollout of a gentle world */
};

/* A node process: a parent and its present runtime. */
struct sim_node {
    char name[NAME_BYTES];
    uint64_t id;
    uint64_t uid; /* 0: between two lives */
    VEC(uint64_t) earlier;
    struct core_node_exit last_exit;
    char last_unit[NAME_BYTES];
    bool is_deleted;
    int64_t paused_until;
    uint32_t term;
    bool is_draining;
    uint64_t roster_version;
    VEC(struct sim_unit) units;
    VEC(struct sim_seen) seen;
    VEC(struct sim_route) routes;
    VEC(struct message *) inbox; /* what came while it was paused, in order */
    uint64_t connection;         /* 0: none */
    uint64_t changes;
    bool is_inventory_due;
    int64_t to_node_at; /* streams keep order */
    int64_t to_operator_at;
    int64_t echoed_at;       /* the end of the last stream */
    int64_t permitted_until; /* what the last echo of it allows */

    /* In a cluster: the pod, and its machine. */
    char template_hash[HASH_BYTES];
    int32_t index;
    bool is_finished;     /* nothing runs any more, the object is there */
    bool is_ending;       /* somebody deletes it */
    bool is_delete_asked; /* by the core */
    bool is_cut;          /* nothing gets there or comes from there */
    bool is_dead_machine; /* nothing runs there either */
    bool is_asserted;     /* somebody says that it is gone */
    bool was_asserted;    /* somebody said so of this runtime */
    bool is_ghost;        /* declared dead when it came back: no echo in this stream */
    uint64_t told_life;   /* the operator that knows the pod */

    /* The stream of the former leader. */
    uint64_t old_connection;
    int64_t old_to_node_at;
};

typedef void (*sim_function)(
    struct world *world, struct sim_node *node, uint64_t number, struct message *message);

struct event {
    int64_t at;
    uint64_t sequence;
    sim_function function;
    uint64_t node_id; /* 0: no node */
    uint64_t number;
    uint64_t operator_life; /* 0: for the present one; else only while that operator lives */
    struct message *message;
};

struct sim_operator {
    struct core *core; /* NULL: crashed */
    uint64_t life;
    bool is_writing;
    uint64_t write;
    struct fence_record writing;
    uint64_t disk_version; /* of the record that it read or wrote last: the next write is bound to it */
    bool had_conflict;
    bool is_over;
    uint64_t actions; /* without CORE_STATUS_CHANGED */
    int64_t wake_at;
};

struct world {
    uint64_t seed;
    struct rng rng;
    int64_t now;
    uint64_t sequence;
    VEC(struct event) heap;
    VEC(struct sim_node *) nodes;
    struct map64 nodes_by_id;
    uint64_t next_id;
    uint64_t next_connection;
    struct sim_operator op;
    struct sim_operator old; /* a former leader that does not know it yet */
    bool is_old_acting;      /* then the two are swapped */
    uint64_t lives;
    struct fence_record disk;
    uint64_t disk_version;
    bool has_disk;
    struct map names; /* of all nodes ever made */
    bool disk_is_full;
    bool is_calm;             /* no more faults, and bad habits are given up */
    bool is_cluster;          /* nodes are pods, and forced deletions prove nothing */
    bool is_gentle;           /* no faults at all: rollouts are watched closely */
    bool is_rolling;          /* a gentle rollout is under way, and nothing else changes */
    uint32_t template_number; /* of what nodes are made from */
    bool is_trace;
    struct system_spec *spec;
    int64_t generation;
    uint32_t spec_nodes, spec_replicas, spec_version; /* what the spec is made from */
    uint32_t spec_surge, spec_unavailable;
    bool spec_suspend;
    bool spec_apart;
    struct map truths;          /* unit -> struct truth * */
    char violation[TEXT_BYTES]; /* the first; "": none */
    bool is_stopping;
    bool is_stopped; /* the core said so */
    uint64_t kills;
    uint64_t operator_crashes;
    uint64_t takeovers;
    uint64_t fenced; /* nodes that were declared dead by assertion */
};

/* ---- world.c ---- */

void world_init(struct world *world, uint64_t seed, bool is_trace);
void world_done(struct world *world);
void world_run(struct world *world);
/* function runs in a random delay between the two; the message is owned by the event. */
void world_after(struct world *world, int64_t minimum, int64_t maximum, sim_function function,
    struct sim_node *node, uint64_t number, struct message *message);
/* The same, at a time, and only while this operator lives. */
void world_at_operator(struct world *world, int64_t at, sim_function function, struct sim_node *node,
    uint64_t number, struct message *message);
__attribute__((format(printf, 2, 3))) void world_violation(struct world *world, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void world_trace(struct world *world, const char *fmt, ...);
struct sim_node *world_node(struct world *world, const char *name);
struct truth *world_truth(struct world *world, const char *unit);
bool world_chance(struct world *world, unsigned percent);
void world_run_until(struct world *world, int64_t end);
uint32_t world_desired(const struct world *world);
/* The spec anew, from the numbers above, and told. */
void world_change_spec(struct world *world);

/* ---- spec.c ---- */

struct system_spec *sim_spec(const struct world *world);

/* ---- node.c ---- */

void node_create(struct world *world, const struct core_action *action);
void node_delete(struct world *world, struct sim_node *node, bool is_forced);
void node_deliver(struct world *world, struct sim_node *node, uint64_t number, struct message *message);
/* The runtime dies by a signal; unit: whose code did it, "" for nobody known. */
void node_kill_runtime(struct world *world, struct sim_node *node, int signal, const char *unit);
/* Before its connection goes: what its last echo allows. */
void node_stream_ended(const struct world *world, struct sim_node *node);
void node_break_connection(struct world *world, struct sim_node *node);
void node_dial(struct world *world, struct sim_node *node, uint64_t number, struct message *message);
bool node_holds(const struct sim_node *node, const char *unit);
void sim_node_free(struct sim_node *node);
void node_inbox_clear(struct sim_node *node);
/* The runtime ends by itself, as soon as it is not paused. */
void node_runtime_ends(struct world *world, struct sim_node *node, uint64_t uid, struct message *message);
void sim_name_copy(char *to, const char *from); /* to holds NAME_BYTES */

/* ---- cluster.c: pods, machines, and what users say of them ---- */

/* Everything in the node ended; the pod stays. */
void pod_finish(struct world *world, struct sim_node *node);
/* The object is removed. */
void pod_remove(struct world *world, struct sim_node *node);
void pod_found(struct world *world, struct sim_node *node, uint64_t number, struct message *message);
/* Tells the operator, which just began, of all pods. */
void pods_list(struct world *world);
void cluster_fault(struct world *world, struct sim_node *node);
void cluster_heal(struct world *world);
/* The template changes, and is told. */
void cluster_roll(struct world *world);
void cluster_tell_template(struct world *world);
/* Does what the node says and does count? */
bool node_is_obeyed(const struct world *world, const struct sim_node *node);

/* ---- gentle.c ---- */

void gentle_run(struct world *world);
/* After every step. */
void gentle_check(struct world *world);
void gentle_count_move(struct world *world, const char *unit);

/* ---- leader.c ---- */

void operator_takeover(struct world *world);
void operator_start(struct world *world);
void operator_crash(struct world *world);
/* It lost against another one, and begins anew. */
void operator_begin_again(struct world *world);
/* Runs an event of the former leader. */
void operator_old_acts(struct world *world, const struct event *event, struct sim_node *node);
void operator_forget_failures(struct world *world);

/* ---- operator.c ---- */

void operator_tell_time(struct world *world);
/* What was being written is on the disk. */
void operator_keep_writing(struct world *world);
/* Plans and acts until nothing is left to do. */
void operator_pump(struct world *world);
void operator_deliver(struct world *world, struct sim_node *node, uint64_t number, struct message *message);
void operator_node_started(struct world *world, struct sim_node *node, uint64_t uid, struct message *message);
void operator_node_exited(struct world *world, struct sim_node *node, uint64_t uid, struct message *message);
void operator_node_gone(
    struct world *world, struct sim_node *node, uint64_t exit_code, struct message *message);
void operator_disconnected(struct world *world, struct sim_node *node, uint64_t uid, struct message *message);
void operator_wake(struct world *world, struct sim_node *node, uint64_t number, struct message *message);

/* ---- check.c ---- */

void check_create(struct world *world, const struct core_action *action);
void check_assign(struct world *world, const struct core_action *action);
void check_dead(struct world *world, const struct core_action *action);
void check_write(struct world *world, const struct fence_record *record);
void check_holders(struct world *world, const char *unit);
/* A failure of the unit was told to the core. */
void check_failure_told(struct world *world, const char *unit, uint64_t epoch);
/* At the end, when all is calm. */
void check_settled(struct world *world);

#endif
