#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/state.h"
#include "types/system.h"

static char *dup_or_empty(const char *text)
{
    return xstrdup(text ? text : "");
}

static const char *node_state_name(const struct core *core, const struct node *node)
{
    if (node->phase == NODE_ENDED)
        return "Ended";
    if (node_is_lost(core, node))
        return "Lost";
    if (!node->is_wanted || node->phase == NODE_DELETING)
        return "Draining";
    if (node->phase == NODE_PLANNED || node->phase == NODE_CREATING)
        return "Starting";
    if (node->is_connected)
        return node_is_usable(core, node) ? "Connected" : "Joining";
    if (node->uid == 0)
        return "Restarting";
    return node->session == 0 && core->sessions && node->runtime_restarts == 0 && !node->link_address
               ? "Starting"
               : "Disconnected";
}

static const char *node_name_of(const struct core *core, uint64_t uid)
{
    const struct node *node = node_by_uid(core, uid);
    return node ? node->name : "";
}

/* Made from what nodes are made from now; where nobody tells of that, it knows the present spec. */
static bool is_updated(const struct core *core, const struct node *node)
{
    if (core->template_hash)
        return node->phase != NODE_PLANNED && text_equal(node->template_hash, core->template_hash);
    return node->is_connected && node->configuration_sent == core->spec->generation;
}

static void fill_node(const struct core *core, struct status *status, const struct node *node)
{
    struct status_node *row = vec_push_new(&status->nodes);
    row->node = xstrdup(node->name);
    row->pod = dup_or_empty(node->pod_uid);
    row->kube_node = dup_or_empty(node->kube_node);
    row->zone = dup_or_empty(node->zone);
    row->state = xstrdup(node_state_name(core, node));
    row->reason = dup_or_empty(node->condition_reason);
    row->message = dup_or_empty(node->condition_message);
    row->template_hash = dup_or_empty(node->template_hash);
    row->is_updated = is_updated(core, node);
    row->uid = node->uid;
    row->pid = node->uid ? node->pid : 0;
    map_for_each (item, &core->units) {
        const struct hold *hold = unit_hold(item.value);
        row->units += hold && node->uid && hold->uid == node->uid;
    }
    row->actors = node->load.actors;
    row->mailbox_depth = node->load.mailbox_depth;
    row->messages = node->load.messages;
    row->dead_letters = node->load.dead_letters;
    row->busy_permille = node->load.busy_permille;
    row->memory_bytes = node->load.memory_bytes;
    row->runtime_restarts = node->runtime_restarts;
    row->is_cordoned = node->is_cordoned;
    row->link_address = dup_or_empty(node->link_address);
    row->gateway_address = dup_or_empty(node->gateway_address);
    row->started_wall_ms = node->started_wall_ms;
    status->nodes_ready += node->is_wanted && node_is_usable(core, node);
    status->nodes_updated += node->is_wanted && row->is_updated;
    status->replicas += node->phase != NODE_PLANNED && node->phase != NODE_ENDED && !node->is_removed;
}

static void fill_actor(const struct core *core, struct status *status, const struct unit *unit,
    const char *path, const char *behavior, const struct unit_actor *known)
{
    struct status_actor *row = vec_push_new(&status->actor_rows);
    const struct hold *hold = unit_hold(unit);
    row->path = xstrdup(path);
    row->unit = xstrdup(unit->name);
    row->node = xstrdup(hold ? node_name_of(core, hold->uid) : "");
    bool is_told = known && unit_is_running(unit) && !unit_is_lost(core, unit);
    row->state = xstrdup(is_told ? known->state : unit_state_name(core, unit));
    row->behavior = dup_or_empty(behavior);
    row->epoch = hold ? hold->epoch : unit->last_epoch;
    row->incarnation = known ? known->incarnation : 0;
    row->mailbox_depth = known ? known->mailbox_depth : 0;
    row->last_exit = dup_or_empty(known ? known->last_exit : NULL);
    row->last_exit_wall_ms = known ? known->last_exit_wall_ms : 0;
    /* A crash took the node's memory of it along. */
    if (text_equal(unit->crash_actor, path) && unit->crash_wall_ms > row->last_exit_wall_ms) {
        free(row->last_exit);
        row->last_exit = xstrdup(unit->crash_reason);
        row->last_exit_wall_ms = unit->crash_wall_ms;
    }
}

static bool is_reported(const struct unit *unit, const char *path)
{
    vec_for_each (actor, &unit->actors)
        if (text_equal(actor->path, path))
            return true;
    return false;
}

static const char *behavior_of(const struct child_spec *child)
{
    return child->behavior_c ? child->behavior_c : child->behavior_python;
}

/* The path of a child: below the supervisors that it is under. */
static char *child_path(const struct unit *unit, const struct child_spec *child)
{
    char *below = xstrdup(child->name);
    const char *under = child->under;
    while (under && under[0]) { /* ends: a supervisor comes before what is under it */
        const struct child_spec *supervisor = NULL;
        vec_for_each (other, &unit->spec->entry->children)
            if (text_equal(other->name, under))
                supervisor = other;
        char *longer = xasprintf("%s/%s", under, below);
        free(below);
        below = longer;
        under = supervisor ? supervisor->under : NULL;
    }
    char *path = xasprintf("%s/%s", unit->name, below);
    free(below);
    return path;
}

/* What the node told, and what the spec names but no node has now. */
static void fill_actors(const struct core *core, struct status *status, const struct unit *unit)
{
    vec_for_each (actor, &unit->actors)
        fill_actor(core, status, unit, actor->path, actor->behavior, actor);
    if (!unit->spec || unit->spec->entry->keyed.is_keyed || (unit_is_running(unit) && unit->actors.count))
        return;
    const struct child_spec *root = &unit->spec->entry->root;
    if (!root->is_supervisor && !is_reported(unit, unit->name))
        fill_actor(core, status, unit, unit->name, behavior_of(root), NULL);
    vec_for_each (child, &unit->spec->entry->children) {
        char *path = child_path(unit, child);
        if (!child->is_supervisor && !is_reported(unit, path))
            fill_actor(core, status, unit, path, behavior_of(child), NULL);
        free(path);
    }
}

static void fill_unit(const struct core *core, struct status *status, const struct unit *unit)
{
    struct status_unit *row = vec_push_new(&status->units);
    const struct hold *hold = unit_hold(unit);
    row->unit = xstrdup(unit->name);
    row->entry = xstrdup(unit->spec ? unit->spec->entry->root.name : "");
    row->node = xstrdup(hold ? node_name_of(core, hold->uid) : "");
    row->epoch = hold ? hold->epoch : unit->last_epoch;
    row->state = xstrdup(unit_state_name(core, unit));
    row->reason = unit_is_lost(core, unit)
                      ? xasprintf("node %s is silent, and not known to be gone", row->node)
                      : dup_or_empty(unit->reason ? unit->reason : unit->explanation.reason);
    row->rule = xstrdup(unit->rule);
    row->restarts = unit->restarts;
    if (unit->spec && unit->rest != REST_ENDED)
        status->units_desired++;
    status->units_running += unit->spec && unit_is_running(unit) && !unit_is_lost(core, unit);
    fill_actors(core, status, unit);
}

static void fill_quarantines(const struct core *core, struct status *status)
{
    vec_for_each (record, &core->fence.record.quarantines) {
        struct status_quarantine *row = vec_push_new(&status->quarantined);
        row->unit = xstrdup(record->unit);
        row->reason = xstrdup(record->reason);
        row->at_wall_ms = record->at_wall_ms;
    }
}

void core_status(const struct core *core, struct status *ret_status)
{
    struct status status = {
        .system = xstrdup(core->spec->name),
        .system_uid = xstrdup(core->system_uid),
        .observed_generation = core->spec->generation,
        .term = core->fence.record.term,
        .nodes_desired = nodes_desired(core),
        .restarts = core->restarts,
        .started_wall_ms = core->started_wall_ms,
        .exits_lost = core->exits_lost,
    };
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++) {
        const struct condition_state *state = &core->conditions[kind];
        status.conditions[kind] = (struct status_condition){
            .is_true = state->is_true,
            .is_unknown = state->is_unknown || !state->reason,
            .reason = dup_or_empty(state->reason ? state->reason : "Observing"),
            .message = dup_or_empty(state->message),
            .since_wall_ms = state->since_wall_ms,
        };
    }
    vec_for_each (node, &core->nodes)
        fill_node(core, &status, *node);
    map_for_each (item, &core->units)
        fill_unit(core, &status, item.value);
    vec_for_each (actor, &status.actor_rows)
        status.actors += text_equal(actor->state, "Running");
    vec_for_each (exit, &core->exits)
        status_exit_copy(vec_push_new(&status.exits), exit);
    fill_quarantines(core, &status);
    *ret_status = status;
}
