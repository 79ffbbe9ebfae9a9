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

/* What changed since a version; most nodes were told the same last time, so the list is made once. */
struct news {
    bool is_made;
    bool is_full;
    uint64_t since;
    const struct core_route *routes;
    size_t count;
};

static void make_news(struct core *core, bool is_full, uint64_t since, struct news *news)
{
    VEC(struct core_route) routes = {0};
    if (news->is_made && news->is_full == is_full && (is_full || news->since == since))
        return;
    map_for_each (item, &core->units) {
        const struct unit *unit = item.value;
        struct core_route route = {unit->name, unit->route_epoch, unit->route_uid};
        if (is_full ? unit->spec != NULL : unit->route_version > since)
            vec_push(&routes, route);
    }
    *news = (struct news){true, is_full, since, plan_keep_take(core, routes.items), routes.count};
}

static void emit_routes(struct core *core, struct node *node, struct news *news)
{
    bool is_full = !node->has_routes || node->routes_sent < core->routes_full_from;
    if (!is_full && node->routes_sent >= core->route_version)
        return;
    struct core_action *action = plan_add(core, CORE_SEND_ROUTES);
    if (!action)
        return;
    make_news(core, is_full, node->routes_sent, news);
    action->uid = node->uid;
    action->version = core->route_version;
    action->is_full = is_full;
    action->routes = news->routes;
    action->route_count = news->count;
    node->routes_sent = core->route_version;
    node->has_routes = true;
}

void routes_emit(struct core *core)
{
    struct news news = {0};
    if (core->is_stopping || !fence_may_command(core))
        return;
    map_for_each (item, &core->units)
        update_route(core, item.value);
    vec_for_each (node, &core->nodes)
        if ((*node)->is_connected)
            emit_routes(core, *node, &news);
}
