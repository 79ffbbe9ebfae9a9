/* operator/run_private.h: what the files of the shell share. */
#pragma once

#include "core/core.h"
#include "drivers/driver.h"
#include "operator/run.h"
#include "operator/run_folder.h"
#include "operator/run_queue.h"
#include "shell/shell.h"

struct control;
struct fence_file;
struct run_server;

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
    struct shell shell; /* when there are core and control */
    char *system_uid;
    bool status_changed;
    int64_t status_told_ms;
    unsigned stops;
    bool is_killed; /* asked to stop for the third time */
};

/* What the shell does its work with. */
void run_hands(struct run *run, struct shell_hands *ret_hands);

/* Answers and frees. */
struct run_request;
void run_serve(struct run *run, struct run_request *request);

void run_tell_event(
    struct run *run, const char *reason, const char *about, bool is_warning, const char *text);
