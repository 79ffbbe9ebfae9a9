/* What the two halves of a supervisor share: supervisor.c is its behavior, supervisor_child.c starts and ends
 * one child. */
#ifndef ACTOR_SUPERVISOR_PRIVATE_H
#define ACTOR_SUPERVISOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/actor.h"
#include "actor/supervision.h"
#include "actor/supervisor.h"
#include "base/map.h"

struct supervised {
    const struct actor_child_spec *spec; /* of the unit's copy */
    const char *path;                    /* interned */
    struct histrio_ref ref;
    uint64_t monitor; /* 0: no incarnation runs */
    bool was_started;
};

struct supervisor {
    struct supervision *machine;
    const struct actor_child_spec *spec; /* ours */
    const struct actor_unit_spec *tree;  /* all of what we are part of */
    struct actor_unit_spec *own_tree;    /* of a spawned one */
    bool is_root;
    bool is_implicit; /* unnamed, above the only actor of a unit */
    bool is_starting; /* inside of start: nothing can be waited for */
    bool is_ending;
    struct supervised *children; /* child number n is children[n - 1] */
    uint32_t child_count;
    struct map64 by_monitor; /* -> struct supervised, of those that run */
    struct map64 by_retry;   /* timer -> struct supervised, to be started again */
    struct map64 callers;    /* request -> struct histrio_caller */
    uint64_t last_request;
    uint64_t shutdown_timer;
    uint32_t shutdown_child; /* which the timer is for */
    uint32_t type_retry, type_shutdown_time, type_terminate, type_restart, type_delete;
    char *why; /* it gave up; NULL: it did not */
};

/* What a supervisor below another one is started with. */
struct place {
    const struct actor_child_spec *spec;
    const struct actor_unit_spec *tree;
};

extern const struct histrio_behavior actor_supervisor_below;

static inline struct supervised *supervisor_child(struct supervisor *s, uint32_t number)
{
    return &s->children[number - 1];
}

static inline uint32_t supervisor_child_number(const struct supervisor *s, const struct supervised *child)
{
    return (uint32_t)(child - s->children) + 1;
}

int64_t supervisor_now_ms(struct histrio_context *ctx);

/* The machine hears how it went. */
void supervisor_child_start(struct histrio_context *ctx, struct supervisor *s, uint32_t number);

/* It ended for reason: the machine hears of it. */
void supervisor_child_ended(
    struct histrio_context *ctx, struct supervisor *s, struct supervised *child, const char *reason);

/* Ends the child inside of this call, whatever it traps. */
void supervisor_child_end_now(
    struct histrio_context *ctx, struct supervisor *s, struct supervised *child, const char *reason);

/* Asks it to end, as action (SUPERVISION_SHUTDOWN or _KILL) wants it; how it ended comes as DOWN. While the
 * supervisor starts, at once. */
void supervisor_child_shut_down(
    struct histrio_context *ctx, struct supervisor *s, const struct supervision_action *action);

/* Whether the context's actor is the supervisor that supervisor_spawn() puts above a root that is none. */
bool supervisor_is_between(const struct histrio_context *ctx);

#endif
