#include <stdlib.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/system_private.h"
#include "core/core.h"
#include "kube/event.h"

enum { SETTLE_MS = 5000, STATUS_INTERVAL_MS = 1000 };

const char *const failover_rule_names[FAILOVER_RULES] = {"Proof", "Assertion"};

void system_status_changed(struct system *system)
{
    system->is_status_changed = true;
}

void system_event(struct system *system, bool is_warning, const char *reason, const char *note)
{
    struct kube_event event = {.api_version = API_GROUP_VERSION,
        .kind = API_KIND_SYSTEM,
        .namespace = system->namespace,
        .name = system->name,
        .uid = system->uid,
        .is_warning = is_warning,
        .reason = reason,
        .note = note};
    if (system->context->recorder)
        kube_recorder_emit(system->context->recorder, &event);
    log_event(is_warning ? LOG_WARNING : LOG_INFO, reason, "system", system->key, "note", note, NULL);
}

static void set_condition(struct status *status, enum condition_kind kind, bool is_true, const char *reason,
    const char *message, int64_t wall_ms)
{
    struct status_condition *condition = &status->conditions[kind];
    if (condition->is_true != is_true || condition->is_unknown || !condition->since_wall_ms)
        condition->since_wall_ms = wall_ms;
    free(condition->reason);
    free(condition->message);
    condition->is_unknown = false;
    condition->is_true = is_true;
    condition->reason = xstrdup(reason);
    condition->message = xstrdup(message);
}

/* Of a system that is not taken over: its manifest never made sense, or something is in the way. */
static void fill_without_core(const struct system *system, struct status *status, int64_t wall_ms)
{
    const char *reason = system->trouble ? "NotStarted" : "InvalidSpec";
    const char *message = system->trouble ? system->trouble : "nothing was made of it";
    *status = (struct status){.system = xstrdup(system->name), .system_uid = xstrdup(system->uid)};
    set_condition(status, CONDITION_READY, false, reason, message, wall_ms);
    set_condition(status, CONDITION_RECONCILING, false, reason, "", wall_ms);
    set_condition(status, CONDITION_STALLED, system->trouble != NULL, reason, message, wall_ms);
    set_condition(status, CONDITION_DEGRADED, false, reason, "", wall_ms);
}

int system_write_first_status(
    struct system *system, const struct cached_system *cached, int64_t now_ms, struct err *err)
{
    int64_t wall_ms = clock_wall_ms(system->context->clock);
    uint64_t required = system->context->required(system->context->ctx);
    struct status status = {.system = xstrdup(system->name),
        .system_uid = xstrdup(system->uid),
        .observed_generation = cached->object->generation};
    set_condition(&status, CONDITION_READY, false, "Pending", "the operator begins with it", wall_ms);
    status.conditions[CONDITION_READY].is_unknown = true;
    set_condition(&status, CONDITION_RECONCILING, true, "Pending", "", wall_ms);
    set_condition(&status, CONDITION_STALLED, false, "Pending", "", wall_ms);
    set_condition(&status, CONDITION_DEGRADED, false, "Pending", "", wall_ms);
    system->status_due_ms = now_ms + STATUS_INTERVAL_MS;
    int failed = status_writer_work(&system->writer, &status, required, err);
    status_done(&status);
    return failed;
}

/* A new leader knows little before its nodes have said hello: what the former one wrote stays until then. */
static bool is_settled(const struct system *system, const struct status *status, int64_t now_ms)
{
    return !system->core || !system->was_found || status->conditions[CONDITION_READY].is_true ||
           now_ms >= system->began_ms + SETTLE_MS;
}

static void tell_problems(struct system *system, const char *problems)
{
    if (text_equal(problems, system->problems_told))
        return;
    free(system->problems_told);
    system->problems_told = problems ? xstrdup(problems) : NULL;
    if (problems)
        system_event(system, true, "InvalidSpec", problems);
}

static bool may_write(void *ctx, uint64_t leadership)
{
    const struct system_context *context = ctx;
    return control_gate_is_open(context->gate) && context->leadership(context->ctx) == leadership;
}

/* Takes status. */
static void hand_over(struct system *system, struct status *status, int64_t now_ms)
{
    const struct system_context *context = system->context;
    system->is_status_changed = false;
    system->status_due_ms = now_ms + STATUS_INTERVAL_MS;
    system->status_job.writer = &system->writer;
    system->status_job.key = system->key;
    system->status_job.status = *status;
    system->status_job.version = context->required(context->ctx);
    system->status_job.leadership = context->leadership(context->ctx);
    system->status_job.may_act = may_write;
    system->status_job.ctx = (void *)(uintptr_t)context; /* which is only read */
    status_pool_add(context->statuses, &system->status_job);
}

static void fill(
    struct system *system, const struct actor_system_object *object, int64_t wall_ms, struct status *status)
{
    if (system->core)
        core_status(system->core, status);
    else
        fill_without_core(system, status, wall_ms);
    system_count(system, status);
    status->observed_generation = object->generation;
    if (!object->spec)
        set_condition(status, CONDITION_STALLED, true, "InvalidSpec", object->problems, wall_ms);
}

/* How the last write went. */
static int take_ended(struct system *system, struct err *err)
{
    struct status_job *job = &system->status_job;
    if (!status_pool_take(system->context->statuses, job) || !job->failed)
        return 0;
    system->is_status_changed = true;
    return err_set(err, job->err.kind, "%s", job->err.text);
}

int system_write_status(
    struct system *system, const struct cached_system *cached, int64_t now_ms, struct err *err)
{
    const struct actor_system_object *object = cached->object;
    struct status status = {0};
    if (system->core && system->lost_ms) { /* to the millisecond, not to the next write */
        core_status(system->core, &status);
        system_count(system, &status);
        status_done(&status);
        status = (struct status){0};
    }
    int failed = take_ended(system, err);
    bool has_content = system->core || system->trouble || !object->spec;
    if (!has_content || !system->is_status_changed || now_ms < system->status_due_ms ||
        status_pool_has(system->context->statuses, &system->status_job))
        return failed;
    fill(system, object, clock_wall_ms(system->context->clock), &status);
    tell_problems(system, object->spec ? NULL : object->problems);
    if (is_settled(system, &status, now_ms)) {
        hand_over(system, &status, now_ms);
        return failed;
    }
    system->status_due_ms = now_ms + SETTLE_MS / 10;
    status_done(&status);
    return failed;
}

/* What brought the units back: the rule of the newest death of a node. */
static enum failover_rule newest_rule(const struct status *status)
{
    enum failover_rule rule = FAILOVER_PROOF;
    vec_for_each (exit, &status->exits)
        if (exit->rule[0])
            rule = text_equal(exit->rule, failover_rule_names[FAILOVER_ASSERTION]) ? FAILOVER_ASSERTION
                                                                                   : FAILOVER_PROOF;
    return rule;
}

/* From the moment when units were missing by the death of a node to that when all run again. */
static void measure_failover(struct system *system, const struct status *status, int64_t now_ms)
{
    bool all_run = status->units_running >= status->units_desired;
    size_t deaths = 0;
    vec_for_each (exit, &status->exits)
        deaths += exit->rule[0] != '\0';
    if (deaths > system->deaths && !all_run && !system->lost_ms)
        system->lost_ms = now_ms;
    system->deaths = deaths;
    if (!system->lost_ms || !all_run)
        return;
    system->context->failover(system->context->ctx, newest_rule(status), now_ms - system->lost_ms);
    system->lost_ms = 0;
}

void system_count(struct system *system, const struct status *status)
{
    struct system_numbers *numbers = &system->numbers;
    *numbers = (struct system_numbers){.units_desired = status->units_desired,
        .units_running = status->units_running,
        .nodes_desired = status->nodes_desired,
        .nodes_ready = status->nodes_ready,
        .actors = status->actors,
        .restarts = status->restarts,
        .quarantined = status->quarantined.count,
        .is_ready = status->conditions[CONDITION_READY].is_true,
        .is_active = system->core != NULL};
    vec_for_each (node, &status->nodes)
        numbers->mailbox_depth += node->mailbox_depth;
    measure_failover(system, status, clock_now_ms(system->context->clock));
}
