/* histrio-host: a worker process for behaviors in C. Started by a node, which is its parent and gives it, as
 * descriptors, the socket, the page and the trace of docs/host.md. */
#include "base/crash.h"
#include "base/err.h"
#include "cworker/cworker.h"
#include "host/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* We die with the node: what we do has no meaning without it. */
static void bind_to_parent(void)
{
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
}

int main(int argument_count, char **arguments)
{
    struct err err = {0};
    struct cworker *worker;
    if (argument_count != 2 || strcmp(arguments[1], PROGRAM_WORKER_ARGUMENT) != 0) {
        (void)fprintf(stderr, "usage: histrio-host is started by histrio-node\n");
        return EXIT_USAGE;
    }
    bind_to_parent();
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* lines become lines of the node's log */
    if (crash_install(PROGRAM_TRACE_FD, cworker_executing, &err) < 0 ||
        crash_show_stack_on(SIGUSR1, &err) < 0 ||
        cworker_new(PROGRAM_SOCKET_FD, PROGRAM_PAGE_FD, &worker, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    crash_set_last_words(cworker_last_words);
    (void)atexit(cworker_last_words); /* a behavior that calls exit(); a full table: it says less */
    while (cworker_step(worker, -1)) {
    }
    (void)fflush(NULL);
    _exit(0); /* nobody is left to be told anything, and destructors of libraries might not return */
}
