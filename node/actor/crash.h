/* actor/crash.h: who was executing on this thread, for the node's handler of crash signals. */
#ifndef ACTOR_CRASH_H
#define ACTOR_CRASH_H

#include <stdbool.h>
#include <stddef.h>

/* Fills in the path ("" for an unnamed actor), unit ("" for none) and message type ("" in start and stop) of
 * the actor whose function runs on the calling thread, each cut to its size (at least 1) and NUL-ended; false
 * when none does. Async-signal-safe. */
bool actor_executing(
    char *path, size_t path_size, char *unit, size_t unit_size, char *type, size_t type_size);

#endif
