/* drivers/process.h: nodes as processes of this machine, below one folder:
 *
 *     FOLDER/nodes/0/{control,link,gateway}.sock   of node SYSTEM-nodes-0; mode 0600, in folders of mode
 * 0700; short names, because the path of a socket has at most 107 bytes FOLDER/logs/SYSTEM-nodes-0.log stdout
 * and stderr, rotated at 10 MB, 3 old ones kept
 *
 * A node process reports starts and ends of its runtimes on a socket; when that process itself is killed the
 * driver kills its runtime too and waits for its end by a pidfd, so an exit that it reports is always proof.
 * Children are waited for by their own pidfd, so other children of this process are nobody's business here.
 */
#pragma once

#include "drivers/driver.h"

struct process_driver_config {
    const char *program; /* of histrio-node */
    const char *folder;  /* the run folder; exists */
    const char *system;
    const char *system_uid;
    const char *credential;   /* hex digits */
    const char *code_folders; /* absolute, colon separated */
    driver_listener listener;
    void *ctx;
};

/* Any thread. Strings are copied. ERR_NOT_FOUND: the program is not there; ERR_SYSTEM. */
int process_driver_new(
    const struct process_driver_config *config, struct driver **ret_driver, struct err *err);
