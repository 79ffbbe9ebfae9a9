/* The world of one scenario on our runtime: one worker without a thread, which the test steps, under a
 * virtual clock, and puppets: actors that do what they are told and note what happens to them. */
#ifndef CONFORMANCE_WORLD_H
#define CONFORMANCE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <histrio/actor.h>

#include "actor/system.h"
#include "base/clock.h"
#include "base/str.h"

enum { NAME_BYTES = 64, PUPPETS_MAX = 32, LABELS_MAX = 8, WORDS_MAX = 64, LINES_MAX = 256 };

/* One name of the scenario, through all its incarnations. */
struct puppet {
    char name[NAME_BYTES];
    char path[4 * NAME_BYTES]; /* "" for one that another puppet spawned */
    bool traps, is_stubborn;
    char ends_with[NAME_BYTES]; /* "": with the signal's reason */
    int fails;                  /* so many of its next starts fail */
    struct histrio_ref ref;     /* of the present or last incarnation */
    bool is_alive;
};

struct world {
    struct actor_system *system;
    struct clock_virtual clock;
    struct puppet puppets[PUPPETS_MAX];
    size_t puppet_count;
    char *lines[LINES_MAX]; /* the trace of this step */
    size_t line_count;
    bool has_started, has_ended;
};

extern struct world world;
/* The rule that is broken on purpose; "": none. A command of this name does nothing. */
extern const char *world_mutant;
extern const struct histrio_library world_library;

/* Known by now, or made. */
struct puppet *world_puppet(const char *name);
struct puppet *world_find(const char *name);
__attribute__((format(printf, 1, 2))) void world_note(const char *fmt, ...);

void world_begin(void);
void world_end(void);
/* Until nothing is left to do; lets time pass while somebody stops or is restarted. */
void world_settle(void);
/* Commands for a puppet, separated by ';'. */
void world_command(const struct puppet *puppet, const char *commands);
/* A request to a supervisor, on behalf of an actor of another unit. */
void world_request(const char *type, const char *supervisor_path, const char *child);

#endif
