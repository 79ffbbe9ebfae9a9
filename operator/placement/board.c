#include "placement/board.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "types/unit.h"

enum { NUMBER_BYTES = 24 };

static uint32_t map_number(const struct map *map, const char *key)
{
    return (uint32_t)(uintptr_t)map_get(map, key);
}

static void map_change(struct map *map, const char *key, bool is_more)
{
    uint32_t number = map_number(map, key);
    number = is_more ? number + 1 : number - 1;
    if (number)
        (void)map_put(map, key, (void *)(uintptr_t)number);
    else
        (void)map_remove(map, key);
}

uint32_t tally_of_entry(const struct tally *tally, const char *entry)
{
    return map_number(&tally->by_entry, entry);
}

uint32_t tally_refusals(const struct tally *tally, const char *entry)
{
    return map_number(&tally->refused, entry);
}

static void tally_change(struct tally *tally, const struct entry_spec *entry, bool is_more)
{
    map_change(&tally->by_entry, entry->root.name, is_more);
    vec_for_each (name, &entry->placement.anti_affinity)
        map_change(&tally->refused, *name, is_more);
    tally->units = is_more ? tally->units + 1 : tally->units - 1;
}

static void tally_done(struct tally *tally)
{
    map_done(&tally->by_entry, NULL);
    map_done(&tally->refused, NULL);
}

struct placement_board *placement_board_new(void)
{
    return xcalloc(1, sizeof(struct placement_board));
}

void placement_board_free(struct placement_board *board)
{
    if (!board)
        return;
    vec_for_each (node, &board->nodes) {
        free(node->name);
        label_list_done(&node->labels);
        label_list_done(&node->kube_labels);
        tally_done(&node->tally);
    }
    vec_done(&board->nodes);
    vec_for_each (tally, &board->kube_nodes)
        tally_done(tally);
    vec_done(&board->kube_nodes);
    vec_for_each (zone, &board->zones)
        tally_done(zone);
    vec_done(&board->zones);
    map_done(&board->kube_node_names, NULL);
    map_done(&board->zone_names, NULL);
    map_done(&board->places, NULL);
    free(board);
}

static size_t domain_index(struct map *names, const char *name, size_t next)
{
    size_t known = (size_t)(uintptr_t)map_get(names, name);
    if (known)
        return known - 1;
    (void)map_put(names, name, (void *)(uintptr_t)(next + 1));
    return next;
}

static void add_built_in(struct label_list *labels, const char *key, const char *value)
{
    if (value && value[0] && !label_list_get(labels, key))
        label_list_add(labels, key, value);
}

size_t placement_board_add_node(struct placement_board *board, const struct placement_node *node)
{
    struct board_node *added = vec_push_new(&board->nodes);
    char number[NUMBER_BYTES];
    added->name = xstrdup(node->name);
    if (node->labels)
        label_list_copy(&added->labels, node->labels);
    if (node->kube_labels)
        label_list_copy(&added->kube_labels, node->kube_labels);
    (void)snprintf(number, sizeof(number), "%" PRIu32, node->index);
    add_built_in(&added->labels, "node", node->name);
    add_built_in(&added->labels, "index", number);
    add_built_in(&added->labels, "kubeNode", node->kube_node);
    add_built_in(&added->labels, "zone", node->zone);
    added->is_ready = node->is_ready;
    added->is_cordoned = node->is_cordoned;
    added->is_leaving = node->is_leaving;
    added->is_outdated = node->is_outdated;
    added->capacity_units = node->capacity_units;
    added->busy_permille = node->busy_permille;
    /* A node without a KubeNode is one of its own; the blank keeps its name apart from every KubeNode's. */
    char *kube_node =
        node->kube_node && node->kube_node[0] ? xstrdup(node->kube_node) : xasprintf(" %s", node->name);
    added->kube_node = domain_index(&board->kube_node_names, kube_node, board->kube_nodes.count);
    if (added->kube_node == board->kube_nodes.count)
        (void)vec_push_new(&board->kube_nodes);
    free(kube_node);
    added->zone = domain_index(&board->zone_names, node->zone ? node->zone : "", board->zones.count);
    if (added->zone == board->zones.count)
        (void)vec_push_new(&board->zones);
    return board->nodes.count - 1;
}

size_t placement_board_node_count(const struct placement_board *board)
{
    return board->nodes.count;
}

size_t board_place_of(const struct placement_board *board, const char *unit)
{
    return (size_t)(uintptr_t)map_get(&board->places, unit) - 1;
}

bool board_has_entry(const struct placement_board *board, const char *entry)
{
    vec_for_each (zone, &board->zones)
        if (tally_of_entry(zone, entry))
            return true;
    return false;
}

static void change(struct placement_board *board, const struct unit_spec *unit, size_t node, bool is_more)
{
    struct board_node *place = &board->nodes.items[node];
    tally_change(&place->tally, unit->entry, is_more);
    tally_change(&board->kube_nodes.items[place->kube_node], unit->entry, is_more);
    tally_change(&board->zones.items[place->zone], unit->entry, is_more);
}

void placement_board_put(struct placement_board *board, const struct unit_spec *unit, size_t node)
{
    assert(node < board->nodes.count);
    assert(board_place_of(board, unit->name) == PLACEMENT_NOWHERE);
    (void)map_put(&board->places, unit->name, (void *)(uintptr_t)(node + 1));
    change(board, unit, node, true);
}

void placement_board_remove(struct placement_board *board, const struct unit_spec *unit)
{
    size_t node = board_place_of(board, unit->name);
    assert(node != PLACEMENT_NOWHERE);
    (void)map_remove(&board->places, unit->name);
    change(board, unit, node, false);
}

uint32_t placement_board_count(const struct placement_board *board, size_t node)
{
    return board->nodes.items[node].tally.units;
}
