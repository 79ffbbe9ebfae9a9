#include "placement/filter.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "types/unit.h"

/* With the replica of the same number when there is one, else with any unit of the entry. While nothing of
 * the entry is placed, its followers wait. */
static bool is_with(const struct placement_board *board, const struct unit_spec *unit, size_t node)
{
    const char *entry = unit->entry->placement.colocate_with;
    if (!entry)
        return true;
    char *twin = xasprintf("%s.%" PRIu32, entry, unit->replica);
    size_t place = board_place_of(board, twin);
    free(twin);
    if (place != PLACEMENT_NOWHERE)
        return place == node;
    return tally_of_entry(&board->nodes.items[node].tally, entry) > 0;
}

static bool is_apart(const struct placement_board *board, const struct unit_spec *unit, size_t node)
{
    const struct tally *tally = &board->kube_nodes.items[board->nodes.items[node].kube_node];
    vec_for_each (name, &unit->entry->placement.anti_affinity)
        if (tally_of_entry(tally, *name))
            return false;
    return tally_refusals(tally, unit->entry->root.name) == 0;
}

unsigned filter_node(const struct placement_board *board, const struct unit_spec *unit, size_t node)
{
    const struct board_node *place = &board->nodes.items[node];
    const struct placement_spec *wanted = &unit->entry->placement;
    unsigned failed = 0;
    if (!place->is_ready)
        failed |= FILTER_READY;
    if (place->is_cordoned)
        failed |= FILTER_CORDONED;
    if (place->is_leaving)
        failed |= FILTER_LEAVING;
    if (place->capacity_units && place->tally.units >= place->capacity_units)
        failed |= FILTER_CAPACITY;
    if (!label_list_covers(&place->labels, &wanted->pin))
        failed |= FILTER_PIN;
    if (!label_list_covers(&place->kube_labels, &wanted->kube_node_selector))
        failed |= FILTER_KUBE_NODE_SELECTOR;
    if (!is_with(board, unit, node))
        failed |= FILTER_COLOCATE_WITH;
    if (!is_apart(board, unit, node))
        failed |= FILTER_ANTI_AFFINITY;
    return failed;
}

unsigned placement_violations(const struct placement_board *board, const struct unit_spec *unit)
{
    /* The unit must not count against itself; taking it off and putting it back leaves the board as it was.
     */
    struct placement_board *mutable_board = (struct placement_board *)(uintptr_t)board;
    size_t node = board_place_of(board, unit->name);
    assert(node != PLACEMENT_NOWHERE);
    placement_board_remove(mutable_board, unit);
    unsigned failed =
        filter_node(board, unit, node) & ~(unsigned)(FILTER_READY | FILTER_CORDONED | FILTER_CAPACITY);
    if ((failed & FILTER_COLOCATE_WITH) && !board_has_entry(board, unit->entry->placement.colocate_with))
        failed &= ~(unsigned)FILTER_COLOCATE_WITH; /* its companions are down: no place would be better */
    placement_board_put(mutable_board, unit, node);
    return failed;
}

unsigned placement_filters(const struct placement_board *board, const struct unit_spec *unit, size_t node)
{
    struct placement_board *mutable_board = (struct placement_board *)(uintptr_t)board;
    size_t place = board_place_of(board, unit->name);
    if (place == PLACEMENT_NOWHERE)
        return filter_node(board, unit, node);
    placement_board_remove(mutable_board, unit); /* as above */
    unsigned failed = filter_node(board, unit, node);
    placement_board_put(mutable_board, unit, place);
    return failed;
}
