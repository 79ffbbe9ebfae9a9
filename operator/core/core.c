#include "core/core.h"

#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/state.h"
#include "types/system.h"

enum { CREATE_BACKOFF_MS = 100, CREATE_BACKOFF_MAX_MS = 30 * 1000, STOP_GRACE_MS = 2000 };

/* The nodes of the last roster exist until the contrary is proven; driver and hellos bring them back to life.
 */
static void adopt_roster(struct core *core)
{
    const struct roster *rosters[] = {&core->fence.record.current, &core->fence.record.previous};
    for (size_t i = 0; i < 2; i++)
        vec_for_each (member, &rosters[i]->members) {
            if (!member->node || fence_record_is_dead(&core->fence.record, member->uid) ||
                node_by_name(core, member->node))
                continue;
            struct node *node = node_add(core, member->node, node_free_index(core));
            node->phase = NODE_UP;
            node->is_known = true;
            node_set_uid(core, node, member->uid, 0);
        }
}

struct core *core_new(
    const struct core_options *options, struct system_spec *spec, const struct fence_record *record)
{
    struct core *core = xcalloc(1, sizeof(*core));
    core->system_uid = xstrdup(options->system_uid);
    core->cannot_kill = options->cannot_kill;
    rng_seed(&core->rng, options->seed);
    core->spec = system_spec_ref(spec);
    core->started_ms = INT64_MIN;
    core->first_connected_ms = INT64_MAX;
    core->route_version = 1;
    core->is_status_dirty = true;
    backoff_init(&core->create_backoff, CREATE_BACKOFF_MS, CREATE_BACKOFF_MAX_MS, 0);
    fence_init(core, record);
    units_from_spec(spec, &core->wanted);
    units_take_spec(core);
    adopt_roster(core);
    return core;
}

void core_free(struct core *core)
{
    if (!core)
        return;
    vec_for_each (node, &core->nodes)
        node_free(*node);
    vec_done(&core->nodes);
    map64_done(&core->nodes_by_uid, NULL);
    map_done(&core->nodes_by_name, NULL);
    map64_done(&core->reported, NULL);
    vec_done(&core->returned);
    map64_done(&core->died_at_ms, NULL);
    map_for_each (item, &core->units)
        unit_free(item.value);
    map_done(&core->units, NULL);
    vec_for_each (exit, &core->exits)
        status_exit_done(exit);
    vec_done(&core->exits);
    vec_for_each (event, &core->events)
        pending_event_done(event);
    vec_done(&core->events);
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++) {
        free(core->conditions[kind].reason);
        free(core->conditions[kind].message);
    }
    vec_for_each (memory, &core->plan_memory)
        free(*memory);
    vec_done(&core->plan_memory);
    vec_done(&core->actions);
    fence_done(core);
    unit_list_done(&core->wanted);
    system_spec_unref(core->spec);
    free(core->node_trouble);
    free(core->template_hash);
    free(core->blocked_reason);
    free(core->blocked_text);
    free(core->system_uid);
    free(core);
}

void core_set_time(struct core *core, int64_t monotonic_ms, int64_t wall_ms)
{
    if (core->started_ms == INT64_MIN) {
        core->started_ms = monotonic_ms;
        core->started_wall_ms = wall_ms;
        core->now_ms = monotonic_ms;
    }
    if (monotonic_ms > core->now_ms)
        core->now_ms = monotonic_ms;
    core->wall_ms = wall_ms;
}

void core_spec_changed(struct core *core, struct system_spec *spec)
{
    struct unit_list wanted;
    if (system_spec_compare(core->spec, spec) & SPEC_CHANGE_REFUSED) {
        journal_event(core, true, NULL, NULL, "SpecRefused",
            "the change is refused: name, keyed and keyed.shards cannot change; make a new system");
        return;
    }
    /* Nodes that are added should be used; nobody is moved for any other change. */
    core->wants_balance = core->wants_balance || spec->nodes.replicas > core->spec->nodes.replicas;
    if (core->fence.record.spread_nodes > spec->nodes.replicas)
        core->fence.record.spread_nodes = spec->nodes.replicas; /* what the change does is written anyway */
    units_from_spec(spec, &wanted);
    unit_list_done(&core->wanted);
    core->wanted = wanted;
    (void)system_spec_ref(spec);
    system_spec_unref(core->spec);
    core->spec = spec;
    units_take_spec(core);
}

void core_stop(struct core *core, int64_t drain_timeout_ms)
{
    if (core->is_stopping) {
        core->stop_by_ms = core->now_ms;
        vec_for_each (node, &core->nodes)
            (*node)->delete_by_ms = core->now_ms;
        return;
    }
    core->is_stopping = true;
    core->is_observed = true;
    core->stop_drain_ms = drain_timeout_ms ? drain_timeout_ms : core->spec->nodes.drain_timeout_ms;
    core->stop_by_ms = core->now_ms + core->stop_drain_ms + STOP_GRACE_MS;
    core->is_status_dirty = true;
    journal_event(core, false, NULL, NULL, "Stopping", "stopping %s", core->spec->name);
}

struct system_spec *core_spec(const struct core *core)
{
    return core->spec;
}
