/* The world of one scenario on our runtime: one worker without a thread, which the test steps, under a
 * virtual clock, and puppets (stage.h): in this process, or in worker processes, each in one of its own. */
#ifndef CONFORMANCE_WORLD_H
#define CONFORMANCE_WORLD_H

#include <stdbool.h>

#include "actor/system.h"
#include "base/clock.h"
#include "conformance/stage.h"

struct host;

struct world {
    struct actor_system *system;
    struct clock_virtual clock;
    struct host *host; /* NULL: puppets are in this process */
    struct actor_hosting hosting;
    struct histrio_behavior proxy; /* of hosting */
    bool has_started, has_ended;
};

extern struct world world;
/* Of behaviors for worker processes, a file; NULL: puppets are in this process. */
extern const char *world_library;

void world_begin(void);
void world_end(void);
/* Until nothing is left to do; lets time pass while somebody stops or is restarted. */
void world_settle(void);
/* Commands for a puppet, separated by ';'. */
void world_command(const struct puppet *puppet, const char *commands);
/* A request to a supervisor, on behalf of an actor of another unit. */
void world_request(const char *type, const char *supervisor_path, const char *child);

#endif
