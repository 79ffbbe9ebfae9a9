/* One row of an ActorPlacement, out of a status or out of an object that was read. Private to this module.
 * Pure. */
#ifndef API_PLACEMENT_ROW_H
#define API_PLACEMENT_ROW_H

#include <stdint.h>

#include "base/clock.h"
#include "base/epoch.h"

struct json;
struct status_actor;
struct status_node;
struct status_unit;

enum { ROW_TEXT_BYTES_MAX = 256 };

/* Texts are borrowed, from what it was made of or from the buffers. */
struct placement_row {
    const char *path;
    const char *unit;
    const char *node;
    const char *kube_node;
    const char *state;
    const char *reason;
    const char *rule;
    const char *epoch;
    const char *last_exit;
    const char *last_exit_at;
    uint64_t incarnation;
    uint64_t restarts;
    char epoch_buffer[EPOCH_TEXT_BYTES];
    char time_buffer[CLOCK_TEXT_BYTES];
    char reason_buffer[ROW_TEXT_BYTES_MAX + 1];
    char last_exit_buffer[ROW_TEXT_BYTES_MAX + 1];
};

/* actor NULL: the unit itself stands for its actors (a shard, or one that never ran). node NULL: unknown. */
void placement_row_of_status(struct placement_row *row, const struct status_unit *unit,
    const struct status_actor *actor, const struct status_node *node);
void placement_row_of_json(struct placement_row *row, const struct json *json);
void placement_row_to_json(const struct placement_row *row, struct json *ret_object);
/* Goes on with a digest over rows in their order; begin with 0. Never 0 afterwards. */
uint64_t placement_row_digest(const struct placement_row *row, uint64_t digest);

#endif
