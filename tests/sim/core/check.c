#include "base/epoch.h"
#include "base/mem.h"
#include "base/str.h"
#include "placement/placement.h"
#include "sim/core/world.h"
#include "types/status.h"

/* No unit is held by two living runtimes. */
void check_holders(struct world *world, const char *unit)
{
    size_t holders = 0;
    vec_for_each (node, &world->nodes)
        holders += node_holds(*node, unit) && node_is_obeyed(world, *node);
    if (holders > 1)
        world_violation(world, "%s is held by %zu runtimes", unit, holders);
}

/* Names are never used again, and no more nodes are made than there may be. */
void check_create(struct world *world, const struct core_action *action)
{
    const struct fence_record *record = core_fence_record(world->op.core);
    size_t existing = 1;
    if (map_put(&world->names, action->node, world))
        world_violation(world, "node %s is created twice", action->node);
    vec_for_each (item, &world->nodes) {
        const struct sim_node *node = *item;
        bool is_known = node->told_life == world->op.life || !world->is_cluster;
        existing += is_known && !node->is_deleted && !node->is_finished &&
                    !(node->is_asserted && node->uid && fence_record_is_dead(record, node->uid));
    }
    if (!world->is_old_acting && existing > world_desired(world) + world->spec_surge)
        world_violation(world, "%zu nodes exist; %u are desired, and maxSurge is %u", existing,
            world_desired(world), world->spec_surge);
}

/* As in OTP a restart counts at the time of the failure that it answers. */
static void check_intensity(struct world *world, const char *unit, struct truth *truth)
{
    const struct intensity_spec *intensity = &world->spec->supervision.intensity;
    if (!truth->failed)
        return;
    truth->failed = false;
    if (truth->failures.count > intensity->restarts)
        world_violation(world, "%s was restarted after %zu failures in %ld ms", unit, truth->failures.count,
            (long)intensity->period_ms);
}

/* What an earlier operator assigned does not count: the present one may find it failed without ever having
 * known it. */
void check_failure_told(struct world *world, const char *unit, uint64_t epoch)
{
    struct truth *truth = world_truth(world, unit);
    if (truth->failed || epoch != truth->epoch_max || epoch == truth->failed_epoch ||
        epoch_term(epoch) != core_term(world->op.core))
        return;
    truth->failed = true;
    truth->failed_epoch = epoch;
    vec_push(&truth->failures, world->now);
    while (truth->failures.items[0] < world->now - world->spec->supervision.intensity.period_ms)
        vec_remove_at(&truth->failures, 0);
}

void check_assign(struct world *world, const struct core_action *action)
{
    struct truth *truth = world_truth(world, action->unit_name);
    const struct fence_record *record = core_fence_record(world->op.core);
    bool is_again = action->epoch == truth->epoch_max && action->uid == truth->epoch_uid;
    if (action->epoch < truth->epoch_max || (action->epoch == truth->epoch_max && !is_again))
        world_violation(world, "%s is assigned with epoch %lx after %lx", action->unit_name,
            (unsigned long)action->epoch, (unsigned long)truth->epoch_max);
    truth->epoch_max = action->epoch;
    truth->epoch_uid = action->uid;
    if (!world->has_disk || world->disk.term != core_term(world->op.core))
        world_violation(world, "%s is assigned in a term that is not durable", action->unit_name);
    else if (!roster_find(&world->disk.current, action->uid))
        world_violation(
            world, "%s is assigned to a uid that is not in the durable roster", action->unit_name);
    if (fence_record_quarantine(record, action->unit_name))
        world_violation(world, "%s is assigned in quarantine", action->unit_name);
    if (!is_again)
        gentle_count_move(world, action->unit_name);
    if (!is_again)
        check_intensity(world, action->unit_name, truth);
}

void check_dead(struct world *world, const struct core_action *action)
{
    for (size_t i = 0; i < action->dead_count; i++)
        if (!world->has_disk || !fence_record_is_dead(&world->disk, action->dead[i]))
            world_violation(world, "a death is told that is not durable");
}

/* R10: a new version differs by one member, and nobody alive can gather grants for the former one's
 * predecessor. */
void check_write(struct world *world, const struct fence_record *record)
{
    size_t differences = 0;
    if (!world->has_disk)
        return;
    const struct roster *before = &world->disk.current;
    if (record->term < world->disk.term)
        world_violation(world, "the term falls");
    if (record->current.version < before->version)
        world_violation(world, "the roster's version falls");
    if (record->next_serial < world->disk.next_serial)
        world_violation(world, "a serial is used again");
    if (record->current.version == before->version || before->version == 0)
        return;
    vec_for_each (member, &before->members)
        differences += !roster_find(&record->current, member->uid);
    vec_for_each (member, &record->current.members)
        differences += !roster_find(before, member->uid);
    if (differences != 1 || record->current.version != before->version + 1)
        world_violation(world, "the roster changed by %zu members at once", differences);
}

/* ---- at the end ---- */

static const struct sim_node *holder_of(const struct world *world, const char *unit, uint64_t *ret_epoch)
{
    vec_for_each (node, &world->nodes)
        vec_for_each (held, &(*node)->units)
            if (text_equal(held->name, unit) && held->state == CORE_UNIT_RUNNING) {
                *ret_epoch = held->epoch;
                return *node;
            }
    return NULL;
}

static void check_unit(struct world *world, const struct status_unit *unit)
{
    uint64_t epoch = 0;
    const struct sim_node *holder = holder_of(world, unit->unit, &epoch);
    bool is_resting = text_equal(unit->state, "Quarantined") || text_equal(unit->state, "Stopped");
    bool is_meant_to_run = !world->spec_suspend && world->spec_nodes > 0 && !is_resting;
    if (unit->node[0] && !holder)
        world_violation(world, "%s is said to be %s on %s, and is not", unit->unit, unit->state, unit->node);
    if (!is_meant_to_run && holder)
        world_violation(world, "%s runs although it should not", unit->unit);
    if (holder && (!text_equal(unit->node, holder->name) || unit->epoch != epoch))
        world_violation(world, "%s is said to be on %s at %lx, and is on %s at %lx", unit->unit, unit->node,
            (unsigned long)unit->epoch, holder->name, (unsigned long)epoch);
    if (!holder)
        return;
    vec_for_each (node, &world->nodes) {
        bool is_known = false;
        if ((*node)->is_deleted)
            continue;
        vec_for_each (route, &(*node)->routes)
            is_known = is_known || (text_equal(route->name, unit->unit) && route->uid == holder->uid &&
                                       route->epoch == epoch);
        if (!is_known)
            world_violation(world, "%s does not know the way to %s", (*node)->name, unit->unit);
    }
}

static void check_constraints(struct world *world, const struct status *status)
{
    struct placement_board *board = placement_board_new();
    struct unit_list units;
    units_from_spec(world->spec, &units);
    vec_for_each (node, &status->nodes) {
        struct placement_node row = {.name = node->node, .is_ready = true, .is_cordoned = node->is_cordoned};
        (void)placement_board_add_node(board, &row);
    }
    vec_for_each (unit, &status->units) {
        const struct unit_spec *spec = unit_list_find(&units, unit->unit);
        for (size_t i = 0; spec && i < status->nodes.count; i++)
            if (unit->node[0] && text_equal(status->nodes.items[i].node, unit->node))
                placement_board_put(board, spec, i);
    }
    vec_for_each (unit, &status->units) {
        const struct unit_spec *spec = unit_list_find(&units, unit->unit);
        bool is_resting = text_equal(unit->state, "Quarantined") || text_equal(unit->state, "Stopped");
        if (!spec || is_resting)
            continue;
        if (!unit->node[0]) { /* nowhere is right only when there is no place */
            if (placement_choose(board, spec, NULL, NULL) != PLACEMENT_NOWHERE)
                world_violation(world, "%s is %s although there is a place for it: %s", unit->unit,
                    unit->state, unit->reason);
            continue;
        }
        unsigned broken = placement_violations(board, spec);
        placement_board_remove(board, spec);
        if (broken && placement_choose(board, spec, NULL, NULL) != PLACEMENT_NOWHERE)
            world_violation(world, "%s stays where it must not be (filters %x)", unit->unit, broken);
        for (size_t i = 0; i < status->nodes.count; i++)
            if (text_equal(status->nodes.items[i].node, unit->node))
                placement_board_put(board, spec, i);
    }
    placement_board_free(board);
    unit_list_done(&units);
}

void check_settled(struct world *world)
{
    struct status status;
    size_t living = 0;
    if (!world->op.core) {
        world_violation(world, "the operator is down");
        return;
    }
    core_status(world->op.core, &status);
    vec_for_each (node, &world->nodes)
        living += !(*node)->is_deleted;
    uint32_t desired = world_desired(world);
    if (status.nodes_updated != desired)
        world_violation(world, "%u of %u nodes are updated", status.nodes_updated, desired);
    if (living != desired || status.nodes_ready != desired)
        world_violation(
            world, "%zu nodes live, %u are ready, %u are desired", living, status.nodes_ready, desired);
    vec_for_each (node, &world->nodes)
        if (!(*node)->is_deleted &&
            (*node)->roster_version != core_fence_record(world->op.core)->current.version)
            world_violation(world, "%s has not the newest roster", (*node)->name);
    vec_for_each (unit, &status.units)
        check_unit(world, unit);
    if (desired && !world->violation[0])
        check_constraints(world, &status);
    status_done(&status);
}
