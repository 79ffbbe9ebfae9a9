/* Which events are written and how: equal ones are one series, many similar ones are combined, and each
 * object has a budget. Pure: time comes in, writes come out.
 *
 * Rules, as client-go has them:
 *  1. Events that agree in object, type, reason, action and note are one series: the first is created, later
 * ones raise its count. After 10 quiet minutes the next one begins a new series.
 *  2. When 10 notes of one object, type, reason and action are known, all others become one combined series.
 *  3. An object has 25 writes, and one more each 5 minutes. What is kept back goes out with a later count.
 *
 * Thread: one at a time. */
#ifndef KUBE_EVENT_BOOK_H
#define KUBE_EVENT_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

struct kube_event;

struct event_book {
    struct map subjects; /* object -> struct event_subject; private */
};

struct event_subject;

/* One Event object of the API. Texts are never NULL. */
struct event_series {
    char *event_name; /* of the Event object, unlike any other */
    char *api_version;
    char *kind;
    char *namespace;
    char *name;
    char *uid;
    char *reason;
    char *action;
    char *note;
    bool is_warning;
    uint32_t count;
    uint32_t written; /* the count that the API server has; 0: the Event is to be created */
    int64_t first_wall_ms;
    int64_t last_wall_ms;
    int64_t last_ms;               /* private */
    struct event_subject *subject; /* private */
};

/* A zeroed book is empty. */
void event_book_done(struct event_book *book);

/* Counts the event. Returns the series to write now, NULL when it is kept back; valid until the next call. */
struct event_series *event_book_add(
    struct event_book *book, int64_t now_ms, int64_t wall_ms, const struct kube_event *event);
/* A series that was kept back and may be written now, or NULL. Also forgets what has been quiet for long. */
struct event_series *event_book_next(struct event_book *book, int64_t now_ms);
/* The write of the series worked with that count. */
void event_series_wrote(struct event_series *series, uint32_t count);
/* The Event is gone: it will be created anew. */
void event_series_lost(struct event_series *series);

#endif
