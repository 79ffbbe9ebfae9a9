/* What is in a behavior library, found out by a short-lived process of the node program (see
 * node/library_check.h), because loading runs its constructors.
 *
 * Thread: any; waits for the process. The caller must not reap children that it does not know. */
#ifndef CAPI_LIBRARY_PROBE_H
#define CAPI_LIBRARY_PROBE_H

#include "base/vec.h"

#include <stdbool.h>

struct err;

struct library_probe {
    VEC(char *) behaviors; /* full names, "bank.teller" */
};

enum { LIBRARY_PROBE_TIMEOUT_MS = 10 * 1000 };

/* `path` is absolute. ERR_INVALID: it does not load, crashes or hangs while it is loaded, or is none; err
 * says which. */
int library_probe(const char *node_program, const char *name, const char *path, int timeout_ms,
    struct library_probe *ret_probe, struct err *err);
bool library_probe_has(const struct library_probe *probe, const char *behavior);
void library_probe_done(struct library_probe *probe);

#endif
