#include "core/move.h"

#include "base/mem.h"
#include "core/fence.h"
#include "core/roster.h"
#include "core/state.h"
#include "types/system.h"

enum { MOVES_MAX = 4 }; /* at one time: the others go on answering */

/* The plan's board with what it was made from. */
struct moves {
    struct core *core;
    struct placement_board *board;
    struct node **nodes;
    size_t begun;
};

static size_t index_of(const struct moves *moves, const struct node *node)
{
    for (size_t i = 0; i < moves->core->nodes.count; i++)
        if (moves->nodes[i] == node)
            return i;
    return PLACEMENT_NOWHERE;
}

static size_t units_under_way(const struct core *core)
{
    size_t count = 0;
    map_for_each (item, &core->units) {
        const struct unit *unit = item.value;
        count += unit->spec && unit->rest == REST_NONE && !unit_is_running(unit) &&
                 unit->not_before_ms <= core->now_ms;
    }
    return count;
}

static void begin_move(struct moves *moves, struct unit *unit, const char *rule)
{
    struct hold *hold = unit_hold(unit);
    unit->rule = rule;
    moves->begun++;
    moves->core->is_status_dirty = true;
    if (MUTANT(MUTANT_MOVES_WITHOUT_REVOKE))
        unit_hold_remove(moves->core, unit, hold->uid);
    else
        hold_set_phase(hold, HOLD_REVOKING);
}

/* True when the unit begins to move: somewhere else is better than where it must not be. */
static bool try_move(struct moves *moves, struct unit *unit, size_t place, const char *rule)
{
    placement_board_remove(moves->board, unit->spec);
    size_t target = placement_choose(moves->board, unit->spec, NULL, NULL);
    if (target == PLACEMENT_NOWHERE || target == place) {
        placement_board_put(moves->board, unit->spec, place);
        return false;
    }
    placement_board_put(moves->board, unit->spec, target);
    begin_move(moves, unit, rule);
    return true;
}

/* Returns whether any unit is where it must not be. */
static bool move_misplaced(struct moves *moves)
{
    bool is_any = false;
    map_for_each (item, &moves->core->units) {
        struct unit *unit = item.value;
        const struct node *node =
            unit_is_running(unit) ? node_by_uid(moves->core, unit_hold(unit)->uid) : NULL;
        if (!node || !unit->spec || moves->begun >= MOVES_MAX)
            continue;
        if (!placement_violations(moves->board, unit->spec))
            continue;
        is_any = true;
        (void)try_move(moves, unit, index_of(moves, node), "Move");
    }
    return is_any;
}

/* The fullest and the emptiest node that take units; false when they are as even as whole units can be. */
static bool find_uneven(const struct moves *moves, size_t *ret_full, size_t *ret_empty)
{
    size_t full = PLACEMENT_NOWHERE;
    size_t empty = PLACEMENT_NOWHERE;
    for (size_t i = 0; i < moves->core->nodes.count; i++) {
        if (!node_takes_units(moves->core, moves->nodes[i]))
            continue;
        uint32_t count = placement_board_count(moves->board, i);
        if (full == PLACEMENT_NOWHERE || count > placement_board_count(moves->board, full))
            full = i;
        if (empty == PLACEMENT_NOWHERE || count < placement_board_count(moves->board, empty))
            empty = i;
    }
    if (full == PLACEMENT_NOWHERE ||
        placement_board_count(moves->board, full) < placement_board_count(moves->board, empty) + 2)
        return false;
    *ret_full = full;
    *ret_empty = empty;
    return true;
}

static bool move_one_off(struct moves *moves, size_t full)
{
    map_for_each (item, &moves->core->units) {
        struct unit *unit = item.value;
        if (!unit->spec || !unit_is_running(unit) || unit->spec->entry->placement.spread == SPREAD_PACK)
            continue;
        if (node_by_uid(moves->core, unit_hold(unit)->uid) != moves->nodes[full])
            continue;
        if (try_move(moves, unit, full, "Balance"))
            return true;
    }
    return false;
}

static bool all_nodes_take_units(const struct core *core)
{
    size_t count = 0;
    vec_for_each (node, &core->nodes)
        count += node_takes_units(core, *node);
    return count >= nodes_desired(core);
}

static void move_to_balance(struct moves *moves)
{
    size_t full;
    size_t empty;
    if (!all_nodes_take_units(moves->core))
        return;
    while (moves->begun < MOVES_MAX) {
        if (!find_uneven(moves, &full, &empty) || !move_one_off(moves, full)) {
            moves->core->wants_balance = moves->begun > 0;
            return;
        }
    }
}

void moves_decide(struct core *core)
{
    struct moves moves = {.core = core};
    if ((!core->wants_move_check && !core->wants_balance) || core->is_stopping || nodes_desired(core) == 0 ||
        !core->is_open || units_under_way(core) > 0)
        return;
    moves.board = units_board(core, &moves.nodes);
    core->wants_move_check = move_misplaced(&moves);
    if (!core->wants_move_check && core->wants_balance)
        move_to_balance(&moves);
    placement_board_free(moves.board);
    free(moves.nodes);
}
