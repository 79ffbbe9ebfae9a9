/* operator/run_private.h: what the files of the shell share. */
#pragma once

#include "base/vec.h"
#include "core/core.h"
#include "drivers/driver.h"
#include "operator/run.h"
#include "operator/run_folder.h"
#include "operator/run_queue.h"

struct control;
struct fence_file;
struct run_server;

/* A node that could not be made: told to the core after the plan's actions, which point into it. */
struct run_failure {
    char *node;
    char *text;
};

struct run {
    struct run_config config;
    struct run_folder folder;
    struct fence_file *fence;
    struct core *core;
    struct driver *driver;
    struct control *control;
    struct run_server *server;
    struct run_queue queue;
    bool has_queue;
    char *system_uid;
    int64_t wake_at_ms;
    bool status_changed;
    int64_t status_told_ms;
    unsigned stops;
    bool is_done;
    bool is_lost;
};

/* Performs what the core plans now, until there is nothing more; sets wake_at_ms. */
void run_act(struct run *run);

/* Time goes on for the core; returns it. */
int64_t run_tick(struct run *run);

/* Answers and frees. */
struct run_request;
void run_serve(struct run *run, struct run_request *request);

void run_tell_event(
    struct run *run, const char *reason, const char *about, bool is_warning, const char *text);
