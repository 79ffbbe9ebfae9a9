/* How actors begin and end.
 *
 * Thread: the worker that is given. */
#ifndef ACTOR_LIFE_H
#define ACTOR_LIFE_H

#include "actor/behavior.h"
#include "actor/worker.h"

enum { LIFE_START_DEPTH_MAX = 100 };

/* See actor_spawn() in behavior.h. outer: whose function runs, NULL for the runtime itself. */
struct actor *life_spawn(struct worker *worker, struct histrio_context *outer,
    const struct actor_spawn *spawn, struct actor_unit *unit, uint64_t *ret_monitor, struct err *err);

/* An actor that its unit waited for runs, or does not come back; see unit_check_running(). */
void life_awaited(struct actor *actor, struct actor_unit *unit);

/* Ends it now; nothing of it is on the stack but the turn that calls this. outer: as above. */
void life_end(struct worker *worker, struct actor *actor, const char *reason, struct histrio_context *outer);
/* A signal: ends it before its next message. The first reason counts. */
void life_end_later(struct worker *worker, struct actor *actor, const char *reason);

/* Gives up a held slot: see actor_release(). */
void life_release(struct worker *worker, uint32_t name, uint64_t holder);

/* Takes EXIT (of `from`), DOWN or TIMER (with that reference) messages out of a mailbox. Returns how many. */
unsigned life_remove_notices(struct worker *worker, struct actor *actor, enum histrio_kind kind,
    uint64_t reference, struct histrio_ref from);

#endif
