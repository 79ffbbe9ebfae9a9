/* node_control/loader.h: loads behavior libraries (each first in a process that may crash of it), and looks
 * for the folders of Python modules, on a thread of its own: libraries run constructors that are not ours,
 * file systems may be slow, and nothing of that may hold up the lease. The thread exists while there is
 * something to do. */
#pragma once

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor_system;
struct err;
struct loader;
struct rpc_loop;

struct loader_library {
    char *name;
    char *path;  /* as the configuration says; after loading the real one */
    char *error; /* why it could not be loaded; NULL: it is loaded */
};

/* The system's code in Python. */
struct loader_python {
    VEC(char *) paths; /* as the configuration says; afterwards the real ones */
    VEC(char *) preload;
    uint32_t workers;
    uint32_t handler_timeout_ms;
    uint64_t memory_bytes_max;
    char *error; /* why it cannot be used; NULL: it can */
};
void loader_python_done(struct loader_python *python);

/* Of worker processes for behaviors in C: only passed through. */
struct loader_workers {
    uint32_t count; /* 0: as many as cores */
    uint32_t handler_timeout_ms;
    uint64_t memory_bytes_max;
};

struct loader_job {
    VEC(struct loader_library) libraries;
    bool has_python;
    struct loader_python python;
    bool has_c_workers;
    struct loader_workers c_workers;
    VEC(char *) folders;  /* a library must be below one of these ... */
    VEC(char *) narrower; /* ... and, where there are any, below one of these */
};
void loader_job_done(struct loader_job *job);

/* `loaded` comes once a job on the loop's thread, which then owns the job's contents. */
/* `program`: of the node; borrowed. */
struct loader *loader_new(struct rpc_loop *loop, struct actor_system *actors, const char *program,
    void (*loaded)(void *ctx, struct loader_job *job_take), void *ctx);
/* The loop's thread. Takes the job's contents. Not while loader_is_busy(). */
int loader_start_take(struct loader *loader, struct loader_job *job, struct err *err);
bool loader_is_busy(const struct loader *loader);
/* Any thread but the loop's, with the loop still running: waits for what is being loaded; `loaded` does not
 * come any more after it. */
void loader_free(struct loader *loader);
