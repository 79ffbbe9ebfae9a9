/* Worker processes for behaviors in C: children of the node, one program for all apps. */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/symbols.h"
#include "host/private.h"
#include "host/program.h"
#include "host/reason_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool reap(struct process *process, int options)
{
    int status = 0;
    if (waitpid(process->pid, &status, options) != process->pid)
        return false;
    process->has_status = true;
    process->status = status;
    return true;
}

static void exit_ready(struct host *host, struct watched *watched, uint32_t events)
{
    struct process *process = list_entry(watched, struct process, exit);
    (void)events;
    if (!reap(process, WNOHANG))
        return;
    host_unwatch(host, watched);
    if (list_node_is_linked(&process->node)) /* else it was settled in this round of events */
        death_told(process, process->status);
}

static int watch_exit(struct process *process, struct err *err)
{
    process->exit =
        (struct watched){.fd = (int)syscall(SYS_pidfd_open, process->pid, 0), .ready = exit_ready};
    if (process->exit.fd < 0)
        return err_set_errno(err, errno, "pidfd_open");
    return host_watch(process->host, &process->exit, EPOLLIN, err);
}

int cprocess_start(struct process *process, const int remote[HOST_REMOTE_FDS], struct err *err)
{
    pid_t pid = 0;
    if (program_start(process->host->program, remote, &pid, err) < 0)
        return -1;
    process_remember_pid(process, pid);
    return watch_exit(process, err);
}

void cprocess_done(struct process *process)
{
    if (!process->is_c || process->pid == 0 || process->has_status)
        return;
    process_send_signal(process, SIGKILL);
    (void)reap(process, 0);
}

void trace_read(const struct process *process, char *ret_trace)
{
    page_read_trace(&process->page, ret_trace, TRACE_BYTES + 1);
    char *frames = process->is_c ? reason_frames_of_c(ret_trace) : NULL;
    if (!frames)
        return;
    char *given = xstrdup(frames);
    symbols_name_frames(given, frames, TRACE_BYTES + 1 - (size_t)(frames - ret_trace));
    free(given);
}
