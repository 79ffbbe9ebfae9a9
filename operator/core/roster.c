#include "core/roster.h"

#include <inttypes.h>

#include "core/fence.h"
#include "core/state.h"
#include "types/system.h"

/* A dead node's own grants live on (R7). Deaths of an earlier leader's time count from our start. */
static bool died_lately(struct core *core, uint64_t uid)
{
    int64_t died = (int64_t)(intptr_t)map64_get(&core->died_at_ms, uid);
    int64_t until = (died ? died - 1 : core->started_ms) + fence_permission_ms(core);
    if (until <= core->now_ms)
        return false;
    plan_wake(core, until);
    return true;
}

/* Nobody can gather p grants by this roster any more: too few members still go by an older one. */
static bool is_over(struct core *core, const struct roster *roster)
{
    size_t needed = roster->members.count / 2 + 1;
    size_t lacking = 0;
    size_t granting = 0;
    vec_for_each (member, &roster->members) {
        if (fence_record_is_dead(&core->fence.record, member->uid)) {
            granting += died_lately(core, member->uid);
            continue;
        }
        const struct node *node = node_by_uid(core, member->uid);
        lacking += !node || node->roster_acknowledged < core->fence.record.current.version;
    }
    return lacking == 0 || lacking + granting < needed;
}

static void add_member(struct roster *roster, const struct node *node)
{
    struct roster_member member = {
        .uid = node->uid,
        .node = node->name,
        .pod_uid = node->pod_uid,
        .link_address = node->link_address,
        .gateway_address = node->gateway_address,
    };
    roster_add(roster, &member);
}

static bool may_join(const struct core *core, const struct node *node)
{
    return node->is_connected && node->has_inventory && node->is_wanted && !node->refuses_units &&
           node->uid && !node->is_member && !fence_record_is_dead(&core->fence.record, node->uid);
}

static void roster_changed(struct core *core)
{
    struct fence *fence = &core->fence;
    vec_for_each (node, &core->nodes)
        (*node)->is_member = false;
    vec_for_each (member, &fence->record.current.members) {
        struct node *node = node_by_uid(core, member->uid);
        if (node)
            node->is_member = true;
    }
    fence->record.current.version++;
    fence->record.is_committed = false;
    fence->roster_change = fence_changed(core);
}

/* The first one may have any number of members: nobody was placed before it. */
static void write_first(struct core *core)
{
    size_t ready = 0;
    vec_for_each (node, &core->nodes)
        ready += may_join(core, *node);
    if (ready == 0)
        return;
    if (ready < nodes_desired(core) && core->now_ms < core->first_connected_ms + CORE_INITIAL_WAIT_MS) {
        plan_wake(core, core->first_connected_ms + CORE_INITIAL_WAIT_MS);
        return;
    }
    vec_for_each (node, &core->nodes)
        if (may_join(core, *node))
            add_member(&core->fence.record.current, *node);
    roster_changed(core);
    vec_for_each (node, &core->nodes)
        if ((*node)->is_member)
            (*node)->roster_change = core->fence.roster_change;
    core->fence.record.is_committed = true;
}

/* A member that is dead, or whose node leaves, is connected no more for units, and holds none. */
static const struct roster_member *next_leaver(const struct core *core)
{
    vec_for_each (member, &core->fence.record.current.members) {
        const struct node *node = node_by_uid(core, member->uid);
        if (!node && fence_record_is_dead(&core->fence.record, member->uid)) /* the dead have no node */
            return member;
        if (!node || node->is_wanted || core->is_stopping || !map64_has(&core->reported, member->uid))
            continue; /* who did not report may hold anything */
        bool holds_any = false;
        map_for_each (item, &core->units)
            holds_any = holds_any || unit_hold_of(item.value, member->uid) != NULL;
        if (!holds_any)
            return member;
    }
    return NULL;
}

static void keep_previous(struct core *core)
{
    roster_done(&core->fence.record.previous);
    roster_copy(&core->fence.record.previous, &core->fence.record.current);
}

static bool begin_change(struct core *core)
{
    struct fence *fence = &core->fence;
    const struct roster_member *leaver = next_leaver(core);
    if (leaver) {
        uint64_t uid = leaver->uid;
        keep_previous(core);
        (void)roster_remove(&fence->record.current, uid);
        roster_changed(core);
        struct node *node = node_by_uid(core, uid);
        if (node)
            node->roster_change = 0;
        return true;
    }
    vec_for_each (node, &core->nodes) {
        if (!may_join(core, *node))
            continue;
        keep_previous(core);
        add_member(&fence->record.current, *node);
        roster_changed(core);
        (*node)->roster_change = fence->roster_change;
        return true;
    }
    return false;
}

static void forget_old_deaths(struct core *core)
{
    map64_for_each(
        item, &core->died_at_ms) if ((int64_t)(intptr_t)item.value - 1 + fence_permission_ms(core) <=
                                         core->now_ms &&
                                     core->started_ms + fence_permission_ms(core) <= core->now_ms)(void)
        map64_remove(&core->died_at_ms, item.key);
}

void roster_decide(struct core *core)
{
    struct fence *fence = &core->fence;
    forget_old_deaths(core);
    if (fence->record.current.version == 0) {
        write_first(core);
        return;
    }
    /* A change commits without a write of its own: the next write carries it, and a leader that does not find
     * it there only asks for the same acknowledgements again. */
    if (!fence->record.is_committed && fence_is_durable(core, fence->roster_change) &&
        is_over(core, &fence->record.previous) && is_over(core, &fence->record.current)) {
        fence->record.is_committed = true;
        roster_done(&fence->record.previous);
    }
    if (fence->record.is_committed)
        (void)begin_change(core);
    else if (MUTANT(MUTANT_MANY_ROSTER_CHANGES))
        while (begin_change(core))
            continue;
}

bool roster_has_reported(const struct core *core)
{
    const struct fence_record *record = &core->fence.record;
    const struct roster *rosters[] = {&record->current, &record->previous};
    for (size_t i = 0; i < 2; i++)
        vec_for_each (member, &rosters[i]->members)
            if (!map64_has(&core->reported, member->uid) && !fence_record_is_dead(record, member->uid))
                return MUTANT(MUTANT_EAGER);
    return true;
}

bool roster_is_without(const struct core *core, const struct node *node)
{
    const struct fence_record *record = &core->fence.record;
    if (node->uid == 0)
        return true;
    if (roster_find(&record->current, node->uid))
        return false;
    return record->is_committed || !roster_find(&record->previous, node->uid);
}
