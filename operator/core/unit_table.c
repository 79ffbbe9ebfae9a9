#include "core/unit_table.h"

#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/restart.h"
#include "core/state.h"
#include "types/system.h"

struct unit *unit_find(const struct core *core, const char *name)
{
    return map_get(&core->units, name);
}

static struct unit *unit_add(struct core *core, const char *name)
{
    struct unit *unit = xcalloc(1, sizeof(*unit));
    const struct quarantine_record *quarantine = fence_record_quarantine(&core->fence.record, name);
    unit->name = xstrdup(name);
    unit->rule = UNIT_RULE_INITIAL;
    unit->route_version = ++core->route_version;
    restart_init(core, unit);
    if (quarantine) {
        unit->rest = REST_QUARANTINED;
        unit_set_reason(unit, quarantine->reason);
    }
    (void)map_put(&core->units, name, unit);
    core->is_status_dirty = true;
    return unit;
}

struct unit *unit_add_stranger(struct core *core, const char *name)
{
    return unit_add(core, name);
}

void unit_free(struct unit *unit)
{
    if (!unit)
        return;
    unit_actors_clear(unit);
    vec_done(&unit->actors);
    vec_done(&unit->holds);
    vec_done(&unit->failures_ms);
    vec_done(&unit->crashes_ms);
    placement_explanation_done(&unit->explanation);
    free(unit->name);
    free(unit->reason);
    free(unit->last_node);
    free(unit->failed_node);
    free(unit->move_to);
    free(unit->crash_actor);
    free(unit->crash_reason);
    free(unit);
}

void units_take_spec(struct core *core)
{
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        unit->spec = NULL;
        restart_init(core, unit);
    }
    vec_for_each (spec, &core->wanted.units) {
        struct unit *unit = unit_find(core, spec->name);
        if (!unit)
            unit = unit_add(core, spec->name);
        unit->spec = spec;
    }
    core->has_relations = false;
    vec_for_each (entry, &core->spec->entries)
        core->has_relations =
            core->has_relations || entry->placement.colocate_with || entry->placement.anti_affinity.count;
    core->wants_move_check = true;
    core->is_status_dirty = true;
}

struct hold *unit_hold_of(struct unit *unit, uint64_t uid)
{
    vec_for_each (hold, &unit->holds)
        if (hold->uid == uid)
            return hold;
    return NULL;
}

struct hold *unit_hold(const struct unit *unit)
{
    return unit->holds.count ? &unit->holds.items[0] : NULL;
}

struct hold *unit_hold_put(
    struct unit *unit, uint64_t uid, uint64_t epoch, int64_t generation, enum hold_phase phase)
{
    struct hold *known = unit_hold_of(unit, uid);
    struct hold hold = {.uid = uid, .epoch = epoch, .generation = generation, .phase = phase};
    size_t at = 0;
    if (known)
        vec_remove_at(&unit->holds, (size_t)(known - unit->holds.items));
    while (at < unit->holds.count && unit->holds.items[at].epoch >= epoch)
        at++;
    vec_insert_at(&unit->holds, at, hold);
    if (epoch > unit->last_epoch)
        unit->last_epoch = epoch;
    return &unit->holds.items[at];
}

void unit_hold_remove(struct core *core, struct unit *unit, uint64_t uid)
{
    struct hold *hold = unit_hold_of(unit, uid);
    if (!hold)
        return;
    vec_remove_at(&unit->holds, (size_t)(hold - unit->holds.items));
    core->is_status_dirty = true;
}

bool unit_is_running(const struct unit *unit)
{
    const struct hold *hold = unit_hold(unit);
    return hold && hold->phase == HOLD_RUNNING;
}

void hold_set_phase(struct hold *hold, enum hold_phase phase)
{
    if (hold->phase == phase)
        return;
    hold->phase = phase;
    hold->session = 0;
}

void unit_set_reason(struct unit *unit, const char *reason)
{
    char *copy = reason ? xstrdup(reason) : NULL;
    free(unit->reason);
    unit->reason = copy;
}

void unit_set_last_node(struct unit *unit, const char *node)
{
    if (text_equal(unit->last_node, node))
        return;
    free(unit->last_node);
    unit->last_node = xstrdup(node);
}

void unit_set_move(struct core *core, struct unit *unit, const char *node)
{
    char *copy = node ? xstrdup(node) : NULL;
    core->moves_asked += node != NULL;
    core->moves_asked -= unit->move_to != NULL;
    free(unit->move_to);
    unit->move_to = copy;
}

void unit_actors_clear(struct unit *unit)
{
    vec_for_each (actor, &unit->actors) {
        free(actor->path);
        free(actor->state);
        free(actor->behavior);
        free(actor->last_exit);
    }
    vec_clear(&unit->actors);
}

struct placement_board *units_board(const struct core *core, struct node ***ret_nodes)
{
    struct placement_board *board = placement_board_new();
    struct node **nodes = xcalloc(core->nodes.count + 1, sizeof(*nodes));
    struct map64 index_by_uid = {0};
    vec_for_each (item, &core->nodes) {
        const struct node *node = *item;
        struct placement_node row = {
            .name = node->name,
            .index = node->index,
            .kube_node = node->kube_node,
            .zone = node->zone,
            .is_ready = node_is_usable(core, node) && node->phase == NODE_UP,
            .kube_labels = &node->kube_labels,
            .is_cordoned = node->is_cordoned,
            .is_leaving = !node->is_wanted || node->refuses_units,
            .is_outdated = !MUTANT(MUTANT_FORGETS_TEMPLATE) && node_is_outdated(core, node),
            .capacity_units = core->spec->nodes.capacity_units,
            .busy_permille = node->load.busy_permille,
        };
        size_t index = placement_board_add_node(board, &row);
        nodes[index] = *item;
        if (node->uid)
            (void)map64_put(&index_by_uid, node->uid, (void *)(uintptr_t)(index + 1));
    }
    map_for_each (entry, &core->units) {
        const struct unit *unit = entry.value;
        const struct hold *hold = unit_hold(unit);
        size_t index = hold ? (size_t)(uintptr_t)map64_get(&index_by_uid, hold->uid) : 0;
        if (index && unit->spec)
            placement_board_put(board, unit->spec, index - 1);
    }
    map64_done(&index_by_uid, NULL);
    *ret_nodes = nodes;
    return board;
}
