#include <inttypes.h>

#include <assert.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/roster.h"
#include "core/state.h"
#include "types/system.h"

enum {
    DELETE_GRACE_MS = 5000, /* a node that was asked to end has that long, beyond its drain */
};

uint32_t node_free_index(const struct core *core)
{
    for (uint32_t index = 0;; index++) { /* ends: there are fewer nodes than numbers */
        bool is_taken = false;
        vec_for_each (node, &core->nodes)
            is_taken = is_taken || (*node)->index == index;
        if (!is_taken)
            return index;
    }
}

static void plan_node(struct core *core)
{
    struct fence_record *record = &core->fence.record;
    char *name = xasprintf("%s-nodes-%" PRIu64, core->spec->name, record->next_serial++);
    struct node *node = node_add(core, name, node_free_index(core));
    node->phase = NODE_PLANNED;
    node->create_after_change = fence_changed(core);
    free(name);
    node->create_at_ms = core->create_not_before_ms;
}

/* The newest go first: the highest index. Nodes that are not there yet go before all. */
static struct node *next_unwanted(const struct core *core)
{
    struct node *chosen = NULL;
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        if (!node->is_wanted)
            continue;
        bool is_earlier =
            !chosen || (node->phase == NODE_PLANNED && chosen->phase != NODE_PLANNED) ||
            ((node->phase == NODE_PLANNED) == (chosen->phase == NODE_PLANNED) && node->index > chosen->index);
        if (is_earlier)
            chosen = node;
    }
    return chosen;
}

void nodes_decide(struct core *core)
{
    uint32_t desired = nodes_desired(core);
    uint32_t wanted = 0;
    vec_for_each (node, &core->nodes)
        wanted += (*node)->is_wanted;
    while (wanted < desired) {
        plan_node(core);
        wanted++;
    }
    while (wanted > desired) {
        struct node *node = next_unwanted(core);
        assert(node); /* wanted counts what it looks for */
        node->is_wanted = false;
        wanted--;
        core->wants_move_check = true;
        core->is_status_dirty = true;
        if (node->phase == NODE_PLANNED)
            node_remove(core, node);
    }
}

static void emit_create(struct core *core, struct node *node)
{
    if (!fence_may_command(core) || !fence_is_durable(core, node->create_after_change))
        return;
    if (node->create_at_ms > core->now_ms) {
        plan_wake(core, node->create_at_ms);
        return;
    }
    struct core_action *action = plan_add(core, CORE_CREATE_NODE);
    if (!action)
        return;
    action->node = node->name;
    action->index = node->index;
    node->phase = NODE_CREATING;
    core->is_status_dirty = true;
}

static void emit_delete(struct core *core, struct node *node, bool is_forced, int64_t grace_ms)
{
    struct core_action *action = plan_add(core, CORE_DELETE_NODE);
    if (!action)
        return;
    action->node = node->name;
    action->is_forced = is_forced;
    node->was_forced = is_forced;
    node->phase = NODE_DELETING;
    node->delete_by_ms = core->now_ms + grace_ms;
    core->is_status_dirty = true;
}

static bool holds_any(const struct core *core, uint64_t uid)
{
    map_for_each (item, &core->units)
        if (unit_hold_of(item.value, uid))
            return true;
    return false;
}

/* A node that leaves: its units went elsewhere, the roster did without it. One that cannot be reached would
 * never get there; its process is ended, which is proof. */
static void emit_departure(struct core *core, struct node *node)
{
    int64_t drain_ms = core->is_stopping ? core->stop_drain_ms : core->spec->nodes.drain_timeout_ms;
    if (node->phase == NODE_DELETING) {
        if (node->was_forced)
            return;
        if (core->now_ms >= node->delete_by_ms)
            emit_delete(core, node, true, 0);
        else
            plan_wake(core, node->delete_by_ms);
        return;
    }
    if (core->is_stopping && core->now_ms >= core->stop_by_ms) {
        emit_delete(core, node, true, 0);
    } else if (!node->is_connected || node->is_drained) {
        emit_delete(core, node, false, DELETE_GRACE_MS);
    } else if (core->is_stopping && !node->is_drain_sent) {
        struct core_action *action = plan_add(core, CORE_DRAIN);
        if (!action)
            return;
        action->uid = node->uid;
        action->timeout_ms = (uint32_t)drain_ms;
        node->is_drain_sent = true;
    } else if (!core->is_stopping && !holds_any(core, node->uid) && roster_is_without(core, node)) {
        emit_delete(core, node, false, drain_ms + DELETE_GRACE_MS);
    }
    if (core->is_stopping && node->phase != NODE_DELETING)
        plan_wake(core, core->stop_by_ms);
}

void nodes_emit(struct core *core)
{
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        if (node->is_wanted && node->phase == NODE_PLANNED)
            emit_create(core, node);
        else if (!node->is_wanted)
            emit_departure(core, node);
    }
    if (core->is_stopping && core->nodes.count == 0 && !core->is_stopped_told &&
        plan_add(core, CORE_STOPPED) != NULL)
        core->is_stopped_told = true;
}

static void emit_roster(struct core *core, struct node *node)
{
    struct fence *fence = &core->fence;
    if (fence->record.current.version == 0 || node->roster_sent >= fence->record.current.version ||
        !fence_is_durable(core, fence->roster_change))
        return;
    struct core_action *action = plan_add(core, CORE_SEND_ROSTER);
    if (!action)
        return;
    action->uid = node->uid;
    action->roster = &fence->record.current;
    action->previous = &fence->record.previous;
    action->dead = fence->record.dead_uids.items;
    action->dead_count = fence->record.dead_uids.count - (size_t)(fence->deaths - fence->confirmed_deaths);
    node->roster_sent = fence->record.current.version;
    node->dead_sent = fence->confirmed_deaths;
}

static void emit_dead(struct core *core, struct node *node)
{
    struct fence *fence = &core->fence;
    if (node->dead_sent >= fence->confirmed_deaths)
        return;
    /* The list ends with the newest, of which the last few may not be durable yet. */
    size_t durable = fence->record.dead_uids.count - (size_t)(fence->deaths - fence->confirmed_deaths);
    size_t count = (size_t)(fence->confirmed_deaths - node->dead_sent);
    struct core_action *action = plan_add(core, CORE_SEND_DEAD);
    if (!action)
        return;
    count = count < durable ? count : durable;
    action->uid = node->uid;
    action->dead = fence->record.dead_uids.items + (durable - count);
    action->dead_count = count;
    node->dead_sent = fence->confirmed_deaths;
}

static void emit_session(struct core *core, struct node *node)
{
    if (node->configuration_sent != core->spec->generation) {
        struct core_action *action = plan_add(core, CORE_SEND_CONFIGURATION);
        if (!action)
            return;
        action->uid = node->uid;
        action->generation = core->spec->generation;
        node->configuration_sent = core->spec->generation;
    }
    if (!node->is_inventory_asked) {
        struct core_action *action = plan_add(core, CORE_REQUEST_INVENTORY);
        if (!action)
            return;
        action->uid = node->uid;
        node->is_inventory_asked = true;
    }
    if (node->roster_sent)
        emit_dead(core, node); /* news first; a first roster brings all deaths with it */
    emit_roster(core, node);
    emit_dead(core, node);
}

void sessions_emit(struct core *core)
{
    if (!fence_may_command(core))
        return;
    vec_for_each (node, &core->nodes)
        if ((*node)->is_connected)
            emit_session(core, *node);
}
