/* Is the specification of a unit one that supervisors can be made of? */
#include <stdlib.h>
#include <string.h>

#include "actor/supervisor.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

static void map_donep(struct map *map)
{
    map_done(map, NULL);
}

bool actor_child_is_hosted(const struct actor_child_spec *child)
{
    return !child->is_supervisor && child->behavior &&
           (child->isolation != ACTOR_ISOLATION_NODE || strchr(child->behavior, ':'));
}

static int check_kind(const struct actor_child_spec *child, const char *name, struct err *err)
{
    if (child->is_supervisor && child->period_ms == 0)
        return err_set(err, ERR_INVALID, "supervisor \"%s\" has a period of 0", name);
    if (child->backoff_max_ms < child->backoff_initial_ms)
        return err_set(err, ERR_INVALID, "\"%s\" has a backoff whose longest wait is below its first", name);
    if (!child->is_supervisor && (!child->behavior || child->behavior[0] == '\0'))
        return err_set(err, ERR_INVALID, "\"%s\" has no behavior", name);
    return 0;
}

/* The depth of `child`, whose `under` was seen before or is the root. depths[i] is that of children[i]. */
static int depth_of(const struct map *seen, const struct actor_unit_spec *spec, const unsigned *depths,
    const struct actor_child_spec *child, unsigned *ret_depth, struct err *err)
{
    *ret_depth = 2;
    if (!child->under || child->under[0] == '\0')
        return 0;
    const struct actor_child_spec *above = map_get(seen, child->under);
    if (!above || !above->is_supervisor)
        return err_set(err, ERR_INVALID, "child \"%s\" is under \"%s\", which is %s", child->name,
            child->under, above ? "no supervisor" : "not before it");
    *ret_depth = depths[above - spec->children] + 1;
    if (*ret_depth > SUPERVISOR_DEPTH_MAX)
        return err_set(err, ERR_INVALID, "child \"%s\" is nested deeper than %d supervisors", child->name,
            SUPERVISOR_DEPTH_MAX);
    return 0;
}

int supervisor_check(const struct actor_unit_spec *spec, struct err *err)
{
    _cleanup_(map_donep) struct map seen = {0};
    _cleanup_(cleanup_free) unsigned *depths = xcalloc(spec->child_count + 1, sizeof(*depths));
    if (!spec->name || spec->name[0] == '\0')
        return err_set(err, ERR_INVALID, "the unit has no name");
    if (check_kind(&spec->root, spec->name, err) < 0)
        return -1;
    if (spec->child_count > 0 && !spec->root.is_supervisor)
        return err_set(err, ERR_INVALID, "\"%s\" has children and is no supervisor", spec->name);
    for (size_t i = 0; i < spec->child_count; i++) {
        const struct actor_child_spec *child = &spec->children[i];
        if (!child->name || !text_is_dns_label(child->name))
            return err_set(err, ERR_INVALID, "child %zu has no name that is a DNS label", i + 1);
        if (check_kind(child, child->name, err) < 0 ||
            depth_of(&seen, spec, depths, child, &depths[i], err) < 0)
            return -1;
        if (map_put(&seen, child->name, (void *)(uintptr_t)child))
            return err_set(err, ERR_INVALID, "two children are named \"%s\"", child->name);
    }
    return 0;
}
