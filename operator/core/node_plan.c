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
    UNREACHABLE_MS = 5000,  /* a node that leaves may come back for so long, to hand its units over */
};

static void emit_create(struct core *core, struct node *node)
{
    if (!fence_may_command(core) || core->blocked_reason ||
        !fence_is_durable(core, node->create_after_change))
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
    action->template_hash = core->template_hash;
    free(node->template_hash);
    node->template_hash = core->template_hash ? xstrdup(core->template_hash) : NULL;
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
    node->is_delete_sent = true;
    if (node->phase != NODE_ENDED)
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

/* A deletion that takes too long. Where that proves nothing, only a declaration of death may follow. */
static void emit_delete_again(struct core *core, struct node *node)
{
    if (node->was_forced || core->cannot_kill)
        return;
    if (core->now_ms >= node->delete_by_ms)
        emit_delete(core, node, true, 0);
    else
        plan_wake(core, node->delete_by_ms);
}

/* What is left of a node that is known to be over. */
static void emit_removal(struct core *core, struct node *node)
{
    bool is_written = fence_may_command(core) && (fence_is_durable(core, node->delete_after_change) ||
                                                     MUTANT(MUTANT_REMOVES_BEFORE_FENCED));
    if (!node->is_delete_sent && !node->is_removed && (is_written || core->is_stopping))
        emit_delete(core, node, node->is_fenced, 0);
}

static void emit_stop(struct core *core, struct node *node)
{
    if (core->now_ms >= core->stop_by_ms) {
        emit_delete(core, node, !core->cannot_kill, 0);
        return;
    }
    if (!node->is_connected || node->is_drained) {
        emit_delete(core, node, false, DELETE_GRACE_MS);
        return;
    }
    plan_wake(core, core->stop_by_ms);
    if (node->is_drain_sent)
        return;
    struct core_action *action = plan_add(core, CORE_DRAIN);
    if (!action)
        return;
    action->uid = node->uid;
    action->timeout_ms = (uint32_t)core->stop_drain_ms;
    node->is_drain_sent = true;
}

/* A node that leaves: its units went elsewhere, the roster did without it. One that cannot be reached, or
 * takes too long, is ended as it is; that is proof. */
static void emit_departure(struct core *core, struct node *node)
{
    int64_t drain_ms = core->spec->nodes.drain_timeout_ms;
    bool is_empty = !holds_any(core, node->uid) && roster_is_without(core, node);
    int64_t by_ms = node->leaving_from_ms + drain_ms;
    int64_t away_from_ms =
        node->silent_from_ms > node->leaving_from_ms ? node->silent_from_ms : node->leaving_from_ms;
    if (!node->is_connected && by_ms > away_from_ms + UNREACHABLE_MS)
        by_ms = away_from_ms + UNREACHABLE_MS;
    if (!fence_may_command(core))
        return;
    if (is_empty || node->is_drained || core->now_ms >= by_ms)
        emit_delete(core, node, false, drain_ms + DELETE_GRACE_MS);
    else
        plan_wake(core, by_ms);
}

static void emit_end(struct core *core, struct node *node)
{
    if (node->phase == NODE_ENDED)
        emit_removal(core, node);
    else if (node->phase == NODE_DELETING)
        emit_delete_again(core, node);
    else if (core->is_stopping)
        emit_stop(core, node);
    else if (!node->is_ending && !node->is_removed) /* else somebody did that already */
        emit_departure(core, node);
}

void nodes_emit(struct core *core)
{
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        if (node->is_wanted && node->phase == NODE_PLANNED)
            emit_create(core, node);
        else if (!node->is_wanted)
            emit_end(core, node);
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

/* Who was declared dead and comes back is told so, and exits. */
static void emit_returned(struct core *core)
{
    if (core->returned.count == 0 || core->fence.confirmed_deaths < core->fence.deaths)
        return;
    uint64_t *uids =
        plan_keep_take(core, xmemdup(core->returned.items, core->returned.count * sizeof(uint64_t)));
    for (size_t i = 0; i < core->returned.count; i++) {
        struct core_action *action = plan_add(core, CORE_SEND_DEAD);
        if (!action)
            break; /* it says hello again */
        action->uid = uids[i];
        action->dead = &uids[i];
        action->dead_count = 1;
    }
    core->returned.count = 0;
}

void sessions_emit(struct core *core)
{
    if (!fence_may_command(core))
        return;
    emit_returned(core);
    vec_for_each (node, &core->nodes)
        if ((*node)->is_connected)
            emit_session(core, *node);
}
