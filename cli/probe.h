/* cli/probe.h: what is in a behavior library, found out by a short-lived process of the node program (see
 * node/library_check.h), because loading runs its constructors. Thread: one. */
#pragma once

#include "base/vec.h"

#include <stdbool.h>

struct err;

struct probe {
    VEC(char *) behaviors; /* full names, "bank.teller" */
};

enum { PROBE_TIMEOUT_MS = 10 * 1000 };

/* `path` is absolute. ERR_INVALID: it does not load, crashes or hangs while it is loaded, or is none; err
 * says which. */
int probe_library(const char *node_program, const char *name, const char *path, int timeout_ms,
    struct probe *ret_probe, struct err *err);
bool probe_has(const struct probe *probe, const char *behavior);
void probe_done(struct probe *probe);
