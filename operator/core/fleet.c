/* How many nodes there are, and which: size, replacement, rolling updates.
 *
 * 1. At most desired + maxSurge nodes exist, those that leave included. Only what is known to be over (ended,
 *    declared dead, removed) does not count.
 * 2. An outdated node that is available is given up only when desired - maxUnavailable others are available,
 * and (unless maxSurge is 0) when there is an updated node for each one that was given up. Its units then go
 * to updated nodes, and so move once.
 * 3. A node that never came into use is given up at once: that ends a rollout that is stuck, and a rollback.
 * 4. Nothing is given up before the nodes of former leaders had the time to report. */
#include <inttypes.h>

#include <assert.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/roster.h"
#include "core/state.h"
#include "types/system.h"

enum {
    UNREACHABLE_MS = 10 * 1000, /* away for so long: it is of no use until it is back */
    SLOW_MS = 60 * 1000,        /* not in use for so long: that is said */
};

struct fleet {
    size_t desired;
    size_t room; /* how many nodes may exist */
    size_t existing;
    size_t updated;           /* wanted, and as they should be */
    size_t updated_available; /* of them those in use */
    size_t takers;            /* of those the ones that take units: others are cordoned */
    size_t outdated;          /* wanted, but to be replaced */
    size_t available;         /* wanted, and in use */
};

uint32_t node_free_index(const struct core *core)
{
    for (uint32_t index = 0;; index++) { /* ends: there are fewer nodes than numbers */
        bool is_taken = false;
        vec_for_each (node, &core->nodes)
            is_taken =
                is_taken || ((*node)->index == index && (*node)->is_wanted && !node_is_outdated(core, *node));
        if (!is_taken)
            return index;
    }
}

bool nodes_are_coming(const struct core *core)
{
    vec_for_each (item, &core->nodes) {
        const struct node *node = *item;
        if (node->is_wanted && !node_takes_units(core, node) && !node->is_cordoned && !node->refuses_units &&
            !node_is_lost(core, node))
            return true;
    }
    return false;
}

static void plan_node(struct core *core)
{
    struct fence_record *record = &core->fence.record;
    uint32_t index = node_free_index(core);
    char *name = xasprintf("%s-nodes-%" PRIu64, core->spec->name, record->next_serial++);
    struct node *node = node_add(core, name, index);
    node->phase = NODE_PLANNED;
    uint64_t change = fence_changed(core);
    node->create_after_change = MUTANT(MUTANT_REUSES_NAMES) ? 0 : change;
    free(name);
    node->create_at_ms = core->create_not_before_ms;
}

static struct fleet count_fleet(const struct core *core)
{
    const struct nodes_spec *spec = &core->spec->nodes;
    struct fleet fleet = {.desired = nodes_desired(core)};
    /* Both 0 would never get anywhere; the manifest's decoder refuses that. */
    bool is_possible = spec->update_max_surge || spec->update_max_unavailable;
    fleet.room = fleet.desired + (is_possible ? spec->update_max_surge : 1) + MUTANT(MUTANT_IGNORES_SURGE);
    vec_for_each (item, &core->nodes) {
        const struct node *node = *item;
        fleet.existing += node->phase != NODE_ENDED && !node->is_removed;
        if (!node->is_wanted)
            continue;
        bool is_outdated = node_is_outdated(core, node);
        fleet.outdated += is_outdated;
        fleet.updated += !is_outdated;
        fleet.updated_available += !is_outdated && node_is_usable(core, node);
        fleet.takers += !is_outdated && node_takes_units(core, node);
        fleet.available += node_is_usable(core, node);
    }
    return fleet;
}

static void count_units(struct core *core)
{
    vec_for_each (node, &core->nodes)
        (*node)->unit_count = 0;
    map_for_each (item, &core->units) {
        const struct unit *unit = item.value;
        vec_for_each (hold, &unit->holds) {
            struct node *node = node_by_uid(core, hold->uid);
            if (node)
                node->unit_count++;
        }
    }
}

/* It never came into use, or cannot be reached for long: to give it up costs nothing. */
static bool is_of_no_use(struct core *core, const struct node *node)
{
    if (node->is_connected)
        return false;
    if (node->phase == NODE_PLANNED || node->phase == NODE_CREATING || roster_is_without(core, node))
        return true;
    int64_t from_ms = node->silent_from_ms == INT64_MIN ? core->started_ms : node->silent_from_ms;
    if (core->now_ms >= from_ms + UNREACHABLE_MS)
        return true;
    plan_wake(core, from_ms + UNREACHABLE_MS);
    return false;
}

static bool pins_by_index(const struct core *core)
{
    vec_for_each (entry, &core->spec->entries)
        if (label_list_get(&entry->placement.pin, "index"))
            return true;
    return false;
}

/* Who is given up first when there are too many: not there yet, not in use, the fewest units, the newest.
 * Where units are pinned to numbers, the highest number, so that 0 to desired - 1 remain. */
static bool is_rather_given_up(
    const struct core *core, const struct node *node, const struct node *than, bool has_pins)
{
    if ((node->phase == NODE_PLANNED) != (than->phase == NODE_PLANNED))
        return node->phase == NODE_PLANNED;
    if (has_pins && node->index != than->index)
        return node->index > than->index;
    bool is_usable = node_is_usable(core, node);
    if (is_usable != node_is_usable(core, than))
        return !is_usable;
    if (node->unit_count != than->unit_count)
        return node->unit_count < than->unit_count;
    return node->serial > than->serial;
}

static void give_up(struct core *core, struct node *node, const char *why)
{
    if (node->phase == NODE_PLANNED) {
        node_remove(core, node);
        return;
    }
    node_set_wanted(core, node, false);
    journal_event(core, false, NULL, node->name, "NodeLeaves", "node %s leaves: %s", node->name, why);
}

static bool give_up_one_too_many(struct core *core)
{
    struct node *chosen = NULL;
    bool has_pins = pins_by_index(core);
    count_units(core);
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        if (node->is_wanted && !node_is_outdated(core, node) && (core->is_observed || !node->is_known) &&
            (!chosen || is_rather_given_up(core, node, chosen, has_pins)))
            chosen = node;
    }
    if (chosen)
        give_up(core, chosen,
            core->is_stopping     ? "the system stops"
            : core->spec->suspend ? "the system is suspended"
                                  : "there are more than spec.nodes.replicas");
    return chosen != NULL;
}

/* An updated node with the same number is there: what is pinned to it can go over. */
static bool has_successor(const struct core *core, const struct node *node)
{
    vec_for_each (other, &core->nodes)
        if ((*other)->index == node->index && !node_is_outdated(core, *other) &&
            node_takes_units(core, *other))
            return true;
    return false;
}

static bool is_rather_replaced(struct core *core, const struct node *node, const struct node *than)
{
    bool is_first = is_of_no_use(core, node);
    if (is_first != is_of_no_use(core, than))
        return is_first;
    is_first = has_successor(core, node);
    if (is_first != has_successor(core, than))
        return is_first;
    if (node->unit_count != than->unit_count)
        return node->unit_count < than->unit_count;
    return node->serial > than->serial;
}

static bool may_replace(struct core *core, const struct fleet *fleet, const struct node *node)
{
    const struct nodes_spec *spec = &core->spec->nodes;
    if (fleet->desired == 0)
        return true;
    if (MUTANT(MUTANT_IMPATIENT_ROLLOUT) || is_of_no_use(core, node))
        return true;
    if (!node_is_usable(core, node))
        return false; /* away for a moment */
    /* Rule 2. Updated nodes that are all cordoned are no place; but what is too many can always go. */
    bool has_place = fleet->updated_available + fleet->outdated > fleet->desired &&
                     (fleet->takers || fleet->outdated > fleet->desired);
    return fleet->available + spec->update_max_unavailable > fleet->desired &&
           (has_place || spec->update_max_surge == 0);
}

static bool replace_one(struct core *core, const struct fleet *fleet)
{
    struct node *chosen = NULL;
    count_units(core);
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        if (node->is_wanted && node_is_outdated(core, node) &&
            (!chosen || is_rather_replaced(core, node, chosen)))
            chosen = node;
    }
    if (!chosen || !may_replace(core, fleet, chosen))
        return false;
    give_up(core, chosen,
        fleet->desired ? "it is replaced by one of the present template" : "no node is desired");
    return true;
}

/* One that was on its way out, and is good as it is. */
static struct node *next_taken_back(const struct core *core)
{
    struct node *chosen = NULL;
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        bool may_stay = !node->is_wanted && (node->phase == NODE_UP || node->phase == NODE_CREATING) &&
                        !node->is_drain_asked && !node->is_ending && !node->is_removed &&
                        !node->refuses_units && !node_is_outdated(core, node);
        if (may_stay && (!chosen || node->serial < chosen->serial))
            chosen = node;
    }
    return chosen;
}

/* Those that were planned for a larger system. */
static void forget_planned(struct core *core, size_t too_many)
{
    for (size_t i = core->nodes.count; i-- > 0 && too_many > 0;) {
        struct node *node = core->nodes.items[i];
        if (node->phase != NODE_PLANNED)
            continue;
        node_remove(core, node);
        too_many--;
    }
}

static void let_go(struct core *core)
{
    for (size_t i = 0; i < core->nodes.count;) {
        struct node *node = core->nodes.items[i];
        bool must_go =
            node->is_drain_asked || node->is_ending || node->is_removed || node->phase == NODE_ENDED;
        if (must_go && node->phase == NODE_PLANNED) {
            node_remove(core, node);
            continue;
        }
        if (must_go)
            node_set_wanted(core, node, false);
        i++;
    }
}

static void observe(struct core *core)
{
    int64_t end_ms = core->started_ms + CORE_INITIAL_WAIT_MS;
    vec_for_each (node, &core->nodes)
        if ((*node)->is_known && (*node)->phase == NODE_UP && !(*node)->is_removed &&
            !(*node)->has_inventory && core->now_ms < end_ms) {
            plan_wake(core, end_ms);
            return;
        }
    core->is_observed = true;
    core->is_status_dirty = true;
}

bool node_is_slow(const struct core *core, const struct node *node)
{
    return node->unready_from_ms != INT64_MAX && core->now_ms >= node->unready_from_ms + SLOW_MS;
}

static void watch_unready(struct core *core)
{
    vec_for_each (item, &core->nodes) {
        struct node *node = *item;
        if (!node->is_wanted || node->phase == NODE_PLANNED || node_is_usable(core, node))
            node->unready_from_ms = INT64_MAX;
        else if (node->unready_from_ms == INT64_MAX)
            node->unready_from_ms = core->now_ms;
        if (node->unready_from_ms != INT64_MAX && !node_is_slow(core, node))
            plan_wake(core, node->unready_from_ms + SLOW_MS);
    }
}

void nodes_decide(struct core *core)
{
    struct node *node;
    if (!core->is_observed)
        observe(core);
    watch_unready(core);
    let_go(core);
    struct fleet fleet = count_fleet(core);
    if (fleet.existing > fleet.room) {
        forget_planned(core, fleet.existing - fleet.room);
        fleet = count_fleet(core);
    }
    while (fleet.updated < fleet.desired && (node = next_taken_back(core)) != NULL) {
        node_set_wanted(core, node, true);
        fleet.updated++;
    }
    while (fleet.updated < fleet.desired && fleet.existing < fleet.room) {
        plan_node(core);
        fleet.updated++;
        fleet.existing++;
    }
    while (fleet.updated > fleet.desired && give_up_one_too_many(core))
        fleet.updated--;
    /* Ends: each round has one outdated node less. */
    for (fleet = count_fleet(core); fleet.outdated && core->is_observed; fleet = count_fleet(core))
        if (!replace_one(core, &fleet))
            break;
}
