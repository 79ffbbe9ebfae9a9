/* One message, from its mailbox through the behavior's function to its end.
 *
 * Thread: the worker of the actor. */
#ifndef ACTOR_HANDLING_H
#define ACTOR_HANDLING_H

#include "actor/worker.h"

/* Takes the message. Afterwards the actor may have ended. */
void handle_message(struct worker *worker, struct actor *actor, struct message *message);

#endif
