#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/restart.h"
#include "core/roster.h"
#include "core/state.h"
#include "types/system.h"

enum { PLACEMENTS_MAX = CORE_ACTIONS_MAX / 2 };

static bool should_run(const struct core *core, const struct unit *unit)
{
    bool may_rest =
        unit->rest == REST_NONE || (MUTANT(MUTANT_IGNORES_QUARANTINE) && unit->rest == REST_QUARANTINED);
    return unit->spec && may_rest && nodes_desired(core) > 0;
}

static void decide_holds(struct core *core, struct unit *unit)
{
    bool is_needed = should_run(core, unit);
    size_t i = 0;
    while (i < unit->holds.count) {
        struct hold *hold = &unit->holds.items[i];
        const struct node *node = node_by_uid(core, hold->uid);
        bool is_stray = i > 0 || !is_needed || hold->generation != unit->spec->generation;
        if (hold->phase == HOLD_ASSIGNED && !hold->was_sent &&
            (is_stray || !node || !node_takes_units(core, node))) {
            unit_hold_remove(core, unit, hold->uid); /* it never left: nobody can have it */
            continue;
        }
        if (is_stray && hold->phase != HOLD_REVOKING) {
            hold_set_phase(hold, HOLD_REVOKING);
            core->is_status_dirty = true;
        }
        i++;
    }
}

static void drop_unit(struct core *core, struct unit *unit)
{
    if (fence_record_remove_quarantine(&core->fence.record, unit->name))
        (void)fence_changed(core);
    restart_end_trial(core, unit);
    unit_set_move(core, unit, NULL);
    (void)map_remove(&core->units, unit->name);
    core->routes_full_from = ++core->route_version;
    core->is_status_dirty = true;
    unit_free(unit);
}

void units_decide(struct core *core)
{
    if (core->is_stopping)
        return; /* the nodes stop their units when they drain */
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        decide_holds(core, unit);
        if (!unit->spec && unit->holds.count == 0)
            drop_unit(core, unit);
    }
}

/* R9, and not before all nodes are there, so that the first ones do not get everything. */
static bool may_begin(struct core *core)
{
    if (core->fence.record.current.version == 0 || !roster_has_reported(core))
        return false;
    if (core->is_open)
        return true;
    size_t usable = 0;
    bool is_first = true;
    vec_for_each (node, &core->nodes)
        usable += node_takes_units(core, *node);
    if (usable < nodes_desired(core) &&
        (usable == 0 || core->now_ms < core->first_connected_ms + CORE_INITIAL_WAIT_MS)) {
        if (usable)
            plan_wake(core, core->first_connected_ms + CORE_INITIAL_WAIT_MS);
        return false;
    }
    map_for_each (item, &core->units)
        is_first = is_first && ((struct unit *)item.value)->holds.count == 0;
    if (is_first && usable < nodes_desired(core)) { /* those that come late get their share */
        core->wants_balance = true;
        fence_set_spread(core, (uint32_t)usable);
    }
    core->is_open = true;
    return true;
}

static bool is_waiting(const struct core *core, const struct unit *unit)
{
    return unit->holds.count == 0 && should_run(core, unit) && fence_is_durable(core, unit->after_change);
}

static bool place_unit(
    struct core *core, struct unit *unit, struct placement_board *board, struct node **nodes)
{
    struct placement_hint hint = {unit->last_node, unit->failed_node, unit->move_to};
    struct placement_explanation explanation = {0};
    size_t chosen = placement_choose(board, unit->spec, &hint, &explanation);
    explanation.at_wall_ms = core->wall_ms;
    explanation.rule = xstrdup(unit->rule);
    if (chosen == PLACEMENT_NOWHERE) {
        if (!text_equal(unit->reason, explanation.reason)) {
            unit_set_reason(unit, explanation.reason);
            core->is_status_dirty = true;
        }
        if (!unit->is_unplaceable_told) /* the numbers in the reason change often: once is enough */
            journal_event(
                core, true, unit->name, NULL, "Unplaceable", "%s: %s", unit->name, explanation.reason);
        unit->is_unplaceable_told = true;
        placement_explanation_done(&unit->explanation);
        unit->explanation = explanation;
        return false;
    }
    struct node *node = nodes[chosen];
    uint64_t epoch =
        MUTANT(MUTANT_REUSES_EPOCH) && unit->last_epoch ? unit->last_epoch : fence_next_epoch(core);
    (void)unit_hold_put(unit, node->uid, epoch, unit->spec->generation, HOLD_ASSIGNED);
    placement_board_put(board, unit->spec, chosen);
    placement_explanation_done(&unit->explanation);
    unit->explanation = explanation;
    unit_set_reason(unit, NULL);
    unit_set_last_node(unit, node->name);
    unit->running_since_ms = 0;
    restart_placed(core, unit);
    core->is_status_dirty = true;
    return true;
}

void units_place(struct core *core)
{
    struct placement_board *board = NULL;
    struct node **nodes = NULL;
    size_t placed = 0;
    bool has_progress = !core->is_stopping && nodes_desired(core) > 0 && may_begin(core);
    /* Again as long as something was placed: a unit may wait for the one that it goes with. */
    while (has_progress && placed < PLACEMENTS_MAX) {
        has_progress = false;
        map_for_each (item, &core->units) {
            struct unit *unit = item.value;
            if (placed >= PLACEMENTS_MAX) {
                core->has_more = true;
                break;
            }
            if (!is_waiting(core, unit) || !restart_may_place(core, unit))
                continue;
            if (!board)
                board = units_board(core, &nodes);
            if (place_unit(core, unit, board, nodes)) {
                placed++;
                has_progress = true;
            }
        }
    }
    placement_board_free(board);
    free(nodes);
}

static bool emit_hold(struct core *core, struct unit *unit, struct hold *hold, struct node *node)
{
    bool is_assign = hold->phase == HOLD_ASSIGNED;
    if (hold->phase == HOLD_RUNNING || hold->session == node->session)
        return true;
    if (!node->is_connected || !node->has_inventory || (is_assign && !node_is_usable(core, node)))
        return true;
    struct core_action *action = plan_add(core, is_assign ? CORE_ASSIGN : CORE_REVOKE);
    if (!action)
        return false;
    action->uid = hold->uid;
    action->epoch = hold->epoch;
    action->unit = is_assign ? unit->spec : NULL;
    action->unit_name = unit->name;
    hold->was_sent = true;
    hold->session = node->session;
    return true;
}

void units_emit(struct core *core)
{
    if (!fence_may_command(core) || core->is_stopping)
        return;
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        vec_for_each (hold, &unit->holds) {
            struct node *node = node_by_uid(core, hold->uid);
            if (node && !emit_hold(core, unit, hold, node))
                return;
        }
    }
}
