/* histrio/actor.h by frames: exits, links, monitors, timers. What comes too late after an unlink, a demonitor
 * or a cancel is known by its number, so none of these has to wait. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "capi/intern.h"
#include "cworker/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- exits ---- */

static void end_with(struct cactor *actor, const char *reason)
{
    if (!actor->exit_reason)
        actor->exit_reason = xstrdup(reason);
}

static bool is_self(const struct cactor *actor, struct histrio_ref ref)
{
    return histrio_ref_equal(ref, actor->self) || (ref.node == 0 && ref.id != 0 && ref.id == actor->path);
}

void histrio_exit(struct histrio_context *ctx, struct histrio_ref to, const char *reason)
{
    struct cactor *actor = ctx->actor;
    bool is_kill = strcmp(reason, "kill") == 0;
    if (is_self(actor, to) && (is_kill || !actor->traps)) { /* what was delivered before does not go first */
        end_with(actor, is_kill ? "killed" : reason);
        return;
    }
    struct frame frame = {.kind = FRAME_EXIT};
    if (!histrio_ref_is_nobody(to))
        api_send(ctx, &frame, to, reason, strnlen(reason, REASON_BYTES - 1));
}

void histrio_fail(struct histrio_context *ctx, const char *format, ...)
{
    char text[REASON_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* longer ones are cut */
    va_end(arguments);
    free(ctx->fail_reason);
    ctx->fail_reason = xstrdup(text);
}

void histrio_trap_exits(struct histrio_context *ctx, bool trap)
{
    ctx->actor->traps = trap;
    answer_frame(ctx->actor, FRAME_TRAP, trap, 0, NULL, 0);
}

/* ---- links and monitors ---- */

/* The node kills a process that asks for more: better the actor ends, and says why. */
static bool is_full(struct cactor *actor, size_t count, const char *what)
{
    char text[REASON_BYTES];
    if (count < LIMIT_HOST_WATCHES)
        return false;
    (void)snprintf(
        text, sizeof(text), "more than %d %s at once, in a worker process", LIMIT_HOST_WATCHES, what);
    end_with(actor, text);
    return true;
}

void histrio_link(struct histrio_context *ctx, struct histrio_ref to)
{
    struct cactor *actor = ctx->actor;
    for (size_t i = actor->unlinking.count; i-- > 0;)
        if (histrio_ref_equal(actor->unlinking.items[i].ref, to))
            vec_remove_swap(&actor->unlinking, i);
    struct frame frame = {.kind = FRAME_LINK};
    api_send(ctx, &frame, to, NULL, 0);
}

void histrio_unlink(struct histrio_context *ctx, struct histrio_ref to)
{
    struct unlinking unlinking = {api_request_number(ctx->worker), to};
    vec_push(&ctx->actor->unlinking, unlinking);
    struct frame frame = {.kind = FRAME_UNLINK, .number = unlinking.number};
    api_send(ctx, &frame, to, NULL, 0);
}

static uint64_t monitor(struct histrio_context *ctx, struct histrio_ref to, uint8_t how)
{
    struct cactor *actor = ctx->actor;
    if (is_full(actor, actor->monitors.count, "monitors"))
        return 0;
    struct monitor entry = {++ctx->worker->last_number, to};
    vec_push(&actor->monitors, entry);
    struct frame frame = {.kind = FRAME_MONITOR, .code = how, .number = entry.number};
    api_send(ctx, &frame, to, NULL, 0);
    return entry.number;
}

uint64_t histrio_monitor(struct histrio_context *ctx, struct histrio_ref to)
{
    return monitor(ctx, to, 0);
}

uint64_t histrio_watch(struct histrio_context *ctx, struct histrio_ref to)
{
    return monitor(ctx, to, FRAME_MONITOR_LASTS);
}

void histrio_demonitor(struct histrio_context *ctx, uint64_t number)
{
    struct cactor *actor = ctx->actor;
    vec_for_each (monitor, &actor->monitors)
        if (monitor->number == number) {
            vec_remove_swap(&actor->monitors, (size_t)(monitor - actor->monitors.items));
            answer_frame(actor, FRAME_DEMONITOR, 0, number, NULL, 0);
            return;
        }
}

/* ---- time ---- */

uint64_t histrio_timer_start(
    struct histrio_context *ctx, uint32_t delay_ms, uint32_t period_ms, uint32_t type)
{
    struct cactor *actor = ctx->actor;
    if (is_full(actor, actor->timers.count, "timers"))
        return 0;
    struct user_timer timer = {++ctx->worker->last_number, cworker_now() + delay_ms * NS_PER_MS, period_ms};
    vec_push(&actor->timers, timer);
    struct frame frame = {.kind = FRAME_TIMER_START,
        .actor = actor->slot,
        .method = connection_text(&ctx->worker->connection, type),
        .number = timer.number,
        .timeout_ms = delay_ms,
        .ref_id = period_ms};
    connection_append(&ctx->worker->connection, &frame, NULL, 0);
    return timer.number;
}

int64_t histrio_timer_cancel(struct histrio_context *ctx, uint64_t number)
{
    struct cactor *actor = ctx->actor;
    vec_for_each (timer, &actor->timers) {
        if (timer->number != number)
            continue;
        int64_t left_ns = timer->due_ns - cworker_now();
        vec_remove_swap(&actor->timers, (size_t)(timer - actor->timers.items));
        answer_frame(actor, FRAME_TIMER_CANCEL, 0, number, NULL, 0);
        return left_ns > 0 ? (left_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    }
    return -1;
}

void histrio_receive_timeout(struct histrio_context *ctx, uint32_t timeout_ms)
{
    struct cactor *actor = ctx->actor;
    ctx->worker->timeouts -= actor->receive_timeout_ms > 0;
    ctx->worker->timeouts += timeout_ms > 0;
    actor->receive_timeout_ms = timeout_ms;
    actor->last_message_ns = cworker_now();
}
