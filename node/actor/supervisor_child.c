/* How a supervisor starts and ends one child. */
#include <histrio/value.h>
#include <string.h>

#include "actor/behavior.h"
#include "actor/hosted.h"
#include "actor/supervisor_private.h"
#include "base/clock.h"
#include "base/err.h"
#include "capi/intern.h"

int64_t supervisor_now_ms(struct histrio_context *ctx)
{
    return histrio_now_ns(ctx) / NS_PER_MS;
}

static int spawn(struct histrio_context *ctx, const struct supervisor *s, struct supervised *child,
    struct histrio_ref *ret_ref, uint64_t *ret_monitor, struct err *err)
{
    const struct actor_child_spec *spec = child->spec;
    struct place place = {spec, s->tree};
    struct actor_spawn options = {
        .behavior = &actor_supervisor_below,
        .behavior_name = "supervisor",
        .path = child->path,
        .arguments = (const uint8_t *)&place,
        .arguments_size = sizeof(place),
        .mailbox_capacity = spec->mailbox_capacity,
        .overflow = spec->overflow,
        .drop_mailbox_on_exit = spec->drop_mailbox_on_restart,
        .link = true,
        .monitor = true,
        .hold = true,
    };
    if (actor_child_is_hosted(spec)) {
        options.behavior = actor_hosted_behavior(ctx);
        options.behavior_name = intern_text(intern(spec->behavior, strlen(spec->behavior)));
        options.arguments = (const uint8_t *)spec;
        options.arguments_size = sizeof(*spec);
        options.is_hosted = true;
        options.is_in_c = !strchr(spec->behavior, ':');
        /* What code in Python does with an EXIT is not known here; and code that spawned an actor in C knows
         * nothing of the supervisor that is put between the two. */
        options.parent_ends = !options.is_in_c || supervisor_is_between(ctx);
        if (!options.behavior)
            return err_set(err, ERR_INVALID, "this node hosts no actors outside of its process");
    } else if (!spec->is_supervisor) {
        options.behavior =
            actor_behavior_find(actor_context_system(ctx), spec->behavior, &options.behavior_name);
        options.arguments = spec->arguments;
        options.arguments_size = spec->arguments_size;
        if (!options.behavior)
            return err_set(err, ERR_NOT_FOUND, "no behavior \"%s\"", spec->behavior);
    }
    return actor_spawn(ctx, &options, ret_ref, ret_monitor, err);
}

void supervisor_child_start(struct histrio_context *ctx, struct supervisor *s, uint32_t number)
{
    struct supervised *child = supervisor_child(s, number);
    struct err err = {0};
    if (child->was_started)
        actor_count_restart(ctx);
    if (spawn(ctx, s, child, &child->ref, &child->monitor, &err) < 0) {
        supervision_child_start_failed(s->machine, number, err.text);
        return;
    }
    child->was_started = true;
    map64_put(&s->by_monitor, child->monitor, child);
    supervision_child_started(s->machine, number);
}

void supervisor_child_ended(
    struct histrio_context *ctx, struct supervisor *s, struct supervised *child, const char *reason)
{
    bool is_free = hosted_end_was_free(ctx, child->path);
    map64_remove(&s->by_monitor, child->monitor);
    child->monitor = 0;
    if (s->shutdown_timer && s->shutdown_child == supervisor_child_number(s, child)) {
        (void)histrio_timer_cancel(ctx, s->shutdown_timer);
        s->shutdown_timer = 0;
    }
    if (is_free)
        supervision_child_lost(s->machine, supervisor_child_number(s, child), reason, supervisor_now_ms(ctx));
    else
        supervision_child_exited(
            s->machine, supervisor_child_number(s, child), reason, supervisor_now_ms(ctx));
}

void supervisor_child_end_now(
    struct histrio_context *ctx, struct supervisor *s, struct supervised *child, const char *reason)
{
    histrio_demonitor(ctx, child->monitor);
    actor_end_now(ctx, child->ref, reason);
    supervisor_child_ended(ctx, s, child, reason);
}

void supervisor_child_shut_down(
    struct histrio_context *ctx, struct supervisor *s, const struct supervision_action *action)
{
    struct supervised *child = supervisor_child(s, action->child);
    bool brutal = action->kind == SUPERVISION_KILL;
    if (s->is_starting) {
        supervisor_child_end_now(ctx, s, child, brutal ? "killed" : "shutdown");
        return;
    }
    actor_set_state(ctx, child->path, "Stopping");
    histrio_exit(ctx, child->ref, brutal ? "kill" : "shutdown");
    if (!brutal && action->timeout_ms != ACTOR_SHUTDOWN_INFINITY) {
        s->shutdown_timer = histrio_timer_start(ctx, action->timeout_ms, 0, s->type_shutdown_time);
        s->shutdown_child = action->child;
    }
}
