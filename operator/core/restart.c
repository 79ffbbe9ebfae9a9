#include "core/restart.h"

#include <inttypes.h>
#include <signal.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/fence.h"
#include "core/state.h"
#include "types/system.h"

enum {
    CRASHES_MAX = 2,         /* within the period: then quarantine */
    TRIAL_STRICT_MS = 500,   /* how long a suspect must run before the next one starts, after crashes */
    TRIAL_LONGEST_MS = 2000, /* a start that takes longer does not hold up the others */
};

void restart_init(struct core *core, struct unit *unit)
{
    const struct supervision_spec *supervision = &core->spec->supervision;
    unsigned failures = unit->backoff.failures;
    int64_t last_ms = unit->backoff.last_ms;
    backoff_init(&unit->backoff, supervision->backoff.initial_ms, supervision->backoff.max_ms, 0);
    unit->backoff.failures = failures;
    unit->backoff.last_ms = last_ms;
}

static int64_t period_ms(const struct core *core)
{
    int64_t period = core->spec->supervision.intensity.period_ms;
    return MUTANT(MUTANT_WRONG_WINDOW) ? period / 10 : period;
}

/* Drops what is out of the window; as in OTP, what is exactly as old as the period still counts. */
#define KEEP_RECENT(list, oldest_ms)                                                                         \
    do {                                                                                                     \
        while ((list)->count && (list)->items[0] < (oldest_ms))                                              \
            vec_remove_at((list), 0);                                                                        \
    } while (0)

void restart_quarantine(struct core *core, struct unit *unit, const char *reason)
{
    unit->rest = REST_QUARANTINED;
    unit_set_reason(unit, reason);
    if (!fence_record_quarantine(&core->fence.record, unit->name)) {
        fence_record_add_quarantine(&core->fence.record, unit->name, unit->reason, core->wall_ms);
        (void)fence_changed(core);
    }
    journal_event(
        core, true, unit->name, NULL, "Quarantined", "%s: %s; `histrio resume` ends it", unit->name, reason);
    core->is_status_dirty = true;
}

bool restart_unit_failed(
    struct core *core, struct unit *unit, const struct node *node, bool is_crash, const char *reason)
{
    const struct intensity_spec *intensity = &core->spec->supervision.intensity;
    int64_t oldest_ms = core->now_ms - period_ms(core);
    char *text = NULL;
    if (unit->running_since_ms && core->now_ms - unit->running_since_ms >= intensity->period_ms)
        backoff_reset(&unit->backoff);
    unit->running_since_ms = 0;
    restart_end_trial(core, unit);
    if (unit->move_to && node && text_equal(unit->move_to, node->name)) {
        journal_event(core, true, unit->name, NULL, "MoveGivenUp", "%s is not moved to %s: it failed there",
            unit->name, unit->move_to);
        unit_set_move(core, unit, NULL);
    }
    free(unit->failed_node);
    unit->failed_node = node ? xstrdup(node->name) : NULL;
    vec_push(&unit->failures_ms, core->now_ms);
    KEEP_RECENT(&unit->failures_ms, oldest_ms);
    if (is_crash)
        vec_push(&unit->crashes_ms, core->now_ms);
    KEEP_RECENT(&unit->crashes_ms, oldest_ms);
    unit_set_reason(unit, reason);
    core->is_status_dirty = true;
    if (unit->crashes_ms.count >= CRASHES_MAX)
        text = xasprintf("took its node down %zu times in %" PRId64 " ms, last: %s", unit->crashes_ms.count,
            intensity->period_ms, reason);
    else if (unit->failures_ms.count > intensity->restarts)
        text = xasprintf("failed %zu times in %" PRId64 " ms (intensity is %" PRIu32 "), last: %s",
            unit->failures_ms.count, intensity->period_ms, intensity->restarts, reason);
    if (text && unit->spec) {
        restart_quarantine(core, unit, text);
        free(text);
        return true;
    }
    free(text);
    unit->restarts++;
    core->restarts++;
    unit->rule = "Restart";
    unit->not_before_ms = core->now_ms + backoff_next(&unit->backoff, core->now_ms, &core->rng);
    return false;
}

void restart_unit_running(struct core *core, struct unit *unit)
{
    if (!unit->running_since_ms)
        unit->running_since_ms = core->now_ms;
    core->wants_move_check = core->wants_move_check || core->has_relations; /* others may have to follow it */
    unit_set_reason(unit, NULL);
    unit->is_unplaceable_told = false;
    core->is_status_dirty = true;
}

/* The unit whose code the crash is charged to: the one that the crash record names, if it was there; else the
 * one that was on trial there. */
static struct unit *charged_unit(
    const struct core *core, uint64_t uid, const struct core_node_exit *how, bool *ret_is_inferred)
{
    struct unit *named = how->unit && how->unit[0] ? unit_find(core, how->unit) : NULL;
    struct unit *tried = NULL;
    size_t on_trial = 0;
    *ret_is_inferred = false;
    if (named && unit_hold_of(named, uid))
        return named;
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        if (!unit->trial_since_ms || !unit_hold_of(unit, uid))
            continue;
        on_trial++;
        tried = unit;
    }
    *ret_is_inferred = true;
    return on_trial == 1 && how->signal != SIGKILL && how->signal != SIGTERM ? tried : NULL;
}

static void suspect_all(struct core *core, uint64_t uid, bool is_strict)
{
    int64_t period = core->spec->supervision.intensity.period_ms;
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        if (!unit_hold_of(unit, uid))
            continue;
        unit->is_suspect = unit->node_death_ms && core->now_ms - unit->node_death_ms <= period;
        unit->is_strict = is_strict || (unit->is_suspect && unit->is_strict);
        unit->node_death_ms = core->now_ms;
    }
}

static void keep_crash(
    struct core *core, struct unit *unit, const struct core_node_exit *how, const char *reason)
{
    free(unit->crash_actor);
    free(unit->crash_reason);
    unit->crash_actor = xstrdup(how->actor ? how->actor : "");
    unit->crash_reason = xstrdup(reason);
    unit->crash_wall_ms = core->wall_ms;
}

/* As the last inventory said; 0: it never did. */
static uint64_t incarnation_of(const struct unit *unit, const char *path)
{
    vec_for_each (actor, &unit->actors)
        if (text_equal(actor->path, path))
            return actor->incarnation;
    return 0;
}

static void stop_counting(struct core *core, uint64_t uid)
{
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        if (!unit_hold_of(unit, uid))
            continue;
        unit->running_since_ms = 0;
        restart_end_trial(core, unit);
    }
}

void restart_node_lost(struct core *core, struct node *node, uint64_t uid, const char *why)
{
    stop_counting(core, uid);
    core->restarts++;
    struct status_exit exit = {
        .actor = xstrdup(node->name),
        .node = xstrdup(node->name),
        .reason = xasprintf("lost: %s", why),
        .decision = xstrdup("Replace"),
        .rule = xstrdup("Assertion"),
        .at_wall_ms = core->wall_ms,
    };
    journal_exit_take(core, &exit);
    journal_event(core, true, NULL, node->name, "NodeFenced",
        "node %s: runtime %016" PRIx64 " is declared dead by the rule Assertion (%s)", node->name, uid, why);
}

void restart_node_died(struct core *core, struct node *node, uint64_t uid, const struct core_node_exit *how)
{
    char *reason = describe_node_exit(how);
    bool is_inferred = false;
    struct unit *charged = how ? charged_unit(core, uid, how, &is_inferred) : NULL;
    const char *decision = "Replace";
    /* An end as asked, or a clean one, says nothing about the units. */
    bool is_crash = how && (how->signal || how->exit_code) && !core->is_stopping && node->is_wanted;
    if (is_crash && charged) {
        char *text =
            is_inferred
                ? xasprintf("node %s was %s while only this unit was starting there", node->name, reason)
                : xasprintf("%s took node %s down: %s", how->actor && how->actor[0] ? how->actor : how->unit,
                      node->name, reason);
        keep_crash(core, charged, how, reason);
        if (restart_unit_failed(core, charged, node, true, text))
            decision = "Quarantine";
        free(text);
    } else if (is_crash) {
        suspect_all(core, uid, how->signal != SIGKILL && how->signal != SIGTERM);
    }
    stop_counting(core, uid);
    if (is_crash)
        core->restarts++;
    struct status_exit exit = {
        .actor = xstrdup(how && how->actor && how->actor[0] ? how->actor : node->name),
        .unit = charged ? xstrdup(charged->name) : NULL,
        .node = xstrdup(node->name),
        .reason = xstrdup(reason),
        .decision = xstrdup(decision),
        .rule = xstrdup("Proof"),
        .backtrace = how && how->backtrace ? xstrdup(how->backtrace) : NULL,
        .epoch = charged ? charged->last_epoch : 0,
        .incarnation = charged && how ? incarnation_of(charged, how->actor) : 0,
        .at_wall_ms = core->wall_ms,
    };
    journal_exit_take(core, &exit);
    journal_event(core, is_crash, charged ? charged->name : NULL, node->name,
        is_crash ? "NodeDied" : "NodeEnded", "node %s: runtime %016" PRIx64 " %s", node->name, uid, reason);
    free(reason);
}

bool restart_may_place(struct core *core, struct unit *unit)
{
    if (unit->not_before_ms > core->now_ms) {
        plan_wake(core, unit->not_before_ms);
        return false;
    }
    if (unit->is_suspect && core->now_ms - unit->node_death_ms > core->spec->supervision.intensity.period_ms)
        unit->is_suspect = false;
    if (!unit->is_suspect)
        return true;
    /* After crashes one at a time. After kills, which are mostly somebody's doing and not the code's, each
     * one that stands lets another one go beside it: still a single one first, but many are up again soon. */
    if (core->strict_trials || unit->is_strict)
        return core->trials == 0;
    return core->trials <= core->trials_passed;
}

void restart_placed(struct core *core, struct unit *unit)
{
    restart_end_trial(core, unit); /* of a placement that never left */
    if (!unit->is_suspect)
        return;
    unit->trial_since_ms = core->now_ms ? core->now_ms : 1;
    unit->is_strict_trial = unit->is_strict;
    core->trials++;
    core->strict_trials += unit->is_strict_trial;
}

void restart_end_trial(struct core *core, struct unit *unit)
{
    if (!unit->trial_since_ms)
        return;
    unit->trial_since_ms = 0;
    core->trials--;
    core->strict_trials -= unit->is_strict_trial;
}

void restart_tick(struct core *core)
{
    map_for_each (item, &core->units) {
        struct unit *unit = item.value;
        if (!unit->trial_since_ms)
            continue;
        int64_t end_ms = unit->trial_since_ms + TRIAL_LONGEST_MS;
        if (unit_is_running(unit) && unit->running_since_ms)
            end_ms = unit->is_strict ? unit->running_since_ms + TRIAL_STRICT_MS : core->now_ms;
        if (end_ms > core->now_ms) {
            plan_wake(core, end_ms);
            continue;
        }
        restart_end_trial(core, unit);
        unit->is_suspect = false;
        core->trials_passed++;
    }
}

int core_resume(struct core *core, const char *name, struct err *err)
{
    struct unit *unit = unit_find(core, name);
    if (!unit || !unit->spec)
        return err_set(err, ERR_NOT_FOUND, "no unit '%.200s' in this system", name);
    if (unit->rest == REST_NONE)
        return err_set(err, ERR_INVALID, "unit '%.200s' is neither quarantined nor ended", name);
    if (fence_record_remove_quarantine(&core->fence.record, name))
        (void)fence_changed(core);
    unit->rest = REST_NONE;
    unit->rule = "Resume";
    unit->not_before_ms = 0;
    unit->failures_ms.count = 0;
    unit->crashes_ms.count = 0;
    unit->is_suspect = false;
    backoff_reset(&unit->backoff);
    unit_set_reason(unit, NULL);
    journal_event(core, false, name, NULL, "Resumed", "%s was resumed", name);
    core->is_status_dirty = true;
    return 0;
}
