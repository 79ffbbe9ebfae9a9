/* The zygote as a child of the node. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "host/private.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

_Static_assert(INTERPRETER_FD == 3, "the environment says so");

/* Its environment: ours, the descriptor, and the libraries that start threads at import told not to, unless
 * somebody has told them otherwise. */
static char **make_environment(void)
{
    static const struct {
        const char *name, *variable;
    } defaults[] = {
        {"OPENBLAS_NUM_THREADS", "OPENBLAS_NUM_THREADS=1"},
        {"OMP_NUM_THREADS", "OMP_NUM_THREADS=1"},
        {"MKL_NUM_THREADS", "MKL_NUM_THREADS=1"},
        {"PYTHONUNBUFFERED", "PYTHONUNBUFFERED=1"},
    };
    enum { DEFAULTS = sizeof(defaults) / sizeof(defaults[0]) };
    size_t count = 0, used = 0;
    while (environ[count])
        count++;
    char **variables = xcalloc(count + DEFAULTS + 2, sizeof(*variables));
    variables[used++] = (char *)(uintptr_t) "HISTRIO_ZYGOTE_FD=3";
    for (size_t i = 0; i < count; i++)
        if (!text_starts_with(environ[i], "HISTRIO_ZYGOTE_FD="))
            variables[used++] = environ[i];
    for (size_t i = 0; i < DEFAULTS; i++)
        if (!getenv(defaults[i].name))
            variables[used++] = (char *)(uintptr_t)defaults[i].variable;
    return variables;
}

int interpreter_start(const char *interpreter, int socket, int output, pid_t *ret_pid, struct err *err)
{
    /* -P: a copy.py in the folder where we were started must not hide the one of the standard library. */
    char *const arguments[] = {(char *)(uintptr_t)interpreter, (char *)(uintptr_t) "-P",
        (char *)(uintptr_t) "-m", (char *)(uintptr_t) "histrio._zygote", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    char **variables = make_environment();
    (void)sigemptyset(&none); /* on our own memory these cannot fail */
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawn_file_actions_init(&actions); /* nor these */
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, socket, INTERPRETER_FD);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawnp(ret_pid, interpreter, &actions, &attributes, arguments, variables);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    free(variables);
    return error ? err_set_errno(err, error, "cannot start \"%.100s\"", interpreter) : 0;
}
