/* actor/supervision_inner.h: the inside of the supervision machine, shared by supervision.c (events,
 * operations) and supervision_request.c (the queue in front of it, requests by name). Nobody else includes
 * it.
 *
 * Invariants:
 * 1. At most one operation is under way, and it waits for at most one child (`waiting`), which is STARTING or
 * STOPPING.
 * 2. While it waits, `cursor` is the next child of the operation's range, and the order of children changes
 * by the operation alone: events of others wait in `events`.
 * 3. A child that ended by itself while something else was under way is still RUNNING with `gone` set, and
 * its end is in `events`. When the operation reaches it first, that event is taken out and counts as its
 * answer. */
#ifndef ACTOR_SUPERVISION_INNER_H
#define ACTOR_SUPERVISION_INNER_H

#include "actor/supervision.h"
#include "base/backoff.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"

/* Reasons come from behaviors; nested failures quote each other, and must not grow with the depth. */
enum { REASON_BYTES_MAX = 255 };

/* A child's series of restarts that waited. */
struct restart_wait {
    struct backoff backoff;
    int64_t due_ms; /* when the last one was, or is */
};

struct child {
    struct list_node node; /* of supervision.children, in start order */
    uint32_t number;
    char *name;
    enum actor_restart restart;
    uint32_t shutdown_ms;
    enum supervision_state state;
    bool gone; /* invariant 3 */
    bool held; /* a start was asked for, and it has not been released since: its name and mailbox are kept */
    char *failure;             /* why the last start failed, until that is judged; NULL: nothing to judge */
    struct restart_wait *wait; /* NULL: no restart has waited yet */
};

enum operation {
    OPERATION_NONE,
    OPERATION_START,     /* the first start of all */
    OPERATION_RESTART,   /* one_for_one: start; others: stop the range, then start it */
    OPERATION_ADD,       /* a request: start_child */
    OPERATION_AGAIN,     /* a request: restart_child */
    OPERATION_TERMINATE, /* a request: terminate_child */
    OPERATION_END,       /* stop all, then ENDED or FAILED */
};

enum event_kind {
    EVENT_EXITED,
    EVENT_RETRY,
    EVENT_STOP,
    EVENT_START_CHILD,
    EVENT_TERMINATE_CHILD,
    EVENT_RESTART_CHILD,
    EVENT_DELETE_CHILD,
};

struct event {
    struct list_node node;
    enum event_kind kind;
    uint32_t child;
    uint64_t request;
    char *text; /* a reason, or a child's name; owned */
    enum actor_restart restart;
    uint32_t shutdown_ms;
    bool is_free; /* of EVENT_EXITED: the restart does not count */
};

struct queued_action {
    struct supervision_action action;
    char *reason; /* owned; NULL: "" */
};

struct supervision {
    struct supervision_flags flags;
    struct list children;
    struct map by_name;     /* -> struct child */
    struct map64 by_number; /* -> struct child */
    uint32_t last_number;

    enum operation operation;
    bool stopping;         /* the operation is in its stopping half */
    struct child *first;   /* the range begins here and ends with the last child */
    struct child *cursor;  /* next of the range; NULL: its end */
    bool only_first;       /* the range is `first` alone */
    struct child *waiting; /* invariant 1 */
    uint32_t cause;        /* the child for which the operation is done; 0: none */
    int64_t wait_ms;       /* OPERATION_RESTART: between its halves */
    bool start_failed;     /* OPERATION_END ends with FAILED */
    bool over;             /* the last action was given */
    uint64_t request;
    char *end_reason;

    struct list events;
    /* Of the last event that said it: a restart counts when it is done, not when it was due. */
    int64_t now_ms;
    VEC(int64_t) restarts; /* times, oldest first, in the window at the last restart */
    VEC(struct queued_action) actions;
    size_t action_next;  /* items before were handed out */
    char *handed_reason; /* what the caller's last action points to */
};

/* supervision.c */
struct supervision_action *supervision_push(
    struct supervision *s, enum supervision_action_kind kind, uint32_t child, const char *reason);
void supervision_release(struct supervision *s, struct child *child);
void supervision_forget(struct supervision *s, struct child *child);
void supervision_begin(struct supervision *s, enum operation operation, struct child *first, bool only_first,
    bool stopping, uint32_t cause);
void supervision_handle_exited(struct supervision *s, const struct event *event);
void supervision_handle_retry(struct supervision *s, const struct event *event);
void supervision_end(struct supervision *s, const char *reason, uint32_t cause);

/* supervision_request.c */
struct child *supervision_child_by_number(const struct supervision *s, uint32_t number);
void supervision_child_free(struct child *child); /* takes it out of nothing */
struct child *supervision_insert(struct supervision *s, const struct supervision_child *child);
void supervision_answer(struct supervision *s, uint64_t request, enum supervision_answer answer,
    uint32_t child, const char *reason);
/* Appends the event, and handles what waits as far as possible. Takes event->text. */
void supervision_queue(struct supervision *s, const struct event *event);
/* The operation is done: goes on with the events that wait. */
void supervision_drain(struct supervision *s);
/* Takes the waiting end of `child` out of the queue; its reason is the caller's to free. */
char *supervision_take_exit(struct supervision *s, const struct child *child);

#endif
