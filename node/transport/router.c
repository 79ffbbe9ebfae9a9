#include "transport/router.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#include <assert.h>

enum {
    UNITS_MAX = 2 * LIMIT_UNITS, /* those of the system, and those that only peers named */
    UNIT_NAME_MAX = 127,         /* an entry's name and a replica's number */
};

void router_init(struct router *router, uint64_t self)
{
    *router = (struct router){.self = self};
}

static void free_unit(void *pointer)
{
    struct route_unit *unit = pointer;
    free(unit->name);
    free(unit);
}

void router_done(struct router *router)
{
    map_done(&router->units, free_unit);
}

size_t router_unit_size(const char *name)
{
    return strcspn(name, "/");
}

struct route_unit *router_find(const struct router *router, const char *unit, size_t size)
{
    return map_get_bytes(&router->units, unit, size);
}

struct route_unit *router_add(struct router *router, const char *name)
{
    struct route_unit *unit = map_get(&router->units, name);
    if (unit)
        return unit;
    size_t size = strlen(name);
    if (size == 0 || size > UNIT_NAME_MAX || strchr(name, '/') || !text_is_utf8(name, size) ||
        map_count(&router->units) >= UNITS_MAX)
        return NULL;
    unit = xcalloc(1, sizeof(*unit));
    unit->name = xstrdup(name);
    unit->index = (uint32_t)map_count(&router->units);
    (void)map_put(&router->units, name, unit); /* it was not there */
    return unit;
}

bool router_place(struct router *router, const char *name, uint64_t epoch, uint64_t node_uid)
{
    struct route_unit *unit = router_add(router, name);
    if (!unit)
        return false;
    unit->is_named = true;
    if (epoch < unit->epoch)
        return false;
    unit->epoch = epoch;
    unit->node_uid = node_uid;
    return true;
}

void router_begin_full(struct router *router)
{
    map_for_each (item, &router->units)
        ((struct route_unit *)item.value)->is_named = false;
}

void router_end_full(struct router *router)
{
    map_for_each (item, &router->units) {
        struct route_unit *unit = item.value;
        if (!unit->is_named)
            unit->node_uid = 0;
    }
}

bool router_learn(struct route_unit *unit, uint64_t epoch, uint64_t node_uid)
{
    if (epoch <= unit->epoch)
        return false;
    unit->epoch = epoch;
    unit->node_uid = node_uid;
    return true;
}

void router_start(struct router *router, struct route_unit *unit, uint64_t epoch)
{
    router_hold(router, unit, epoch);
    unit->is_starting = true;
}

void router_hold(struct router *router, struct route_unit *unit, uint64_t epoch)
{
    unit->is_held = true;
    unit->is_starting = false;
    unit->own_epoch = epoch;
    if (epoch >= unit->epoch) {
        unit->epoch = epoch;
        unit->node_uid = router->self;
    }
}

void router_release(struct route_unit *unit, uint64_t epoch)
{
    if (unit->own_epoch == epoch)
        unit->is_held = false;
}

enum route_verdict router_send(const struct router *router, const struct route_unit *unit)
{
    if (!unit)
        return ROUTE_NOT_FOUND;
    if (unit->is_held && unit->own_epoch >= unit->epoch)
        return unit->is_starting ? ROUTE_UNAVAILABLE : ROUTE_DELIVER;
    if (unit->node_uid == 0)
        return unit->is_named ? ROUTE_UNAVAILABLE : ROUTE_NOT_FOUND;
    return unit->node_uid == router->self ? ROUTE_UNAVAILABLE : ROUTE_FORWARD;
}

enum route_verdict router_receive(const struct route_unit *unit, uint64_t epoch)
{
    return unit && unit->is_held && !unit->is_starting && unit->own_epoch == epoch ? ROUTE_DELIVER
                                                                                   : ROUTE_BOUNCE;
}

enum route_verdict router_receive_from(const struct route_unit *unit, uint64_t epoch)
{
    if (!unit)
        return ROUTE_DELIVER;
    return epoch < unit->epoch ? ROUTE_FENCED : ROUTE_DELIVER;
}
