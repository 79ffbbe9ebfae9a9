#include <inttypes.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/state.h"
#include "types/system.h"

enum { MESSAGE_BYTES_MAX = 4 * LIMIT_STATUS_TEXT_BYTES }; /* before it is cut to the limit */

/* What the conditions are made of. */
struct counts {
    size_t desired;
    size_t running;
    size_t quarantined;
    size_t backing_off;
    size_t lost;
    size_t unplaceable;
    const struct unit *first_quarantined;
    const struct unit *first_unplaceable;
    uint32_t nodes_desired;
    uint32_t nodes_ready;
    uint32_t nodes_serving; /* clients are sent there */
    uint32_t nodes_updated;
    uint32_t nodes_outdated;
    bool has_leaving;
    const struct node *first_lost;
    size_t nodes_lost;
    const struct node *first_unwell;  /* not ready, and it is known why */
    const struct node *first_refused; /* it stays so until a person does something */
};

/* What an API server says to a Pod that it will not have whenever it is asked. */
static bool is_refusal(const char *reason)
{
    static const char *const refusals[] = {"Invalid", "BadRequest", "Forbidden"};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (text_equal(reason, refusals[i]))
            return true;
    return false;
}

static void count_node(const struct core *core, const struct node *node, struct counts *counts)
{
    bool is_ready = node->is_wanted && node_is_usable(core, node);
    bool is_outdated = node_is_outdated(core, node);
    counts->nodes_ready += is_ready;
    counts->nodes_serving += node_is_usable(core, node) && !node->is_unready;
    counts->nodes_updated += node->is_wanted && !is_outdated && node->phase != NODE_PLANNED;
    counts->nodes_outdated += node->is_wanted && is_outdated;
    counts->has_leaving = counts->has_leaving || (!node->is_wanted && !node->is_removed);
    bool is_lost = node_is_lost(core, node);
    counts->nodes_lost += is_lost;
    if (!counts->first_lost && is_lost)
        counts->first_lost = node;
    bool is_unwell = (node->condition_reason || node_is_slow(core, node)) && !is_ready;
    if (!counts->first_unwell && is_unwell && node->phase != NODE_ENDED)
        counts->first_unwell = node;
    if (!counts->first_refused && node->is_wanted && !is_ready && is_refusal(node->condition_reason))
        counts->first_refused = node;
}

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
        } else if (unit_is_lost(core, unit)) {
            counts.lost++;
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
        count_node(core, *node, &counts);
    return counts;
}

/* Takes message. */
static void set(
    struct core *core, enum condition_kind kind, bool is_true, const char *reason, char *message_take)
{
    struct condition_state *state = &core->conditions[kind];
    bool is_unknown = !core->is_observed;
    char *message = journal_bounded(message_take);
    free(message_take);
    bool is_new = !state->reason || state->is_true != is_true || state->is_unknown != is_unknown;
    if (!is_new && text_equal(state->reason, reason) && text_equal(state->message, message)) {
        free(message);
        return;
    }
    free(state->reason);
    free(state->message);
    state->reason = xstrdup(reason);
    state->message = message;
    if (is_new)
        state->since_wall_ms = core->wall_ms;
    state->is_true = is_true;
    state->is_unknown = is_unknown;
    core->is_status_dirty = true;
}

/* ", node bank-nodes-3: ImagePullBackOff: not found"; nothing when all are well. */
static void append_unwell(const struct counts *counts, struct str *text)
{
    const struct node *node = counts->first_unwell;
    if (!node)
        return;
    str_appendf(text, "%snode %s: %s", text->size ? "; " : "", node->name,
        node->condition_reason ? node->condition_reason : "it is not ready for over a minute; see its log");
    if (node->condition_reason && node->condition_message[0])
        str_appendf(text, ": %s", node->condition_message);
}

static char *ready_message(const struct core *core, const struct counts *counts)
{
    struct str text = STR_INIT(MESSAGE_BYTES_MAX);
    str_appendf(&text, "%zu of %zu units run", counts->running, counts->desired);
    if (counts->running == counts->desired && counts->nodes_serving == 0)
        str_append(&text, "; no pod is Ready, so the Service sends clients nowhere");
    if (counts->lost)
        str_appendf(&text, "; %zu are on a node that is silent", counts->lost);
    if (core->blocked_reason)
        str_appendf(&text, "; no node is made: %s", core->blocked_text);
    if (counts->running < counts->desired)
        append_unwell(counts, &text);
    return str_steal(&text);
}

static void set_ready(struct core *core, const struct counts *counts)
{
    char *message = ready_message(core, counts);
    if (core->is_stopping)
        set(core, CONDITION_READY, false, "Stopping", message);
    else if (core->spec->suspend)
        set(core, CONDITION_READY, false, "Suspended", message);
    else if (counts->nodes_desired == 0)
        set(core, CONDITION_READY, false, "ScaledToZero", message);
    else if (counts->running == counts->desired && counts->nodes_serving == 0)
        set(core, CONDITION_READY, false, "NotServing", message);
    else if (counts->running == counts->desired)
        set(core, CONDITION_READY, true, "AllUnitsRunning", message);
    else if (core->blocked_reason)
        set(core, CONDITION_READY, false, core->blocked_reason, message);
    else if (counts->quarantined)
        set(core, CONDITION_READY, false, "UnitQuarantined", message);
    else
        set(core, CONDITION_READY, false, core->is_open ? "UnitsNotRunning" : "Starting", message);
}

static void set_reconciling(struct core *core, const struct counts *counts)
{
    bool is_lacking_nodes = counts->nodes_ready < counts->nodes_desired;
    size_t open =
        counts->desired - counts->running - counts->quarantined - counts->unplaceable - counts->lost;
    struct str text = STR_INIT(MESSAGE_BYTES_MAX);
    if (counts->nodes_outdated && counts->nodes_desired) {
        str_appendf(&text, "%" PRIu32 " of %" PRIu32 " nodes are updated", counts->nodes_updated,
            counts->nodes_desired);
        append_unwell(counts, &text);
        set(core, CONDITION_RECONCILING, true, "RollingOut", str_steal(&text));
    } else if (is_lacking_nodes || counts->has_leaving) {
        str_appendf(
            &text, "%" PRIu32 " of %" PRIu32 " nodes are ready", counts->nodes_ready, counts->nodes_desired);
        append_unwell(counts, &text);
        set(core, CONDITION_RECONCILING, true, "NodesChanging", str_steal(&text));
    } else if (open > 0 && counts->nodes_desired > 0) {
        str_appendf(&text, "%zu units wait or start, %zu of them by backoff", open, counts->backing_off);
        set(core, CONDITION_RECONCILING, true, "UnitsChanging", str_steal(&text));
    } else {
        set(core, CONDITION_RECONCILING, false, "Settled", xstrdup(""));
    }
    str_done(&text);
}

static void set_stalled(struct core *core, const struct counts *counts)
{
    if (core->fence.failure)
        set(core, CONDITION_STALLED, true, "FenceWriteFailed",
            xasprintf(
                "the fence record cannot be written, so nothing new is placed: %s", core->fence.failure));
    else if (core->node_trouble)
        set(core, CONDITION_STALLED, true, "NodeFailed", xstrdup(core->node_trouble));
    else if (counts->first_refused)
        set(core, CONDITION_STALLED, true, "PodRefused",
            xasprintf("node %s: %s: %s", counts->first_refused->name, counts->first_refused->condition_reason,
                counts->first_refused->condition_message));
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

/* Someone has to do something; and that is said here. */
static char *loss_message(const struct core *core, const struct counts *counts)
{
    const struct node *node = counts->first_lost;
    const char *kube_node = node->kube_node && node->kube_node[0] ? node->kube_node : NULL;
    size_t units = 0;
    map_for_each (item, &core->units)
        units += unit_hold_of(item.value, node->uid) != NULL;
    struct str text = STR_INIT(MESSAGE_BYTES_MAX);
    str_appendf(&text,
        "node %s%s%s%s is silent, and nothing proves that it ended: its %zu units wait for an assertion. "
        "When its "
        "machine is gone for good, delete its Node object or taint it node.kubernetes.io/out-of-service, or "
        "annotate the ActorSystem with histrio.dev/forget=%s",
        node->name, kube_node ? " (KubeNode " : "", kube_node ? kube_node : "", kube_node ? ")" : "", units,
        node->name);
    if (counts->nodes_lost > 1)
        str_appendf(&text, "; so are %zu other nodes", counts->nodes_lost - 1);
    return str_steal(&text);
}

static void set_degraded(struct core *core, const struct counts *counts)
{
    struct str text = STR_INIT(MESSAGE_BYTES_MAX);
    if (counts->first_lost) {
        set(core, CONDITION_DEGRADED, true, "NodeLost", loss_message(core, counts));
    } else if (counts->quarantined) {
        set(core, CONDITION_DEGRADED, true, "UnitQuarantined",
            xasprintf("%zu units are quarantined", counts->quarantined));
    } else if (counts->nodes_outdated && counts->first_unwell) {
        append_unwell(counts, &text);
        set(core, CONDITION_DEGRADED, true, "RolloutStuck", str_steal(&text));
    } else if (core->is_open && counts->nodes_ready < counts->nodes_desired) {
        str_appendf(
            &text, "%" PRIu32 " of %" PRIu32 " nodes are ready", counts->nodes_ready, counts->nodes_desired);
        append_unwell(counts, &text);
        set(core, CONDITION_DEGRADED, true, "NodesMissing", str_steal(&text));
    } else {
        set(core, CONDITION_DEGRADED, false, "AsDesired", xstrdup(""));
    }
    str_done(&text);
}

void conditions_update(struct core *core)
{
    struct counts counts = count_all(core);
    if (!core->is_observed) {
        for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
            set(core, (enum condition_kind)kind, false, "Observing",
                xstrdup("waits for the nodes of the former operator to report"));
        return;
    }
    set_ready(core, &counts);
    set_reconciling(core, &counts);
    set_stalled(core, &counts);
    set_degraded(core, &counts);
}

bool unit_is_lost(const struct core *core, const struct unit *unit)
{
    const struct hold *hold = unit_hold(unit);
    const struct node *node = hold ? node_by_uid(core, hold->uid) : NULL;
    return node && node_is_lost(core, node);
}

const char *unit_state_name(const struct core *core, const struct unit *unit)
{
    const struct hold *hold = unit_hold(unit);
    if (unit_is_lost(core, unit))
        return "Lost";
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
