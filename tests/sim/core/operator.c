#include "base/mem.h"
#include "base/str.h"
#include "sim/core/world.h"

enum { PUMP_MAX = 200 };

void operator_tell_time(struct world *world)
{
    core_set_time(world->op.core, world->now, 1000000 + world->now);
}

/* ---- actions ---- */

void operator_keep_writing(struct world *world)
{
    check_write(world, &world->op.writing);
    if (world->has_disk)
        fence_record_done(&world->disk);
    world->disk = world->op.writing;
    world->has_disk = true;
    world->op.disk_version = ++world->disk_version;
    world->op.writing = (struct fence_record){0};
}

static void fence_done_writing(
    struct world *world, struct sim_node *node, uint64_t write, struct message *message)
{
    (void)node;
    (void)message;
    struct sim_operator *op = &world->op;
    op->is_writing = false;
    operator_tell_time(world);
    if (op->disk_version != world->disk_version) {
        fence_record_done(&op->writing);
        op->had_conflict = true;
        world_trace(world, "operator %lu meets a newer record", (unsigned long)op->life);
        core_fence_conflict(op->core, write);
        return;
    }
    if (world->disk_is_full || (!world->is_calm && world_chance(world, 2))) {
        fence_record_done(&op->writing);
        core_fence_failed(op->core, write, "no space left");
        return;
    }
    operator_keep_writing(world);
    core_fence_written(op->core, write);
}

static void write_fence(struct world *world, const struct core_action *action)
{
    struct sim_operator *op = &world->op;
    if (op->is_writing)
        world_violation(world, "two fence writes at one time");
    op->is_writing = true;
    op->write = action->write;
    fence_record_copy(&op->writing, action->record);
    int64_t at = world->now + rng_between(&world->rng, 0, world_chance(world, 90) ? 5 : 60);
    world_at_operator(world, at, fence_done_writing, NULL, action->write, NULL);
}

static void send(struct world *world, const struct core_action *action, enum message_kind kind)
{
    struct sim_node *node = NULL;
    vec_for_each (item, &world->nodes)
        if ((*item)->uid == action->uid && (*item)->uid)
            node = *item;
    uint64_t connection = node && world->is_old_acting ? node->old_connection : node ? node->connection : 0;
    if (connection == 0)
        return;
    int64_t *last_at = world->is_old_acting ? &node->old_to_node_at : &node->to_node_at;
    struct message *message = xcalloc(1, sizeof(*message));
    message->kind = kind;
    message->term = core_term(world->op.core);
    message->uid = action->uid;
    message->connection = connection;
    message->epoch = action->epoch;
    message->version = kind == TO_ROSTER ? action->roster->version : action->version;
    message->is_full = action->is_full;
    if (action->unit)
        message->generation = action->unit->generation;
    (void)snprintf(message->unit, sizeof(message->unit), "%s", action->unit_name ? action->unit_name : "");
    for (size_t i = 0; i < action->route_count; i++) {
        struct sim_route *route = &message->routes[message->count++];
        (void)snprintf(route->name, sizeof(route->name), "%s", action->routes[i].unit);
        route->epoch = action->routes[i].epoch;
        route->uid = action->routes[i].node_uid;
    }
    for (size_t i = 0; i < action->dead_count && i < DEAD_MAX; i++)
        message->uids[message->uid_count++] = action->dead[i];
    int64_t delay =
        world_chance(world, 90) ? rng_between(&world->rng, 0, 3) : rng_between(&world->rng, 0, 400);
    int64_t at = world->now + delay;
    at = at > *last_at ? at : *last_at;
    *last_at = at;
    world_after(world, at - world->now, at - world->now, node_deliver, node, 0, message);
}

static void create_node(struct world *world, const struct core_action *action)
{
    check_create(world, action);
    node_create(world, action);
}

static void delete_node(struct world *world, const struct core_action *action)
{
    struct sim_node *node = world_node(world, action->node);
    if (!node)
        return;
    node->is_delete_asked = true;
    if (!world->is_cluster)
        node_delete(world, node, action->is_forced);
    else if (node->is_finished || action->is_forced)
        pod_remove(world, node);
    else if (!node->is_cut)
        node_delete(world, node, false);
    if (world->is_cluster && action->is_forced && node->uid && roster_find(&world->disk.current, node->uid) &&
        !fence_record_is_dead(&world->disk, node->uid))
        world_violation(world, "the pod %s is removed by force before it was declared dead", node->name);
}

static void perform(struct world *world, const struct core_action *action)
{
    world->op.actions += action->kind != CORE_STATUS_CHANGED;
    switch (action->kind) {
    case CORE_WRITE_FENCE: write_fence(world, action); break;
    case CORE_CREATE_NODE: create_node(world, action); break;
    case CORE_DELETE_NODE: delete_node(world, action); break;
    case CORE_REQUEST_INVENTORY: send(world, action, TO_INVENTORY); break;
    case CORE_SEND_ROSTER: send(world, action, TO_ROSTER); break;
    case CORE_SEND_ROUTES: send(world, action, TO_ROUTES); break;
    case CORE_SEND_DEAD:
        check_dead(world, action);
        send(world, action, TO_DEAD);
        break;
    case CORE_ASSIGN:
        world_trace(world, "assign %s to %lx at %lx", action->unit_name, (unsigned long)action->uid,
            (unsigned long)action->epoch);
        if (!world->is_old_acting)
            check_assign(world, action);
        send(world, action, TO_ASSIGN);
        break;
    case CORE_REVOKE:
        world_trace(world, "revoke %s of %lx at %lx", action->unit_name, (unsigned long)action->uid,
            (unsigned long)action->epoch);
        send(world, action, TO_REVOKE);
        break;
    case CORE_DRAIN: send(world, action, TO_DRAIN); break;
    case CORE_EVENT:
        world->fenced += text_equal(action->reason, "NodeFenced");
        world_trace(world, "event %s: %s", action->reason, action->text);
        break;
    case CORE_STOPPED: world->is_stopped = true; break;
    case CORE_SEND_CONFIGURATION:
    case CORE_STATUS_CHANGED: break;
    case CORE_LOST:
        world->op.is_over = true;
        if (!world->op.had_conflict)
            world_violation(world, "the core says lost without a conflict");
        break;
    }
}

void operator_pump(struct world *world)
{
    struct sim_operator *op = &world->op;
    if (!op->core)
        return;
    for (size_t i = 0; i < PUMP_MAX; i++) {
        struct core_plan plan;
        operator_tell_time(world);
        core_plan(op->core, &plan);
        for (size_t k = 0; k < plan.count; k++)
            perform(world, &plan.actions[k]);
        if (op->is_over)
            break;
        if (plan.count == 0 && !plan.has_more) {
            if (plan.wake_at_ms != op->wake_at && plan.wake_at_ms != INT64_MAX) {
                int64_t at = plan.wake_at_ms > world->now ? plan.wake_at_ms : world->now + 1;
                op->wake_at = plan.wake_at_ms;
                world_at_operator(world, at, operator_wake, NULL, 0, NULL);
            }
            return;
        }
    }
    if (!op->is_over)
        world_violation(world, "the core plans without end");
    else if (!world->is_old_acting)
        operator_begin_again(world);
}

void operator_wake(struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)node;
    (void)number;
    (void)message;
    world->op.wake_at = 0;
}

/* ---- events ---- */

void operator_node_started(struct world *world, struct sim_node *node, uint64_t uid, struct message *message)
{
    (void)message;
    if (!world->op.core || node->uid != uid || world->is_cluster)
        return;
    operator_tell_time(world);
    core_node_started(world->op.core, node->name, uid, 1);
}

void operator_node_exited(struct world *world, struct sim_node *node, uint64_t uid, struct message *message)
{
    (void)message;
    if (!world->op.core || world->is_cluster)
        return; /* nobody was there to read the report: the next hello tells it */
    operator_tell_time(world);
    if (node->last_unit[0] && !fence_record_is_dead(core_fence_record(world->op.core), uid))
        check_failure_told(world, node->last_unit, world_truth(world, node->last_unit)->epoch_max);
    core_node_exited(world->op.core, node->name, uid, &node->last_exit);
}

void operator_node_gone(
    struct world *world, struct sim_node *node, uint64_t exit_code, struct message *message)
{
    (void)message;
    if (!world->op.core)
        return;
    operator_tell_time(world);
    core_node_gone(world->op.core, node->name, (int)exit_code, NULL);
}

void operator_disconnected(struct world *world, struct sim_node *node, uint64_t uid, struct message *message)
{
    (void)message;
    if (!world->op.core || node->connection)
        return; /* the next stream was quicker: it said everything anew */
    operator_tell_time(world);
    core_node_echoed(world->op.core, uid, node->echoed_at);
    core_node_disconnected(world->op.core, uid);
    if (node->uid == uid)
        world_after(world, 5, 300, node_dial, node, uid, NULL);
}

void node_dial(struct world *world, struct sim_node *node, uint64_t uid, struct message *message)
{
    (void)message;
    if (!world->op.core || node->uid != uid || node->connection || node->is_deleted)
        return;
    if (node->paused_until > world->now || node->is_cut) {
        int64_t wait = node->is_cut ? 100 : node->paused_until - world->now;
        world_after(world, wait, wait + 20, node_dial, node, uid, NULL);
        return;
    }
    node->connection = ++world->next_connection;
    node->to_node_at = world->now;
    struct core_hello hello = {
        .node = node->name,
        .uid = uid,
        .pod_uid = "",
        .kube_node = "",
        .zone = "",
        .link_address = "l",
        .gateway_address = "g",
        .term = node->term,
        .earlier_uids = node->earlier.items,
        .earlier_count = node->earlier.count,
    };
    if (node->earlier.count) {
        hello.previous_uid = node->earlier.items[node->earlier.count - 1];
        hello.previous = node->last_exit;
        if (node->last_unit[0] &&
            !fence_record_is_dead(core_fence_record(world->op.core), hello.previous_uid))
            check_failure_told(world, node->last_unit, world_truth(world, node->last_unit)->epoch_max);
    }
    operator_tell_time(world);
    node->is_ghost = fence_record_is_dead(core_fence_record(world->op.core), uid);
    core_node_connected(world->op.core, &hello);
}

static void take_inventory(struct world *world, struct sim_node *node, const struct message *message)
{
    struct core_held_unit units[UNITS_MAX] = {0};
    struct core_seen_epoch seen[UNITS_MAX] = {0};
    (void)node;
    for (size_t i = 0; i < message->count; i++) {
        units[i] = (struct core_held_unit){.unit = message->units[i].name,
            .epoch = message->units[i].epoch,
            .generation = message->units[i].generation,
            .state = message->units[i].state,
            .reason = "as its habit is"};
        if (message->units[i].state == CORE_UNIT_FAILED)
            check_failure_told(world, message->units[i].name, message->units[i].epoch);
    }
    for (size_t i = 0; i < message->seen_count; i++)
        seen[i] = (struct core_seen_epoch){message->seen[i].name, message->seen[i].epoch};
    struct core_inventory inventory = {.is_full = message->is_full,
        .roster_version = message->version,
        .units = units,
        .unit_count = message->count,
        .seen = seen,
        .seen_count = message->seen_count};
    core_node_inventory(world->op.core, message->uid, &inventory);
}

void operator_deliver(struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    struct core *core = world->op.core;
    (void)number;
    if (!core || node->connection != message->connection)
        return;
    operator_tell_time(world);
    if (message->term > core_term(core))
        core_node_refused(core, message->uid, CORE_REFUSAL_NONE, message->term, "");
    switch (message->kind) {
    case FROM_ASSIGNED:
        if (message->refusal == CORE_REFUSAL_START_FAILED)
            check_failure_told(world, message->unit, message->epoch);
        core_node_assigned(
            core, message->uid, message->unit, message->epoch, message->refusal, message->seen_epoch, "no");
        break;
    case FROM_REVOKED:
        core_node_revoked(
            core, message->uid, message->unit, message->epoch, message->refusal, message->seen_epoch);
        break;
    case FROM_INVENTORY: take_inventory(world, node, message); break;
    case FROM_DRAINED: core_node_drained(core, message->uid); break;
    case FROM_ACKNOWLEDGED: core_node_acknowledged(core, message->uid, message->version, 0, 0); break;
    case FROM_REFUSED:
        core_node_refused(core, message->uid, CORE_REFUSAL_OLD_TERM, message->term, "old term");
        break;
    case TO_ASSIGN:
    case TO_REVOKE:
    case TO_ROSTER:
    case TO_ROUTES:
    case TO_DEAD:
    case TO_DRAIN:
    case TO_INVENTORY: break;
    }
}
