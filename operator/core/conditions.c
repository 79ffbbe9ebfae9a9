#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/state.h"
#include "types/system.h"

/* What the conditions are made of. */
struct counts {
    size_t desired;
    size_t running;
    size_t quarantined;
    size_t backing_off;
    size_t unplaceable;
    const struct unit *first_quarantined;
    const struct unit *first_unplaceable;
    uint32_t nodes_desired;
    uint32_t nodes_ready;
};

static struct counts count_all(const struct core *core)
{
    struct counts counts = {.nodes_desired = nodes_desired(core)};
    map_for_each (item, &core->units) {
        const struct unit *unit = item.value;
        if (!unit->spec || unit->rest == REST_ENDED)
            continue;
        counts.desired++;
        if (unit->rest == REST_QUARANTINED) {
            counts.quarantined++;
            if (!counts.first_quarantined)
                counts.first_quarantined = unit;
        } else if (unit_is_running(unit)) {
            counts.running++;
        } else if (unit->not_before_ms > core->now_ms) {
            counts.backing_off++;
        } else if (unit->holds.count == 0 && unit->explanation.unit && !unit->explanation.chosen) {
            counts.unplaceable++;
            if (!counts.first_unplaceable)
                counts.first_unplaceable = unit;
        }
    }
    vec_for_each (node, &core->nodes)
        counts.nodes_ready += (*node)->is_wanted && node_is_usable(core, *node);
    return counts;
}

/* Takes message. */
static void set(
    struct core *core, enum condition_kind kind, bool is_true, const char *reason, char *message_take)
{
    struct condition_state *state = &core->conditions[kind];
    bool is_new = !state->reason || state->is_true != is_true;
    if (!is_new && text_equal(state->reason, reason) && text_equal(state->message, message_take)) {
        free(message_take);
        return;
    }
    free(state->reason);
    free(state->message);
    state->reason = xstrdup(reason);
    state->message = message_take;
    if (is_new)
        state->since_wall_ms = core->wall_ms;
    state->is_true = is_true;
    core->is_status_dirty = true;
}

static void set_ready(struct core *core, const struct counts *counts)
{
    char *message = xasprintf("%zu of %zu units run", counts->running, counts->desired);
    if (core->is_stopping)
        set(core, CONDITION_READY, false, "Stopping", message);
    else if (core->spec->suspend)
        set(core, CONDITION_READY, false, "Suspended", message);
    else if (counts->nodes_desired == 0)
        set(core, CONDITION_READY, false, "ScaledToZero", message);
    else if (counts->running == counts->desired)
        set(core, CONDITION_READY, true, "AllUnitsRunning", message);
    else if (counts->quarantined)
        set(core, CONDITION_READY, false, "UnitQuarantined", message);
    else
        set(core, CONDITION_READY, false, core->is_open ? "UnitsNotRunning" : "Starting", message);
}

static void set_reconciling(struct core *core, const struct counts *counts)
{
    bool is_lacking_nodes = counts->nodes_ready < counts->nodes_desired;
    bool has_surplus = core->nodes.count > counts->nodes_desired;
    size_t open = counts->desired - counts->running - counts->quarantined - counts->unplaceable;
    bool is_working = is_lacking_nodes || has_surplus || (open > 0 && counts->nodes_desired > 0);
    if (!is_working)
        set(core, CONDITION_RECONCILING, false, "Settled", xstrdup(""));
    else if (is_lacking_nodes || has_surplus)
        set(core, CONDITION_RECONCILING, true, "NodesChanging",
            xasprintf(
                "%" PRIu32 " of %" PRIu32 " nodes are ready", counts->nodes_ready, counts->nodes_desired));
    else
        set(core, CONDITION_RECONCILING, true, "UnitsChanging",
            xasprintf("%zu units wait or start, %zu of them by backoff", open, counts->backing_off));
}

static void set_stalled(struct core *core, const struct counts *counts)
{
    if (core->fence.failure)
        set(core, CONDITION_STALLED, true, "FenceWriteFailed",
            xasprintf(
                "the fence record cannot be written, so nothing new is placed: %s", core->fence.failure));
    else if (core->node_trouble)
        set(core, CONDITION_STALLED, true, "NodeFailed", xstrdup(core->node_trouble));
    else if (counts->first_unplaceable)
        set(core, CONDITION_STALLED, true, "Unplaceable",
            xasprintf(
                "%s: %s", counts->first_unplaceable->name, counts->first_unplaceable->explanation.reason));
    else if (counts->first_quarantined)
        set(core, CONDITION_STALLED, true, "UnitQuarantined",
            xasprintf("%s: %s", counts->first_quarantined->name,
                counts->first_quarantined->reason ? counts->first_quarantined->reason : ""));
    else
        set(core, CONDITION_STALLED, false, "NotStalled", xstrdup(""));
}

static void set_degraded(struct core *core, const struct counts *counts)
{
    if (counts->quarantined)
        set(core, CONDITION_DEGRADED, true, "UnitQuarantined",
            xasprintf("%zu units are quarantined", counts->quarantined));
    else if (core->is_open && counts->nodes_ready < counts->nodes_desired)
        set(core, CONDITION_DEGRADED, true, "NodesMissing",
            xasprintf(
                "%" PRIu32 " of %" PRIu32 " nodes are ready", counts->nodes_ready, counts->nodes_desired));
    else
        set(core, CONDITION_DEGRADED, false, "AsDesired", xstrdup(""));
}

void conditions_update(struct core *core)
{
    struct counts counts = count_all(core);
    set_ready(core, &counts);
    set_reconciling(core, &counts);
    set_stalled(core, &counts);
    set_degraded(core, &counts);
}

const char *unit_state_name(const struct core *core, const struct unit *unit)
{
    const struct hold *hold = unit_hold(unit);
    if (hold && hold->phase == HOLD_RUNNING)
        return "Running";
    if (hold)
        return hold->phase == HOLD_ASSIGNED ? "Starting" : "Stopping";
    if (unit->rest == REST_QUARANTINED)
        return "Quarantined";
    if (unit->rest == REST_ENDED)
        return "Stopped";
    return unit->not_before_ms > core->now_ms ? "Backoff" : "Pending";
}
