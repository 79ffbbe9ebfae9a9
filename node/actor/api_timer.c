#include "actor/api_timer.h"

#include "actor/handle.h"
#include "actor/life.h"
#include "actor/send.h"

#include <assert.h>

static void timer_free(struct worker *worker, struct user_timer *timer)
{
    wheel_cancel(&worker->wheel, &timer->timer);
    list_remove(&timer->of_actor);
    if (timer->number)
        handle_free(&worker->timers, timer->number);
    slab_release(&worker->slab, timer, sizeof(*timer));
}

static void timer_fired(struct worker *worker, struct timer *wheel_timer)
{
    struct user_timer *timer = list_entry(wheel_timer, struct user_timer, timer);
    struct actor *actor = registry_find(worker, timer->actor);
    assert(actor); /* its timers end before it does */
    send_notice(worker, actor, HISTRIO_TIMER, timer->number, (struct histrio_ref){0}, NULL);
    actor->last->type = timer->type;
    if (timer->number == 0)
        return; /* starts again after the next message */
    if (timer->period_ms == 0) {
        timer_free(worker, timer);
        return;
    }
    /* From when it was due, so that it does not drift; from now when the node was asleep, so that it fires
     * once. */
    int64_t due_ns = timer->timer.tick * NS_PER_MS, period_ns = timer->period_ms * NS_PER_MS;
    int64_t next_ns = due_ns + period_ns > worker->now_ns ? due_ns + period_ns : worker->now_ns + period_ns;
    wheel_start(&worker->wheel, &timer->timer, next_ns, timer_fired);
}

static struct user_timer *timer_new(struct worker *worker, struct actor *actor)
{
    struct user_timer *timer = slab_zeroed(&worker->slab, sizeof(*timer));
    timer->actor = actor_id(actor);
    list_push_back(&actor_side(worker, actor)->timers, &timer->of_actor);
    return timer;
}

void api_timers_end(struct worker *worker, struct actor *actor)
{
    while (!list_is_empty(&actor->side->timers))
        timer_free(worker, list_entry(list_first(&actor->side->timers), struct user_timer, of_actor));
    actor->side->receive_timeout = NULL;
    actor->side->receive_timeout_ms = 0;
}

void api_receive_timeout_restart(struct worker *worker, struct actor *actor)
{
    struct user_timer *timer = actor->side->receive_timeout;
    if ((actor->flags & ACTOR_ALIVE) == 0)
        return;
    wheel_cancel(&worker->wheel, &timer->timer);
    (void)life_remove_notices(worker, actor, HISTRIO_TIMER, 0, (struct histrio_ref){0});
    wheel_start(&worker->wheel, &timer->timer,
        worker_now(worker) + actor->side->receive_timeout_ms * NS_PER_MS, timer_fired);
}

uint64_t histrio_timer_start(
    struct histrio_context *ctx, uint32_t delay_ms, uint32_t period_ms, uint32_t type)
{
    struct worker *worker = ctx->worker;
    struct user_timer *timer = timer_new(worker, ctx->actor);
    timer->type = type;
    timer->period_ms = period_ms;
    timer->number = handle_new(worker, &worker->timers, timer);
    wheel_start(&worker->wheel, &timer->timer, worker_now(worker) + delay_ms * NS_PER_MS, timer_fired);
    return timer->number;
}

int64_t histrio_timer_cancel(struct histrio_context *ctx, uint64_t number)
{
    struct worker *worker = ctx->worker;
    struct user_timer *timer = handle_find(worker, &worker->timers, number);
    int64_t left_ms = -1;
    if (timer && timer->actor == actor_id(ctx->actor)) {
        int64_t left_ns = timer->timer.tick * NS_PER_MS - worker_now(worker);
        left_ms = left_ns > 0 ? (left_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
        timer_free(worker, timer);
    }
    if (number != 0)
        (void)life_remove_notices(worker, ctx->actor, HISTRIO_TIMER, number, (struct histrio_ref){0});
    return left_ms;
}

void histrio_receive_timeout(struct histrio_context *ctx, uint32_t timeout_ms)
{
    struct worker *worker = ctx->worker;
    struct actor_side *side = actor_side(worker, ctx->actor);
    side->receive_timeout_ms = timeout_ms;
    ctx->actor->flags =
        (ctx->actor->flags & ~(uint32_t)ACTOR_TIMES_OUT) | (timeout_ms > 0 ? ACTOR_TIMES_OUT : 0);
    if (timeout_ms > 0) {
        if (!side->receive_timeout)
            side->receive_timeout = timer_new(worker, ctx->actor);
        api_receive_timeout_restart(worker, ctx->actor);
    } else if (side->receive_timeout) {
        timer_free(worker, side->receive_timeout);
        side->receive_timeout = NULL;
        (void)life_remove_notices(worker, ctx->actor, HISTRIO_TIMER, 0, (struct histrio_ref){0});
    }
}
