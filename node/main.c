/* histrio-node: the parent of a node, or with --runtime PID (only given by that parent, whose pid it is) the
 * runtime. --check-library NAME PATH: only looks whether a behavior library can be loaded. --script FD: see
 * node/script.h. */
#include "base/err.h"
#include "base/str.h"
#include "node/environment.h"
#include "node/library_check.h"
#include "node/parent.h"
#include "node/runtime.h"
#include "node/script.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PROBLEMS_BYTES = 64 * 1024, EXIT_USAGE = 2 };

/* The runtime dies with its parent: nobody else could tell the operator of its end. */
static int bind_to_parent(const char *pid_text)
{
    uint64_t pid = 0;
    if (text_to_u64(pid_text, INT32_MAX, &pid, NULL) < 0)
        return -1;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -1;
    (void)prctl(PR_SET_NAME, "histrio-node"); /* started from /proc/self/exe, ps would show it as "exe" */
    return getppid() == (pid_t)pid ? 0 : -1;  /* else it died before we asked */
}

static bool is_descriptor(const char *text, int *ret_fd)
{
    uint64_t number = 0;
    if (text_to_u64(text, INT32_MAX, &number, NULL) < 0)
        return false;
    *ret_fd = (int)number;
    return fcntl(*ret_fd, F_GETFD) >= 0 && *ret_fd > STDERR_FILENO;
}

static int run(bool is_runtime)
{
    struct environment environment;
    struct str problems = STR_INIT(PROBLEMS_BYTES);
    int exit_code = PARENT_EXIT_CONFIGURATION;
    if (environment_read(NULL, NULL, &environment, &problems) > 0)
        (void)fprintf(stderr, "%s", str_text(&problems)); /* nowhere else to complain */
    else
        exit_code = is_runtime ? runtime_run(&environment) : parent_run(&environment);
    if (is_runtime && exit_code == PARENT_EXIT_FENCED)
        _exit(exit_code); /* threads still run, and must not be given time for more */
    environment_done(&environment);
    str_done(&problems);
    return exit_code;
}

int main(int argument_count, char **arguments)
{
    int fd = -1;
    if (argument_count == 1)
        return run(false);
    if (argument_count == 3 && strcmp(arguments[1], "--runtime") == 0 && bind_to_parent(arguments[2]) == 0)
        return run(true);
    if (argument_count == 4 && strcmp(arguments[1], "--check-library") == 0)
        return library_check_run(arguments[2], arguments[3]);
    if (argument_count == 3 && strcmp(arguments[1], "--script") == 0 && is_descriptor(arguments[2], &fd))
        return script_run(fd);
    (void)fprintf(stderr,
        "usage: histrio-node\nIt takes its settings from HISTRIO_* variables; it is started by "
        "\"histrio run\" or as a pod's main process.\n");
    return EXIT_USAGE;
}
