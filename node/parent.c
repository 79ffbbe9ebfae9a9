#include "node/parent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/symbols.h"
#include "node/crash.h"
#include "node/environment.h"
#include "node/report.h"
#include "node/termination.h"
#include "node_control/life.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BACKOFF_INITIAL_MS = 50, /* doubled before it is first waited for */
    BACKOFF_MAX_MS = 10 * 1000,
    HEALTHY_MS = 10 * 1000,
    HEALTHY_KILLED_MS = 1000,
    ORPHAN_STOP_MS = 2000, /* the run is gone: nobody waits for a slow drain */
    STOP_SPARE_MS = 3000,  /* beyond the drain timeout, before SIGKILL */
    DESCRIPTOR_MIN = 10,   /* ours stay clear of the numbers that the runtime expects */
    CRASH_RECORD_BYTES = 64 * 1024,
    NO_TIME = -1,
};

struct parent {
    const struct environment *environment;
    struct clock *clock;
    struct rng rng;
    struct backoff backoff;
    struct report report;
    struct life life;
    int signal_fd;
    int crash_fd; /* of the present runtime */
    pid_t pid;    /* 0: none runs */
    int64_t started_ms;
    int64_t start_at_ms; /* of the next runtime; NO_TIME when one runs or none shall */
    int64_t kill_at_ms;  /* when stopping takes too long; NO_TIME when not stopping */
    bool is_stopping;
    bool is_done;
    int exit_code;
};

void parent_backoff_init(struct backoff *backoff)
{
    backoff_init(backoff, BACKOFF_INITIAL_MS, BACKOFF_MAX_MS, 0);
}

/* Ended by a signal, it was killed from outside, or by a behavior that the operator charges the crash to and
 * will quarantine: either is not for us to slow down, so it counts as healthy sooner. The limit keeps an
 * out-of-memory killer from becoming a loop without pauses. */
static bool was_healthy(int exit_code, int64_t lived_ms)
{
    return lived_ms >= HEALTHY_MS || (exit_code < 0 && lived_ms >= HEALTHY_KILLED_MS);
}

struct parent_decision parent_decide(struct backoff *backoff, int exit_code, bool is_stopping,
    int64_t lived_ms, int64_t now_ms, struct rng *rng)
{
    if (exit_code == PARENT_EXIT_DRAINED || exit_code == PARENT_EXIT_CONFIGURATION)
        return (struct parent_decision){.exit_code = exit_code};
    if (is_stopping)
        return (struct parent_decision){.exit_code = exit_code > 0 ? exit_code : EXIT_FAILURE};
    if (was_healthy(exit_code, lived_ms))
        backoff_reset(backoff);
    bool is_first = backoff->failures == 0;
    int64_t delay_ms = backoff_next(backoff, now_ms, rng);
    return (struct parent_decision){.restart = true, .delay_ms = is_first ? 0 : delay_ms};
}

/* A memory file whose number is out of the way of what the runtime inherits. */
static int memory_file(const char *name, struct err *err)
{
    _cleanup_(cleanup_close) int low = memfd_create(name, MFD_CLOEXEC);
    int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
    if (fd < 0)
        return err_set_errno(err, errno, "memory file %s", name);
    return fd;
}

static int life_file(const struct life *life, struct err *err)
{
    _cleanup_(str_done) struct str document = STR_INIT(LIFE_DOCUMENT_BYTES);
    _cleanup_(cleanup_close) int fd = memory_file("life", err);
    life_write(life, &document);
    if (fd < 0 || str_check(&document, "life", err) < 0)
        return -1;
    if (pwrite(fd, document.data, document.size, 0) != (ssize_t)document.size)
        return err_set_errno(err, errno, "write life");
    return steal_fd(&fd);
}

/* posix_spawn in the runtime's terms: no signal blocked or ignored, the two files at their numbers. */
static int spawn_program(int crash_fd, int life_fd, pid_t *ret_pid, struct err *err)
{
    char parent_pid[16];
    char name[] = "histrio-node", mode[] = "--runtime";
    char *const arguments[] = {name, mode, parent_pid, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    (void)snprintf(parent_pid, sizeof(parent_pid), "%d", (int)getpid()); /* fits: at most 11 characters */
    (void)sigemptyset(&none); /* on our own memory these cannot fail */
    (void)sigfillset(&defaults);
    if (posix_spawn_file_actions_init(&files) != 0)
        return err_set(err, ERR_SYSTEM, "spawn actions");
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return err_set(err, ERR_SYSTEM, "spawn attributes");
    }
    int failed = posix_spawn_file_actions_adddup2(&files, crash_fd, PARENT_RUNTIME_RECORD_FD);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&files, life_fd, PARENT_RUNTIME_LIFE_FD);
    failed = failed ? failed : posix_spawnattr_setsigmask(&attributes, &none);
    failed = failed ? failed : posix_spawnattr_setsigdefault(&attributes, &defaults);
    failed = failed ? failed
                    : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    failed =
        failed ? failed : posix_spawn(ret_pid, "/proc/self/exe", &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed ? err_set_errno(err, failed, "spawn the runtime") : 0;
}

/* For the kubelet; NULL: a runtime runs. What cannot be written is only missing in the Pod's status. */
static void note_end(const struct parent *parent, const struct life_end *end)
{
    const char *path = parent->environment->termination_log;
    struct err err = {0};
    int failed = end ? termination_write(path, end, &err) : termination_clear(path, &err);
    if (failed)
        log_event(LOG_WARNING, "no termination log", "error", err.text, NULL);
}

static int start_runtime(struct parent *parent, struct err *err)
{
    _cleanup_(cleanup_close) int crash_fd = memory_file("crash", err);
    _cleanup_(cleanup_close) int life_fd = -1;
    if (crash_fd < 0 || (life_fd = life_file(&parent->life, err)) < 0)
        return -1;
    if (spawn_program(crash_fd, life_fd, &parent->pid, err) < 0) {
        parent->pid = 0;
        return -1;
    }
    parent->crash_fd = steal_fd(&crash_fd);
    parent->started_ms = clock_now_ms(parent->clock);
    parent->start_at_ms = NO_TIME;
    report_started(&parent->report, parent->life.node_uid, parent->pid);
    note_end(parent, NULL);
    return 0;
}

static uint64_t random_uid(void)
{
    uint64_t uid = 0;
    while (uid == 0) /* 0 means "not a node" */
        rng_system_bytes(&uid, sizeof(uid));
    return uid;
}

static void start_or_wait(struct parent *parent)
{
    struct err err = {0};
    if (start_runtime(parent, &err) == 0)
        return;
    log_event(LOG_ERROR, "cannot start the runtime", "error", err.text, NULL);
    parent->start_at_ms = clock_now_ms(parent->clock) +
                          backoff_next(&parent->backoff, clock_now_ms(parent->clock), &parent->rng);
}

static void read_crash_record(int fd, struct life_end *end)
{
    static char text[CRASH_RECORD_BYTES]; /* one thread; too large for a stack */
    char named[sizeof(end->backtrace)];
    ssize_t size = pread(fd, text, sizeof(text), 0);
    crash_record_parse(text, size > 0 ? (size_t)size : 0, end);
    symbols_name_frames(end->backtrace, named, sizeof(named));
    memcpy(end->backtrace, named, sizeof(named));
}

static void runtime_ended(struct parent *parent, int status)
{
    int64_t now_ms = clock_now_ms(parent->clock);
    bool is_signal = WIFSIGNALED(status);
    struct life_end end = {.node_uid = parent->life.node_uid,
        .exit_code = is_signal ? 0 : WEXITSTATUS(status),
        .signal = is_signal ? WTERMSIG(status) : 0};
    read_crash_record(parent->crash_fd, &end);
    (void)close(parent->crash_fd); /* a memory file: nothing to lose */
    parent->crash_fd = -1;
    parent->pid = 0;
    report_exited(&parent->report, &end);
    note_end(parent, &end);
    struct parent_decision decision = parent_decide(&parent->backoff, is_signal ? -1 : end.exit_code,
        parent->is_stopping, now_ms - parent->started_ms, now_ms, &parent->rng);
    parent->is_done = !decision.restart;
    parent->exit_code = decision.exit_code;
    if (!decision.restart)
        return;
    life_advance(&parent->life, &end, random_uid());
    parent->start_at_ms = now_ms + decision.delay_ms;
    if (decision.delay_ms == 0)
        start_or_wait(parent); /* before logging: somebody waits for the next life */
    log_event(is_signal || end.exit_code ? LOG_WARNING : LOG_INFO, "runtime ended", "exitCode",
        log_number(end.exit_code), "signal", log_number(end.signal), "unit", end.unit, "actor", end.actor,
        "restartInMs", log_number(decision.delay_ms), "backtrace", end.backtrace, NULL);
}

/* Also everybody's orphans, where we are PID 1. */
static void reap(struct parent *parent)
{
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        if (pid == parent->pid)
            runtime_ended(parent, status);
    }
}

static void stop(struct parent *parent, int64_t patience_ms)
{
    int64_t kill_at_ms = clock_now_ms(parent->clock) + patience_ms;
    parent->is_stopping = true;
    parent->start_at_ms = NO_TIME;
    if (parent->kill_at_ms == NO_TIME || kill_at_ms < parent->kill_at_ms)
        parent->kill_at_ms = kill_at_ms;
    if (parent->pid)
        (void)kill(parent->pid, SIGTERM); /* our unreaped child: it exists */
    else
        parent->is_done = true;
}

static void handle_signals(struct parent *parent)
{
    struct signalfd_siginfo info;
    while (read(parent->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo == SIGCHLD)
            reap(parent);
        else
            stop(parent, (int64_t)parent->environment->drain_timeout_ms + STOP_SPARE_MS);
}

static void handle_report(struct parent *parent, short events)
{
    bool is_gone = (events & (POLLERR | POLLNVAL)) != 0;
    if (!is_gone && (events & (POLLIN | POLLHUP)))
        is_gone = report_is_gone(&parent->report);
    if (!is_gone) {
        report_flush(&parent->report);
        return;
    }
    log_event(LOG_WARNING, "whoever started this node is gone: stopping", NULL);
    parent->report.fd = -1;
    stop(parent, ORPHAN_STOP_MS);
}

/* Milliseconds until the next thing is due; -1: nothing is. */
static int poll_timeout(const struct parent *parent)
{
    int64_t due_ms = parent->start_at_ms;
    if (parent->kill_at_ms != NO_TIME && (due_ms == NO_TIME || parent->kill_at_ms < due_ms))
        due_ms = parent->kill_at_ms;
    if (due_ms == NO_TIME)
        return -1;
    int64_t left_ms = due_ms - clock_now_ms(parent->clock);
    return left_ms < 0 ? 0 : (int)left_ms + 1;
}

static void handle_due(struct parent *parent)
{
    int64_t now_ms = clock_now_ms(parent->clock);
    if (parent->start_at_ms != NO_TIME && now_ms >= parent->start_at_ms)
        start_or_wait(parent);
    if (parent->kill_at_ms != NO_TIME && now_ms >= parent->kill_at_ms && parent->pid) {
        log_event(LOG_WARNING, "the runtime did not stop in time: killed", NULL);
        (void)kill(parent->pid, SIGKILL); /* our unreaped child: it exists */
        parent->kill_at_ms = NO_TIME;
    }
}

static int open_signals(struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set); /* on our own memory these cannot fail */
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* valid arguments: cannot fail */
    (void)signal(SIGPIPE, SIG_IGN);           /* a gone reader is an error of write(), not our end */
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_set_errno(err, errno, "signalfd") : fd;
}

/* A reader of our log that stopped reading costs log lines, and never the node's work. The runtime shares the
 * descriptor; files and terminals always take a line. */
static void make_log_never_wait(void)
{
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) == 0 && S_ISFIFO(status.st_mode))
        (void)fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK); /* else it waits */
}

static int check_report(const struct environment *environment, struct err *err)
{
    if (environment->report_fd < 0)
        return 0;
    if (fcntl(environment->report_fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set_errno(err, errno, "HISTRIO_REPORT_FD %d", environment->report_fd);
    /* The runtime must not think that it has one: only the parent's end tells the run that the node is gone.
     */
    (void)unsetenv("HISTRIO_REPORT_FD"); /* a valid name: cannot fail */
    return 0;
}

static void loop(struct parent *parent)
{
    while (!parent->is_done) {
        struct pollfd polled[] = {{.fd = parent->signal_fd, .events = POLLIN},
            {.fd = parent->report.fd,
                .events = (short)(POLLIN | (report_has_pending(&parent->report) ? POLLOUT : 0))}};
        (void)poll(polled, 2, poll_timeout(parent)); /* an interrupted poll is one more turn */
        if (polled[0].revents)
            handle_signals(parent);
        if (polled[1].revents)
            handle_report(parent, polled[1].revents);
        handle_due(parent);
    }
}

int parent_run(const struct environment *environment)
{
    struct err err = {0};
    struct parent parent = {.environment = environment,
        .clock = clock_system(),
        .crash_fd = -1,
        .start_at_ms = NO_TIME,
        .kill_at_ms = NO_TIME};
    make_log_never_wait();
    log_init(STDOUT_FILENO, environment->log_level);
    log_set_common("system", environment->system);
    log_set_common("node", environment->node_name);
    parent.signal_fd = open_signals(&err);
    if (parent.signal_fd < 0 || check_report(environment, &err) < 0) {
        log_event(LOG_ERROR, "cannot start", "error", err.text, NULL);
        return PARENT_EXIT_CONFIGURATION;
    }
    (void)rng_seed_from_system(&parent.rng); /* of backoff only: nobody replays it */
    parent_backoff_init(&parent.backoff);
    report_init(&parent.report, environment->report_fd);
    parent.life.node_uid = random_uid();
    start_or_wait(&parent);
    loop(&parent);
    report_done(&parent.report);
    life_done(&parent.life);
    (void)close(parent.signal_fd); /* nothing is written through it */
    return parent.exit_code;
}
