#include "node_control/unit_spec.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/str.h"
#include "base/value.h"

#include <stdio.h>
#include <string.h>

enum { RESTARTS_MAX = 1000 * 1000, REPLICA_DIGITS_MAX = 6 };

/* "ledger", or "tellers.0": an entry's label, and a replica's or shard's number. */
static bool is_unit_name(const char *name)
{
    char entry[LIMIT_LABEL_BYTES + 1];
    size_t size = strcspn(name, ".");
    uint64_t number = 0;
    if (size >= sizeof(entry))
        return false;
    memcpy(entry, name, size);
    entry[size] = 0;
    if (!text_is_dns_label(entry))
        return false;
    const char *digits = name + size;
    return !*digits || (strlen(digits + 1) <= REPLICA_DIGITS_MAX &&
                           text_to_u64(digits + 1, UINT32_MAX, &number, NULL) == 0);
}

static int check_behavior(const struct actor_child_spec *child, const char *what, struct err *err)
{
    if (child->is_supervisor == (child->behavior != NULL))
        return err_set(err, ERR_INVALID, "%s: needs a behavior or a supervisor, and not both", what);
    if (child->is_supervisor && (child->restarts_max > RESTARTS_MAX || child->period_ms == 0))
        return err_set(err, ERR_INVALID, "%s: intensity makes no sense", what);
    if (!child->behavior)
        return 0;
    const char *mark = strchr(child->behavior, ':');
    if (!mark)
        mark = strchr(child->behavior, '.');
    if (!mark || mark == child->behavior || !mark[1] || strlen(child->behavior) > LIMIT_BEHAVIOR_NAME_BYTES)
        return err_set(err, ERR_INVALID,
            "%s: behavior must be \"library.name\" or \"module:class\" of at most %d bytes", what,
            LIMIT_BEHAVIOR_NAME_BYTES);
    return 0;
}

static int check_child(const struct actor_child_spec *child, const char *what, struct err *err)
{
    if (check_behavior(child, what, err) < 0)
        return -1;
    if (child->arguments_size > LIMIT_VALUE_BYTES)
        return err_set(err, ERR_LIMIT, "%s: more than %d bytes of arguments", what, LIMIT_VALUE_BYTES);
    if (child->arguments_size > 0 && value_validate(child->arguments, child->arguments_size, err) < 0)
        return err_wrap(err, "%s: arguments", what);
    if (child->mailbox_capacity > LIMIT_MAILBOX_CAPACITY)
        return err_set(err, ERR_LIMIT, "%s: mailbox capacity above %d", what, LIMIT_MAILBOX_CAPACITY);
    if (child->restart > ACTOR_TEMPORARY || child->strategy > ACTOR_REST_FOR_ONE ||
        child->overflow > ACTOR_DROP_NEWEST)
        return err_set(err, ERR_INVALID, "%s: unknown restart, strategy or overflow", what);
    return 0;
}

static int check_children(const struct actor_unit_spec *spec, struct map *seen, struct err *err)
{
    for (size_t i = 0; i < spec->child_count; i++) {
        const struct actor_child_spec *child = &spec->children[i];
        char what[LIMIT_LABEL_BYTES + 16] = "";
        if (!text_is_dns_label(child->name))
            return err_set(err, ERR_INVALID, "child %zu: name is no DNS label", i);
        (void)snprintf(what, sizeof(what), "child \"%s\"", child->name); /* fits: checked above */
        if (map_has(seen, child->name))
            return err_set(err, ERR_INVALID, "%s: there are two", what);
        const struct actor_child_spec *under = *child->under ? map_get(seen, child->under) : &spec->root;
        if (!under || !under->is_supervisor)
            return err_set(err, ERR_INVALID, "%s: \"%.64s\" is no supervisor before it", what, child->under);
        if (check_child(child, what, err) < 0)
            return -1;
        map_put(seen, child->name, (void *)(uintptr_t)child);
    }
    return 0;
}

int unit_spec_check(const struct actor_unit_spec *spec, struct err *err)
{
    struct map seen = {0};
    if (!is_unit_name(spec->name))
        return err_set(err, ERR_INVALID, "unit: \"%.80s\" is no name of a unit", spec->name);
    if (spec->child_count > LIMIT_CHILDREN)
        return err_set(err, ERR_LIMIT, "more than %d children", LIMIT_CHILDREN);
    if (check_child(&spec->root, "root", err) < 0)
        return -1;
    int result = check_children(spec, &seen, err);
    map_done(&seen, NULL);
    return result;
}
