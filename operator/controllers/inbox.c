#include "controllers/inbox.h"

#include "api/pod.h"
#include "operator_control/control.h"

enum { INBOX_RANK = 120 };

void inbox_init(struct inbox *inbox)
{
    mutex_init(&inbox->lock, INBOX_RANK, "inbox");
    list_init(&inbox->events);
}

void inbox_done(struct inbox *inbox)
{
    struct list events;
    struct lost_pods lost;
    struct list_node *link;
    inbox_take(inbox, &events, &lost);
    while ((link = list_pop_front(&events)))
        control_event_free(control_event_of_link(link));
    vec_for_each (pod, &lost.list)
        kube_object_unref(&(*pod)->head);
    vec_done(&lost.list);
    mutex_done(&inbox->lock);
}

void inbox_push_event(struct inbox *inbox, struct control_event *event)
{
    mutex_lock(&inbox->lock);
    list_push_back(&inbox->events, control_event_link(event));
    mutex_unlock(&inbox->lock);
}

void inbox_push_lost(struct inbox *inbox, struct pod *pod)
{
    (void)kube_object_ref(&pod->head); /* the same object */
    mutex_lock(&inbox->lock);
    vec_push(&inbox->lost.list, pod);
    mutex_unlock(&inbox->lock);
}

void inbox_take(struct inbox *inbox, struct list *events, struct lost_pods *lost)
{
    list_init(events);
    mutex_lock(&inbox->lock);
    list_append_all(events, &inbox->events);
    *lost = inbox->lost;
    inbox->lost = (struct lost_pods){0};
    mutex_unlock(&inbox->lock);
}
