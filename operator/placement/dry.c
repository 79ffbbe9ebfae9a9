#include "placement/dry.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/mem.h"
#include "types/system.h"

static struct placement_board *fresh_board(
    const struct system_spec *spec, uint32_t node_count, uint64_t first_serial)
{
    struct placement_board *board = placement_board_new();
    for (uint32_t i = 0; i < node_count; i++) {
        char *name = xasprintf("%s-nodes-%" PRIu64, spec->name, first_serial + i);
        struct placement_node node = {
            .name = name, .index = i, .is_ready = true, .capacity_units = spec->nodes.capacity_units};
        (void)placement_board_add_node(board, &node);
        free(name);
    }
    return board;
}

void placement_dry(
    struct system_spec *spec, uint32_t node_count, uint64_t first_serial, struct dry_placement *ret_result)
{
    struct dry_placement result = {0};
    struct placement_board *board = fresh_board(spec, node_count, first_serial);
    size_t placed = 0;
    bool has_progress = true;
    units_from_spec(spec, &result.units);
    vec_reserve(&result.rows, result.units.units.count);
    vec_for_each (unit, &result.units.units)
        (void)vec_push_new(&result.rows);
    /* Again as long as something was placed: a unit may wait for the one that it goes with. */
    while (has_progress && placed < result.units.units.count) {
        has_progress = false;
        for (size_t i = 0; i < result.units.units.count; i++) {
            struct placement_explanation *row = &result.rows.items[i];
            if (row->chosen)
                continue;
            placement_explanation_done(row);
            size_t node = placement_choose(board, &result.units.units.items[i], NULL, row);
            if (node == PLACEMENT_NOWHERE)
                continue;
            placement_board_put(board, &result.units.units.items[i], node);
            placed++;
            has_progress = true;
        }
    }
    result.impossible = result.units.units.count - placed;
    placement_board_free(board);
    *ret_result = result;
}

void dry_placement_done(struct dry_placement *result)
{
    vec_for_each (row, &result->rows)
        placement_explanation_done(row);
    vec_done(&result->rows);
    unit_list_done(&result->units);
    result->impossible = 0;
}

struct json *dry_placement_to_json(const struct dry_placement *result)
{
    struct json *json = json_object_new();
    struct json *units = json_set_array(json, "units");
    vec_for_each (row, &result->rows)
        (void)json_add_take(units, placement_explanation_to_json(row));
    return json;
}
