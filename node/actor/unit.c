#include "actor/unit.h"

#include "actor/life.h"
#include "actor/link.h"
#include "actor/outbox.h"
#include "actor/spec.h"
#include "actor/supervisor.h"
#include "actor/system_private.h"
#include "base/err.h"

#include <stdlib.h>

void units_init(struct units *units)
{
    memset(units, 0, sizeof(*units));
    mutex_init(&units->lock, 690, "units");
    condition_init(&units->changed);
}

static struct actor_unit *unit_new(const struct actor_unit_spec *spec, uint64_t epoch)
{
    struct actor_unit *unit = xcalloc(1, sizeof(*unit));
    unit->epoch = epoch;
    unit->spec = spec_dup(spec);
    return unit;
}

static void unit_free(struct actor_unit *unit)
{
    free(unit->spec);
    free(unit->reason);
    free(unit);
}

static void unit_free_value(void *unit)
{
    unit_free(unit);
}

void units_done(struct units *units)
{
    map_done(&units->by_name, unit_free_value);
    map_done(&units->homes, NULL);
    condition_done(&units->changed);
    mutex_done(&units->lock);
}

const struct actor_unit_spec *actor_unit_spec(const struct actor_unit *unit)
{
    return unit->spec;
}

uint64_t actor_unit_epoch(const struct actor_unit *unit)
{
    return unit->epoch;
}

/* ---- life, on the unit's worker ---- */

static void unit_report(
    struct worker *worker, struct actor_unit *unit, enum actor_unit_state state, const char *reason)
{
    const struct actor_events *events = &worker->system->config.events;
    if (events->unit_changed)
        events->unit_changed(events->ctx, unit_name(unit), unit->epoch, state, reason);
}

/* Below a supervisor that lives, which ends its children in its own order and their own time. */
static bool has_supervisor(const struct worker *worker, const struct actor *actor)
{
    const struct actor *parent = registry_find(worker, actor->parent.id);
    return parent && (parent->flags & ACTOR_ALIVE) != 0 && supervisor_runs(parent->behavior);
}

static void kill_unit_actors(struct worker *worker, const struct actor_unit *unit)
{
    for (uint32_t slot = 0; slot < worker->slot_end; slot++) {
        struct actor *actor = registry_slot(worker, slot);
        if (actor->unit != unit || (actor->flags & ACTOR_ALIVE) == 0 || has_supervisor(worker, actor))
            continue;
        if (supervisor_runs(actor->behavior))
            link_exit_arrived(worker, actor, actor->parent, 0, "shutdown", false);
        else
            life_end_later(worker, actor, "shutdown");
    }
}

static void unit_finish(struct worker *worker, struct actor_unit *unit)
{
    struct units *units = &worker->system->units;
    bool failed = unit->has_failed;
    const char *reason = unit->reason ? unit->reason : "normal";
    mutex_lock(&units->lock);
    map_remove(&units->by_name, unit_name(unit));
    mutex_unlock(&units->lock);
    /* It can be started again from here on, also from inside of the callback. */
    unit_report(worker, unit, failed ? UNIT_FAILED : UNIT_STOPPED, reason);
    unit_free(unit);
    mutex_lock(&units->lock);
    condition_broadcast(&units->changed);
    mutex_unlock(&units->lock);
}

void unit_check_running(struct worker *worker, struct actor_unit *unit)
{
    if (unit->is_running || unit->root == 0 || unit->starting > 0 || unit->is_stopping)
        return;
    unit->is_running = true;
    unit_report(worker, unit, UNIT_RUNNING, "");
}

void actor_unit_settled(struct histrio_context *ctx)
{
    if (ctx->actor->unit)
        unit_check_running(ctx->worker, ctx->actor->unit);
}

void unit_actor_ended(struct worker *worker, struct actor_unit *unit, uint64_t id, const char *reason)
{
    if (id == unit->root && unit->root != 0) {
        unit->root = 0;
        unit->has_ended = true;
        bool is_planned = strcmp(reason, "normal") == 0 || strcmp(reason, "shutdown") == 0;
        unit->has_failed = !is_planned && !(unit->is_stopping && strcmp(reason, "killed") == 0);
        free(unit->reason);
        unit->reason = xstrdup(reason);
        if (unit->actors > 0)
            kill_unit_actors(worker, unit); /* what user code started on its own, outside of the tree */
    }
    if (unit->has_ended && unit->actors == 0 && unit->has_started)
        unit_finish(worker, unit);
}

static void unit_start_job(struct worker *worker, struct message *message)
{
    struct actor_unit *unit;
    memcpy(&unit, message->data, sizeof(unit));
    unit_report(worker, unit, UNIT_STARTING, "");
    struct actor_spawn spawn = {
        .behavior = &actor_supervisor_root,
        .behavior_name = "supervisor",
        .path = unit->spec->root.is_supervisor ? unit_name(unit) : NULL,
        .arguments = (const uint8_t *)unit,
        .arguments_size = sizeof(unit),
    };
    struct err err = {0};
    struct actor *root = life_spawn(worker, NULL, &spawn, unit, NULL, &err);
    unit->has_started = true;
    if (root) {
        unit->root = actor_id(root);
        unit_report(worker, unit, UNIT_PRESENT, "");
        unit_check_running(worker, unit);
        return;
    }
    unit->has_ended = true;
    unit->has_failed = true;
    unit->reason = xstrdup(err.text);
    if (unit->actors > 0)
        kill_unit_actors(worker, unit);
    else
        unit_finish(worker, unit);
}

static void unit_stop_job(struct worker *worker, struct message *message)
{
    struct units *units = &worker->system->units;
    mutex_lock(&units->lock);
    struct actor_unit *unit = map_get_bytes(&units->by_name, (const char *)message->data, message->size);
    mutex_unlock(&units->lock);
    /* Nobody but this worker takes it out of the table. It may be another life of the unit, on another
     * worker. */
    if (!unit || unit->worker != worker->number || unit->root == 0)
        return;
    unit->is_stopping = true;
    unit_report(worker, unit, UNIT_STOPPING, "");
    struct actor *root = registry_find(worker, unit->root);
    if (root)
        link_exit_arrived(worker, root, root->parent, 0, "shutdown", false);
}

/* ---- any thread ---- */

static int check_behavior(struct actor_system *system, const struct actor_child_spec *child, struct err *err)
{
    bool is_hosted = actor_child_is_hosted(child);
    if (is_hosted && !system->config.hosting)
        return err_set(
            err, ERR_INVALID, "child \"%s\": this node hosts no actors outside of its process", child->name);
    bool is_python = is_hosted && strchr(child->behavior, ':');
    if (child->is_supervisor || is_python ||
        libraries_find(&system->libraries, child->behavior ? child->behavior : ""))
        return 0;
    return err_set(err, ERR_NOT_FOUND, "child \"%s\": no behavior \"%s\" in any loaded library", child->name,
        child->behavior ? child->behavior : "");
}

int actor_system_unit_start(
    struct actor_system *system, const struct actor_unit_spec *spec, uint64_t epoch, struct err *err)
{
    if (supervisor_check(spec, err) < 0 || check_behavior(system, &spec->root, err) < 0)
        return -1;
    bool is_hosted = actor_child_is_hosted(&spec->root);
    for (size_t i = 0; i < spec->child_count; i++) {
        is_hosted |= actor_child_is_hosted(&spec->children[i]);
        if (check_behavior(system, &spec->children[i], err) < 0)
            return -1;
    }
    if (atomic_load_explicit(&system->stopping, memory_order_relaxed))
        return err_set(err, ERR_UNAVAILABLE, "the node stops");
    struct actor_unit *unit = unit_new(spec, epoch);
    struct units *units = &system->units;
    mutex_lock(&units->lock);
    bool is_taken = map_has(&units->by_name, spec->name);
    if (!is_taken) {
        uintptr_t home = (uintptr_t)map_get(&units->homes, spec->name);
        if (home == 0 || is_hosted) {
            home = is_hosted ? 1 : units->next_worker++ % system->worker_count + 1;
            map_put(&units->homes, spec->name, (void *)home);
        }
        unit->worker = (unsigned)(home - 1);
        map_put(&units->by_name, spec->name, unit);
    }
    mutex_unlock(&units->lock);
    if (is_taken) {
        unit_free(unit);
        return err_set(err, ERR_CONFLICT, "unit \"%s\" runs already", spec->name);
    }
    struct message *message = message_new_outside(sizeof(unit));
    memcpy(message->data, &unit, sizeof(unit));
    message->kind = MESSAGE_JOB;
    message->job = unit_start_job;
    inbox_post(&system->workers[unit->worker], message);
    return 0;
}

static void post_stop(struct actor_system *system, unsigned worker, const char *name)
{
    struct message *message = message_new_outside(strlen(name));
    memcpy(message->data, name, strlen(name));
    message->kind = MESSAGE_JOB;
    message->job = unit_stop_job;
    inbox_post(&system->workers[worker], message);
}

int actor_system_unit_stop(struct actor_system *system, const char *name, struct err *err)
{
    struct units *units = &system->units;
    mutex_lock(&units->lock);
    const struct actor_unit *unit = map_get(&units->by_name, name);
    unsigned worker = unit ? unit->worker : 0;
    mutex_unlock(&units->lock);
    if (!unit)
        return err_set(err, ERR_NOT_FOUND, "no unit \"%s\" runs here", name);
    post_stop(system, worker, name);
    return 0;
}

bool units_stop_all(struct actor_system *system, uint32_t timeout_ms)
{
    struct units *units = &system->units;
    int64_t deadline_ns = clock_now_ns(clock_system()) + timeout_ms * NS_PER_MS;
    VEC(char *) names = {0};
    mutex_lock(&units->lock);
    map_for_each (item, &units->by_name)
        vec_push(&names, xstrdup(item.key));
    mutex_unlock(&units->lock);
    bool in_time = true;
    for (size_t i = names.count; i-- > 0; free(names.items[i])) {
        struct err err;
        if (actor_system_unit_stop(system, names.items[i], &err) < 0)
            continue; /* it ended meanwhile */
        mutex_lock(&units->lock);
        while (in_time && map_has(&units->by_name, names.items[i]))
            in_time = condition_wait_until(&units->changed, &units->lock, deadline_ns);
        mutex_unlock(&units->lock);
    }
    vec_done(&names);
    return in_time;
}
