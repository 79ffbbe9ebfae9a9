#include <signal.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "base/str.h"
#include "sim/core/world.h"

void sim_name_copy(char *to, const char *from)
{
    (void)snprintf(to, NAME_BYTES, "%s", from);
}

static struct sim_unit *find_unit(const struct sim_node *node, const char *name)
{
    vec_for_each (unit, &node->units)
        if (text_equal(unit->name, name))
            return unit;
    return NULL;
}

bool node_holds(const struct sim_node *node, const char *name)
{
    const struct sim_unit *unit = find_unit(node, name);
    return node->uid && unit && unit->state != CORE_UNIT_FAILED && unit->state != CORE_UNIT_STOPPED;
}

static struct sim_seen *seen_of(struct sim_node *node, const char *name)
{
    vec_for_each (seen, &node->seen)
        if (text_equal(seen->name, name))
            return seen;
    struct sim_seen *seen = vec_push_new(&node->seen);
    sim_name_copy(seen->name, name);
    return seen;
}

static void remove_unit(struct sim_node *node, const char *name)
{
    struct sim_unit *unit = find_unit(node, name);
    if (unit)
        vec_remove_at(&node->units, (size_t)(unit - node->units.items));
}

/* ---- to the operator ---- */

static void deliver_to_operator(
    struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    operator_deliver(world, node, number, message);
}

static struct message *reply_new(struct sim_node *node, enum message_kind kind, const char *unit)
{
    struct message *message = xcalloc(1, sizeof(*message));
    message->kind = kind;
    message->uid = node->uid;
    message->term = node->term;
    message->connection = node->connection;
    sim_name_copy(message->unit, unit);
    return message;
}

static void send_to_operator(struct world *world, struct sim_node *node, struct message *message)
{
    if (node->connection == 0) {
        free(message);
        return;
    }
    int64_t at = world->now + (world_chance(world, 90) ? rng_between(&world->rng, 0, 3)
                                                       : rng_between(&world->rng, 0, 300));
    at = at > node->to_operator_at ? at : node->to_operator_at;
    node->to_operator_at = at;
    world_after(world, at - world->now, at - world->now, deliver_to_operator, node, 0, message);
}

static void send_inventory(
    struct world *world, struct sim_node *node, uint64_t number, struct message *unused)
{
    (void)number;
    (void)unused;
    node->is_inventory_due = false;
    if (node->uid == 0 || node->connection == 0)
        return;
    struct message *message = reply_new(node, FROM_INVENTORY, "");
    message->is_full = true;
    message->version = node->roster_version;
    vec_for_each (unit, &node->units)
        message->units[message->count++] = *unit;
    vec_for_each (seen, &node->seen)
        message->seen[message->seen_count++] = *seen;
    send_to_operator(world, node, message);
}

static void inventory_changed(struct world *world, struct sim_node *node)
{
    if (node->is_inventory_due)
        return;
    node->is_inventory_due = true;
    world_after(world, 0, 100, send_inventory, node, 0, NULL);
}

static void send_result(struct world *world, struct sim_node *node, enum message_kind kind, const char *unit,
    uint64_t epoch, enum core_refusal refusal)
{
    struct message *message = reply_new(node, kind, unit);
    message->epoch = epoch;
    message->refusal = refusal;
    message->seen_epoch = seen_of(node, unit)->epoch;
    send_to_operator(world, node, message);
}

/* ---- the life of a unit ---- */

static void unit_misbehaves(
    struct world *world, struct sim_node *node, uint64_t change, struct message *message)
{
    struct sim_unit *unit = find_unit(node, message->unit);
    enum unit_habit habit = world_truth(world, message->unit)->habit;
    if (node->uid != message->uid || !unit || unit->change != change || unit->state != CORE_UNIT_RUNNING ||
        world->is_calm)
        return;
    if (habit == HABIT_CRASHES || habit == HABIT_CRASHES_SILENTLY) {
        node_kill_runtime(world, node, SIGSEGV, habit == HABIT_CRASHES ? message->unit : "");
        return;
    }
    unit->state = habit == HABIT_GIVES_UP ? CORE_UNIT_FAILED : CORE_UNIT_STOPPED;
    inventory_changed(world, node);
}

static void unit_started(struct world *world, struct sim_node *node, uint64_t change, struct message *message)
{
    struct sim_unit *unit = find_unit(node, message->unit);
    enum unit_habit habit = world_truth(world, message->unit)->habit;
    if (node->uid != message->uid || !unit || unit->change != change || unit->state != CORE_UNIT_STARTING)
        return;
    if (habit == HABIT_START_FAILS && !world->is_calm && world_chance(world, 80)) {
        send_result(world, node, FROM_ASSIGNED, unit->name, unit->epoch, CORE_REFUSAL_START_FAILED);
        unit->state = CORE_UNIT_FAILED;
        inventory_changed(world, node);
        return;
    }
    unit->state = CORE_UNIT_RUNNING;
    send_result(world, node, FROM_ASSIGNED, unit->name, unit->epoch, CORE_REFUSAL_NONE);
    inventory_changed(world, node);
    if (habit != HABIT_GOOD && habit != HABIT_START_FAILS && !world->is_calm) {
        struct message *again = xmemdup(message, sizeof(*message));
        world_after(world, 0, world_chance(world, 50) ? 20 : 800, unit_misbehaves, node, change, again);
    }
}

static void unit_stopped(struct world *world, struct sim_node *node, uint64_t change, struct message *message)
{
    struct sim_unit *unit = find_unit(node, message->unit);
    if (node->uid != message->uid || !unit || unit->change != change)
        return;
    uint64_t epoch = message->epoch;
    remove_unit(node, message->unit);
    send_result(world, node, FROM_REVOKED, message->unit, epoch, CORE_REFUSAL_NONE);
    inventory_changed(world, node);
}

/* ---- commands ---- */

static void take_assign(
    struct world *world, struct sim_node *node, const struct message *message, bool may_answer)
{
    struct sim_seen *seen = seen_of(node, message->unit);
    enum core_refusal refusal = CORE_REFUSAL_NONE;
    if (message->uid != node->uid)
        refusal = CORE_REFUSAL_WRONG_UID;
    else if (node->is_draining)
        refusal = CORE_REFUSAL_DRAINING;
    else if (!world->is_calm && world_chance(world, 3))
        refusal = CORE_REFUSAL_NO_LEASE;
    else if (message->epoch <= seen->epoch)
        refusal = CORE_REFUSAL_OLD_EPOCH;
    if (refusal != CORE_REFUSAL_NONE) {
        if (may_answer)
            send_result(world, node, FROM_ASSIGNED, message->unit, message->epoch, refusal);
        return;
    }
    seen->epoch = message->epoch;
    remove_unit(node, message->unit);
    struct sim_unit *unit = vec_push_new(&node->units);
    sim_name_copy(unit->name, message->unit);
    unit->epoch = message->epoch;
    unit->generation = message->generation;
    unit->state = CORE_UNIT_STARTING;
    unit->change = ++node->changes;
    struct message *copy = xmemdup(message, sizeof(*message));
    world_after(world, 0, world_chance(world, 90) ? 5 : 400, unit_started, node, unit->change, copy);
    check_holders(world, message->unit);
}

static void take_revoke(
    struct world *world, struct sim_node *node, const struct message *message, bool may_answer)
{
    struct sim_seen *seen = seen_of(node, message->unit);
    struct sim_unit *unit = find_unit(node, message->unit);
    if (message->uid != node->uid)
        return;
    if (unit && unit->epoch > message->epoch) {
        if (may_answer)
            send_result(world, node, FROM_REVOKED, message->unit, message->epoch, CORE_REFUSAL_OLD_EPOCH);
        return;
    }
    seen->epoch = seen->epoch > message->epoch ? seen->epoch : message->epoch;
    if (!unit || unit->state == CORE_UNIT_FAILED || unit->state == CORE_UNIT_STOPPED) {
        remove_unit(node, message->unit);
        if (may_answer)
            send_result(world, node, FROM_REVOKED, message->unit, message->epoch, CORE_REFUSAL_NONE);
        return;
    }
    unit->state = CORE_UNIT_STOPPING;
    unit->change = ++node->changes;
    struct message *copy = xmemdup(message, sizeof(*message));
    world_after(world, 0, 60, unit_stopped, node, unit->change, copy);
}

static void take_routes(struct sim_node *node, const struct message *message)
{
    if (message->is_full)
        vec_clear(&node->routes);
    for (size_t i = 0; i < message->count; i++) {
        struct sim_route *known = NULL;
        vec_for_each (route, &node->routes)
            if (text_equal(route->name, message->routes[i].name))
                known = route;
        if (!known)
            known = vec_push_new(&node->routes);
        *known = message->routes[i];
    }
}

static void take_drain(struct world *world, struct sim_node *node)
{
    node->is_draining = true;
    vec_clear(&node->units);
    send_to_operator(world, node, reply_new(node, FROM_DRAINED, ""));
    world_after(world, 0, 50, node_runtime_ends, node, node->uid, NULL);
}

static void take_roster(struct world *world, struct sim_node *node, const struct message *message)
{
    if (message->version > node->roster_version)
        node->roster_version = message->version;
    struct message *reply = reply_new(node, FROM_ACKNOWLEDGED, "");
    reply->version = node->roster_version;
    send_to_operator(world, node, reply);
}

/* As the real node: commands about units get their own answers, whose term tells. */
static void refuse_term(struct world *world, struct sim_node *node, const struct message *message)
{
    if (message->kind == TO_ASSIGN)
        send_result(world, node, FROM_ASSIGNED, message->unit, message->epoch, CORE_REFUSAL_OLD_TERM);
    else if (message->kind == TO_REVOKE)
        send_result(world, node, FROM_REVOKED, message->unit, message->epoch, CORE_REFUSAL_OLD_TERM);
    else
        send_to_operator(world, node, reply_new(node, FROM_REFUSED, ""));
}

/* Who is declared dead exits; its parent starts the next one. */
static void take_dead(struct world *world, struct sim_node *node, const struct message *message)
{
    for (size_t i = 0; i < message->uid_count; i++)
        if (message->uids[i] == node->uid) {
            node_kill_runtime(world, node, SIGKILL, "");
            return;
        }
}

static void process(struct world *world, struct sim_node *node, const struct message *message)
{
    bool may_answer = message->connection == node->connection;
    if (message->term < node->term) {
        if (may_answer)
            refuse_term(world, node, message);
        return;
    }
    node->term = message->term;
    switch (message->kind) {
    case TO_ASSIGN: take_assign(world, node, message, may_answer); break;
    case TO_REVOKE: take_revoke(world, node, message, may_answer); break;
    case TO_ROSTER: take_roster(world, node, message); break;
    case TO_ROUTES:
        if (may_answer)
            take_routes(node, message);
        break;
    case TO_DRAIN: take_drain(world, node); break;
    case TO_INVENTORY: send_inventory(world, node, 0, NULL); break;
    case TO_DEAD: take_dead(world, node, message); break;
    case FROM_ASSIGNED:
    case FROM_REVOKED:
    case FROM_INVENTORY:
    case FROM_DRAINED:
    case FROM_ACKNOWLEDGED:
    case FROM_REFUSED: break;
    }
}

/* A message of a broken stream is lost, or was already in the node and is handled late. */
static void take_message(struct world *world, struct sim_node *node, const struct message *message)
{
    if (node->uid && message->uid == node->uid &&
        (message->connection == node->connection || world_chance(world, 50)))
        process(world, node, message);
}

void node_inbox_clear(struct sim_node *node)
{
    vec_for_each (message, &node->inbox)
        free(*message);
    vec_clear(&node->inbox);
}

static void empty_inbox(struct world *world, struct sim_node *node, uint64_t number, struct message *unused)
{
    (void)number;
    (void)unused;
    if (node->paused_until > world->now) {
        int64_t wait = node->paused_until - world->now;
        world_after(world, wait, wait, empty_inbox, node, 0, NULL);
        return;
    }
    for (size_t i = 0; i < node->inbox.count && !node->is_cut;
         i++) /* handling one may end the runtime, but adds none */
        take_message(world, node, node->inbox.items[i]);
    node_inbox_clear(node);
}

void node_deliver(struct world *world, struct sim_node *node, uint64_t number, struct message *message)
{
    (void)number;
    if (node->is_cut)
        return;
    if (node->paused_until <= world->now && node->inbox.count == 0) {
        take_message(world, node, message);
        return;
    }
    int64_t wait = node->paused_until > world->now ? node->paused_until - world->now : 0;
    if (node->inbox.count == 0)
        world_after(world, wait, wait, empty_inbox, node, 0, NULL);
    vec_push(&node->inbox, xmemdup(message, sizeof(*message)));
}
