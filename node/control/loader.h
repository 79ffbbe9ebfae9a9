/* node_control/loader.h: loads behavior libraries on a thread of its own: they run constructors that are not
 * ours, and nothing of that may hold up the lease. The thread exists while there is something to load. */
#pragma once

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>

struct actor_system;
struct err;
struct loader;
struct rpc_loop;

struct loader_library {
    char *name;
    char *path;  /* as the configuration says; after loading the real one */
    char *error; /* why it could not be loaded; NULL: it is loaded */
};

struct loader_job {
    VEC(struct loader_library) libraries;
    VEC(char *) folders;  /* a library must be below one of these ... */
    VEC(char *) narrower; /* ... and, where there are any, below one of these */
};
void loader_job_done(struct loader_job *job);

/* `loaded` comes once a job on the loop's thread, which then owns the job's contents. */
struct loader *loader_new(struct rpc_loop *loop, struct actor_system *actors,
    void (*loaded)(void *ctx, struct loader_job *job_take), void *ctx);
/* The loop's thread. Takes the job's contents. Not while loader_is_busy(). */
int loader_start_take(struct loader *loader, struct loader_job *job, struct err *err);
bool loader_is_busy(const struct loader *loader);
/* Any thread but the loop's, with the loop still running: waits for what is being loaded; `loaded` does not
 * come any more after it. */
void loader_free(struct loader *loader);
