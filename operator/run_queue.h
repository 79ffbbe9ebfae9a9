/* operator/run_queue.h: what other threads hand to the run's one thread: events of Control streams and
 * requests of the CLI, in the order of arrival. Any thread pushes; the owner polls the descriptor and takes
 * all. Not bounded by itself: nodes are held back by their streams' limits on exits and inventories, and
 * callers by the server's limit on streams. */
#pragma once

#include "base/list.h"
#include "base/mutex.h"

struct control_event;
struct err;
struct run_request;

struct run_queue {
    struct mutex lock;
    struct list events GUARDED_BY(&lock);
    struct list requests GUARDED_BY(&lock);
    int event_fd; /* readable: something is in it */
};

int run_queue_init(struct run_queue *queue, struct err *err);
/* Frees what is still in it. */
void run_queue_done(struct run_queue *queue);
void run_queue_push_event(struct run_queue *queue, struct control_event *event);
void run_queue_push_request(struct run_queue *queue, struct run_request *request);
/* Moves everything to the two lists, which are initialised. */
void run_queue_take(struct run_queue *queue, struct list *events, struct list *requests);
