/* State that survives restarts: snapshot and restore of a behavior. The node keeps what snapshot wrote last,
 * as a process that crashed can no longer say it. */
#ifndef CWORKER_SNAPSHOT_H
#define CWORKER_SNAPSHOT_H

#include "cworker/private.h"

/* Before a handler runs: what it says can be held back until its snapshot stands before it. */
void snapshot_begin(struct cactor *actor);
/* After it returned: takes a snapshot if the behavior has that, and the message was handled. The result of
 * the handler, or HISTRIO_FAIL, with its reason in ctx, when there should have been one. */
enum histrio_result snapshot_take(struct histrio_context *ctx, enum histrio_result result);

/* What the node has kept came, before the START in that slot. */
void snapshot_came(struct cworker *worker, const struct frame *frame, const uint8_t *payload);
/* There is no such START. */
void snapshot_forget(struct slot *slot);
/* In place of start, when there is one to restore. False: there is none. */
bool snapshot_restore(struct histrio_context *ctx, enum histrio_result *ret_result);

#endif
