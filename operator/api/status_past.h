/* What the status of an ActorSystem says of the time before the present leader, who cannot know it: so that
 * counters and lists go on, and so that a status in which nothing changed is not written again. Trees as
 * status_to_json(STATUS_FOR_API) makes them, or as the API server serves them. Pure. */
#ifndef API_STATUS_PAST_H
#define API_STATUS_PAST_H

#include <stdint.h>

struct json;

/* A small tree that the caller frees; NULL: there was nothing. */
struct json *status_past_of(const struct json *status);

/* Adds it to what the present leader made: restarts, exitsLost and runtimeRestarts are sums, recentExits
 * begin with the earlier ones, startedAt is the earlier one (of a node: while its runtime is the same). past
 * NULL: nothing happens. */
void status_past_add(const struct json *past, struct json *status);

/* Of everything but what moves with every message and what alone does not deserve a write; the order of
 * members does not count. */
uint64_t status_hash(const struct json *status);

#endif
