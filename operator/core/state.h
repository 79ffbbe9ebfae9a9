/* struct core, for the files of this module. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"
#include "core/core.h"
#include "core/mutant.h"
#include "core/node_table.h"
#include "core/unit_table.h"
#include "types/fence_record.h"
#include "types/status.h"
#include "types/unit.h"

/* Writing the fence record. Changes are numbered; what must be durable first remembers the number of its
 * change. */
struct fence {
    struct fence_record record; /* as it should be */
    uint64_t change;            /* of record */
    uint64_t confirmed;         /* the newest durable change */
    uint64_t term_change;       /* the change that raised the term: no command before it */
    uint64_t roster_change;     /* the change that made the current roster */
    uint64_t write;             /* the number of the last write */
    bool is_writing;
    uint64_t writing_change;
    uint64_t writing_deaths;
    uint64_t deaths;           /* uids ever added to record.dead_uids */
    int64_t lease_lower_at_ms; /* when record.lease_ms may become what the spec says; 0: not known yet */
    uint64_t confirmed_deaths;
    int64_t retry_at_ms;
    char *failure; /* why the last write failed; NULL: it did not */
};

struct pending_event {
    char *reason;
    char *text;
    char *unit; /* NULL: none */
    char *node; /* NULL: none */
    bool is_warning;
};

struct condition_state {
    bool is_true;
    bool is_unknown;
    char *reason;
    char *message;
    int64_t since_wall_ms;
};

struct core {
    char *system_uid;
    bool cannot_kill;
    struct rng rng;
    struct system_spec *spec;
    struct unit_list wanted;
    int64_t now_ms;
    int64_t wall_ms;
    int64_t started_ms; /* INT64_MIN: no time was set yet */
    int64_t started_wall_ms;
    struct fence fence;
    uint32_t epoch_counter;
    bool is_lost;
    bool is_lost_told;

    VEC(struct node *) nodes;
    struct map64 nodes_by_uid;
    struct map nodes_by_name;
    struct map64 reported;   /* uids that sent a full inventory in this term */
    VEC(uint64_t) returned;  /* uids that said hello although they are declared dead: they are told */
    struct map64 died_at_ms; /* uid -> monotonic time of its death + 1, while its grants may live on */
    struct backoff create_backoff;
    int64_t create_not_before_ms;
    uint64_t sessions;
    char *node_trouble;   /* why nodes cannot start; NULL: none */
    char *template_hash;  /* what nodes are to be made from; NULL: whatever they are */
    char *blocked_reason; /* why no node may be made; NULL: they may */
    char *blocked_text;
    bool is_observed;           /* nodes of former leaders had the time to report */
    int64_t first_connected_ms; /* INT64_MAX: none was */

    struct map units;      /* name -> struct unit *, in the order of first appearance */
    bool is_open;          /* the first placement may begin, or has begun */
    bool has_relations;    /* some entry has colocateWith or antiAffinity */
    bool wants_move_check; /* something may be where it must not be; stays until nothing is */
    bool wants_balance;
    size_t moves_asked; /* units with move_to */
    uint64_t route_version;
    uint64_t routes_full_from; /* sessions with older routes get all of them */
    size_t trials;             /* units on trial now */
    size_t strict_trials;      /* of them those after crashes */
    size_t trials_passed;      /* since the last death of a node */

    bool is_stopping;
    bool is_stopped_told;
    int64_t stop_by_ms;
    int64_t stop_drain_ms;

    uint64_t restarts;
    VEC(struct status_exit) exits;
    uint64_t exits_lost;
    VEC(struct pending_event) events;
    struct condition_state conditions[CONDITION_COUNT];
    bool is_status_dirty;

    /* The present plan. */
    VEC(struct core_action) actions;
    VEC(void *) plan_memory;
    bool has_more;
    int64_t wake_at_ms;
};

/* ---- plan.c ---- */

/* A new zeroed action, or NULL when the plan is full (then has_more is set: try again in the next one). */
struct core_action *plan_add(struct core *core, enum core_action_kind kind);
/* Memory that lives as long as the plan. */
void *plan_keep_take(struct core *core, void *memory);
/* Plan again at that time at the latest. */
void plan_wake(struct core *core, int64_t at_ms);

/* ---- journal.c ---- */

__attribute__((format(printf, 6, 7))) void journal_event(struct core *core, bool is_warning, const char *unit,
    const char *node, const char *reason, const char *fmt, ...);
/* Takes the exit's texts; those that are NULL become "". */
void journal_exit_take(struct core *core, struct status_exit *exit);
/* A copy that is never longer than the limit of texts in a status; NULL becomes "". */
char *journal_bounded(const char *text);
void journal_events_emit(struct core *core);
void pending_event_done(struct pending_event *event);
/* "killed by SIGSEGV", "exited with 1": of a runtime; the caller frees it. */
char *describe_node_exit(const struct core_node_exit *how);

/* ---- conditions.c ---- */

/* Works the conditions out anew; a change makes the status dirty. */
void conditions_update(struct core *core);
/* Its node is silent for longer than any permission lasts: whether it answers is not known. */
bool unit_is_lost(const struct core *core, const struct unit *unit);
/* Pending, Starting, Running, Lost, Stopping, Backoff, Quarantined, Stopped. */
const char *unit_state_name(const struct core *core, const struct unit *unit);

#endif
