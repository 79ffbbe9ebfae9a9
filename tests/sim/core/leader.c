/* Leaders: how they begin, crash, and are overtaken while they go on. What a former leader still sends
 * arrives late, and what it writes meets a newer record. */
#include "base/mem.h"
#include "sim/core/world.h"

void operator_start(struct world *world)
{
    struct sim_operator *op = &world->op;
    struct core_options options = {
        .system_uid = "sim-1", .seed = world->seed + world->lives, .cannot_kill = world->is_cluster};
    *op = (struct sim_operator){
        .life = ++world->lives, .disk_version = world->disk_version, .actions = op->actions};
    op->core = core_new(&options, world->spec, world->has_disk ? &world->disk : NULL);
    operator_tell_time(world);
    world_trace(world, "operator %lu begins", (unsigned long)op->life);
    if (world->is_stopping)
        core_stop(op->core, 0);
    vec_for_each (node, &world->nodes) {
        if ((*node)->is_deleted)
            continue;
        struct core_node_facts facts = {.node = (*node)->name, .index = -1};
        if (!world->is_cluster)
            core_node_found(op->core, &facts);
        if (world->is_calm) /* what users want is told to each leader */
            (void)core_cordon(op->core, (*node)->name, false, NULL);
        if ((*node)->uid == 0)
            continue;
        if (!world->is_cluster)
            core_node_started(op->core, (*node)->name, (*node)->uid, 1);
        world_after(world, 1, 100, node_dial, *node, (*node)->uid, NULL);
    }
    if (world->is_cluster) {
        cluster_tell_template(world);
        pods_list(world);
        return;
    }
    if (!world->has_disk)
        return;
    const struct roster *rosters[] = {&world->disk.current, &world->disk.previous};
    for (size_t i = 0; i < 2; i++)
        vec_for_each (member, &rosters[i]->members)
            if (!world_node(world, member->node))
                core_node_gone(op->core, member->node, 0, NULL);
}

static void restart_operator(
    struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)node;
    (void)number;
    (void)message;
    if (!world->op.core)
        operator_start(world);
}

static void end_operator(struct world *world)
{
    core_free(world->op.core);
    world->op.core = NULL;
    vec_for_each (node, &world->nodes) {
        node_stream_ended(world, *node);
        (*node)->connection = 0;
    }
    operator_forget_failures(world);
}

void operator_crash(struct world *world)
{
    struct sim_operator *op = &world->op;
    if (!op->core)
        return;
    world_trace(world, "operator %lu crashes", (unsigned long)op->life);
    if (op->is_writing) { /* the write may have reached the disk */
        if (op->disk_version == world->disk_version && world_chance(world, 50))
            operator_keep_writing(world);
        else
            fence_record_done(&op->writing);
        op->writing = (struct fence_record){0};
        op->is_writing = false;
    }
    end_operator(world);
    world->operator_crashes++;
    world_after(world, 10, 600, restart_operator, NULL, 0, NULL);
}

void operator_begin_again(struct world *world)
{
    world_trace(world, "operator %lu begins again", (unsigned long)world->op.life);
    end_operator(world);
    world_after(world, 1, 200, restart_operator, NULL, 0, NULL);
}

/* ---- the former one ---- */

static void swap_operators(struct world *world)
{
    struct sim_operator op = world->op;
    world->op = world->old;
    world->old = op;
    world->is_old_acting = !world->is_old_acting;
}

static void end_old(struct world *world)
{
    core_free(world->old.core);
    fence_record_done(&world->old.writing);
    world->old = (struct sim_operator){0};
    vec_for_each (node, &world->nodes)
        (*node)->old_connection = 0;
}

void operator_old_acts(struct world *world, const struct event *event, struct sim_node *node)
{
    swap_operators(world);
    event->function(world, node, event->number, event->message);
    operator_pump(world);
    bool is_over = world->op.is_over;
    swap_operators(world);
    if (is_over)
        end_old(world);
}

static void old_notices(struct world *world, struct sim_node *node, uint64_t life, struct message *message)
{
    (void)node;
    (void)message;
    if (world->old.core && world->old.life == life)
        end_old(world);
}

/* What a leader counted is forgotten with it. */
void operator_forget_failures(struct world *world)
{
    map_for_each (item, &world->truths) {
        struct truth *truth = item.value;
        truth->failures.count = 0;
        truth->failed = false;
    }
}

void operator_takeover(struct world *world)
{
    if (!world->op.core || world->old.core)
        return;
    world_trace(world, "operator %lu is overtaken", (unsigned long)world->op.life);
    world->old = world->op;
    world->op = (struct sim_operator){0};
    vec_for_each (node, &world->nodes) {
        (*node)->old_connection = (*node)->connection;
        (*node)->old_to_node_at = (*node)->to_node_at;
        node_stream_ended(world, *node);
        (*node)->connection = 0;
    }
    operator_forget_failures(world);
    world_after(world, 100, 3000, old_notices, NULL, world->old.life, NULL);
    world->takeovers++;
    operator_start(world);
}
