/* drivers/process_spawn.h: starts one node process. Private to module drivers; any thread. */
#pragma once

#include "drivers/process.h"

#include <sys/types.h>

/* What a started node process is to us: the caller closes the descriptors, which are close-on-exec. */
struct process_spawned {
    pid_t pid;
    int pid_fd;    /* readable when it has ended */
    int report_fd; /* node/report.h; closing it tells the node that the run is gone */
    int output_fd; /* its stdout and stderr */
};

/* `node_folder` holds its sockets. */
int process_spawn(const struct process_driver_config *config, const struct driver_node *node,
    const char *node_folder, struct process_spawned *ret_spawned, struct err *err);
