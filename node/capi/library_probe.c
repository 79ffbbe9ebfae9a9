#include "capi/library_probe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_BYTES_MAX = 1024 * 1024 };

static int start(const char *program, const char *name, const char *path, int output_fd, pid_t *ret_pid)
{
    sigset_t none, all;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--check-library",
        (char *)(uintptr_t)name, (char *)(uintptr_t)path, NULL};
    (void)posix_spawn_file_actions_init(&actions); /* glibc's never fail */
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    if (!failure)
        failure = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failure)
        failure = posix_spawn(ret_pid, program, &actions, &attributes, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failure;
}

/* Reads until the other end is closed; false: it took too long. */
static bool read_output(int fd, int timeout_ms, struct str *output)
{
    int64_t deadline_ms = clock_now_ms(clock_system()) + timeout_ms;
    for (;;) {
        char data[4096];
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = deadline_ms - clock_now_ms(clock_system());
        if (left_ms <= 0)
            return false;
        if (poll(&wait, 1, (int)left_ms) <= 0)
            continue;
        ssize_t size = read(fd, data, sizeof(data));
        if (size > 0)
            str_append_bytes(output, data, (size_t)size);
        else if (size == 0 || errno != EINTR)
            return true;
    }
}

static void take_lines(const char *text, struct library_probe *probe, char **ret_error)
{
    while (*text) {
        size_t size = strcspn(text, "\n");
        if (text_starts_with(text, "behavior ") && size > strlen("behavior "))
            vec_push(&probe->behaviors, xstrndup(text + strlen("behavior "), size - strlen("behavior ")));
        else if (text_starts_with(text, "error ") && !*ret_error)
            *ret_error = xstrndup(text + strlen("error "), size - strlen("error "));
        text += size + (text[size] == '\n');
    }
}

static int judge(const char *name, int status, bool is_in_time, const char *error, struct err *err)
{
    if (!is_in_time)
        return err_set(
            err, ERR_INVALID, "library \"%s\" hangs while it is loaded: look at its constructors", name);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_INVALID,
            "library \"%s\" crashes while it is loaded (%s): look at its constructors", name,
            strsignal(WTERMSIG(status)));
    if (error)
        return err_set(err, ERR_INVALID, "%s", error);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_INVALID,
            "library \"%s\" ended the process that loaded it: look at its constructors", name);
    return 0;
}

int library_probe(const char *node_program, const char *name, const char *path, int timeout_ms,
    struct library_probe *ret_probe, struct err *err)
{
    struct str output = STR_INIT(OUTPUT_BYTES_MAX);
    _cleanup_(cleanup_free) char *error = NULL;
    struct library_probe probe = {0};
    int fds[2], status = 0;
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "check library \"%s\"", name);
    int failure = start(node_program, name, path, fds[1], &pid);
    (void)close(fds[1]);
    if (failure) {
        (void)close(fds[0]);
        return err_set_errno(err, failure, "node program \"%s\"", node_program);
    }
    bool is_in_time = read_output(fds[0], timeout_ms, &output);
    (void)close(fds[0]);
    if (!is_in_time)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    take_lines(str_text(&output), &probe, &error);
    str_done(&output);
    if (judge(name, status, is_in_time, error, err) < 0) {
        library_probe_done(&probe);
        return -1;
    }
    *ret_probe = probe;
    return 0;
}

bool library_probe_has(const struct library_probe *probe, const char *behavior)
{
    vec_for_each (name, &probe->behaviors) {
        if (text_equal(*name, behavior))
            return true;
    }
    return false;
}

void library_probe_done(struct library_probe *probe)
{
    vec_for_each (name, &probe->behaviors)
        free(*name);
    vec_done(&probe->behaviors);
}
