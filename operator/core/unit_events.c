#include <inttypes.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/restart.h"
#include "core/state.h"
#include "types/unit.h"

enum { REFUSED_AGAIN_MS = 100 };

static void ask_again(struct node *node)
{
    node->is_inventory_asked = false;
}

/* The node said that it holds nothing of that epoch and will take nothing of it any more. */
static void release(struct core *core, struct unit *unit, const struct node *node)
{
    unit_hold_remove(core, unit, node->uid);
    if (unit->holds.count == 0)
        unit->running_since_ms = 0;
}

static void take_failure(struct core *core, struct unit *unit, const struct node *node, const char *reason)
{
    char *text = xasprintf("%s", reason && reason[0] ? reason : "it failed, and the node gave no reason");
    journal_event(core, true, unit->name, node->name, "UnitFailed", "%s failed on %s: %s", unit->name,
        node->name, text);
    (void)restart_unit_failed(core, unit, node, false, text);
    free(text);
}

static void take_end(struct core *core, struct unit *unit, const char *reason)
{
    unit->rest = REST_ENDED;
    unit->rule = "Ended";
    unit_set_reason(unit, reason && reason[0] ? reason : "it ended by its own decision");
    journal_event(core, false, unit->name, NULL, "UnitEnded", "%s: %s", unit->name, unit->reason);
    core->is_status_dirty = true;
}

void core_node_assigned(struct core *core, uint64_t uid, const char *name, uint64_t epoch,
    enum core_refusal refusal, uint64_t seen_epoch, const char *reason)
{
    struct unit *unit = unit_find(core, name);
    struct node *node = node_by_uid(core, uid);
    struct hold *hold = unit ? unit_hold_of(unit, uid) : NULL;
    if (!node || !node->is_connected || !hold || hold->epoch != epoch || hold->phase == HOLD_RUNNING)
        return;
    if (refusal == CORE_REFUSAL_NONE) {
        if (hold->phase != HOLD_ASSIGNED)
            return;
        hold_set_phase(hold, HOLD_RUNNING);
        restart_unit_running(core, unit);
        return;
    }
    if (refusal == CORE_REFUSAL_OLD_EPOCH) {
        ask_again(node); /* it may be running by an earlier copy of this command: only its inventory knows */
        fence_meet_term(core, epoch_term(seen_epoch), node->name);
        return;
    }
    if (refusal == CORE_REFUSAL_WRONG_UID || refusal == CORE_REFUSAL_OLD_TERM)
        return; /* its next uid or the next term settles it */
    if (refusal == CORE_REFUSAL_DRAINING)
        node->refuses_units = true;
    else if (refusal != CORE_REFUSAL_NO_LEASE && !hold->is_counted) {
        hold->is_counted = true;
        take_failure(core, unit, node, reason);
    }
    if (refusal == CORE_REFUSAL_NO_LEASE || refusal == CORE_REFUSAL_DRAINING)
        unit->not_before_ms = core->now_ms + REFUSED_AGAIN_MS;
    if (seen_epoch >= epoch) {
        release(core, unit, node);
        return;
    }
    /* It may have overlooked another copy of the command that is still on its way: the revocation raises what
     * it has seen. */
    hold = unit_hold_of(unit, uid);
    hold_set_phase(hold, HOLD_REVOKING);
    core->is_status_dirty = true;
}

void core_node_revoked(struct core *core, uint64_t uid, const char *name, uint64_t epoch,
    enum core_refusal refusal, uint64_t seen_epoch)
{
    struct unit *unit = unit_find(core, name);
    struct node *node = node_by_uid(core, uid);
    struct hold *hold = unit ? unit_hold_of(unit, uid) : NULL;
    if (!node || !node->is_connected || !hold || hold->phase != HOLD_REVOKING)
        return;
    if (refusal == CORE_REFUSAL_NONE && epoch >= hold->epoch)
        release(core, unit, node);
    else if (refusal == CORE_REFUSAL_OLD_EPOCH || (refusal == CORE_REFUSAL_NONE && seen_epoch > hold->epoch))
        ask_again(node);
}

static void take_actors(struct core *core, struct unit *unit, const struct core_held_unit *held)
{
    bool is_same = unit->actors.count == held->actor_count;
    for (size_t i = 0; is_same && i < held->actor_count; i++) {
        const struct unit_actor *known = &unit->actors.items[i];
        const struct core_held_actor *told = &held->actors[i];
        is_same = text_equal(known->path, told->path) && text_equal(known->state, told->state) &&
                  known->incarnation == told->incarnation &&
                  known->last_exit_wall_ms == told->last_exit_at_ms;
    }
    if (is_same) {
        for (size_t i = 0; i < held->actor_count; i++)
            unit->actors.items[i].mailbox_depth = held->actors[i].mailbox_depth;
        return;
    }
    unit_actors_clear(unit);
    for (size_t i = 0; i < held->actor_count; i++) {
        const struct core_held_actor *told = &held->actors[i];
        struct unit_actor *actor = vec_push_new(&unit->actors);
        actor->path = xstrdup(told->path ? told->path : "");
        actor->state = xstrdup(told->state ? told->state : "");
        actor->behavior = xstrdup(told->behavior ? told->behavior : "");
        actor->last_exit = xstrdup(told->last_exit_reason ? told->last_exit_reason : "");
        actor->incarnation = told->incarnation;
        actor->mailbox_depth = told->mailbox_depth;
        actor->last_exit_wall_ms = told->last_exit_at_ms;
    }
    core->is_status_dirty = true;
}

/* The node has the unit, in whatever form. */
static void take_hold(
    struct core *core, struct unit *unit, struct node *node, const struct core_held_unit *held)
{
    struct hold *hold = unit_hold_of(unit, node->uid);
    bool is_running = held->state == CORE_UNIT_RUNNING;
    if (hold && hold->epoch > held->epoch)
        return; /* an older form; the command about the newer one is on its way */
    if (!hold || hold->epoch < held->epoch) {
        bool is_first = unit->holds.count == 0;
        hold = unit_hold_put(unit, node->uid, held->epoch, held->generation, HOLD_ASSIGNED);
        hold->was_sent = true;
        hold->session = node->session;
        if (is_first) {
            unit->rule = "Adopted";
            unit_set_last_node(unit, node->name);
        }
        core->is_status_dirty = true;
    }
    hold->generation = held->generation;
    if (hold->phase == HOLD_ASSIGNED && is_running) {
        hold_set_phase(hold, HOLD_RUNNING);
        restart_unit_running(core, unit);
    } else if (hold->phase == HOLD_ASSIGNED) {
        hold->session = node->session; /* it has the command */
    }
    if (hold->phase == HOLD_RUNNING && held->state == CORE_UNIT_STOPPING) {
        hold_set_phase(hold, HOLD_REVOKING); /* an older leader began that; we ask for the end of it */
        core->is_status_dirty = true;
    }
    take_actors(core, unit, held);
}

static void take_held(struct core *core, struct node *node, const struct core_held_unit *held)
{
    struct unit *unit = unit_find(core, held->unit);
    bool is_held = held->state != CORE_UNIT_FAILED && held->state != CORE_UNIT_STOPPED;
    fence_meet_term(core, epoch_term(held->epoch), node->name);
    if (!unit && !is_held)
        return;
    if (!unit)
        unit = unit_add_stranger(core, held->unit);
    if (is_held) {
        take_hold(core, unit, node, held);
        return;
    }
    struct hold *hold = unit_hold_of(unit, node->uid);
    if (!hold || hold->epoch > held->epoch)
        return;
    take_actors(core, unit, held);
    if (held->state == CORE_UNIT_FAILED && !hold->is_counted)
        take_failure(core, unit, node, held->reason);
    else if (held->state == CORE_UNIT_STOPPED && hold->phase != HOLD_REVOKING)
        take_end(core, unit, held->reason);
    release(core, unit, node);
}

/* What a full inventory does not list, this node does not hold; whether it may still get it is a matter of
 * the epochs that it has seen. */
static void take_absence(
    struct core *core, struct node *node, struct unit *unit, const struct map *listed, const struct map *seen)
{
    struct hold *hold = unit_hold_of(unit, node->uid);
    if (!hold || map_has(listed, unit->name))
        return;
    const struct core_seen_epoch *row = map_get(seen, unit->name);
    if (row && row->epoch >= hold->epoch) {
        if (hold->phase == HOLD_RUNNING)
            take_failure(core, unit, node, "the node does not hold it any more");
        else if (hold->phase == HOLD_ASSIGNED)
            unit->not_before_ms = core->now_ms + REFUSED_AGAIN_MS;
        release(core, unit, node);
    } else if (hold->phase == HOLD_RUNNING) {
        hold_set_phase(hold, HOLD_REVOKING); /* makes no sense: begin with a clean state */
        core->is_status_dirty = true;
    }
}

void core_node_inventory(struct core *core, uint64_t uid, const struct core_inventory *inventory)
{
    struct node *node = node_by_uid(core, uid);
    struct map listed = {0};
    struct map seen = {0};
    uint32_t term = core->fence.record.term;
    if (!node || !node->is_connected || core->is_lost)
        return;
    if (!inventory->is_full && !node->has_inventory)
        return;
    for (size_t i = 0; i < inventory->seen_count; i++) {
        (void)map_put(&seen, inventory->seen[i].unit, (void *)(uintptr_t)&inventory->seen[i]);
        fence_meet_term(core, epoch_term(inventory->seen[i].epoch), node->name);
    }
    for (size_t i = 0; i < inventory->unit_count; i++) {
        (void)map_put(&listed, inventory->units[i].unit, node);
        take_held(core, node, &inventory->units[i]);
    }
    if (inventory->is_full) {
        map_for_each (item, &core->units)
            take_absence(core, node, item.value, &listed, &seen);
        /* A term that rose just now begins with inventories of its own. */
        if (term == core->fence.record.term && node->is_inventory_asked) {
            if (!node->has_inventory)
                core->is_status_dirty = true;
            node->has_inventory = true;
            (void)map64_put(&core->reported, uid, node);
        }
    }
    core_node_acknowledged(core, uid, inventory->roster_version, inventory->route_version, 0);
    map_done(&listed, NULL);
    map_done(&seen, NULL);
}

void core_node_exits(
    struct core *core, uint64_t uid, const struct core_exit *exits, size_t count, uint64_t lost)
{
    const struct node *node = node_by_uid(core, uid);
    core->exits_lost += lost;
    for (size_t i = 0; i < count && node; i++) {
        const struct core_exit *told = &exits[i];
        bool is_restart = told->decision && text_starts_with(told->decision, "Restart");
        if (is_restart)
            core->restarts++;
        struct status_exit exit = {
            .actor = told->actor ? xstrdup(told->actor) : NULL,
            .unit = told->unit ? xstrdup(told->unit) : NULL,
            .node = xstrdup(node->name),
            .reason = told->reason ? xstrdup(told->reason) : NULL,
            .decision = told->decision ? xstrdup(told->decision) : NULL,
            .cause = told->cause ? xstrdup(told->cause) : NULL,
            .epoch = told->epoch,
            .incarnation = told->incarnation,
            .at_wall_ms = told->at_ms,
        };
        journal_exit_take(core, &exit);
    }
}
