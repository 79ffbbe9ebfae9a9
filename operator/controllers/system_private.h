/* controllers/system_private.h: what the files of system*.c share. */
#pragma once

#include "base/backoff.h"
#include "controllers/caches.h"
#include "controllers/fence_store.h"
#include "controllers/inbox.h"
#include "controllers/status_pool.h"
#include "controllers/status_writer.h"
#include "controllers/system.h"
#include "controllers/system_nodes.h"
#include "shell/shell.h"
#include "types/status.h"

struct system {
    const struct system_context *context;
    char *key;
    char *namespace;
    char *name;
    struct inbox inbox;

    /* Of the object with that uid; NULL: not seen yet. */
    char *uid;
    struct object_owner owner; /* the three above */
    bool has_writer;
    struct status_writer writer; /* the job's, while that is in the pool */
    struct status_job status_job;
    bool is_status_changed;
    int64_t status_due_ms; /* when it may be written again, or tried again */
    int64_t generation;    /* of the object that was looked at last */

    /* While this process leads, with the core; all NULL or 0 without. */
    uint64_t leadership;
    struct core *core;
    struct control *control;
    struct shell shell;
    struct fence_store fence;
    struct kubernetes_driver *driver;
    struct system_nodes nodes;
    int64_t spec_generation; /* that the core has */
    int64_t began_ms;
    bool was_found;          /* there was a fence record: another leader was in charge before */
    int64_t certificates_ms; /* look at them again then */
    int64_t owned_ms;        /* the same for Service and PodDisruptionBudget */
    struct backoff upkeep_backoff;
    char *upkeep_problem;      /* what does not work of these two; NULL: nothing */
    uint64_t requests_done;    /* hash of the requests that were dealt with; 0: none */
    uint64_t requests_version; /* of the object after their annotations were removed */
    char *problems_told;       /* of the manifest, as an Event; NULL: none */
    char *trouble;             /* why it cannot be taken over; NULL: it can, or that is not known */

    int64_t lost_ms; /* since when units are missing by the death of a node; 0: none is */
    size_t deaths;   /* of nodes, that were seen so far */
    struct system_numbers numbers;
};

bool system_may_act(void *ctx);

/* ---- system_begin.c ---- */

/* Takes the system over: certificates, fence record, core, streams. On failure nothing is left. */
int system_begin(struct system *system, struct cached_system *cached, struct err *err);
/* The opposite. */
void system_end(struct system *system);
/* Renews certificates, Service and PodDisruptionBudget when it is time. */
void system_upkeep(struct system *system, int64_t now_ms);
/* The cached manifest is another one than the core's. */
void system_take_spec(struct system *system, const struct cached_system *cached);

/* ---- system_requests.c ---- */

/* Does what annotations ask for. *ret_is_done: they can be removed. */
void system_requests(struct system *system, const struct cached_system *cached, bool *ret_is_done);
int system_requests_remove(struct system *system, const struct cached_system *cached, struct err *err);

/* ---- system_status.c ---- */

/* Something of it changed. */
void system_status_changed(struct system *system);

void system_event(struct system *system, bool is_warning, const char *reason, const char *note);
/* The status of a system that never had one: nobody is to take "no condition" for "done". */
int system_write_first_status(
    struct system *system, const struct cached_system *cached, int64_t now_ms, struct err *err);
/* Has the status written when it is time; problems of the manifest are in it. -1: the last time that did not
 * work. */
int system_write_status(
    struct system *system, const struct cached_system *cached, int64_t now_ms, struct err *err);
void system_count(struct system *system, const struct status *status);
