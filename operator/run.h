/* operator/run.h: one system on this machine: the shell around core/core.h. Events come from Control streams,
 * the process driver, timers, signals and the CLI; the core decides; the shell performs. One thread, the
 * caller's, runs it; gRPC's loops only queue for it.
 *
 * Life: run_new() takes the run folder and the fence record, raises the term, and listens; run_loop() makes
 * nodes and returns when everything has stopped; run_free() leaves neither process nor socket behind. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct run;
struct status;
struct system_spec;

struct run_event {
    const char *reason; /* "UnitPlaced" */
    const char *text;
    const char *about; /* a unit, a node, or "" */
    bool is_warning;
    int64_t at_wall_ms;
};

/* What is told on the run's thread while it runs; each may be NULL. */
struct run_listener {
    void (*event)(const struct run_event *event, void *ctx);
    /* Something in it changed; at most every 100 ms. */
    void (*status)(const struct status *status, void *ctx);
    /* The descriptor of run_config.input_fd is readable. */
    void (*input)(struct run *run, void *ctx);
    void *ctx;
};

struct run_config {
    struct system_spec *spec; /* a reference is taken; paths of libraries are absolute */
    const char *node_program;
    const char *code_folders; /* absolute, colon separated */
    const char *software;
    int input_fd; /* a signalfd of the caller, or -1 */
    struct run_listener listener;
};

/* ERR_CONFLICT: the system runs already. Before any other thread of the process: it starts them. */
int run_new(const struct run_config *config, struct run **ret_run, struct err *err);

/* Until it has stopped: 0. -1: it ended by itself, err says why. */
int run_loop(struct run *run, struct err *err);

/* On the run's thread. Drains and stops; a second call stops at once, a third kills. 0: the manifest's
 * timeout. */
void run_stop(struct run *run, uint32_t drain_timeout_ms);

const char *run_folder_of(const struct run *run); /* for texts */

/* Kills what is left and removes the sockets. NULL is fine. */
void run_free(struct run *run);
