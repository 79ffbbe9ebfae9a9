#include "actor/supervision.h"

#include <assert.h>
#include <stdlib.h>

#include "actor/sim_hooks.h"
#include "actor/supervision_inner.h"
#include "base/mem.h"

/* ---- actions ---- */

struct supervision_action *supervision_push(
    struct supervision *s, enum supervision_action_kind kind, uint32_t child, const char *reason)
{
    struct queued_action *queued = vec_push_new(&s->actions);
    queued->action.kind = kind;
    queued->action.child = child;
    if (reason)
        queued->reason = xstrndup(reason, REASON_BYTES_MAX);
    return &queued->action;
}

bool supervision_next(struct supervision *s, struct supervision_action *ret_action)
{
    free(s->handed_reason);
    s->handed_reason = NULL;
    if (s->action_next == s->actions.count) {
        s->action_next = 0;
        vec_done(&s->actions); /* supervisors are many, and most of the time have nothing to do */
        return false;
    }
    struct queued_action *queued = &s->actions.items[s->action_next++];
    *ret_action = queued->action;
    s->handed_reason = queued->reason;
    ret_action->reason = queued->reason ? queued->reason : "";
    return true;
}

static void report(struct supervision *s, const struct child *child, const char *reason,
    enum supervision_decision decision, uint32_t cause)
{
    struct supervision_action *action = supervision_push(s, SUPERVISION_REPORT, child->number, reason);
    action->decision = decision;
    action->cause = cause == child->number ? 0 : cause;
}

void supervision_release(struct supervision *s, struct child *child)
{
    if (child->held)
        (void)supervision_push(s, SUPERVISION_RELEASE, child->number, NULL);
    child->held = false;
}

void supervision_forget(struct supervision *s, struct child *child)
{
    supervision_release(s, child);
    (void)supervision_push(s, SUPERVISION_FORGET, child->number, NULL);
    map_remove(&s->by_name, child->name);
    map64_remove(&s->by_number, child->number);
    list_remove(&child->node);
    supervision_child_free(child);
}

/* ---- operations: stop a range in reverse order, start it in order ---- */

static struct child *child_after(struct supervision *s, struct child *child)
{
    struct list_node *node = child->node.next;
    return node == &s->children.head ? NULL : list_entry(node, struct child, node);
}

static struct child *range_next(struct supervision *s, struct child *child)
{
    if (!s->stopping)
        return s->only_first ? NULL : child_after(s, child);
    if (child == s->first)
        return NULL;
    return list_entry(child->node.previous, struct child, node);
}

static struct child *range_begin(struct supervision *s)
{
    if (!s->stopping || s->only_first || !s->first)
        return s->first;
    return list_entry(s->children.head.previous, struct child, node);
}

/* How the end of a child is called that an operation stopped. */
static enum supervision_decision stop_decision(const struct supervision *s, const struct child *child)
{
    if (s->operation != OPERATION_RESTART)
        return SUPERVISION_SHUT_DOWN;
    if (child->restart == ACTOR_TEMPORARY)
        return SUPERVISION_REMOVE;
    return s->flags.strategy == ACTOR_ONE_FOR_ALL ? SUPERVISION_RESTART_ALL : SUPERVISION_RESTART_REST;
}

/* `child` of the range does not run any more; `reason` NULL: it did not before either. */
static void range_stopped(struct supervision *s, struct child *child, const char *reason)
{
    if (!reason)
        reason = child->failure;
    if (reason && s->operation != OPERATION_ADD)
        report(s, child, reason, stop_decision(s, child), s->cause);
    free(child->failure);
    child->failure = NULL;
    child->state = SUPERVISION_STOPPED;
    child->gone = false;
    if (child->restart == ACTOR_TEMPORARY) {
        if (s->first == child) /* the last that is stopped: what is started then begins behind it */
            s->first = s->only_first ? NULL : child_after(s, child);
        supervision_forget(s, child);
    } else if (s->operation != OPERATION_RESTART) {
        supervision_release(s, child);
    }
}

/* One child of the stopping half. */
static void stop_child(struct supervision *s, struct child *child)
{
    if (child->gone) {
        char *reason = supervision_take_exit(s, child);
        range_stopped(s, child, reason);
        free(reason);
    } else if (child->state == SUPERVISION_RUNNING) {
        child->state = SUPERVISION_STOPPING;
        s->waiting = child;
        if (child->shutdown_ms == ACTOR_SHUTDOWN_BRUTAL)
            (void)supervision_push(s, SUPERVISION_KILL, child->number, NULL);
        else
            supervision_push(s, SUPERVISION_SHUTDOWN, child->number, NULL)->timeout_ms = child->shutdown_ms;
    } else {
        range_stopped(s, child, NULL);
    }
}

static void start_child(struct supervision *s, struct child *child)
{
    child->state = SUPERVISION_STARTING;
    child->held = true; /* also when it fails */
    s->waiting = child;
    (void)supervision_push(s, SUPERVISION_START, child->number, NULL);
}

/* The operation has come to its end without a failure. */
static void operation_done(struct supervision *s)
{
    enum operation operation = s->operation;
    s->operation = OPERATION_NONE;
    if (operation == OPERATION_START) {
        (void)supervision_push(s, SUPERVISION_STARTED, 0, NULL);
    } else if (operation == OPERATION_TERMINATE) {
        supervision_answer(s, s->request, SUPERVISION_OK, 0, NULL);
    } else if (operation == OPERATION_END) {
        (void)supervision_push(s, s->start_failed ? SUPERVISION_FAILED : SUPERVISION_ENDED, 0, s->end_reason);
        s->over = true;
    }
}

/* What has to stop has stopped; the rest comes with supervision_retry(). */
static void restart_waits(struct supervision *s)
{
    s->operation = OPERATION_NONE;
    supervision_child_by_number(s, s->cause)->state = SUPERVISION_RESTARTING;
    supervision_push(s, SUPERVISION_RETRY, s->cause, NULL)->timeout_ms = (uint32_t)s->wait_ms;
}

static void operation_step(struct supervision *s)
{
    while (s->operation != OPERATION_NONE && !s->waiting) {
        struct child *child = s->cursor;
        if (child) {
            s->cursor = range_next(s, child);
            if (s->stopping)
                stop_child(s, child);
            else
                start_child(s, child);
        } else if (s->stopping && s->operation == OPERATION_RESTART) {
            if (s->wait_ms > 0) {
                restart_waits(s);
                return;
            }
            s->stopping = false;
            s->cursor = range_begin(s);
        } else {
            operation_done(s);
        }
    }
}

void supervision_begin(struct supervision *s, enum operation operation, struct child *first, bool only_first,
    bool stopping, uint32_t cause)
{
    s->operation = operation;
    s->first = first;
    s->only_first = only_first;
    s->stopping = stopping;
    s->cause = cause;
    s->cursor = range_begin(s);
    operation_step(s);
}

void supervision_end(struct supervision *s, const char *reason, uint32_t cause)
{
    free(s->end_reason);
    s->end_reason = xstrndup(reason, REASON_BYTES_MAX);
    supervision_begin(
        s, OPERATION_END, list_first_entry(&s->children, struct child, node), false, true, cause);
}

void supervision_start(struct supervision *s)
{
    assert(s->operation == OPERATION_NONE && !s->over);
    supervision_begin(
        s, OPERATION_START, list_first_entry(&s->children, struct child, node), false, false, 0);
    supervision_drain(s);
}

/* ---- restarts ---- */

/* Counts one restart. False: that is one too many. */
static bool restart_allowed(struct supervision *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->restarts.count; i++) {
        if (s->restarts.items[i] >= s->now_ms - (int64_t)s->flags.period_ms)
            s->restarts.items[kept++] = s->restarts.items[i];
    }
    s->restarts.count = kept;
    if (SIM_MUTANT(MUTANT_RESTART_WINDOW))
        s->restarts.count = 0;
    vec_push(&s->restarts, s->now_ms);
    return s->restarts.count <= s->flags.restarts_max;
}

/* How long the restart of this child waits, which counts as one. */
static int64_t next_wait_ms(struct supervision *s, struct child *child)
{
    if (s->flags.backoff_initial_ms == 0)
        return 0;
    struct restart_wait *wait = child->wait;
    if (!wait) {
        wait = child->wait = xcalloc(1, sizeof(*wait));
        backoff_init(&wait->backoff, s->flags.backoff_initial_ms, s->flags.backoff_max_ms, 0);
    } else if (s->now_ms - wait->due_ms >= s->flags.period_ms) {
        backoff_reset(&wait->backoff);
    }
    int64_t wait_ms = backoff_next(&wait->backoff, s->now_ms, NULL); /* not random: a machine is replayed */
    wait->due_ms = s->now_ms + wait_ms;
    return wait_ms;
}

/* Stops what the strategy restarts with this child, waits, and starts all of it. */
static void restart_begin(struct supervision *s, struct child *child, int64_t wait_ms)
{
    bool alone = s->flags.strategy == ACTOR_ONE_FOR_ONE;
    struct child *first = child;
    if (s->flags.strategy == ACTOR_ONE_FOR_ALL)
        first = list_first_entry(&s->children, struct child, node);
    child->state = SUPERVISION_STOPPED;
    s->wait_ms = wait_ms;
    supervision_begin(s, OPERATION_RESTART, first, alone, true, child->number);
}

static void restart(struct supervision *s, struct child *child, const char *reason, bool is_free)
{
    if (!is_free && !restart_allowed(s)) {
        uint32_t cause = child->number;
        report(s, child, reason, SUPERVISION_GIVE_UP, 0);
        child->state = SUPERVISION_STOPPED;
        supervision_release(s, child);
        supervision_end(s, "shutdown", cause);
        return;
    }
    static const enum supervision_decision decisions[] = {
        [ACTOR_ONE_FOR_ONE] = SUPERVISION_RESTART,
        [ACTOR_ONE_FOR_ALL] = SUPERVISION_RESTART_ALL,
        [ACTOR_REST_FOR_ONE] = SUPERVISION_RESTART_REST,
    };
    report(s, child, reason, decisions[s->flags.strategy], 0);
    restart_begin(s, child, is_free ? 0 : next_wait_ms(s, child));
}

void supervision_handle_exited(struct supervision *s, const struct event *event)
{
    struct child *child = supervision_child_by_number(s, event->child);
    if (!child || child->state != SUPERVISION_RUNNING)
        return;
    child->gone = false;
    child->state = SUPERVISION_STOPPED;
    bool again = child->restart == ACTOR_PERMANENT ||
                 (child->restart == ACTOR_TRANSIENT && !supervision_reason_is_clean(event->text));
    if (again) {
        restart(s, child, event->text, event->is_free);
        return;
    }
    report(s, child, event->text, SUPERVISION_REMOVE, 0);
    if (child->restart == ACTOR_TEMPORARY)
        supervision_forget(s, child);
    else
        supervision_release(s, child);
}

void supervision_handle_retry(struct supervision *s, const struct event *event)
{
    struct child *child = supervision_child_by_number(s, event->child);
    if (!child || child->state != SUPERVISION_RESTARTING)
        return;
    char *failure = child->failure;
    child->failure = NULL;
    if (failure)
        restart(s, child, failure, false);
    else if (s->now_ms >= child->wait->due_ms) /* else an earlier wait, overtaken by another restart */
        restart_begin(s, child, 0);
    free(failure);
}

/* ---- answers of children ---- */

static struct child *answering(struct supervision *s, uint32_t number, enum supervision_state state)
{
    if (!s->waiting || s->waiting->number != number || s->waiting->state != state)
        return NULL;
    struct child *child = s->waiting;
    s->waiting = NULL;
    return child;
}

void supervision_child_started(struct supervision *s, uint32_t number)
{
    struct child *child = answering(s, number, SUPERVISION_STARTING);
    if (!child)
        return;
    child->state = SUPERVISION_RUNNING;
    if (s->operation == OPERATION_ADD || s->operation == OPERATION_AGAIN)
        supervision_answer(s, s->request, SUPERVISION_OK, number, NULL);
    operation_step(s);
    supervision_drain(s);
}

void supervision_child_ignored(struct supervision *s, uint32_t number)
{
    struct child *child = answering(s, number, SUPERVISION_STARTING);
    if (!child)
        return;
    child->state = SUPERVISION_STOPPED;
    if (s->operation == OPERATION_ADD || s->operation == OPERATION_AGAIN)
        supervision_answer(s, s->request, SUPERVISION_OK, 0, NULL);
    if (child->restart == ACTOR_TEMPORARY) {
        supervision_forget(s, child); /* `first` may dangle: nothing reads it in the starting half */
    } else {
        supervision_release(s, child);
    }
    operation_step(s);
    supervision_drain(s);
}

/* The first start: what runs is stopped again, and the supervisor's own start has failed. */
static void first_start_failed(struct supervision *s, struct child *child, const char *reason)
{
    report(s, child, reason, SUPERVISION_GIVE_UP, 0);
    s->start_failed = true;
    char *text = xasprintf("shutdown: child \"%s\" did not start: %s", child->name, reason);
    supervision_end(s, text, child->number);
    free(text);
}

void supervision_child_start_failed(struct supervision *s, uint32_t number, const char *reason)
{
    struct child *child = answering(s, number, SUPERVISION_STARTING);
    if (!child)
        return;
    enum operation operation = s->operation;
    s->operation = OPERATION_NONE;
    child->state = SUPERVISION_STOPPED;
    switch (operation) {
    case OPERATION_START: first_start_failed(s, child, reason); break;
    case OPERATION_RESTART:
        child->state = SUPERVISION_RESTARTING;
        free(child->failure);
        child->failure = xstrndup(reason, REASON_BYTES_MAX);
        (void)supervision_push(s, SUPERVISION_RETRY, number, NULL);
        break;
    case OPERATION_ADD:
        supervision_answer(s, s->request, SUPERVISION_START_ERROR, 0, reason);
        supervision_forget(s, child);
        break;
    case OPERATION_AGAIN:
        supervision_release(s, child);
        supervision_answer(s, s->request, SUPERVISION_START_ERROR, 0, reason);
        break;
    case OPERATION_NONE:
    case OPERATION_TERMINATE:
    case OPERATION_END:
        assert(false); /* nothing is started here */
        break;
    }
    supervision_drain(s);
}

static void child_exited(
    struct supervision *s, uint32_t number, const char *reason, int64_t now_ms, bool is_free)
{
    s->now_ms = now_ms;
    struct child *stopped = answering(s, number, SUPERVISION_STOPPING);
    if (stopped) {
        range_stopped(s, stopped, reason);
        operation_step(s);
        supervision_drain(s);
        return;
    }
    struct child *child = supervision_child_by_number(s, number);
    if (!child || child->state != SUPERVISION_RUNNING || child->gone)
        return;
    child->gone = true;
    supervision_queue(s, &(struct event){.kind = EVENT_EXITED,
                             .child = number,
                             .text = xstrndup(reason, REASON_BYTES_MAX),
                             .is_free = is_free});
}

void supervision_child_exited(struct supervision *s, uint32_t number, const char *reason, int64_t now_ms)
{
    child_exited(s, number, reason, now_ms, false);
}

void supervision_child_lost(struct supervision *s, uint32_t number, const char *reason, int64_t now_ms)
{
    child_exited(s, number, reason, now_ms, true);
}

void supervision_shutdown_expired(struct supervision *s, uint32_t number)
{
    if (s->waiting && s->waiting->number == number && s->waiting->state == SUPERVISION_STOPPING)
        (void)supervision_push(s, SUPERVISION_KILL, number, NULL);
}
