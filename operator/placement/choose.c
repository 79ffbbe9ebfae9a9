#include <inttypes.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "placement/explanation.h"
#include "placement/filter.h"
#include "types/unit.h"

const char *const placement_score_names[] = {
    "Asked", "Outdated", "Spread", "Balance", "Load", "Present", "Failed", NULL};

/* Spread is what the user asked for; balance keeps nodes even; staying is worth a little; a node where the
 * unit just failed is avoided unless the spread would suffer. Who goes to a node that will be replaced soon
 * moves twice; so that outweighs all of these, and what a person asks for outweighs everything. */
static const int32_t weights[SCORE_COUNT] = {64, 20, 8, 4, 1, 1, 3};

enum { SCORE_MAX = 100, LOAD_STEP_PERMILLE = 250 };

/* The largest counts among the nodes that passed: scores are relative to them. */
struct scale {
    uint32_t in_domain;
    uint32_t on_node;
};

static uint32_t domain_count(const struct placement_board *board, const struct unit_spec *unit, size_t node)
{
    const struct board_node *place = &board->nodes.items[node];
    const char *entry = unit->entry->root.name;
    if (unit->entry->placement.spread == SPREAD_ZONE)
        return tally_of_entry(&board->zones.items[place->zone], entry);
    return tally_of_entry(&board->kube_nodes.items[place->kube_node], entry);
}

static int32_t fewer_is_better(uint32_t count, uint32_t count_max)
{
    return count_max ? (int32_t)((uint64_t)SCORE_MAX * (count_max - count) / count_max) : SCORE_MAX;
}

static int32_t score_node(const struct placement_board *board, const struct unit_spec *unit, size_t node,
    const struct placement_hint *hint, const struct scale *scale, int32_t *scores)
{
    const struct board_node *place = &board->nodes.items[node];
    int32_t total = 0;
    memset(scores, 0, sizeof(*scores) * SCORE_COUNT);
    if (unit->entry->placement.spread == SPREAD_PACK) {
        scores[SCORE_SPREAD] = SCORE_MAX - fewer_is_better(place->tally.units, scale->on_node);
    } else {
        scores[SCORE_SPREAD] = fewer_is_better(domain_count(board, unit, node), scale->in_domain);
        scores[SCORE_BALANCE] = fewer_is_better(place->tally.units, scale->on_node);
    }
    if (hint && hint->asked_node && text_equal(hint->asked_node, place->name))
        scores[SCORE_ASKED] = SCORE_MAX;
    if (place->is_outdated)
        scores[SCORE_OUTDATED] = -SCORE_MAX;
    /* In coarse steps: a few permille more or less must not decide. */
    uint32_t busy = place->busy_permille < 1000 ? place->busy_permille : 1000;
    scores[SCORE_LOAD] = SCORE_MAX - (int32_t)(busy / LOAD_STEP_PERMILLE) * (SCORE_MAX / 4);
    if (hint && hint->present_node && text_equal(hint->present_node, place->name))
        scores[SCORE_PRESENT] = SCORE_MAX;
    if (hint && hint->failed_node && text_equal(hint->failed_node, place->name))
        scores[SCORE_FAILED] = -SCORE_MAX;
    for (size_t i = 0; i < SCORE_COUNT; i++)
        total += scores[i] * weights[i];
    return total;
}

static uint64_t tie_hash(const struct unit_spec *unit, const struct board_node *node)
{
    return hash_u64(hash_string(unit->name) ^ hash_u64(hash_string(node->name)));
}

static struct scale scale_of(
    const struct placement_board *board, const struct unit_spec *unit, const unsigned *failed)
{
    struct scale scale = {0, 0};
    for (size_t node = 0; node < board->nodes.count; node++) {
        if (failed[node])
            continue;
        uint32_t in_domain = domain_count(board, unit, node);
        uint32_t on_node = board->nodes.items[node].tally.units;
        scale.in_domain = in_domain > scale.in_domain ? in_domain : scale.in_domain;
        scale.on_node = on_node > scale.on_node ? on_node : scale.on_node;
    }
    return scale;
}

static bool is_better(
    const struct placement_board *board, const struct unit_spec *unit, size_t node, size_t than)
{
    uint64_t left = tie_hash(unit, &board->nodes.items[node]);
    uint64_t right = tie_hash(unit, &board->nodes.items[than]);
    return left != right ? left < right : node < than;
}

size_t placement_choose(const struct placement_board *board, const struct unit_spec *unit,
    const struct placement_hint *hint, struct placement_explanation *ret_explanation)
{
    size_t count = board->nodes.count;
    unsigned *failed = xcalloc(count + 1, sizeof(*failed));
    struct explainer explainer = {.board = board, .unit = unit};
    size_t best = PLACEMENT_NOWHERE;
    int32_t best_total = INT32_MIN;
    assert(board_place_of(board, unit->name) == PLACEMENT_NOWHERE);
    for (size_t node = 0; node < count; node++)
        failed[node] = filter_node(board, unit, node);
    struct scale scale = scale_of(board, unit, failed);
    for (size_t node = 0; node < count; node++) {
        int32_t scores[SCORE_COUNT] = {0};
        int32_t total = 0;
        if (!failed[node]) {
            total = score_node(board, unit, node, hint, &scale, scores);
            if (best == PLACEMENT_NOWHERE || total > best_total ||
                (total == best_total && is_better(board, unit, node, best))) {
                best = node;
                best_total = total;
            }
        }
        if (ret_explanation)
            explainer_add(&explainer, node, failed[node], scores, total);
    }
    if (ret_explanation)
        explainer_finish(&explainer, best, ret_explanation);
    free(failed);
    return best;
}
