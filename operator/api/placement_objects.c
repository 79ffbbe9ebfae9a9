#include "api/placement_objects.h"

#include "api/object_owner.h"
#include "api/placement_row.h"
#include "api/resources.h"
#include "base/epoch.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "types/status.h"

/* Invariants:
 * 1. A unit is in one object: number_of has its number + 1, also while the unit has not been seen yet.
 * 2. A slice has at most PLACEMENT_ROWS_MAX rows: a unit has fewer (LIMIT_CHILDREN), and goes elsewhere when
 *    it does not fit any more.
 * 3. written is the digest of what the API server has; 0: no object.
 * 4. A new leader finds units running and calls that Adopted. What placed them is what their rows say, for as
 *    long as they have the epoch of the row: so taking over writes nothing, and says no less than before.
 *    placed_of has no more units than were loaded. */

enum { NUMBER_MAX = 100 * 1000 };

#define NO_ACTOR UINT32_MAX
#define ADOPTED "Adopted"

/* Positions in the lists of the status of the last update. */
struct slice_row {
    uint32_t unit;
    uint32_t actor; /* or NO_ACTOR */
};

struct slice {
    VEC(struct slice_row) rows;
    uint64_t digest; /* of rows; 0: none */
    uint64_t written;
};

/* What placed a unit, by the row of an earlier leader. */
struct placed {
    char epoch[EPOCH_TEXT_BYTES];
    char rule[];
};

struct placement_objects {
    struct object_owner owner; /* own texts */
    VEC(struct slice) slices;
    struct map number_of;
    struct map placed_of;
};

/* The actor rows of each unit, as one list in the order of units: those of unit i begin at first[i]. */
struct gathered {
    uint32_t *first; /* one more than units */
    uint32_t *actors;
};

struct placement_objects *placement_objects_new(const struct object_owner *owner)
{
    struct placement_objects *objects = xcalloc(1, sizeof(*objects));
    objects->owner =
        (struct object_owner){xstrdup(owner->namespace), xstrdup(owner->name), xstrdup(owner->uid)};
    return objects;
}

void placement_objects_free(struct placement_objects *objects)
{
    if (!objects)
        return;
    vec_for_each (slice, &objects->slices)
        vec_done(&slice->rows);
    vec_done(&objects->slices);
    map_done(&objects->number_of, NULL);
    map_done(&objects->placed_of, free);
    free((char *)objects->owner.namespace);
    free((char *)objects->owner.name);
    free((char *)objects->owner.uid);
    free(objects);
}

static struct slice *slice_at(struct placement_objects *objects, size_t number)
{
    while (objects->slices.count <= number)
        (void)vec_push_new(&objects->slices);
    return &objects->slices.items[number];
}

static void assign(struct placement_objects *objects, const char *unit, size_t number)
{
    (void)map_put(&objects->number_of, unit, (void *)(uintptr_t)(number + 1));
}

static void remember_placed(struct placement_objects *objects, const struct placement_row *row)
{
    uint64_t epoch;
    size_t size = strlen(row->rule) + 1;
    if (size == 1 || text_equal(row->rule, ADOPTED) || epoch_parse(row->epoch, &epoch, NULL) < 0)
        return;
    struct placed *placed = xmalloc(sizeof(*placed) + size);
    (void)epoch_format(epoch, placed->epoch);
    memcpy(placed->rule, row->rule, size);
    free(map_put(&objects->placed_of, row->unit, placed));
}

static void keep_rule(
    const struct placement_objects *objects, const struct status_unit *unit, struct placement_row *row)
{
    const struct placed *placed =
        text_equal(row->rule, ADOPTED) ? map_get(&objects->placed_of, unit->unit) : NULL;
    if (placed && text_equal(placed->epoch, row->epoch))
        row->rule = placed->rule;
}

void placement_objects_load(struct placement_objects *objects, const struct json *object)
{
    const char *name = json_string(json_get(json_get(object, "metadata"), "name"));
    size_t prefix = strlen(objects->owner.name);
    uint64_t number;
    uint64_t digest = 0;
    if (!text_equal(json_string(json_get(object, "system")), objects->owner.name) ||
        !text_starts_with(name, objects->owner.name) || name[prefix] != '-' ||
        text_to_u64(name + prefix + 1, NUMBER_MAX, &number, NULL) < 0)
        return;
    json_for_each(json, json_get(object, "actors"))
    {
        struct placement_row row;
        placement_row_of_json(&row, json);
        digest = placement_row_digest(&row, digest);
        remember_placed(objects, &row);
        if (!map_has(&objects->number_of, row.unit))
            assign(objects, row.unit, (size_t)number);
    }
    slice_at(objects, (size_t)number)->written = digest ? digest : 1;
}

static uint32_t *zeroed_numbers(size_t count)
{
    return xcalloc(count, sizeof(uint32_t));
}

/* Counts, then sums, then fills: whatever order the rows have. Rows of units that are not listed have no
 * place. */
static void gather(const struct status *status, struct gathered *ret_gathered)
{
    size_t units = status->units.count;
    struct gathered gathered = {
        zeroed_numbers(units + 1), xmalloc((status->actor_rows.count + 1) * sizeof(uint32_t))};
    uint32_t *unit_of = zeroed_numbers(status->actor_rows.count + 1); /* + 1; 0: none */
    struct map index_of = {0};
    for (size_t i = 0; i < units; i++)
        (void)map_put(&index_of, status->units.items[i].unit, (void *)(uintptr_t)(i + 1));
    for (size_t i = 0; i < status->actor_rows.count; i++) {
        unit_of[i] = (uint32_t)(uintptr_t)map_get(&index_of, status->actor_rows.items[i].unit);
        if (unit_of[i])
            gathered.first[unit_of[i]]++;
    }
    for (size_t i = 0; i < units; i++)
        gathered.first[i + 1] += gathered.first[i];
    uint32_t *next = xmemdup(gathered.first, (units + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < status->actor_rows.count; i++)
        if (unit_of[i])
            gathered.actors[next[unit_of[i] - 1]++] = (uint32_t)i;
    free(next);
    free(unit_of);
    map_done(&index_of, NULL);
    *ret_gathered = gathered;
}

static size_t rows_of(const struct gathered *gathered, size_t unit)
{
    size_t count = gathered->first[unit + 1] - gathered->first[unit];
    if (count > PLACEMENT_ROWS_MAX)
        return PLACEMENT_ROWS_MAX;
    return count ? count : 1;
}

static bool put(
    struct placement_objects *objects, size_t number, const struct gathered *gathered, size_t unit)
{
    struct slice *slice = slice_at(objects, number);
    size_t count = rows_of(gathered, unit);
    bool has_actors = gathered->first[unit + 1] > gathered->first[unit];
    if (slice->rows.count + count > PLACEMENT_ROWS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct slice_row row = {(uint32_t)unit, NO_ACTOR};
        if (has_actors)
            row.actor = gathered->actors[gathered->first[unit] + i];
        vec_push(&slice->rows, row);
    }
    return true;
}

/* Units that left would keep their numbers for ever. */
static void forget_others(struct placement_objects *objects, const struct status *status)
{
    if (map_count(&objects->number_of) == status->units.count)
        return;
    struct map former = objects->number_of;
    objects->number_of = (struct map){0};
    vec_for_each (unit, &status->units)
        (void)map_put(&objects->number_of, unit->unit, map_get(&former, unit->unit));
    map_done(&former, NULL);
}

/* First those that have a place, so that it stays theirs; then the others, where there is room. */
static void place_units(
    struct placement_objects *objects, const struct status *status, const struct gathered *gathered)
{
    VEC(size_t) others = {0};
    size_t full = 0; /* slices below have no room at all */
    for (size_t i = 0; i < status->units.count; i++) {
        size_t number = (size_t)(uintptr_t)map_get(&objects->number_of, status->units.items[i].unit);
        if (number == 0 || !put(objects, number - 1, gathered, i))
            vec_push(&others, i);
    }
    vec_for_each (unit, &others) {
        while (full < objects->slices.count && objects->slices.items[full].rows.count == PLACEMENT_ROWS_MAX)
            full++;
        size_t number = full;
        while (!put(objects, number, gathered, *unit)) /* ends: a new slice has room for any unit */
            number++;
        assign(objects, status->units.items[*unit].unit, number);
    }
    vec_done(&others);
}

static void nodes_by_name(const struct status *status, struct map *ret_map)
{
    *ret_map = (struct map){0};
    vec_for_each (node, &status->nodes)
        (void)map_put(ret_map, node->node, node);
}

static void fill_row(const struct placement_objects *objects, const struct status *status,
    const struct map *nodes, const struct slice_row *at, struct placement_row *row)
{
    const struct status_unit *unit = &status->units.items[at->unit];
    const struct status_actor *actor = at->actor == NO_ACTOR ? NULL : &status->actor_rows.items[at->actor];
    placement_row_of_status(row, unit, actor, map_get(nodes, actor ? actor->node : unit->node));
    keep_rule(objects, unit, row);
}

void placement_objects_update(struct placement_objects *objects, const struct status *status)
{
    struct gathered gathered;
    struct map nodes;
    vec_for_each (slice, &objects->slices) {
        vec_clear(&slice->rows);
        slice->digest = 0;
    }
    gather(status, &gathered);
    place_units(objects, status, &gathered);
    forget_others(objects, status);
    nodes_by_name(status, &nodes);
    vec_for_each (slice, &objects->slices)
        vec_for_each (at, &slice->rows) {
            struct placement_row row;
            fill_row(objects, status, &nodes, at, &row);
            slice->digest = placement_row_digest(&row, slice->digest);
        }
    map_done(&nodes, NULL);
    free(gathered.first);
    free(gathered.actors);
}

size_t placement_objects_count(const struct placement_objects *objects)
{
    size_t count = objects->slices.count;
    while (count && !objects->slices.items[count - 1].rows.count && !objects->slices.items[count - 1].written)
        count--;
    return count;
}

bool placement_objects_is_changed(const struct placement_objects *objects, size_t number)
{
    return objects->slices.items[number].digest != objects->slices.items[number].written;
}

char *placement_objects_name(const struct placement_objects *objects, size_t number)
{
    return xasprintf("%s-%zu", objects->owner.name, number);
}

struct json *placement_objects_body(
    const struct placement_objects *objects, size_t number, const struct status *status)
{
    const struct slice *slice = &objects->slices.items[number];
    struct map nodes;
    if (slice->rows.count == 0)
        return NULL;
    char *name = placement_objects_name(objects, number);
    struct json *object = owned_object_new(&objects->owner, &API_ACTOR_PLACEMENTS, name, "histrio-placement");
    (void)json_set_string(object, "system", objects->owner.name);
    (void)json_set_uint(object, "count", slice->rows.count);
    struct json *list = json_set_array(object, "actors");
    nodes_by_name(status, &nodes);
    vec_for_each (at, &slice->rows) {
        struct placement_row row;
        fill_row(objects, status, &nodes, at, &row);
        placement_row_to_json(&row, json_add_object(list));
    }
    map_done(&nodes, NULL);
    free(name);
    return object;
}

void placement_objects_written(struct placement_objects *objects, size_t number)
{
    objects->slices.items[number].written = objects->slices.items[number].digest;
}
