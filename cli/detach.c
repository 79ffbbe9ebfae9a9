#include "cli/detach.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/exit_code.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void detach_init(struct detach *detach)
{
    *detach = (struct detach){.ready_fd = -1};
}

static int redirect(int fd)
{
    int failed = dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0;
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    failed |= null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0;
    cleanup_close(&null_fd);
    return failed ? -1 : 0;
}

/* What the child wrote into its log from `offset` on: its error, when it ended before it was ready. */
static void pass_on(const char *log, off_t offset, FILE *errors)
{
    char data[4096];
    _cleanup_(cleanup_close) int fd = open(log, O_RDONLY | O_CLOEXEC);
    ssize_t size;
    if (fd < 0 || lseek(fd, offset, SEEK_SET) < 0)
        return;
    while ((size = read(fd, data, sizeof(data))) > 0)
        (void)fwrite(data, 1, (size_t)size, errors); /* nowhere else to complain */
}

/* True when the child said something (that it is ready) or ended; *ret_code then says which. */
static bool wait_for_child(int fd, pid_t pid, int64_t timeout_ms, int *ret_code)
{
    int64_t deadline_ms = clock_now_ms(clock_system()) + timeout_ms;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = deadline_ms - clock_now_ms(clock_system());
        unsigned char code;
        int status;
        if (left_ms <= 0)
            return false;
        if (poll(&wait, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) <= 0)
            continue;
        if (read(fd, &code, 1) == 1) {
            *ret_code = code;
            return true;
        }
        *ret_code = waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : CLI_FAILED;
        return true;
    }
}

static int watch_child(
    int fd, pid_t pid, const char *log, off_t offset, int64_t timeout_ms, const char *system, FILE *errors)
{
    int code = CLI_FAILED;
    if (!wait_for_child(fd, pid, timeout_ms, &code)) {
        (void)fprintf(errors,
            "histrio: system \"%s\" runs, but is not ready yet: look at `histrio describe %s`, or end it "
            "with `histrio stop %s`\n",
            system, system, system); /* nowhere else to complain */
        return CLI_TIMEOUT;
    }
    if (code != CLI_OK)
        pass_on(log, offset, errors);
    return code;
}

int detach_begin(struct detach *detach, const char *run_folder, const char *system, int64_t timeout_ms,
    FILE *errors, struct err *err)
{
    _cleanup_(cleanup_free) char *path = file_join(run_folder, "run.txt");
    int fds[2];
    if (file_make_folder(run_folder, 0700, err) < 0)
        return -1;
    _cleanup_(cleanup_close) int log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        return err_set_errno(err, errno, "open \"%s\"", path);
    off_t offset = lseek(log_fd, 0, SEEK_END);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "make a pipe");
    (void)fflush(NULL); /* what is buffered must not be written twice */
    pid_t pid = fork();
    if (pid < 0) {
        int number = errno;
        (void)close(fds[0]);
        (void)close(fds[1]);
        return err_set_errno(err, number, "fork");
    }
    if (pid == 0) {
        (void)close(fds[0]);
        detach->is_child = true;
        detach->ready_fd = fds[1];
        (void)setsid(); /* a new process is no group leader: it works */
        return redirect(log_fd);
    }
    (void)close(fds[1]);
    int code = watch_child(
        fds[0], pid, path, offset, timeout_ms > 0 ? timeout_ms : DETACH_TIMEOUT_MS, system, errors);
    (void)close(fds[0]);
    return code;
}

static void tell(struct detach *detach, unsigned char code)
{
    ssize_t written = write(detach->ready_fd, &code, 1);
    (void)written; /* the parent may have given up waiting */
    (void)close(detach->ready_fd);
    detach->ready_fd = -1;
}

void detach_ready(struct detach *detach)
{
    if (detach->ready_fd >= 0)
        tell(detach, CLI_OK);
}

void detach_done(struct detach *detach, int exit_code)
{
    if (detach->ready_fd >= 0)
        tell(detach, (unsigned char)exit_code);
}
