#include "host/program.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum { FDS = 4, FIRST_FREE_FD = PROGRAM_TRACE_FD + 1 };

char *program_beside_us(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[size > 0 ? size : 0] = 0;
    char *slash = strrchr(path, '/');
    return slash ? xasprintf("%.*s/histrio-host", (int)(slash - path), path) : xstrdup("histrio-host");
}

static int spawn(const char *program, const int from[FDS], pid_t *ret_pid)
{
    /* With its path: who reads its backtraces looks into that file. */
    char *const arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)PROGRAM_WORKER_ARGUMENT, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    (void)sigemptyset(&none); /* on our own memory these cannot fail */
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawn_file_actions_init(&actions); /* nor these */
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_adddup2(&actions, from[3], STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, from[3], STDERR_FILENO);
    for (int i = 0; i < 3; i++)
        (void)posix_spawn_file_actions_adddup2(&actions, from[i], PROGRAM_SOCKET_FD + i);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(ret_pid, program, &actions, &attributes, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

int program_start(const char *program, const int remote[FDS], pid_t *ret_pid, struct err *err)
{
    int from[FDS], error = 0;
    for (int i = 0; i < FDS; i++) { /* out of the way of those that it gets */
        from[i] = fcntl(remote[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        if (from[i] < 0)
            error = errno;
    }
    if (error == 0)
        error = spawn(program, from, ret_pid);
    for (int i = 0; i < FDS; i++)
        if (from[i] >= 0)
            (void)close(from[i]); /* only copies */
    return error ? err_set_errno(err, error, "cannot start \"%.200s\"", program) : 0;
}
