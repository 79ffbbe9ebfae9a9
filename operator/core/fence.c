#include "core/fence.h"

#include <inttypes.h>

#include "base/epoch.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/restart.h"
#include "core/state.h"
#include "types/system.h"

enum { RETRY_MS = 1000, TERM_LEAP_MAX = 1000, NAMES_TOLD_MAX = 10 };

void fence_init(struct core *core, const struct fence_record *record)
{
    struct fence *fence = &core->fence;
    bool is_same = record && text_equal(record->system_uid, core->system_uid);
    uint32_t term = record ? record->term : 0;
    if (is_same) {
        fence_record_copy(&fence->record, record);
    } else {
        fence->record.system = xstrdup(core->spec->name);
        fence->record.system_uid = xstrdup(core->system_uid);
        fence->record.next_serial = record ? record->next_serial : 0;
        fence->record.is_committed = true;
    }
    fence->record.term = MUTANT(MUTANT_KEEPS_TERM) && term ? term : term + 1;
    if (!is_same || fence->record.lease_ms < core->spec->failure.node_lease_ms)
        fence->record.lease_ms = core->spec->failure.node_lease_ms;
    uint32_t replicas = core->spec->nodes.replicas;
    if (!is_same || !fence->record.spread_nodes || fence->record.spread_nodes > replicas)
        fence->record.spread_nodes = replicas;
    core->wants_balance = replicas > fence->record.spread_nodes;
    fence->deaths = fence->record.dead_uids.count;
    fence->confirmed_deaths = fence->deaths;
    fence->term_change = fence_changed(core);
}

void fence_done(struct core *core)
{
    fence_record_done(&core->fence.record);
    free(core->fence.failure);
}

uint64_t fence_changed(struct core *core)
{
    return ++core->fence.change;
}

void fence_set_spread(struct core *core, uint32_t nodes)
{
    if (core->fence.record.spread_nodes == nodes)
        return;
    core->fence.record.spread_nodes = nodes;
    (void)fence_changed(core);
}

bool fence_is_durable(const struct core *core, uint64_t change)
{
    return MUTANT(MUTANT_DOES_NOT_WAIT_FOR_FENCE) || core->fence.confirmed >= change;
}

bool fence_may_command(const struct core *core)
{
    return !core->is_lost && fence_is_durable(core, core->fence.term_change);
}

uint64_t fence_next_epoch(struct core *core)
{
    return epoch_make(core->fence.record.term, ++core->epoch_counter);
}

/* A new term is a new beginning for what was reported and for what may still be on its way. */
static void begin_term(struct core *core, uint32_t term)
{
    core->fence.record.term = term;
    core->fence.term_change = fence_changed(core);
    core->epoch_counter = 0;
    map64_done(&core->reported, NULL);
    vec_for_each (node, &core->nodes) {
        (*node)->is_inventory_asked = false;
        (*node)->has_inventory = false;
        (*node)->roster_sent = 0;
        (*node)->configuration_sent = 0;
        (*node)->has_routes = false;
    }
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        vec_for_each (hold, &unit->holds)
            hold->session = 0;
    }
    core->is_status_dirty = true;
}

void fence_meet_term(struct core *core, uint32_t term, const char *who)
{
    uint32_t own = core->fence.record.term;
    if (term <= own)
        return;
    if (term - own > TERM_LEAP_MAX) {
        journal_event(core, true, NULL, who, "StrangeTerm",
            "%s reports term %" PRIu32 ", ours is %" PRIu32 ": ignored, as no leader gets so far ahead", who,
            term, own);
        return;
    }
    journal_event(
        core, true, NULL, who, "HigherTerm", "%s knows term %" PRIu32 "; ours was %" PRIu32, who, term, own);
    begin_term(core, term + 1);
}

/* Which units lost their place, for people: one event, however many they are. */
static void tell_places_lost(
    struct core *core, const char *node, const char *rule, const struct str *names, size_t count)
{
    if (count > NAMES_TOLD_MAX)
        journal_event(core, false, NULL, node, rule, "what node %s held is placed again: %s and %zu more",
            node, str_text(names), count - NAMES_TOLD_MAX);
    else if (count)
        journal_event(
            core, false, NULL, node, rule, "what node %s held is placed again: %s", node, str_text(names));
}

/* A node that never told this leader what it holds: whatever is nowhere now may have been there. */
static void take_as_lost(struct core *core, const char *node, const char *rule)
{
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        if (unit->holds.count == 0 && text_equal(unit->rule, UNIT_RULE_INITIAL))
            unit->rule = rule;
    }
    journal_event(
        core, false, NULL, node, rule, "what node %s held under the last leader is placed again", node);
}

/* Returns how many units are nowhere now. */
static size_t remove_holds_of(struct core *core, uint64_t uid, const char *rule)
{
    const struct node *node = node_by_uid(core, uid);
    struct str names = STR_INIT(NAMES_TOLD_MAX * (LIMIT_ADDRESS_BYTES + 2));
    size_t count = 0;
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        if (!unit_hold_of(unit, uid))
            continue;
        unit_hold_remove(core, unit, uid);
        unit->after_change = core->fence.change;
        if (unit->holds.count == 0) {
            unit->rule = rule;
            unit_actors_clear(unit);
            if (count++ < NAMES_TOLD_MAX)
                str_appendf(&names, "%s%s", count > 1 ? ", " : "", unit->name);
        }
        if (MUTANT(MUTANT_LOSES_UNIT))
            unit->not_before_ms = INT64_MAX / 2;
    }
    tell_places_lost(core, node ? node->name : "", rule, &names, count);
    str_done(&names);
    return count;
}

void fence_add_death(struct core *core, uint64_t uid, const char *rule)
{
    if (uid == 0 || !fence_record_add_dead(&core->fence.record, uid))
        return;
    core->fence.deaths++;
    (void)fence_changed(core);
    (void)map64_put(&core->died_at_ms, uid, (void *)(intptr_t)(core->now_ms + 1));
    struct node *node = node_by_uid(core, uid);
    bool was_silent = roster_find(&core->fence.record.current, uid) && !map64_has(&core->reported, uid);
    (void)map64_remove(&core->reported, uid);
    if (remove_holds_of(core, uid, rule) == 0 && was_silent)
        take_as_lost(core, node ? node->name : "", rule);
    if (node)
        node_set_uid(core, node, 0, 0);
    core->trials_passed = 0;
    core->is_status_dirty = true;
}

int64_t fence_permission_ms(const struct core *core)
{
    return core->fence.record.lease_ms + core->fence.record.lease_ms / 10;
}

/* Every member of the rosters is dead, or goes by the present spec. */
static bool all_have_configuration(const struct core *core)
{
    const struct fence_record *record = &core->fence.record;
    const struct roster *rosters[] = {&record->current, &record->previous};
    for (size_t i = 0; i < 2; i++)
        vec_for_each (member, &rosters[i]->members) {
            const struct node *node = node_by_uid(core, member->uid);
            if (!fence_record_is_dead(record, member->uid) &&
                (!node || node->configuration_acknowledged != core->spec->generation))
                return false;
        }
    return true;
}

void fence_decide_lease(struct core *core)
{
    struct fence *fence = &core->fence;
    int64_t wanted_ms = core->spec->failure.node_lease_ms;
    if (fence->record.lease_ms < wanted_ms) {
        fence->record.lease_ms = wanted_ms;
        (void)fence_changed(core);
    }
    if (fence->record.lease_ms == wanted_ms || !all_have_configuration(core)) {
        fence->lease_lower_at_ms = 0;
        return;
    }
    /* What was permitted before may last as long as the longer one. */
    if (fence->lease_lower_at_ms == 0)
        fence->lease_lower_at_ms = core->now_ms + fence_permission_ms(core);
    if (core->now_ms < fence->lease_lower_at_ms) {
        plan_wake(core, fence->lease_lower_at_ms);
        return;
    }
    fence->record.lease_ms = wanted_ms;
    (void)fence_changed(core);
}

void fence_emit(struct core *core)
{
    struct fence *fence = &core->fence;
    if (fence->is_writing || fence->confirmed >= fence->change)
        return;
    if (fence->retry_at_ms > core->now_ms) {
        plan_wake(core, fence->retry_at_ms);
        return;
    }
    struct core_action *action = plan_add(core, CORE_WRITE_FENCE);
    if (!action)
        return;
    fence->is_writing = true;
    fence->writing_change = fence->change;
    fence->writing_deaths = fence->deaths;
    action->write = ++fence->write;
    action->record = &fence->record;
}

void core_fence_written(struct core *core, uint64_t write)
{
    struct fence *fence = &core->fence;
    if (!fence->is_writing || write != fence->write)
        return;
    fence->is_writing = false;
    fence->confirmed = fence->writing_change;
    fence->confirmed_deaths = fence->writing_deaths;
    if (fence->failure) {
        free(fence->failure);
        fence->failure = NULL;
        core->is_status_dirty = true;
    }
}

void core_fence_failed(struct core *core, uint64_t write, const char *text)
{
    struct fence *fence = &core->fence;
    if (!fence->is_writing || write != fence->write)
        return;
    fence->is_writing = false;
    fence->retry_at_ms = core->now_ms + RETRY_MS;
    if (!fence->failure)
        journal_event(
            core, true, NULL, NULL, "FenceWriteFailed", "the fence record cannot be written: %s", text);
    free(fence->failure);
    fence->failure = xstrdup(text);
    core->is_status_dirty = true;
}

void core_fence_conflict(struct core *core, uint64_t write)
{
    if (MUTANT(MUTANT_IGNORES_CONFLICT))
        core_fence_written(core, write);
    else if (write == core->fence.write)
        core->is_lost = true;
}

const struct fence_record *core_fence_record(const struct core *core)
{
    return &core->fence.record;
}

uint32_t core_term(const struct core *core)
{
    return core->fence.record.term;
}
