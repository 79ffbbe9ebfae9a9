#include "actor/life.h"

#include "actor/api_timer.h"
#include "actor/executing.h"
#include "actor/hosted.h"
#include "actor/link.h"
#include "actor/pressure.h"
#include "actor/send.h"
#include "actor/system_private.h"
#include "base/err.h"
#include "capi/intern.h"

#include <assert.h>
#include <stdlib.h>

struct actor_ties *actor_ties(struct worker *worker, struct actor *actor)
{
    if (!actor->ties)
        actor->ties = slab_zeroed(&worker->slab, sizeof(*actor->ties));
    return actor->ties;
}

struct actor_side *actor_side(struct worker *worker, struct actor *actor)
{
    if (!actor->side) {
        actor->side = slab_zeroed(&worker->slab, sizeof(*actor->side));
        list_init(&actor->side->timers);
    }
    return actor->side;
}

static void ties_free(struct worker *worker, struct actor_ties *ties)
{
    vec_done(&ties->links);
    vec_done(&ties->unlinking);
    vec_done(&ties->watching);
    vec_done(&ties->watchers);
    vec_done(&ties->holds);
    free(ties->cause);
    slab_release(&worker->slab, ties, sizeof(*ties));
}

static void side_free(struct worker *worker, struct actor_side *side)
{
    vec_done(&side->callers);
    vec_done(&side->waiters);
    free(side->exit_reason);
    slab_release(&worker->slab, side, sizeof(*side));
}

void actor_tables_free(struct worker *worker, struct actor *actor)
{
    if (actor->ties)
        ties_free(worker, actor->ties);
    if (actor->side)
        side_free(worker, actor->side);
    actor->ties = NULL;
    actor->side = NULL;
}

/* ---- begin ---- */

/* The slot for the path: a new one, or the one that is held under it by outer's actor. */
static struct actor *life_slot(struct worker *worker, struct histrio_context *outer,
    const struct actor_spawn *spawn, uint32_t *ret_name, struct err *err)
{
    *ret_name = 0;
    if (spawn->path) {
        uint32_t name = intern(spawn->path, strlen(spawn->path));
        if (name == 0)
            return err_set(err, ERR_LIMIT, "too many names"), NULL;
        *ret_name = name;
        uint64_t id = names_present(&worker->system->names, name);
        struct actor *held = id ? registry_find(worker, id) : NULL;
        if (held && (held->flags & ACTOR_HELD) != 0 && outer && held->parent.id == actor_id(outer->actor))
            return held;
        if (id)
            return err_set(err, ERR_CONFLICT, "the name \"%s\" is taken", spawn->path), NULL;
    }
    struct actor *actor = registry_take(worker);
    if (!actor)
        err_set(err, ERR_LIMIT, "too many actors");
    return actor;
}

static void life_fill(struct worker *worker, struct actor *actor, const struct histrio_context *outer,
    const struct actor_spawn *spawn, struct actor_unit *unit)
{
    actor->behavior = spawn->behavior;
    actor->unit = unit;
    actor->parent =
        outer ? (struct histrio_ref){worker->node_uid, actor_id(outer->actor)} : (struct histrio_ref){0};
    actor->bounded = spawn->mailbox_capacity > 0;
    actor->overflow = (uint8_t)spawn->overflow;
    actor->high = actor->bounded ? spawn->mailbox_capacity : PRESSURE_HIGH;
    actor->flags = (actor->flags & (ACTOR_OVERLOADED | ACTOR_QUEUED | ACTOR_AWAITED)) | ACTOR_ALIVE |
                   ACTOR_STARTING | ((spawn->behavior->flags & HISTRIO_TRAP_EXITS) != 0 ? ACTOR_TRAPS : 0) |
                   (spawn->hold ? ACTOR_PERMANENT_HOLD : 0) | (spawn->is_hosted ? ACTOR_HOSTED : 0) |
                   (spawn->is_in_c ? ACTOR_HOSTED_IN_C : 0) | (spawn->parent_ends ? ACTOR_PARENT_ENDS : 0) |
                   (spawn->drop_mailbox_on_exit ? ACTOR_DROP_MAILBOX : 0);
    if (spawn->behavior->state_size > 0)
        actor->state = slab_zeroed(&worker->slab, spawn->behavior->state_size);
    if (unit)
        unit->actors++;
    COUNT(worker->counters.spawned, 1);
    COUNT(worker->counters.actors, 1);
}

static enum histrio_result life_run_start(struct histrio_context *ctx, const struct actor_spawn *spawn)
{
    if (!spawn->behavior->start)
        return HISTRIO_CONTINUE;
    struct worker *worker = ctx->worker;
    struct actor *before = executing_begin(worker, ctx->actor);
    worker->start_depth++;
    enum histrio_result result =
        spawn->behavior->start(ctx, ctx->actor->state, spawn->arguments, spawn->arguments_size);
    worker->start_depth--;
    executing_end(worker, before);
    return result;
}

static void life_finish(struct worker *worker, struct actor *actor, const char *reason);

static void life_bind(struct worker *worker, struct actor *actor, const struct actor_spawn *spawn,
    uint32_t name, struct histrio_context *outer)
{
    bool was_held = actor->name != 0;
    actor->name = name;
    struct name_binding binding = {
        .name = name,
        .id = actor_id(actor),
        .actor = actor,
        .behavior = spawn->behavior_name ? spawn->behavior_name : spawn->behavior->name,
        .unit = actor->unit ? unit_name(actor->unit) : NULL,
        .epoch = actor->unit ? actor_unit_epoch(actor->unit) : 0,
    };
    (void)names_bind(&worker->system->names, &binding); /* the number is asked for where it is needed */
    if (spawn->hold && !was_held && outer)
        vec_push(&actor_ties(worker, outer->actor)->holds, name);
}

/* Its process has yet to say that it runs: only then does its unit, if that is not running already. */
static void life_await(struct actor *actor)
{
    if (!actor->unit || actor->unit->is_running || (actor->flags & ACTOR_AWAITED) != 0)
        return;
    actor->flags |= ACTOR_AWAITED;
    actor->unit->starting++;
}

void life_awaited(struct actor *actor, struct actor_unit *unit)
{
    if ((actor->flags & ACTOR_AWAITED) == 0)
        return;
    actor->flags &= ~(uint32_t)ACTOR_AWAITED;
    unit->starting--;
}

struct actor *life_spawn(struct worker *worker, struct histrio_context *outer,
    const struct actor_spawn *spawn, struct actor_unit *unit, uint64_t *ret_monitor, struct err *err)
{
    if (worker->start_depth >= LIFE_START_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "starts nest deeper than %d", LIFE_START_DEPTH_MAX), NULL;
    if (outer && (outer->actor->flags & ACTOR_ENDING) != 0)
        return err_set(err, ERR_LIMIT, "an actor that ends spawns nothing"), NULL;
    uint32_t name;
    struct actor *actor = life_slot(worker, outer, spawn, &name, err);
    if (!actor)
        return NULL;
    life_fill(worker, actor, outer, spawn, unit);
    if (name)
        life_bind(worker, actor, spawn, name, outer);
    if (spawn->link && outer)
        link_pair(worker, outer->actor, actor);
    uint64_t monitor = spawn->monitor && outer ? link_watch(worker, outer->actor, actor) : 0;
    struct histrio_context ctx = {.worker = worker, .actor = actor, .outer = outer};
    enum histrio_result result = life_run_start(&ctx, spawn);
    actor->flags &= ~(uint32_t)ACTOR_STARTING;
    if (result == HISTRIO_STOP || result == HISTRIO_FAIL) {
        err_set(err, ERR_INVALID, "%s", ctx.fail_reason ? ctx.fail_reason : "error");
        if (outer) {
            link_forget(worker, outer->actor, actor);
            link_forget(worker, actor, outer->actor);
        }
        life_finish(worker, actor, ctx.fail_reason ? ctx.fail_reason : "error");
        free(ctx.fail_reason);
        return NULL;
    }
    free(ctx.fail_reason);
    if ((actor->flags & ACTOR_PAUSED) != 0)
        life_await(actor);
    else if (name)
        names_set_state(&worker->system->names, name, "Running");
    if ((actor->flags & ACTOR_PAUSED) == 0)
        link_restarted(worker, actor);
    worker_schedule(worker, actor);
    if (ret_monitor)
        *ret_monitor = monitor;
    return actor;
}

/* ---- end ---- */

void life_end_later(struct worker *worker, struct actor *actor, const char *reason)
{
    if ((actor->flags & ACTOR_EXITING) != 0)
        return;
    actor->flags |= ACTOR_EXITING;
    actor_side(worker, actor)->exit_reason = xstrdup(reason);
    worker_schedule(worker, actor);
}

unsigned life_remove_notices(struct worker *worker, struct actor *actor, enum histrio_kind kind,
    uint64_t reference, struct histrio_ref from)
{
    struct message *previous = NULL, *next;
    unsigned removed = 0;
    for (struct message *message = actor->first; message; message = next) {
        next = message->next;
        bool matches = message->kind == kind && (message->flags & MESSAGE_COUNTS) == 0 &&
                       (kind == HISTRIO_EXIT ? histrio_ref_equal(message_sender(worker, message), from)
                                             : message->reference == reference);
        if (!matches) {
            previous = message;
            continue;
        }
        mailbox_take_out(actor, previous, message);
        actor->uncounted--;
        if (kind == HISTRIO_EXIT)
            actor->exits--;
        message_free(worker, message);
        removed++;
    }
    return removed;
}

/* Empties the mailbox; keep: only what belongs to the incarnation that ended. */
static void life_drain(struct worker *worker, struct actor *actor, bool keep, enum histrio_error why)
{
    struct message *message = actor->first, *next;
    actor->first = NULL;
    actor->last = NULL;
    actor->uncounted = 0;
    actor->exits = 0;
    actor_set_depth(actor, 0);
    for (; message; message = next) {
        next = message->next;
        if (keep && (message->flags & MESSAGE_COUNTS) != 0)
            mailbox_push(actor, message);
        else
            send_undeliverable(worker, message, why);
    }
}

static void life_answer_callers(struct worker *worker, struct actor *actor)
{
    if (!actor->side || SIM_MUTANT(MUTANT_LOST_REPLY))
        return;
    vec_for_each (caller, &actor->side->callers)
        send_reply_error(worker, actor, *caller, HISTRIO_CRASHED, "the actor ended before it answered");
    vec_clear(&actor->side->callers);
}

/* What the actor held for others is free again. */
static void life_let_go(struct worker *worker, struct actor *actor, uint64_t id)
{
    while (actor->ties && actor->ties->holds.count > 0)
        life_release(worker, vec_pop(&actor->ties->holds), id);
    if (actor->side)
        api_timers_end(worker, actor);
}

/* Who watches the actor over its restarts is kept for the next incarnation. */
static void forget_tables(struct worker *worker, struct actor *actor, bool held)
{
    struct actor_ties *ties = actor->ties;
    if (held && ties && ties->watchers.count > 0) {
        vec_clear(&ties->unlinking); /* the other lists are empty */
        actor->ties = NULL;
    } else {
        ties = NULL;
    }
    if (actor->ties || actor->side)
        actor_tables_free(worker, actor);
    actor->ties = ties;
}

/* Everything after the stop function. Order matters: asks are answered before links and monitors fire, names
 * are free (or held with the new id) before anybody can observe the end. */
static void life_finish(struct worker *worker, struct actor *actor, const char *reason)
{
    uint64_t id = actor_id(actor);
    struct actor_unit *unit = actor->unit;
    bool held = (actor->flags & ACTOR_PERMANENT_HOLD) != 0;
    life_answer_callers(worker, actor);
    pressure_release(worker, actor);
    life_let_go(worker, actor, id);
    actor->flags = (actor->flags & (ACTOR_QUEUED | ACTOR_DROP_MAILBOX | ACTOR_FREE_END | ACTOR_AWAITED)) |
                   (held ? ACTOR_HELD : 0);
    if (!held)
        life_awaited(actor, unit);
    registry_renew(actor);
    if (actor->name)
        names_unbind(&worker->system->names, actor->name, held ? actor_id(actor) : 0,
            held ? "Restarting" : NULL, reason, clock_wall_ms(worker->system->clock));
    if (!held)
        registry_bury(actor);
    link_fire_all(worker, actor, id, reason);
    bool keep = held && (actor->flags & ACTOR_DROP_MAILBOX) == 0;
    life_drain(worker, actor, keep, held ? HISTRIO_CRASHED : HISTRIO_NOT_FOUND);
    slab_release(&worker->slab, actor->state, actor->behavior->state_size);
    actor->state = NULL;
    actor->unit = NULL;
    if (!held)
        hosted_forget_kept(worker, actor);
    forget_tables(worker, actor, held);
    COUNT(worker->counters.exited, 1);
    COUNT(worker->counters.actors, (uint32_t)-1);
    if (!held && (actor->flags & ACTOR_QUEUED) == 0)
        registry_give_back(worker, actor);
    if (unit) { /* the slot has forgotten it: it may be freed now */
        unit->actors--;
        unit_actor_ended(worker, unit, id, reason);
    }
}

void life_end(struct worker *worker, struct actor *actor, const char *reason, struct histrio_context *outer)
{
    assert((actor->flags & ACTOR_ALIVE) != 0);
    actor->flags |= ACTOR_ENDING;
    char *copy = xstrdup(reason); /* reason may live in what ends here */
    if (actor->behavior->stop) {
        struct histrio_context ctx = {.worker = worker, .actor = actor, .outer = outer};
        struct actor *before = executing_begin(worker, actor);
        worker->start_depth++; /* stop functions may end others, see actor_end_now() */
        actor->behavior->stop(&ctx, actor->state, copy);
        worker->start_depth--;
        executing_end(worker, before);
        free(ctx.fail_reason);
    }
    life_finish(worker, actor, copy);
    free(copy);
}

void life_release(struct worker *worker, uint32_t name, uint64_t holder)
{
    uint64_t id = names_present(&worker->system->names, name);
    struct actor *actor = id ? registry_find(worker, id) : NULL;
    if (!actor || actor->parent.id != holder)
        return;
    actor->flags &= ~(uint32_t)ACTOR_PERMANENT_HOLD;
    if ((actor->flags & ACTOR_HELD) == 0)
        return; /* it runs, and is no longer held */
    const struct actor *parent = registry_find(worker, holder);
    if (parent && parent->unit)
        life_awaited(actor, parent->unit);
    names_release(&worker->system->names, name);
    pressure_release(worker, actor);
    actor->flags &= ~(uint32_t)(ACTOR_HELD | ACTOR_DROP_MAILBOX | ACTOR_FREE_END);
    registry_bury(actor);
    link_fire_all(worker, actor, id, "noproc"); /* to who watched it over restarts */
    life_drain(worker, actor, false, HISTRIO_NOT_FOUND);
    hosted_forget_kept(worker, actor);
    actor_tables_free(worker, actor);
    if ((actor->flags & ACTOR_QUEUED) == 0)
        registry_give_back(worker, actor);
}
