/* Full mailboxes and overloaded receivers.
 *
 * A receiver is overloaded from the moment when its mailbox reaches its mark (the capacity of a bounded one,
 * else PRESSURE_HIGH) until it has worked it off to half. Whoever sends to it meanwhile is muted: it gets no
 * turn until then. An actor that is overloaded itself is never muted.
 *
 * No cycle of waiting actors can arise. Let R1 wait for R2, R2 for R3 ... and Rn for R1, for ever. Each Ri is
 * then overloaded (it holds somebody back) and muted. It was not overloaded when it was muted, so it became
 * so later; and the one that waits for it was muted later still. Round the circle that says that R1 was muted
 * after R1 was muted.
 *
 * Thread: the worker of the receiver; muting and unmuting a sender of another worker are jobs of that worker.
 */
#ifndef ACTOR_PRESSURE_H
#define ACTOR_PRESSURE_H

#include "actor/worker.h"

enum { PRESSURE_HIGH = 4096 };

/* The mailbox is at its mark: HISTRIO_OK when the message goes in all the same (room was made, or the sender
 * waits), else why not. sender: the actor that runs now, NULL when the message came from elsewhere. */
enum histrio_error pressure_admit(
    struct worker *worker, struct actor *sender, struct actor *actor, const struct message *message);
/* A HISTRIO_EXIT message is in the mailbox: its receiver waits for nobody until it has handled it. Else a
 * supervisor could wait for the end of a child that waits for a sibling, which that supervisor starts only
 * afterwards. */
void pressure_exit_came(struct actor *actor);
/* Of an overloaded actor, after a turn or when it ends: lets the senders go on if there is room. */
void pressure_check(struct worker *worker, struct actor *actor);
void pressure_release(struct worker *worker, struct actor *actor);
/* The route to another node is full. */
void pressure_mute_for_route(struct worker *worker, struct actor *sender);
/* A job: the routes have room again. */
void pressure_lift_routes(struct worker *worker, struct message *message);

#endif
