/* The clerk: an actor of the runtime on each worker, in slot 0, that asks on behalf of callers outside of any
 * actor. It is nobody to whom it asks, and is never muted.
 *
 * Thread: its worker. */
#ifndef ACTOR_CLERK_H
#define ACTOR_CLERK_H

#include "actor/worker.h"

struct ask;

void clerk_start(struct worker *worker);
struct actor *clerk_of(const struct worker *worker);
/* The outcome of an ask from outside. */
void clerk_finish(const struct ask *ask, const struct histrio_message *outcome);

#endif
