/* transport/outgoing_private.h: what the two halves of outgoing share. */
#pragma once

#include "transport/outgoing.h"

struct unit_queue *outgoing_queue(struct outgoing *outgoing, struct route_unit *unit);
static inline bool queue_is_settled(const struct unit_queue *queue)
{
    return !queue->returned.first && !queue->held.first && list_is_empty(&queue->signals);
}

/* Into the open batch of a peer. */
void outgoing_append(
    struct outgoing *outgoing, struct outbox *outbox, const struct row *row, const void *data);
void outgoing_push_signal(struct outgoing *outgoing, struct outbox *outbox, struct pending_signal *pending);
/* The loop shall look at it. */
void outgoing_mark(struct outgoing *outgoing, struct outbox *outbox);
/* Its unit waits for something. */
void outgoing_unsettled(struct outgoing *outgoing, struct unit_queue *queue, int64_t now_ns);
/* A row will not be delivered. */
void outgoing_fail(struct outgoing *outgoing, const struct row *row, enum histrio_error error);
void outgoing_recycle(struct outgoing *outgoing, struct batch *batch);
/* Lets senders go on when there is room again. */
void outgoing_check_room(struct outgoing *outgoing, struct outbox *outbox);
/* What the sender of a message hears; OK for FORWARD. */
enum histrio_error outgoing_error_of(const struct outgoing *outgoing, enum route_verdict verdict);
/* Something older of its unit is elsewhere or waits: invariants 1 and 2. */
bool queue_must_hold(const struct unit_queue *queue, const struct outbox *outbox);
