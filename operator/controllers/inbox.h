/* controllers/inbox.h: what other threads hand to the worker of one system: events of its Control streams,
 * and Pods that are gone (with their last state, which may be proof of an end). Any thread pushes; the worker
 * takes all. Bounded by what nodes may send before it is acknowledged, and by the Pods that existed. */
#pragma once

#include "base/list.h"
#include "base/mutex.h"
#include "base/vec.h"

struct control_event;
struct pod;

struct lost_pods {
    VEC(struct pod *) list;
};

struct inbox {
    struct mutex lock;
    struct list events GUARDED_BY(&lock);
    struct lost_pods lost GUARDED_BY(&lock); /* in the order of their ends, each with a reference */
};

/* inbox is zeroed. */
void inbox_init(struct inbox *inbox);
/* Frees what is still in it. */
void inbox_done(struct inbox *inbox);

/* Takes the event. */
void inbox_push_event(struct inbox *inbox, struct control_event *event);
/* Takes a reference. */
void inbox_push_lost(struct inbox *inbox, struct pod *pod);

/* Moves everything to the two, which are initialised; the caller frees events and gives references back. */
void inbox_take(struct inbox *inbox, struct list *events, struct lost_pods *lost);
