/* histrio/actor.h and behavior.h: other actors. */
#include "actor/behavior.h"
#include "actor/life.h"
#include "actor/link.h"
#include "actor/system_private.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- spawning ---- */

static enum histrio_error spawn_error(const struct err *err)
{
    switch (err->kind) {
    case ERR_CONFLICT: return HISTRIO_BAD_ARGUMENT;
    case ERR_INVALID: return HISTRIO_APPLICATION;
    case ERR_NONE:
    case ERR_SYSTEM:
    case ERR_NOT_FOUND:
    case ERR_EXPIRED:
    case ERR_DENIED:
    case ERR_BUSY:
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_CANCELED:
    case ERR_LIMIT: break;
    }
    return HISTRIO_UNAVAILABLE;
}

static enum histrio_error api_spawn(struct histrio_context *ctx, const struct histrio_behavior *behavior,
    const char *behavior_name, const uint8_t *arguments, size_t size,
    const struct histrio_spawn_options *options, struct histrio_ref *ret_ref)
{
    struct actor_spawn spawn = {
        .behavior = behavior, .behavior_name = behavior_name, .arguments = arguments, .arguments_size = size};
    char path[LIMIT_ADDRESS_BYTES + 1];
    if (options) {
        if (options->name) {
            int length = snprintf(path, sizeof(path), "%s/%s", histrio_path(ctx), options->name);
            if (ctx->actor->name == 0 || !text_is_dns_label(options->name) || length < 0 ||
                (size_t)length >= sizeof(path))
                return HISTRIO_BAD_ARGUMENT;
            spawn.path = path;
        }
        spawn.link = options->link;
        spawn.monitor = options->monitor;
        spawn.mailbox_capacity = options->mailbox_capacity;
    }
    struct err err = {0};
    const struct actor *actor =
        life_spawn(ctx->worker, ctx, &spawn, ctx->actor->unit, options ? options->ret_monitor : NULL, &err);
    if (!actor)
        return spawn_error(&err);
    if (ret_ref)
        *ret_ref = (struct histrio_ref){ctx->worker->node_uid, actor_id(actor)};
    return HISTRIO_OK;
}

enum histrio_error histrio_spawn_behavior(struct histrio_context *ctx,
    const struct histrio_behavior *behavior, const uint8_t *arguments, size_t size,
    const struct histrio_spawn_options *options, struct histrio_ref *ret_ref)
{
    return api_spawn(ctx, behavior, NULL, arguments, size, options, ret_ref);
}

enum histrio_error histrio_spawn(struct histrio_context *ctx, const char *behavior, const uint8_t *arguments,
    size_t size, const struct histrio_spawn_options *options, struct histrio_ref *ret_ref)
{
    struct libraries *libraries = &ctx->worker->system->libraries;
    const struct library_behavior *found = libraries_find(libraries, behavior);
    if (!found && !strchr(behavior, '.')) { /* in our own library */
        const struct library_behavior *own = libraries_find_behavior(libraries, ctx->actor->behavior);
        char name[LIMIT_BEHAVIOR_NAME_BYTES + 1];
        if (own && snprintf(name, sizeof(name), "%.*s.%s", (int)(strchr(own->name, '.') - own->name),
                       own->name, behavior) < (int)sizeof(name))
            found = libraries_find(libraries, name);
    }
    if (!found)
        return HISTRIO_NOT_FOUND;
    return api_spawn(ctx, found->behavior, found->name, arguments, size, options, ret_ref);
}

int actor_spawn(struct histrio_context *ctx, const struct actor_spawn *spawn, struct histrio_ref *ret_ref,
    uint64_t *ret_monitor, struct err *err)
{
    const struct actor *actor = life_spawn(ctx->worker, ctx, spawn, ctx->actor->unit, ret_monitor, err);
    if (!actor)
        return -1;
    if (ret_ref)
        *ret_ref = (struct histrio_ref){ctx->worker->node_uid, actor_id(actor)};
    return 0;
}

void actor_release(struct histrio_context *ctx, const char *path)
{
    uint32_t name = intern_find(path, strlen(path));
    if (name == 0)
        return;
    life_release(ctx->worker, name, actor_id(ctx->actor));
    struct actor_ties *ties = ctx->actor->ties;
    if (!ties)
        return;
    vec_for_each (held, &ties->holds) {
        if (*held == name) {
            vec_remove_swap(&ties->holds, (size_t)(held - ties->holds.items));
            return;
        }
    }
}

/* ---- ending ---- */

static bool is_on_stack(const struct histrio_context *ctx, const struct actor *actor)
{
    for (; ctx; ctx = ctx->outer)
        if (ctx->actor == actor)
            return true;
    return false;
}

void actor_end_now(struct histrio_context *ctx, struct histrio_ref ref, const char *reason)
{
    struct worker *worker = ctx->worker;
    struct actor *actor = ref.node == worker->node_uid ? registry_find(worker, ref.id) : NULL;
    if (!actor || (actor->flags & ACTOR_ALIVE) == 0 || (actor->flags & ACTOR_ENDING) != 0)
        return;
    if (is_on_stack(ctx, actor) || worker->start_depth >= LIFE_START_DEPTH_MAX)
        life_end_later(worker, actor, reason);
    else
        life_end(worker, actor, reason, ctx);
}

void histrio_exit(struct histrio_context *ctx, struct histrio_ref to, const char *reason)
{
    link_send_exit(ctx->worker, ctx->actor, to, reason);
}

void histrio_fail(struct histrio_context *ctx, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* longer ones are cut */
    va_end(arguments);
    free(ctx->fail_reason);
    ctx->fail_reason = xstrdup(text);
    ctx->actor->flags |= ACTOR_REASONED;
}

void histrio_trap_exits(struct histrio_context *ctx, bool trap)
{
    ctx->actor->flags = (ctx->actor->flags & ~(uint32_t)ACTOR_TRAPS) | (trap ? ACTOR_TRAPS : 0);
}

void histrio_link(struct histrio_context *ctx, struct histrio_ref to)
{
    link_connect(ctx->worker, ctx->actor, to);
}

void histrio_unlink(struct histrio_context *ctx, struct histrio_ref to)
{
    link_disconnect(ctx->worker, ctx->actor, to);
}

uint64_t histrio_watch(struct histrio_context *ctx, struct histrio_ref to)
{
    return link_watch_on(ctx->worker, ctx->actor, to);
}

uint64_t histrio_monitor(struct histrio_context *ctx, struct histrio_ref to)
{
    return link_monitor(ctx->worker, ctx->actor, to);
}

void histrio_demonitor(struct histrio_context *ctx, uint64_t monitor)
{
    link_demonitor(ctx->worker, ctx->actor, monitor);
}

/* ---- for internal behaviors ---- */

struct actor_system *actor_context_system(struct histrio_context *ctx)
{
    return ctx->worker->system;
}

struct actor_unit *actor_context_unit(struct histrio_context *ctx)
{
    return ctx->actor->unit;
}

const struct histrio_behavior *actor_behavior_find(
    struct actor_system *system, const char *name, const char **ret_name)
{
    const struct library_behavior *found = libraries_find(&system->libraries, name);
    if (!found)
        return NULL;
    if (ret_name)
        *ret_name = found->name;
    return found->behavior;
}

bool actor_is_alive(struct histrio_context *ctx, struct histrio_ref ref)
{
    const struct actor *actor = ref.node == ctx->worker->node_uid ? registry_find(ctx->worker, ref.id) : NULL;
    return actor && (actor->flags & ACTOR_ALIVE) != 0;
}

void actor_report_exit(struct histrio_context *ctx, const char *path, uint64_t incarnation,
    const char *reason, const char *decision, const char *cause)
{
    struct actor_system *system = ctx->worker->system;
    if (!system->config.events.exited)
        return;
    uint32_t name = intern_find(path, strlen(path));
    struct actor_exit_report report = {
        .path = path,
        .unit = histrio_unit(ctx),
        .epoch = histrio_epoch(ctx),
        .incarnation = incarnation || name == 0 ? incarnation : names_incarnation(&system->names, name),
        .reason = reason,
        .at_wall_ms = clock_wall_ms(system->clock),
        .decision = decision,
        .cause = cause ? cause : "",
    };
    system->config.events.exited(system->config.events.ctx, &report);
}

void actor_set_state(struct histrio_context *ctx, const char *path, const char *state)
{
    uint32_t name = intern_find(path, strlen(path));
    if (name)
        names_set_state(&ctx->worker->system->names, name, state);
}

void actor_count_restart(struct histrio_context *ctx)
{
    COUNT(ctx->worker->counters.restarts, 1);
}
