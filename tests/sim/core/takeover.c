/* The next leader begins while the former one goes on: what that one still sends arrives late, and what it
 * writes meets a newer record. */
#include "base/mem.h"
#include "sim/core/world.h"

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
        if ((*node)->connection) {
            (*node)->echoed_at = world->now;
            (*node)->permitted_until = world->now + TTL_MS;
        }
        (*node)->connection = 0;
    }
    operator_forget_failures(world);
    world_after(world, 100, 3000, old_notices, NULL, world->old.life, NULL);
    world->takeovers++;
    operator_start(world);
}
