/* operator/run_folder.h: where a local run keeps its sockets and logs, and where the CLI finds it by its
 * system's name:
 *
 *     $HISTRIO_RUN_DIR, else $XDG_RUNTIME_DIR/histrio, else /tmp/histrio-UID, then /SYSTEM/ (mode 0700):
 *         lock            held by the run as long as it lives
 *         run.sock        service Run
 *         credential      token of this run as hex digits, mode 0600
 *         run.json        pid, system uid, when it started
 *         nodes/ logs/    drivers/process.h
 *         logs.old/       of the run before
 *
 * Thread: any; an open folder belongs to one. */
#pragma once

#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct run_folder {
    char *path;
    char *credential; /* hex digits; new with each run */
    int lock_fd;
};

/* Makes the folder of a new run and takes its lock. What a former run left is removed, its logs become
 * logs.old. ERR_CONFLICT: a run of this system is alive. ERR_INVALID: the path is too long for sockets.
 * ERR_DENIED: the folder belongs to somebody else. */
int run_folder_open(
    const char *system, const char *system_uid, struct run_folder *ret_folder, struct err *err);
/* Removes sockets, credential and nodes/; the logs stay. Fits a zeroed struct. */
void run_folder_close(struct run_folder *folder);

/* ---- for the CLI ---- */

/* The caller frees what these return. */
char *run_folder_base(void);
char *run_folder_path(const char *system);
char *run_folder_state_path(const char *system); /* operator/fence_file.h */

/* The folder of a run, which may be over; ERR_NOT_FOUND: no run of that name has a credential. */
int run_folder_find(const char *system, char **ret_address, char **ret_credential, struct err *err);
/* True when a process holds the run's lock. */
bool run_folder_is_alive(const char *system);

struct run_names {
    char **items;
    size_t count;
    size_t capacity;
};

void run_names_done(struct run_names *names);
/* The systems that run now, by name. */
int run_folder_list(struct run_names *ret_names, struct err *err);

/* Hex digits and back; ERR_INVALID. */
char *run_folder_hex(const void *data, size_t size);
int run_folder_unhex(const char *text, uint8_t **ret_data, size_t *ret_size, struct err *err);
