/* A world without faults: rollouts, scaling, drains and moves one after the other, with what must hold then:
 * enough nodes are in use, not too many exist, and a unit moves once. */
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "sim/core/world.h"
#include "types/status.h"

enum { STEP_MS = 15 * 1000, STEPS = 4 };

/* Nodes that serve: connected, and not told to end. */
static uint32_t count_available(const struct world *world)
{
    uint32_t available = 0;
    vec_for_each (node, &world->nodes)
        available += !(*node)->is_deleted && (*node)->uid && (*node)->connection &&
                     !(*node)->is_delete_asked && world->has_disk &&
                     roster_find(&world->disk.current, (*node)->uid) != NULL;
    return available;
}

void gentle_check(struct world *world)
{
    if (!world->is_rolling)
        return;
    uint32_t available = count_available(world);
    if (available + world->spec_unavailable < world_desired(world))
        world_violation(world, "%u of %u nodes are available in a rollout with maxUnavailable %u", available,
            world_desired(world), world->spec_unavailable);
}

void gentle_count_move(struct world *world, const char *unit)
{
    struct truth *truth = world_truth(world, unit);
    if (!world->is_rolling || world->spec_surge == 0)
        return;
    truth->moves++;
    if (truth->moves > 1)
        world_violation(world, "%s moves a second time in one rollout", unit);
}

static void expect_settled(struct world *world, const char *after)
{
    struct status status;
    core_status(world->op.core, &status);
    uint32_t desired = world_desired(world);
    if (status.nodes_ready != desired || status.nodes_updated != desired || status.replicas != desired)
        world_violation(world, "after %s %u of %u nodes are ready, %u updated, %u exist", after,
            status.nodes_ready, desired, status.nodes_updated, status.replicas);
    if (desired && status.units_running != status.units_desired)
        world_violation(world, "after %s %u of %u units run: %s", after, status.units_running,
            status.units_desired, status.conditions[CONDITION_READY].message);
    if (status.conditions[CONDITION_RECONCILING].is_true)
        world_violation(
            world, "after %s it goes on: %s", after, status.conditions[CONDITION_RECONCILING].message);
    status_done(&status);
}

static void roll(struct world *world)
{
    map_for_each (item, &world->truths)
        ((struct truth *)item.value)->moves = 0;
    world->is_rolling = true;
    cluster_roll(world);
    operator_pump(world);
    if (world_chance(world, 30)) { /* and back, or on, in the middle */
        world_run_until(world, world->now + rng_between(&world->rng, 1, 3000));
        world->is_rolling = false; /* units may move again */
        cluster_roll(world);
        operator_pump(world);
    }
}

static const char *any_unit(struct world *world)
{
    static const char *const units[] = {"ledger", "friend", "tellers.0"};
    return units[rng_below(&world->rng, 3)];
}

static struct sim_node *any_living(struct world *world)
{
    size_t skip = rng_below(&world->rng, 5);
    struct sim_node *chosen = NULL;
    vec_for_each (node, &world->nodes)
        if (!(*node)->is_deleted && (!chosen || skip-- > 0))
            chosen = *node;
    return chosen;
}

static const char *step(struct world *world)
{
    struct sim_node *node = any_living(world);
    const char *unit = any_unit(world);
    switch (rng_below(&world->rng, 6)) {
    case 0:
        world->spec_nodes = (uint32_t)rng_between(&world->rng, 1, 5);
        world_change_spec(world);
        return "scaling";
    case 1:
        if (node)
            (void)core_drain(world->op.core, node->name, true, NULL);
        return "a drain";
    case 2:
        if (node)
            (void)core_move(world->op.core, unit, node->name, NULL);
        return "a move";
    case 3:
        world->spec_suspend = !world->spec_suspend;
        world_change_spec(world);
        return world->spec_suspend ? "suspending" : "the end of a suspension";
    default: roll(world); return "a rollout";
    }
}

void gentle_run(struct world *world)
{
    world->spec_apart = false; /* else some units may have no place */
    world_change_spec(world);
    operator_start(world);
    operator_pump(world);
    world_run_until(world, STEP_MS);
    if (!world->violation[0])
        expect_settled(world, "the start");
    for (int i = 0; i < STEPS && !world->violation[0]; i++) {
        const char *what = step(world);
        world_trace(world, "gentle: %s", what);
        operator_pump(world);
        world_run_until(world, world->now + STEP_MS);
        world->is_rolling = false;
        if (!world->violation[0])
            expect_settled(world, what);
    }
}
