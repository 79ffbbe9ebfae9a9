#include "base/mem.h"
#include "core/fence.h"
#include "core/state.h"

/* Where the unit can be asked. While it starts, stops or waits it is nowhere, at the newest epoch. */
static void update_route(struct core *core, struct unit *unit)
{
    const struct hold *hold = unit_hold(unit);
    uint64_t uid = hold && hold->phase == HOLD_RUNNING && unit->spec ? hold->uid : 0;
    if (uid == unit->route_uid && unit->last_epoch == unit->route_epoch)
        return;
    unit->route_uid = uid;
    unit->route_epoch = unit->last_epoch;
    unit->route_version = ++core->route_version;
}

static void emit_routes(struct core *core, struct node *node)
{
    bool is_full = !node->has_routes || node->routes_sent < core->routes_full_from;
    size_t count = 0;
    if (!is_full && node->routes_sent >= core->route_version)
        return;
    struct core_action *action = plan_add(core, CORE_SEND_ROUTES);
    if (!action)
        return;
    struct core_route *routes = xcalloc(map_count(&core->units) + 1, sizeof(*routes));
    map_for_each (item, &core->units) {
        const struct unit *unit = item.value;
        if (is_full ? unit->spec != NULL : unit->route_version > node->routes_sent)
            routes[count++] = (struct core_route){unit->name, unit->route_epoch, unit->route_uid};
    }
    action->uid = node->uid;
    action->version = core->route_version;
    action->is_full = is_full;
    action->routes = plan_keep_take(core, routes);
    action->route_count = count;
    node->routes_sent = core->route_version;
    node->has_routes = true;
}

void routes_emit(struct core *core)
{
    if (core->is_stopping || !fence_may_command(core))
        return;
    map_for_each (item, &core->units)
        update_route(core, item.value);
    vec_for_each (node, &core->nodes)
        if ((*node)->is_connected)
            emit_routes(core, *node);
}
