/* The program of worker processes for behaviors in C: node/cworker is what it does. */
#ifndef HOST_PROGRAM_H
#define HOST_PROGRAM_H

#include <sys/types.h>

struct err;

/* What it finds open, beside its output. */
enum { PROGRAM_SOCKET_FD = 3, PROGRAM_PAGE_FD, PROGRAM_TRACE_FD };
#define PROGRAM_WORKER_ARGUMENT "--worker"

/* As a child of this process; remote: socket, page, trace, output. They stay the caller's. */
int program_start(const char *program, const int remote[4], pid_t *ret_pid, struct err *err);

/* "histrio-host" beside the program that runs. The caller frees it. */
char *program_beside_us(void);

#endif
