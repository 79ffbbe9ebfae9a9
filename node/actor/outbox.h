/* Messages between workers, and from other threads to workers; parking and waking.
 *
 * Invariants:
 * 1. A worker's inbox is a stack of messages, newest first. Anybody pushes a chain with one compare-and-swap
 * (release); only its worker takes, always everything, with one exchange (acquire), and turns it round. So
 * each pusher's messages come out in the order in which it pushed, and there is never a half-published
 * element.
 * 2. No wake-up is lost. A worker parks in this order: parked = 1, look at the inbox, sleep while parked
 * is 1. A poster does: push, look at parked, set it to 0 and wake. Both pairs are a store and a load of the
 * other's variable, all sequentially consistent: at least one of the two sees the other. */
#ifndef ACTOR_OUTBOX_H
#define ACTOR_OUTBOX_H

#include "actor/worker.h"

/* Appends to the outbox for another worker; sends it off when it is full. */
void outbox_append(struct worker *worker, unsigned to, struct message *message);
/* Sends off everything. True when there was something. */
bool outbox_flush_all(struct worker *worker);
/* Gives back the foreign messages that we are done with; they also go in batches on their own. */
void returns_flush_all(struct worker *worker);
/* From any thread: one message straight into the inbox. */
void inbox_post(struct worker *to, struct message *message);
/* Everything that came in, oldest first; NULL for nothing. */
struct message *inbox_take(struct worker *worker);
/* Until something is posted or until_ns has come. On the worker's thread. */
void worker_park(struct worker *worker, int64_t until_ns);
void worker_wake(struct worker *worker);
/* Foreign messages that other workers gave back go into our slab. */
void returns_collect(struct worker *worker);

#endif
