/* The word that nobody waits for an ask any more: its asker said so, or ended in a worker process, or its
 * time is over (of an asker in C in the node that ended, only that). It goes the way that the ask went,
 * behind it: at once on one worker, as a job to another one, as a signal to another node. There an ask that
 * is still in a mailbox is taken out, one that a hosted actor has is told to its host, and one that an actor
 * in C handles is left to end, its answer finds nobody. It is a courtesy: what does not find its ask (it is
 * over, it went elsewhere with its unit, the other node knows no such word) does nothing.
 *
 * Thread: the worker that is given. */
#ifndef ACTOR_CANCEL_H
#define ACTOR_CANCEL_H

#include "actor/worker.h"

/* An ask as both its ends know it. */
struct cancel {
    struct histrio_ref asker; /* {node uid, actor id}; of clients: the clerk */
    uint64_t ask;
};

/* Whether that message of a mailbox, or one that was kept, is that ask. */
bool cancel_means(const struct worker *worker, const struct cancel *cancel, const struct message *message);

/* To where the ask to `to` went. */
void cancel_send(struct worker *worker, const struct cancel *cancel, struct histrio_ref to);

/* A message for the job cancel_arrived() on the worker of its target, which is still to be set. Any thread.
 */
struct message *cancel_message_outside(const struct cancel *cancel);
void cancel_arrived(struct worker *worker, struct message *message);

#endif
