#include "base/mem.h"
#include "core/fence.h"
#include "core/move.h"
#include "core/restart.h"
#include "core/roster.h"
#include "core/state.h"

struct core_action *plan_add(struct core *core, enum core_action_kind kind)
{
    if (core->actions.count >= CORE_ACTIONS_MAX) {
        core->has_more = true;
        return NULL;
    }
    struct core_action *action = vec_push_new(&core->actions);
    action->kind = kind;
    return action;
}

void *plan_keep_take(struct core *core, void *memory)
{
    if (memory)
        vec_push(&core->plan_memory, memory);
    return memory;
}

void plan_wake(struct core *core, int64_t at_ms)
{
    if (at_ms < core->wake_at_ms)
        core->wake_at_ms = at_ms;
}

static void begin(struct core *core)
{
    vec_clear(&core->actions);
    vec_for_each (memory, &core->plan_memory)
        free(*memory);
    vec_clear(&core->plan_memory);
    core->has_more = false;
    core->wake_at_ms = INT64_MAX;
}

/* First all decisions, then all actions: what a decision writes to the fence record goes out in the same
 * plan, and what depends on it waits until it is durable. */
static void decide(struct core *core)
{
    restart_tick(core);
    fence_decide_lease(core);
    losses_decide(core);
    nodes_decide(core);
    roster_decide(core);
    units_decide(core);
    moves_decide(core);
    units_place(core);
}

static void emit(struct core *core)
{
    fence_emit(core);
    nodes_emit(core);
    sessions_emit(core);
    units_emit(core);
    routes_emit(core);
    journal_events_emit(core);
    conditions_update(core);
    if (core->is_status_dirty && core->is_observed && plan_add(core, CORE_STATUS_CHANGED))
        core->is_status_dirty = false;
}

void core_plan(struct core *core, struct core_plan *ret_plan)
{
    begin(core);
    if (!core->is_lost) {
        decide(core);
        emit(core);
    } else if (!core->is_lost_told) {
        core->is_lost_told = plan_add(core, CORE_LOST) != NULL;
    }
    *ret_plan = (struct core_plan){
        .actions = core->actions.items,
        .count = core->actions.count,
        .has_more = core->has_more,
        .wake_at_ms = core->wake_at_ms,
    };
}
