#include "node/peers.h"

#include "base/vec.h"
#include "transport/transport.h"

static void set_roster(void *ctx, const struct command_roster *roster)
{
    VEC(struct transport_member) members = {0};
    for (size_t i = 0; i < roster->member_count; i++) {
        const struct command_member *member = &roster->members[i];
        struct transport_member copy = {member->node_uid, member->node_name, member->link_address};
        vec_push(&members, copy);
    }
    transport_set_roster(
        ctx, roster->version, members.items, members.count, roster->dead_uids, roster->dead_count);
    vec_done(&members);
}

static void set_routes(void *ctx, const struct command_routes *routes)
{
    VEC(struct transport_placement) placements = {0};
    for (size_t i = 0; i < routes->placement_count; i++) {
        const struct command_placement *placement = &routes->placements[i];
        struct transport_placement copy = {placement->unit, placement->epoch, placement->node_uid};
        vec_push(&placements, copy);
    }
    transport_set_routes(ctx, routes->version, routes->is_full, placements.items, placements.count);
    vec_done(&placements);
}

static void set_dead(void *ctx, const uint64_t *node_uids, size_t count)
{
    transport_set_dead(ctx, node_uids, count);
}

static void unit_held(void *ctx, const char *unit, uint64_t epoch)
{
    transport_unit_starts(ctx, unit, epoch); /* the runtime says when it runs */
}

static void unit_released(void *ctx, const char *unit, uint64_t epoch)
{
    transport_unit_released(ctx, unit, epoch);
}

struct node_control_peers peers_of(struct transport *transport)
{
    return (struct node_control_peers){.set_roster = set_roster,
        .set_routes = set_routes,
        .set_dead = set_dead,
        .unit_held = unit_held,
        .unit_released = unit_released,
        .ctx = transport};
}
