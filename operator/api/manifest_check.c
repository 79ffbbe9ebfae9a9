#include <inttypes.h>

#include "api/decode.h"
#include "api/manifest_parts.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/system.h"
#include "types/unit.h"

enum { PLACE_BYTES_MAX = 512 };

/* Nodes of the tree, for lines and paths; each is there, as the struct was decoded from it. */
static const struct json *entry_node(const struct json *spec_node, const struct entry_spec *entry)
{
    return json_at(json_get(spec_node, "actors"), entry->index);
}

static const struct json *child_node(
    const struct json *spec_node, const struct entry_spec *entry, size_t index)
{
    return json_at(json_get(entry_node(spec_node, entry), "children"), index);
}

/* earlier has a line in a file, and only a path in an object of the API. */
static void refuse_name(struct api_problems *problems, const struct json *node, const char *what,
    const char *name, const struct json *earlier)
{
    struct str place = STR_INIT(PLACE_BYTES_MAX);
    if (json_line(earlier))
        str_appendf(&place, "the %s in line %u", what, json_line(earlier));
    else
        json_path(json_key(earlier) ? json_parent(earlier) : earlier, &place);
    api_problems_add_at(
        problems, node, "'%s' is already the name of %s; choose another", name, str_text(&place));
    str_done(&place);
}

static void check_entry_names(
    struct api_problems *problems, const struct json *spec_node, const struct system_spec *spec)
{
    struct map first = {0};
    vec_for_each (entry, &spec->entries) {
        const struct json *node = json_get(entry_node(spec_node, entry), "name");
        if (!entry->root.name)
            continue;
        const struct json *earlier = map_get(&first, entry->root.name);
        if (earlier)
            refuse_name(problems, node, "entry", entry->root.name, earlier);
        else
            (void)map_put(&first, entry->root.name, (void *)(uintptr_t)node);
    }
    map_done(&first, NULL);
}

static void check_under(
    struct api_problems *problems, const struct json *node, const struct entry_spec *entry, size_t index)
{
    const struct child_spec *child = &entry->children.items[index];
    if (!child->under || !child->under[0])
        return;
    for (size_t i = 0; i < entry->children.count; i++) {
        const struct child_spec *other = &entry->children.items[i];
        if (!text_equal(other->name, child->under))
            continue;
        if (i >= index)
            api_problems_add_at(problems, json_get(node, "under"),
                "'%s' comes later: children start in their order; put the supervisor before what is under it",
                child->under);
        else if (!other->is_supervisor)
            api_problems_add_at(problems, json_get(node, "under"),
                "'%s' is not a supervisor; give it supervisor: {}", child->under);
        return;
    }
    api_problems_add_at(
        problems, json_get(node, "under"), "there is no child '%s' in this entry", child->under);
}

static void check_children(
    struct api_problems *problems, const struct json *spec_node, const struct entry_spec *entry)
{
    struct map first = {0};
    for (size_t i = 0; i < entry->children.count; i++) {
        const struct child_spec *child = &entry->children.items[i];
        const struct json *node = child_node(spec_node, entry, i);
        check_under(problems, node, entry, i);
        if (!child->name)
            continue;
        const struct json *earlier = map_get(&first, child->name);
        if (earlier)
            refuse_name(problems, json_get(node, "name"), "child", child->name, earlier);
        else
            (void)map_put(&first, child->name, (void *)(uintptr_t)node);
    }
    map_done(&first, NULL);
}

/* Following colocateWith from an entry must end: each entry has at most one, so a walk of as many steps as
 * there are entries is in a circle. next: for each entry the index + 1 of its colocateWith. */
static bool is_in_circle(const size_t *next, size_t count, size_t entry)
{
    size_t at = entry;
    for (size_t step = 0; step < count && next[at]; step++) {
        at = next[at] - 1;
        if (at == entry)
            return true;
    }
    return false;
}

/* The caller frees it. */
static size_t *colocations(const struct system_spec *spec)
{
    size_t *next = xcalloc(spec->entries.count + 1, sizeof(*next));
    struct map by_name = {0};
    vec_for_each (entry, &spec->entries)
        if (entry->root.name && !map_has(&by_name, entry->root.name))
            (void)map_put(&by_name, entry->root.name, (void *)(uintptr_t)(entry->index + 1));
    vec_for_each (entry, &spec->entries)
        if (entry->placement.colocate_with)
            next[entry->index] = (size_t)(uintptr_t)map_get(&by_name, entry->placement.colocate_with);
    map_done(&by_name, NULL);
    return next;
}

static void check_placement(struct api_problems *problems, const struct json *spec_node,
    const struct system_spec *spec, const size_t *next, const struct entry_spec *entry)
{
    const struct json *node = json_get(entry_node(spec_node, entry), "placement");
    const char *with = entry->placement.colocate_with;
    if (with && !next[entry->index])
        api_problems_add_at(problems, json_get(node, "colocateWith"), "there is no entry '%s'", with);
    else if (with && is_in_circle(next, spec->entries.count, entry->index))
        api_problems_add_at(problems, json_get(node, "colocateWith"),
            "leads back to '%s'; one entry must come first", entry->root.name);
    vec_for_each (name, &entry->placement.anti_affinity) {
        if (!system_spec_entry(spec, *name))
            api_problems_add_at(problems, json_get(node, "antiAffinity"), "there is no entry '%.80s'", *name);
        else if (text_equal(*name, with))
            api_problems_add_at(problems, json_get(node, "antiAffinity"),
                "'%s' is in colocateWith as well; a unit cannot be with it and apart from it", *name);
    }
}

static const struct library_spec *find_library(const struct system_spec *spec, const char *name, size_t size)
{
    vec_for_each (library, &spec->code.c)
        if (library->library && strlen(library->library) == size && memcmp(library->library, name, size) == 0)
            return library;
    return NULL;
}

/* Names of libraries that passed, to NULL-able nothing: presence counts. */
static void check_libraries(struct api_problems *problems, const struct json *spec_node,
    const struct api_checks *checks, const struct system_spec *spec, struct map *passed)
{
    const struct json *list = json_get(json_get(spec_node, "code"), "c");
    size_t index = 0;
    vec_for_each (library, &spec->code.c) {
        /* Rows that are no objects made no library: look for the row by its line. */
        while (index < json_count(list) && json_type(json_at(list, index)) != JSON_OBJECT)
            index++;
        const struct json *node = json_at(list, index++);
        struct err err = {0};
        if (!library->library || !library->path)
            continue;
        if (map_has(passed, library->library))
            api_problems_add_at(
                problems, json_get(node, "library"), "'%s' is listed twice", library->library);
        else if (checks && checks->library && checks->library(checks->ctx, library, &err) < 0)
            api_problems_add_at(problems, json_get(node, "path"), "%s", err.text);
        else
            (void)map_put(passed, library->library, (void *)(uintptr_t)library);
    }
}

static void check_behavior(struct api_problems *problems, const struct json *node,
    const struct api_checks *checks, const struct system_spec *spec, const struct map *passed,
    const struct child_spec *child)
{
    const struct json *behavior = json_get(node, "behavior");
    const char *point = child->behavior_c ? strchr(child->behavior_c, '.') : NULL;
    struct err err = {0};
    if (child->behavior_python && !spec->code.has_python)
        api_problems_add_at(problems, json_get(behavior, "python"),
            "needs spec.code.python: say where the module is, e.g. python: {path: [.]}");
    if (!point || point == child->behavior_c || !point[1])
        return;
    const struct library_spec *library =
        find_library(spec, child->behavior_c, (size_t)(point - child->behavior_c));
    if (!library)
        api_problems_add_at(problems, json_get(behavior, "c"),
            "no library '%.*s' in spec.code.c; add {library: %.*s, path: FILE}",
            (int)(point - child->behavior_c), child->behavior_c, (int)(point - child->behavior_c),
            child->behavior_c);
    else if (map_has(passed, library->library) && checks && checks->behavior &&
             checks->behavior(checks->ctx, library, point + 1, &err) < 0)
        api_problems_add_at(problems, json_get(behavior, "c"), "%s", err.text);
}

static void check_stores(
    struct api_problems *problems, const struct json *spec_node, const struct system_spec *spec)
{
    const struct json *state = json_get(spec_node, "state");
    if (spec->state.store == STORE_SQLITE && spec->nodes.replicas > 1)
        api_problems_add_at(problems, json_get(state, "store"),
            "SQLite works with nodes.replicas 0 or 1 only; use PostgreSQL, or one node");
    vec_for_each (entry, &spec->entries)
        if (entry->state.is_durable && spec->state.store == STORE_NONE)
            api_problems_add_at(problems,
                json_get(json_get(entry_node(spec_node, entry), "state"), "durable"),
                "needs a store; set spec.state.store to SQLite or PostgreSQL");
}

void manifest_check(struct api_problems *problems, const struct json *spec_node,
    const struct api_checks *checks, const struct system_spec *spec)
{
    struct map passed = {0};
    size_t *next = colocations(spec);
    check_entry_names(problems, spec_node, spec);
    check_libraries(problems, spec_node, checks, spec, &passed);
    vec_for_each (entry, &spec->entries) {
        check_children(problems, spec_node, entry);
        check_placement(problems, spec_node, spec, next, entry);
        check_behavior(problems, entry_node(spec_node, entry), checks, spec, &passed, &entry->root);
        for (size_t i = 0; i < entry->children.count; i++)
            check_behavior(
                problems, child_node(spec_node, entry, i), checks, spec, &passed, &entry->children.items[i]);
    }
    check_stores(problems, spec_node, spec);
    if (units_count(spec) > LIMIT_UNITS)
        api_problems_add_at(problems, json_get(spec_node, "actors"),
            "makes %zu units; at most %d are allowed: lower replicas or shards", units_count(spec),
            LIMIT_UNITS);
    map_done(&passed, NULL);
    free(next);
}
