#include "operator/run_queue.h"

#include "base/err.h"
#include "operator/run_server.h"
#include "operator_control/control.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RUN_QUEUE_RANK = 100 };

int run_queue_init(struct run_queue *queue, struct err *err)
{
    queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->event_fd < 0)
        return err_set_errno(err, errno, "make an event queue");
    mutex_init(&queue->lock, RUN_QUEUE_RANK, "run queue");
    list_init(&queue->events);
    list_init(&queue->requests);
    return 0;
}

void run_queue_done(struct run_queue *queue)
{
    struct list events, requests;
    struct list_node *link;
    run_queue_take(queue, &events, &requests);
    while ((link = list_pop_front(&events)))
        control_event_free(control_event_of_link(link));
    while ((link = list_pop_front(&requests)))
        run_request_fail(list_entry(link, struct run_request, link));
    (void)close(queue->event_fd);
    mutex_done(&queue->lock);
}

static void wake(struct run_queue *queue)
{
    uint64_t one = 1;
    ssize_t written = write(queue->event_fd, &one, sizeof(one));
    (void)written; /* fails only when it is readable already */
}

void run_queue_push_event(struct run_queue *queue, struct control_event *event)
{
    mutex_lock(&queue->lock);
    list_push_back(&queue->events, control_event_link(event));
    mutex_unlock(&queue->lock);
    wake(queue);
}

void run_queue_push_request(struct run_queue *queue, struct run_request *request)
{
    mutex_lock(&queue->lock);
    list_push_back(&queue->requests, &request->link);
    mutex_unlock(&queue->lock);
    wake(queue);
}

void run_queue_take(struct run_queue *queue, struct list *events, struct list *requests)
{
    uint64_t count;
    ssize_t got = read(queue->event_fd, &count, sizeof(count));
    (void)got; /* nothing there: then the lists are empty, too */
    list_init(events);
    list_init(requests);
    mutex_lock(&queue->lock);
    list_append_all(events, &queue->events);
    list_append_all(requests, &queue->requests);
    mutex_unlock(&queue->lock);
}
