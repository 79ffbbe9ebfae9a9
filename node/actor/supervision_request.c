/* The supervision machine's memory, the queue in front of it, requests by name, and questions. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actor/supervision_inner.h"
#include "base/mem.h"

/* ---- memory ---- */

void supervision_child_free(struct child *child)
{
    free(child->name);
    free(child->failure);
    free(child->wait);
    free(child);
}

struct supervision *supervision_new(const struct supervision_flags *flags)
{
    struct supervision *s = xcalloc(1, sizeof(*s));
    s->flags = *flags;
    list_init(&s->children);
    list_init(&s->events);
    return s;
}

void supervision_free(struct supervision *s)
{
    if (!s)
        return;
    list_for_each_safe (child, &s->children, struct child, node)
        supervision_child_free(child);
    list_for_each_safe (event, &s->events, struct event, node) {
        free(event->text);
        free(event);
    }
    for (size_t i = s->action_next; i < s->actions.count; i++)
        free(s->actions.items[i].reason);
    vec_done(&s->actions);
    vec_done(&s->restarts);
    map_done(&s->by_name, NULL);
    map64_done(&s->by_number, NULL);
    free(s->handed_reason);
    free(s->end_reason);
    free(s);
}

/* ---- children ---- */

struct child *supervision_child_by_number(const struct supervision *s, uint32_t number)
{
    return map64_get(&s->by_number, number);
}

struct child *supervision_insert(struct supervision *s, const struct supervision_child *child)
{
    struct child *created = xcalloc(1, sizeof(*created));
    created->number = ++s->last_number;
    created->name = xstrdup(child->name);
    created->restart = child->restart;
    created->shutdown_ms = child->shutdown_ms;
    created->state = SUPERVISION_STOPPED;
    list_push_back(&s->children, &created->node);
    map_put(&s->by_name, created->name, created);
    map64_put(&s->by_number, created->number, created);
    return created;
}

uint32_t supervision_add(struct supervision *s, const struct supervision_child *child)
{
    return map_has(&s->by_name, child->name) ? 0 : supervision_insert(s, child)->number;
}

/* ---- requests ---- */

void supervision_answer(struct supervision *s, uint64_t request, enum supervision_answer answer,
    uint32_t child, const char *reason)
{
    struct supervision_action *action = supervision_push(s, SUPERVISION_ANSWER, child, reason);
    action->request = request;
    action->answer = answer;
}

/* Why a request for a stopped child cannot be done. */
static enum supervision_answer not_stopped(const struct child *child)
{
    return child->state == SUPERVISION_RESTARTING ? SUPERVISION_IS_RESTARTING : SUPERVISION_IS_RUNNING;
}

static void handle_start_child(struct supervision *s, const struct event *event)
{
    struct child *present = map_get(&s->by_name, event->text);
    if (present) {
        bool runs = present->state == SUPERVISION_RUNNING;
        supervision_answer(
            s, event->request, runs ? SUPERVISION_IS_RUNNING : SUPERVISION_IS_PRESENT, present->number, NULL);
        return;
    }
    struct supervision_child child = {event->text, event->restart, event->shutdown_ms};
    s->request = event->request;
    supervision_begin(s, OPERATION_ADD, supervision_insert(s, &child), true, false, 0);
}

static void handle_by_name(struct supervision *s, const struct event *event)
{
    struct child *child = map_get(&s->by_name, event->text);
    if (!child) {
        supervision_answer(s, event->request, SUPERVISION_NO_SUCH_CHILD, 0, NULL);
    } else if (event->kind == EVENT_TERMINATE_CHILD) {
        s->request = event->request;
        supervision_begin(s, OPERATION_TERMINATE, child, true, true, 0);
    } else if (child->state != SUPERVISION_STOPPED) {
        supervision_answer(s, event->request, not_stopped(child), child->number, NULL);
    } else if (event->kind == EVENT_RESTART_CHILD) {
        s->request = event->request;
        supervision_begin(s, OPERATION_AGAIN, child, true, false, 0);
    } else {
        supervision_forget(s, child);
        supervision_answer(s, event->request, SUPERVISION_OK, 0, NULL);
    }
}

static void queue_request(
    struct supervision *s, enum event_kind kind, const struct supervision_child *child, uint64_t request)
{
    supervision_queue(s, &(struct event){.kind = kind,
                             .request = request,
                             .text = xstrdup(child->name),
                             .restart = child->restart,
                             .shutdown_ms = child->shutdown_ms});
}

void supervision_start_child(struct supervision *s, const struct supervision_child *child, uint64_t request)
{
    queue_request(s, EVENT_START_CHILD, child, request);
}

void supervision_terminate_child(struct supervision *s, const char *name, uint64_t request)
{
    queue_request(s, EVENT_TERMINATE_CHILD, &(struct supervision_child){.name = name}, request);
}

void supervision_restart_child(struct supervision *s, const char *name, uint64_t request)
{
    queue_request(s, EVENT_RESTART_CHILD, &(struct supervision_child){.name = name}, request);
}

void supervision_delete_child(struct supervision *s, const char *name, uint64_t request)
{
    queue_request(s, EVENT_DELETE_CHILD, &(struct supervision_child){.name = name}, request);
}

void supervision_stop(struct supervision *s, const char *reason)
{
    supervision_queue(s, &(struct event){.kind = EVENT_STOP, .text = xstrdup(reason)});
}

void supervision_retry(struct supervision *s, uint32_t number, int64_t now_ms)
{
    s->now_ms = now_ms;
    supervision_queue(s, &(struct event){.kind = EVENT_RETRY, .child = number});
}

/* ---- the queue ---- */

char *supervision_take_exit(struct supervision *s, const struct child *child)
{
    list_for_each (event, &s->events, struct event, node) {
        if (event->kind == EVENT_EXITED && event->child == child->number) {
            char *reason = event->text;
            list_remove(&event->node);
            free(event);
            return reason;
        }
    }
    assert(false); /* a child that is gone has its end in the queue */
    return NULL;
}

static void handle(struct supervision *s, const struct event *event)
{
    switch (event->kind) {
    case EVENT_EXITED: supervision_handle_exited(s, event); break;
    case EVENT_RETRY: supervision_handle_retry(s, event); break;
    case EVENT_STOP: supervision_end(s, event->text, 0); break;
    case EVENT_START_CHILD: handle_start_child(s, event); break;
    case EVENT_TERMINATE_CHILD:
    case EVENT_RESTART_CHILD:
    case EVENT_DELETE_CHILD: handle_by_name(s, event); break;
    }
}

void supervision_drain(struct supervision *s)
{
    while (s->operation == OPERATION_NONE && !s->over && !list_is_empty(&s->events)) {
        struct event *event = list_first_entry(&s->events, struct event, node);
        list_remove(&event->node);
        handle(s, event);
        free(event->text);
        free(event);
    }
}

void supervision_queue(struct supervision *s, const struct event *event)
{
    struct event *queued = xmemdup(event, sizeof(*event));
    list_push_back(&s->events, &queued->node);
    supervision_drain(s);
}

/* ---- questions ---- */

uint32_t supervision_find(const struct supervision *s, const char *name)
{
    const struct child *child = map_get(&s->by_name, name);
    return child ? child->number : 0;
}

const char *supervision_child_name(const struct supervision *s, uint32_t number)
{
    const struct child *child = supervision_child_by_number(s, number);
    return child ? child->name : NULL;
}

enum supervision_state supervision_child_state(const struct supervision *s, uint32_t number)
{
    const struct child *child = supervision_child_by_number(s, number);
    return child ? child->state : SUPERVISION_STOPPED;
}

size_t supervision_count(const struct supervision *s)
{
    return map_count(&s->by_name);
}

bool supervision_is_busy(const struct supervision *s)
{
    return s->operation != OPERATION_NONE;
}

const char *supervision_decision_name(enum supervision_decision decision)
{
    switch (decision) {
    case SUPERVISION_RESTART: return "Restart";
    case SUPERVISION_RESTART_ALL: return "RestartAll";
    case SUPERVISION_RESTART_REST: return "RestartRest";
    case SUPERVISION_REMOVE: return "Remove";
    case SUPERVISION_SHUT_DOWN: return "Shutdown";
    case SUPERVISION_GIVE_UP: return "GiveUp";
    }
    return "";
}

bool supervision_reason_is_clean(const char *reason)
{
    return strcmp(reason, "normal") == 0 || strcmp(reason, "shutdown") == 0 ||
           strncmp(reason, "shutdown:", strlen("shutdown:")) == 0;
}
