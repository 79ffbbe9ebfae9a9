/* shell/shell.h: the one act loop around core/core.h, for `histrio run` and for the Kubernetes operator:
 * takes plans, performs their actions with the hands that its owner gives it, and tells the core what came of
 * them.
 *
 * Owner: whoever made core, control and hands, which all outlive it. Thread: one at a time, the owner's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct control;
struct core;
struct core_action;
struct err;
struct fence_record;

/* What differs between a laptop and a cluster. Everything happens inside of shell_act(). */
struct shell_hands {
    /* 0: the record is durable. ERR_CONFLICT: somebody else wrote it, this leader is over. Anything else: the
     * core asks again. */
    int (*write_fence)(void *ctx, const struct fence_record *record, struct err *err);
    /* CORE_CREATE_NODE and CORE_DELETE_NODE. 0: events of the driver will tell what comes of it. -1: for
     * create the node could not be made, for delete it is gone already; the core is told. */
    int (*create_node)(void *ctx, const struct core_action *action, struct err *err);
    int (*delete_node)(void *ctx, const struct core_action *action, struct err *err);
    /* CORE_EVENT. */
    void (*event)(void *ctx, const struct core_action *action);
    /* CORE_STATUS_CHANGED. */
    void (*status_changed)(void *ctx);
    /* Asked right before each action (R9). False: nothing more is done and is_lost is set. NULL: always. */
    bool (*may_act)(void *ctx);
    void *ctx;
};

struct shell {
    struct core *core;
    struct control *control;
    struct clock *clock;
    struct shell_hands hands;
    int64_t wake_at_ms; /* act again then, even without events; INT64_MAX: never */
    bool is_stopped;    /* core_stop() is done */
    bool is_lost;       /* another leader is in charge, or may be: send nothing any more */
};

/* Before events are given to the core: tells it the time, and returns that. */
int64_t shell_tick(struct shell *shell);

/* Performs what the core plans now, until there is nothing more. */
void shell_act(struct shell *shell);
