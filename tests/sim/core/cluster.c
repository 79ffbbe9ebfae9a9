/* Pods, their machines, and what users say of them. */
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "sim/core/world.h"

static void tell_facts(struct world *world, const struct sim_node *node)
{
    struct core_node_facts facts = {.node = node->name,
        .pod_uid = "p",
        .template_hash = node->template_hash,
        .index = node->index,
        .is_ending = node->is_ending};
    core_set_time(world->op.core, world->now, 1000000 + world->now);
    core_node_found(world->op.core, &facts);
}

void pod_found(struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)number;
    (void)message;
    if (!world->op.core || node->is_deleted)
        return;
    node->told_life = world->op.life;
    tell_facts(world, node);
}

void pods_list(struct world *world)
{
    vec_for_each (node, &world->nodes) {
        if ((*node)->is_deleted)
            continue;
        pod_found(world, *node, 0, NULL);
        if ((*node)->is_finished)
            core_node_ended(world->op.core, (*node)->name, NULL, NULL);
        if ((*node)->is_asserted)
            core_node_asserted(world->op.core, (*node)->name, "its machine is gone", false);
    }
    core_nodes_listed(world->op.core);
}

/* ---- how pods end ---- */

static void tell_gone(struct world *world, struct sim_node *node, uint64_t is_proof, struct message *message)
{
    (void)message;
    if (!world->op.core)
        return;
    if (is_proof)
        core_node_gone(world->op.core, node->name, 0, NULL);
    else
        core_node_asserted(world->op.core, node->name, "its pod is gone", true);
}

void pod_remove(struct world *world, struct sim_node *node)
{
    if (node->is_deleted)
        return;
    world_trace(world, "the pod %s is removed", node->name);
    node->is_deleted = true;
    node->is_asserted = node->was_asserted = true;
    if (!node->is_cut) { /* its kubelet ends what runs */
        node_break_connection(world, node);
        node->uid = 0;
        vec_clear(&node->units);
    }
    world_after(world, 0, 100, tell_gone, node, node->is_finished, NULL);
}

static void tell_ended(struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)number;
    (void)message;
    struct core_node_exit how = {.exit_code = 1};
    if (node->is_delete_asked || node->is_ending) {
        node->is_deleted = true; /* the kubelet removes what was deleted */
        world_after(world, 0, 50, tell_gone, node, 1, NULL);
    }
    if (!world->op.core)
        return;
    core_set_time(world->op.core, world->now, 1000000 + world->now);
    core_node_ended(world->op.core, node->name, node->is_delete_asked ? NULL : &how, NULL);
}

void pod_finish(struct world *world, struct sim_node *node)
{
    if (node->is_finished || node->is_cut)
        return;
    world_trace(world, "the pod %s ends", node->name);
    if (node->uid)
        vec_push(&node->earlier, node->uid);
    node_break_connection(world, node);
    node->is_finished = true;
    node->uid = 0;
    node->connection = 0;
    vec_clear(&node->units);
    world_after(world, 0, 800, tell_ended, node, 0, NULL); /* the kubelet takes its time */
}

/* ---- machines ---- */

bool node_is_obeyed(const struct world *world, const struct sim_node *node)
{
    bool is_permitted = (node->connection && !node->is_ghost) || world->now < node->permitted_until;
    return node->uid && (is_permitted || !node->was_asserted);
}

static void heal(struct world *world, struct sim_node *node)
{
    if (!node->is_cut)
        return;
    world_trace(world, "%s is back", node->name);
    node->is_cut = false;
    if (node->is_dead_machine || node->is_deleted) { /* it was switched on again; or its kubelet cleans up */
        node->is_dead_machine = false;
        node->uid = 0;
        vec_clear(&node->units);
        if (!node->is_deleted)
            pod_finish(world, node);
        return;
    }
    if (node->is_asserted && world->op.core) {
        node->is_asserted = false;
        core_node_asserted(world->op.core, node->name, NULL, false);
    }
    if (node->is_ending || node->is_delete_asked)
        world_after(world, 1, 300, node_runtime_ends, node, node->uid, NULL);
}

static void heal_later(struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)number;
    (void)message;
    heal(world, node);
}

static void cut(struct world *world, struct sim_node *node)
{
    if (node->is_cut || node->is_finished)
        return;
    world_trace(world, "%s is cut off", node->name);
    node->is_cut = true;
    node_break_connection(world, node);
    if (world_chance(world, 30)) {
        node->is_dead_machine = true;
        vec_clear(&node->units);
    }
    if (world_chance(world, 70))
        world_after(world, 100, 6000, heal_later, node, 0, NULL);
}

static void assert_gone(struct world *world, struct sim_node *node)
{
    if (!world->op.core)
        return;
    world_trace(world, "%s is said to be gone", node->name);
    if (node->is_cut && world_chance(world, 30)) {
        pod_remove(world, node); /* kubectl delete --force */
        return;
    }
    if (!node->is_cut && world_chance(world, 50)) {
        node->was_asserted = node->was_asserted || core_forget(world->op.core, node->name, NULL) == 0;
        return;
    }
    node->is_asserted = node->was_asserted = true;
    core_node_asserted(world->op.core, node->name, "its machine is gone", false);
}

static void delete_by_user(struct world *world, struct sim_node *node)
{
    if (node->is_ending || node->is_finished)
        return;
    world_trace(world, "a user deletes %s", node->name);
    node->is_ending = true;
    world_after(world, 0, 100, pod_found, node, 0, NULL);
    if (!node->is_cut)
        world_after(world, 1, 1500, node_runtime_ends, node, node->uid, NULL);
}

static void ask_move(struct world *world, const struct sim_node *node)
{
    static const char *const units[] = {"ledger", "friend", "tellers.0", "tellers.1", "bad"};
    if (world->op.core)
        (void)core_move(world->op.core, units[rng_below(&world->rng, 5)], node->name, NULL);
}

void cluster_fault(struct world *world, struct sim_node *node)
{
    switch (rng_below(&world->rng, 8)) {
    case 0:
    case 1: cut(world, node); break;
    case 2: assert_gone(world, node); break;
    case 3:
        cut(world, node);
        assert_gone(world, node);
        break;
    case 4: delete_by_user(world, node); break;
    case 5: cluster_roll(world); break;
    case 6:
        if (world->op.core)
            (void)core_drain(world->op.core, node->name, world_chance(world, 80), NULL);
        break;
    default: ask_move(world, node); break;
    }
}

void cluster_heal(struct world *world)
{
    vec_for_each (item, &world->nodes) {
        struct sim_node *node = *item;
        heal(world, node);
        if (!node->is_deleted && node->is_asserted && world->op.core) {
            node->is_asserted = false;
            core_node_asserted(world->op.core, node->name, NULL, false);
        }
    }
}

/* ---- the template ---- */

void cluster_tell_template(struct world *world)
{
    char hash[HASH_BYTES];
    (void)snprintf(hash, sizeof(hash), "t%u", world->template_number);
    if (world->op.core && world->is_cluster)
        core_template_changed(world->op.core, hash);
}

void cluster_roll(struct world *world)
{
    if (world->template_number > 1 && world_chance(world, 30))
        world->template_number--; /* a rollback */
    else
        world->template_number++;
    world_trace(world, "template t%u", world->template_number);
    cluster_tell_template(world);
}
