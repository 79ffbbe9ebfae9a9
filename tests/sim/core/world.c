#include "sim/core/world.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    FAULTS_END_MS = 20 * 1000,
    CALM_END_MS = 70 * 1000, /* longer than every backoff and period */
    QUIET_MS = 5 * 1000,     /* the end of it, without an action */
    STOP_MS = 20 * 1000,
    FAULT_GAP_MS = 700,
};

bool world_chance(struct world *world, unsigned percent)
{
    return rng_below(&world->rng, 100) < percent;
}

void world_violation(struct world *world, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    if (world->violation[0])
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)snprintf(world->violation, sizeof(world->violation), "at %ld ms: %.350s", (long)world->now, text);
}

void world_trace(struct world *world, const char *fmt, ...)
{
    va_list args;
    if (!world->is_trace)
        return;
    (void)fprintf(stderr, "%8ld ", (long)world->now);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

struct sim_node *world_node(struct world *world, const char *name)
{
    vec_for_each (node, &world->nodes)
        if (!(*node)->is_deleted && text_equal((*node)->name, name))
            return *node;
    return NULL;
}

struct truth *world_truth(struct world *world, const char *unit)
{
    struct truth *truth = map_get(&world->truths, unit);
    if (truth)
        return truth;
    truth = xcalloc(1, sizeof(*truth));
    if (text_equal(unit, "bad"))
        truth->habit = (enum unit_habit)rng_below(&world->rng, 6);
    else if (text_equal(unit, "odd") && world_chance(world, 40))
        truth->habit = (enum unit_habit)rng_below(&world->rng, 6);
    (void)map_put(&world->truths, unit, truth);
    return truth;
}

/* ---- events in the order of time, then of making ---- */

static bool is_before(const struct event *left, const struct event *right)
{
    return left->at != right->at ? left->at < right->at : left->sequence < right->sequence;
}

static void push(struct world *world, struct event event)
{
    event.sequence = ++world->sequence;
    vec_push(&world->heap, event);
    size_t at = world->heap.count - 1;
    struct event *items = world->heap.items;
    while (at > 0 && is_before(&items[at], &items[(at - 1) / 2])) {
        struct event moved = items[at];
        items[at] = items[(at - 1) / 2];
        items[(at - 1) / 2] = moved;
        at = (at - 1) / 2;
    }
}

static struct event pop(struct world *world)
{
    struct event *items = world->heap.items;
    struct event first = items[0];
    items[0] = vec_pop(&world->heap);
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < world->heap.count && is_before(&items[child], &items[least]))
                least = child;
        if (least == at)
            return first;
        struct event moved = items[at];
        items[at] = items[least];
        items[least] = moved;
        at = least;
    }
}

void world_after(struct world *world, int64_t minimum, int64_t maximum, sim_function function,
    struct sim_node *node, uint64_t number, struct message *message)
{
    push(world,
        (struct event){
            .at = world->now + rng_between(&world->rng, minimum, maximum > minimum ? maximum : minimum),
            .function = function,
            .node_id = node ? node->id : 0,
            .number = number,
            .message = message,
        });
}

void world_at_operator(struct world *world, int64_t at, sim_function function, struct sim_node *node,
    uint64_t number, struct message *message)
{
    push(world, (struct event){
                    .at = at,
                    .function = function,
                    .node_id = node ? node->id : 0,
                    .number = number,
                    .operator_life = world->op.life,
                    .message = message,
                });
}

/* ---- faults ---- */

static struct sim_node *any_node(struct world *world)
{
    struct sim_node *living[64];
    size_t count = 0;
    vec_for_each (node, &world->nodes)
        if (!(*node)->is_deleted && count < 64)
            living[count++] = *node;
    return count ? living[rng_below(&world->rng, count)] : NULL;
}

uint32_t world_desired(const struct world *world)
{
    return world->spec_suspend ? 0 : world->spec_nodes;
}

static void change_spec(struct world *world)
{
    switch (rng_below(&world->rng, 6)) {
    case 0: world->spec_nodes = (uint32_t)rng_between(&world->rng, 0, 5); break;
    case 1: world->spec_nodes = (uint32_t)rng_between(&world->rng, 1, 5); break;
    case 2: world->spec_replicas = (uint32_t)rng_between(&world->rng, 0, 7); break;
    case 3: world->spec_version++; break;
    case 4: world->spec_apart = !world->spec_apart; break;
    default: world->spec_suspend = world_chance(world, 20); break;
    }
    world_change_spec(world);
}

void world_change_spec(struct world *world)
{
    world->generation++;
    struct system_spec *spec = sim_spec(world);
    system_spec_unref(world->spec);
    world->spec = spec;
    world_trace(world, "spec: %u nodes, %u tellers, version %u, apart %d, suspend %d", world->spec_nodes,
        world->spec_replicas, world->spec_version, world->spec_apart, world->spec_suspend);
    if (world->op.core)
        core_spec_changed(world->op.core, spec);
}

static void resume_all(struct world *world)
{
    static const char *const units[] = {"bad", "odd"};
    for (size_t i = 0; i < 2 && world->op.core; i++) {
        struct truth *truth = world_truth(world, units[i]);
        if (core_resume(world->op.core, units[i], NULL) < 0)
            continue;
        truth->failures.count = 0;
        truth->failed = false;
    }
}

static void fault_of_node(struct world *world, struct sim_node *node)
{
    switch (rng_below(&world->rng, 9)) {
    case 0:
    case 1: node_kill_runtime(world, node, SIGKILL, ""); break;
    case 2: node_kill_runtime(world, node, SIGSEGV, ""); break;
    case 3: node_delete(world, node, true); break;
    case 4:
    case 5: node_break_connection(world, node); break;
    case 6:
        node->paused_until = world->now + rng_between(&world->rng, 10, 4000);
        world_trace(world, "%s is paused until %ld", node->name, (long)node->paused_until);
        break;
    case 7: /* as if another leader had been there */
        if (node->uid)
            node->term += (uint32_t)rng_between(&world->rng, 1, 3);
        break;
    default:
        if (world->op.core)
            (void)core_cordon(
                world->op.core, node->name, !node->paused_until && world_chance(world, 50), NULL);
        break;
    }
}

static void next_fault(struct world *world, struct sim_node *unused, uint64_t number, struct message *message)
{
    (void)unused;
    (void)number;
    (void)message;
    if (world->now >= FAULTS_END_MS)
        return;
    uint64_t kind = rng_below(&world->rng, 13);
    struct sim_node *node = any_node(world);
    if (kind < 7 && node && world->is_cluster && world_chance(world, 50))
        cluster_fault(world, node);
    else if (kind < 7 && node)
        fault_of_node(world, node);
    else if (kind == 12)
        operator_takeover(world);
    else if (kind < 9)
        change_spec(world);
    else if (kind == 9)
        operator_crash(world);
    else if (kind == 10)
        world->disk_is_full = !world->disk_is_full && world_chance(world, 50);
    else
        resume_all(world);
    world_after(world, 1, 2 * FAULT_GAP_MS, next_fault, NULL, 0, NULL);
}

static void become_calm(struct world *world)
{
    world_trace(world, "calm");
    world->is_calm = true;
    world->disk_is_full = false;
    vec_for_each (node, &world->nodes)
        (*node)->paused_until = 0;
    if (!world->op.core)
        operator_start(world);
    cluster_heal(world);
    vec_for_each (node, &world->nodes)
        if (!(*node)->is_deleted)
            (void)core_cordon(world->op.core, (*node)->name, false, NULL);
}

/* ---- a run ---- */

void world_init(struct world *world, uint64_t seed, bool is_trace)
{
    *world = (struct world){.seed = seed, .is_trace = is_trace, .generation = 1};
    rng_seed(&world->rng, seed);
    world->spec_nodes = (uint32_t)rng_between(&world->rng, 1, 5);
    world->spec_replicas = (uint32_t)rng_between(&world->rng, 1, 6);
    world->spec_apart = world_chance(world, 30);
    world->is_gentle = seed % 5 == 4;
    world->is_cluster = world->is_gentle || world_chance(world, 60);
    world->spec_surge = (uint32_t)rng_between(&world->rng, world->is_gentle ? 0 : 1, 2);
    world->spec_unavailable = world->spec_surge ? (uint32_t)rng_below(&world->rng, 2) : 1;
    world->template_number = 1;
    world->spec = sim_spec(world);
}

static void truth_free(void *value)
{
    struct truth *truth = value;
    vec_done(&truth->failures);
    free(truth);
}

void world_done(struct world *world)
{
    core_free(world->op.core);
    fence_record_done(&world->op.writing);
    core_free(world->old.core);
    fence_record_done(&world->old.writing);
    map_done(&world->names, NULL);
    fence_record_done(&world->disk);
    vec_for_each (event, &world->heap)
        free(event->message);
    vec_done(&world->heap);
    vec_for_each (node, &world->nodes)
        sim_node_free(*node);
    vec_done(&world->nodes);
    map64_done(&world->nodes_by_id, NULL);
    map_done(&world->truths, truth_free);
    system_spec_unref(world->spec);
}

void world_run_until(struct world *world, int64_t end)
{
    while (world->heap.count && world->heap.items[0].at <= end && !world->violation[0]) {
        struct event event = pop(world);
        struct sim_node *node = event.node_id ? map64_get(&world->nodes_by_id, event.node_id) : NULL;
        world->now = event.at;
        if (event.operator_life == 0 || (world->op.core && world->op.life == event.operator_life))
            event.function(world, node, event.number, event.message);
        else if (world->old.core && world->old.life == event.operator_life)
            operator_old_acts(world, &event, node);
        free(event.message);
        operator_pump(world);
        gentle_check(world);
    }
    world->now = end;
}

static void check_stop(struct world *world)
{
    cluster_heal(world);
    world->is_stopping = true;
    core_stop(world->op.core, 0);
    operator_pump(world);
    world_run_until(world, world->now + STOP_MS);
    vec_for_each (node, &world->nodes)
        if (!(*node)->is_deleted)
            world_violation(world, "%s lives on after the stop", (*node)->name);
    if (!world->is_stopped)
        world_violation(world, "the stop does not end");
}

void world_run(struct world *world)
{
    if (world->is_gentle) {
        world->is_calm = true; /* good habits only */
        gentle_run(world);
        return;
    }
    operator_start(world);
    operator_pump(world);
    world_after(world, 1, 3000, next_fault, NULL, 0, NULL);
    world_run_until(world, FAULTS_END_MS);
    if (world->violation[0])
        return;
    if (world->seed % 8 == 0) { /* the stop comes in the middle of it all */
        if (!world->op.core)
            operator_start(world);
        check_stop(world);
        return;
    }
    become_calm(world);
    operator_pump(world);
    world_run_until(world, CALM_END_MS - QUIET_MS);
    uint64_t actions = world->op.actions;
    world_run_until(world, CALM_END_MS);
    if (world->op.actions != actions)
        world_violation(
            world, "%lu actions although nothing changes", (unsigned long)(world->op.actions - actions));
    check_settled(world);
    if (!world->violation[0])
        check_stop(world);
}
