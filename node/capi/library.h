/* Behavior libraries: shared objects, and those that are linked in. They stay loaded as long as the system.
 *
 * Thread: any; guarded by the table's lock. */
#ifndef CAPI_LIBRARY_H
#define CAPI_LIBRARY_H

#include "base/map.h"
#include "base/mutex.h"
#include "base/vec.h"

#include <histrio/actor.h>
#include <stdbool.h>

struct err;

struct library_behavior {
    char *name; /* "bank.teller" */
    char *path; /* of the library's file; NULL: it is linked in */
    const struct histrio_behavior *behavior;
};

struct libraries {
    struct mutex lock;
    struct map behaviors GUARDED_BY(&lock); /* by full name: struct library_behavior */
    struct map names GUARDED_BY(&lock);     /* of libraries: struct histrio_library */
    VEC(void *) handles GUARDED_BY(&lock);
};

void libraries_init(struct libraries *libraries);
void libraries_done(struct libraries *libraries);
int libraries_load(struct libraries *libraries, const char *name, const char *path, struct err *err);
int libraries_add(struct libraries *libraries, const struct histrio_library *library, struct err *err);
/* NULL when there is none. The result lives as long as the table. */
const struct library_behavior *libraries_find(struct libraries *libraries, const char *name);
/* The full name of a behavior that a library has; NULL when it has none. */
const struct library_behavior *libraries_find_behavior(
    struct libraries *libraries, const struct histrio_behavior *behavior);

#endif
