/* Node processes: how they begin, lose their stream and end. */
#include "base/mem.h"
#include "sim/core/world.h"

void node_runtime_ends(struct world *world, struct sim_node *node, uint64_t uid, struct message *message)
{
    (void)message;
    bool is_other = node->uid != uid && !world->is_cluster; /* a kubelet ends whatever runs */
    if (is_other || node->is_deleted || node->is_finished || node->is_cut)
        return;
    if (node->paused_until > world->now) { /* a stopped process does not end by itself */
        world_after(world, node->paused_until - world->now, node->paused_until - world->now,
            node_runtime_ends, node, uid, NULL);
        return;
    }
    node_delete(world, node, true);
}

static void runtime_start(
    struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)number;
    (void)message;
    if (node->is_deleted || node->is_finished || node->is_dead_machine || node->uid)
        return;
    node->uid = rng_u64(&world->rng) | 1;
    node->term = 0;
    node->is_draining = false;
    node->roster_version = 0;
    node->paused_until = 0;
    node->was_asserted = node->is_asserted;
    node->is_ghost = false;
    vec_clear(&node->units);
    vec_clear(&node->seen);
    vec_clear(&node->routes);
    world_trace(world, "%s runs as %lx", node->name, (unsigned long)node->uid);
    world_after(world, 0, 5, operator_node_started, node, node->uid, NULL);
    world_after(world, 1, 30, node_dial, node, node->uid, NULL);
}

void node_create(struct world *world, const struct core_action *action)
{
    struct sim_node *node = xcalloc(1, sizeof(*node));
    sim_name_copy(node->name, action->node);
    (void)snprintf(node->template_hash, sizeof(node->template_hash), "%s",
        action->template_hash ? action->template_hash : "");
    node->index = (int32_t)action->index;
    node->told_life = world->op.life;
    node->id = ++world->next_id;
    vec_push(&world->nodes, node);
    (void)map64_put(&world->nodes_by_id, node->id, node);
    if (world->is_cluster)
        world_after(world, 0, 100, pod_found, node, 0, NULL);
    world_after(world, 1, world->is_cluster ? 400 : 40, runtime_start, node, 0, NULL);
}

void node_stream_ended(const struct world *world, struct sim_node *node)
{
    if (node->connection == 0)
        return;
    node->echoed_at = world->now;
    if (!node->is_ghost)
        node->permitted_until = world->now + TTL_MS;
}

void node_break_connection(struct world *world, struct sim_node *node)
{
    if (node->connection == 0)
        return;
    node_stream_ended(world, node);
    node->connection = 0;
    node->to_operator_at = world->now;
    /* A machine that is lost says no goodbye: its silence is noticed. */
    world_after(world, 0, node->is_cut ? TTL_MS : 200, operator_disconnected, node, node->uid, NULL);
}

void node_kill_runtime(struct world *world, struct sim_node *node, int signal, const char *unit)
{
    uint64_t uid = node->uid;
    if (uid == 0 || node->is_dead_machine)
        return;
    world_trace(world, "%s %lx dies by %d (%s)", node->name, (unsigned long)uid, signal, unit);
    sim_name_copy(node->last_unit, unit);
    node->last_exit = (struct core_node_exit){.signal = signal, .unit = node->last_unit};
    if (world->is_cluster || world_chance(world, 50))
        node_break_connection(world, node);
    node->connection = 0;
    vec_push(&node->earlier, uid);
    node->uid = 0;
    vec_clear(&node->units);
    world_after(world, 0, 5, operator_node_exited, node, uid, NULL);
    world_after(world, 6, 60, runtime_start, node, 0, NULL);
    world->kills++;
}

void node_delete(struct world *world, struct sim_node *node, bool is_forced)
{
    if (node->is_deleted)
        return;
    if (!is_forced) {
        world_after(world, 1, 300, node_runtime_ends, node, node->uid, NULL);
        return;
    }
    if (world->is_cluster) {
        pod_finish(world, node);
        return;
    }
    world_trace(world, "%s ends", node->name);
    if (node->uid)
        vec_push(&node->earlier, node->uid);
    node->is_deleted = true;
    node->uid = 0;
    node->connection = 0;
    vec_clear(&node->units);
    world_after(world, 6, 20, operator_node_gone, node, 0, NULL);
}

void sim_node_free(struct sim_node *node)
{
    node_inbox_clear(node);
    vec_done(&node->inbox);
    vec_done(&node->earlier);
    vec_done(&node->units);
    vec_done(&node->seen);
    vec_done(&node->routes);
    free(node);
}
