/* cli/detach.h: `histrio run --detach`: the process forks before it has any thread; the child becomes the
 * run, the parent waits until the child says that all is ready, or how it failed. The child's output goes to
 * logs/run.txt in the run folder. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct err;

enum { DETACH_TIMEOUT_MS = 30 * 1000 };

struct detach {
    bool is_child;
    int ready_fd; /* of the child, towards the parent; -1: told, or not detached */
};

void detach_init(struct detach *detach);

/* In the parent: the exit code when the child is ready, has failed (its errors are passed on to `errors`), or
 * is not ready in time (it goes on). In the child: 0. -1: could not fork. timeout_ms -1: the default. */
int detach_begin(struct detach *detach, const char *run_folder, const char *system, int64_t timeout_ms,
    FILE *errors, struct err *err);

/* In the child; at other times nothing happens. */
void detach_ready(struct detach *detach);
void detach_done(struct detach *detach, int exit_code);
