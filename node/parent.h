/* node/parent.h: the small process above the runtime. It loads no gRPC code path and has no threads: it
 * starts the runtime (this program with --runtime), reaps it, starts the next one, and reports each start and
 * end the moment it happens, which is the local driver's proof of death (R6). As PID 1 of a pod it reaps
 * everybody's orphans.
 *
 * On the report descriptor it writes JSON lines:
 *     {"event":"started","uid":"<16 hex>","pid":N}
 *     {"event":"exited","uid":"<16 hex>","exitCode":N,"signal":N,"unit":"..","actor":"..","backtrace":".."}
 * When the other end closes the descriptor the run is gone: the runtime is stopped and the parent ends. */
#pragma once

#include "base/backoff.h"

#include <stdbool.h>
#include <stdint.h>

struct environment;
struct rng;

enum {
    PARENT_EXIT_DRAINED = 0,
    PARENT_EXIT_FENCED = 75,
    PARENT_EXIT_CONFIGURATION = 78,
    PARENT_RUNTIME_RECORD_FD = 3, /* in the runtime: its crash record */
    PARENT_RUNTIME_LIFE_FD = 4,   /* in the runtime: its struct life as JSON */
};

/* What to do after a runtime ended. */
struct parent_decision {
    bool restart;
    int64_t delay_ms; /* of a restart */
    int exit_code;    /* of the parent, when not restarted */
};

/* Pure. `exit_code` is -1 when a signal ended it. The first restart of a series is at once, later ones wait
 * 100 ms to 10 s; a runtime that lived for 10 s begins a new series. */
struct parent_decision parent_decide(struct backoff *backoff, int exit_code, bool is_stopping,
    int64_t lived_ms, int64_t now_ms, struct rng *rng);
void parent_backoff_init(struct backoff *backoff);

/* Runs until the node ends; returns the exit code of the process. Main thread, with no other. */
int parent_run(const struct environment *environment);
