#include "core/move.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
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

/* What nobody can take, or what is with a node that is away, is not on its way: it must not hold up the
 * others.
 */
static bool is_under_way(const struct core *core, const struct unit *unit)
{
    const struct hold *hold = unit_hold(unit);
    const struct node *node = hold ? node_by_uid(core, hold->uid) : NULL;
    bool is_unplaceable = !hold && unit->explanation.unit && !unit->explanation.chosen;
    return unit->spec && unit->rest == REST_NONE && !unit_is_running(unit) && !is_unplaceable &&
           (!node || node->is_connected) && unit->not_before_ms <= core->now_ms;
}

static bool is_any_under_way(const struct core *core)
{
    map_for_each (item, &core->units)
        if (is_under_way(core, item.value))
            return true;
    return false;
}

static void begin_move(struct moves *moves, struct unit *unit, const char *rule, const char *why)
{
    struct hold *hold = unit_hold(unit);
    unit->rule = rule;
    moves->begun++;
    moves->core->is_status_dirty = true;
    journal_event(moves->core, false, unit->name, NULL, rule, "%s leaves %s", unit->name, why);
    if (MUTANT(MUTANT_MOVES_WITHOUT_REVOKE))
        unit_hold_remove(moves->core, unit, hold->uid);
    else
        hold_set_phase(hold, HOLD_REVOKING);
}

static size_t index_by_name(const struct moves *moves, const char *name)
{
    const struct node *node = node_by_name(moves->core, name);
    return node ? index_of(moves, node) : PLACEMENT_NOWHERE;
}

static void end_asked_move(struct core *core, struct unit *unit, const char *why)
{
    if (why)
        journal_event(core, true, unit->name, NULL, "MoveGivenUp", "%s is not moved to %s: %s", unit->name,
            unit->move_to, why);
    unit_set_move(core, unit, NULL);
    core->is_status_dirty = true;
}

/* One that was asked for: it begins, is done, or cannot be any more. */
static void advance_asked_move(struct moves *moves, struct unit *unit)
{
    struct core *core = moves->core;
    const struct node *node = unit_is_running(unit) ? node_by_uid(core, unit_hold(unit)->uid) : NULL;
    size_t target = index_by_name(moves, unit->move_to);
    if (!unit->spec || unit->rest != REST_NONE) {
        end_asked_move(core, unit, "it is not to run any more");
    } else if (target == PLACEMENT_NOWHERE || !moves->nodes[target]->is_wanted) {
        end_asked_move(core, unit, "the node leaves or is gone");
    } else if (node == moves->nodes[target]) {
        unit->balanced_for = core->spec->generation; /* it stays there */
        end_asked_move(core, unit, NULL);
    } else if (node && moves->begun < MOVES_MAX) {
        unsigned failed = placement_filters(moves->board, unit->spec, target);
        if (failed) {
            struct str why = STR_INIT(256);
            str_append(&why, "it must not be there any more: ");
            placement_filters_append(failed, &why);
            end_asked_move(core, unit, str_text(&why));
            str_done(&why);
            return;
        }
        placement_board_remove(moves->board, unit->spec);
        placement_board_put(moves->board, unit->spec, target);
        begin_move(moves, unit, "Move", "its node, as asked");
    }
}

static void advance_asked_moves(struct moves *moves)
{
    map_for_each (item, &moves->core->units) {
        struct unit *unit = item.value;
        if (unit->move_to)
            advance_asked_move(moves, unit);
    }
}

static bool all_nodes_take_units(const struct core *core)
{
    size_t count = 0;
    vec_for_each (node, &core->nodes)
        count += node_takes_units(core, *node);
    return count >= nodes_desired(core);
}

/* True when the unit begins to move: somewhere else is better than where it must not be. */
static bool try_move(struct moves *moves, struct unit *unit, size_t place, const char *rule, const char *why)
{
    placement_board_remove(moves->board, unit->spec);
    size_t target = placement_choose(moves->board, unit->spec, NULL, NULL);
    if (target == PLACEMENT_NOWHERE && !moves->nodes[place]->is_wanted && !nodes_are_coming(moves->core)) {
        begin_move(moves, unit, rule, why); /* the node goes, and nothing better will come */
        return true;
    }
    if (target == PLACEMENT_NOWHERE || target == place) {
        placement_board_put(moves->board, unit->spec, place);
        return false;
    }
    placement_board_put(moves->board, unit->spec, target);
    begin_move(moves, unit, rule, why);
    return true;
}

/* A node that is drained waits for the one that takes its place, which would stay empty else; not for ever.
 */
static bool waits_for_successor(struct core *core, const struct node *node)
{
    int64_t until_ms = node->leaving_from_ms + core->spec->nodes.drain_timeout_ms / 2;
    if (node->is_wanted || !node->is_drain_asked || !nodes_are_coming(core) || core->now_ms >= until_ms)
        return false;
    plan_wake(core, until_ms);
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
        unsigned broken = placement_violations(moves->board, unit->spec);
        if (!broken)
            continue;
        struct str why = STR_INIT(256);
        str_appendf(&why, "%s, where it must not be: ", node->name);
        placement_filters_append(broken, &why);
        is_any = true;
        if (!waits_for_successor(moves->core, node))
            (void)try_move(moves, unit, index_of(moves, node), "Move", str_text(&why));
        str_done(&why);
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

/* Only what stands alone and was not moved for this yet: moving one of a group would only begin a chase. */
static bool may_balance(const struct core *core, const struct unit *unit)
{
    if (!unit->spec || !unit_is_running(unit) || unit->balanced_for == core->spec->generation ||
        unit->spec->entry->placement.spread == SPREAD_PACK || unit->spec->entry->placement.colocate_with)
        return false;
    vec_for_each (entry, &core->spec->entries)
        if (text_equal(entry->placement.colocate_with, unit->spec->entry->root.name))
            return false;
    return true;
}

static bool move_one_off(struct moves *moves, size_t full)
{
    map_for_each (item, &moves->core->units) {
        struct unit *unit = item.value;
        if (!may_balance(moves->core, unit))
            continue;
        if (node_by_uid(moves->core, unit_hold(unit)->uid) != moves->nodes[full])
            continue;
        if (try_move(moves, unit, full, "Balance", "the fullest node for an added one")) {
            unit->balanced_for = moves->core->spec->generation;
            return true;
        }
    }
    return false;
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
            if (!moves->core->wants_balance)
                fence_set_spread(moves->core, moves->core->spec->nodes.replicas);
            return;
        }
    }
}

void moves_decide(struct core *core)
{
    struct moves moves = {.core = core};
    if ((!core->wants_move_check && !core->wants_balance && !core->moves_asked) || core->is_stopping ||
        nodes_desired(core) == 0 || !core->is_open)
        return;
    moves.board = units_board(core, &moves.nodes);
    if (core->moves_asked)
        advance_asked_moves(&moves);
    if (moves.begun == 0 && !is_any_under_way(core)) {
        if (core->wants_move_check)
            core->wants_move_check = move_misplaced(&moves);
        if (!core->wants_move_check && core->wants_balance)
            move_to_balance(&moves);
    }
    placement_board_free(moves.board);
    free(moves.nodes);
}

int core_move(struct core *core, const char *name, const char *node_name, struct err *err)
{
    struct moves moves = {.core = core};
    struct unit *unit = unit_find(core, name);
    const struct node *node = node_by_name(core, node_name);
    if (!unit || !unit->spec)
        return err_set(err, ERR_NOT_FOUND, "no unit '%.200s' in this system", name);
    if (!node)
        return err_set(err, ERR_NOT_FOUND, "no node '%.64s' in this system", node_name);
    if (unit->rest != REST_NONE)
        return err_set(
            err, ERR_INVALID, "unit '%.200s' is quarantined or ended: it is nowhere; resume it first", name);
    if (text_equal(unit->move_to, node_name))
        return 0;
    if (unit_is_running(unit) && node_by_uid(core, unit_hold(unit)->uid) == node) {
        unit_set_move(core, unit, NULL); /* there it is */
        return 0;
    }
    moves.board = units_board(core, &moves.nodes);
    unsigned failed = placement_filters(moves.board, unit->spec, index_of(&moves, node));
    placement_board_free(moves.board);
    free(moves.nodes);
    if (failed) {
        struct str filters = STR_INIT(256);
        placement_filters_append(failed, &filters);
        int result = err_set(err, ERR_INVALID, "unit '%.200s' must not go to node '%.64s': %s", name,
            node_name, str_text(&filters));
        str_done(&filters);
        return result;
    }
    unit_set_move(core, unit, node_name);
    journal_event(core, false, name, NULL, "MoveAsked", "%s is to move to %s", name, node_name);
    return 0;
}

bool core_is_moving(const struct core *core, const char *name)
{
    const struct unit *unit = unit_find(core, name);
    return unit && unit->move_to;
}
