#include "drivers/process_spawn.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    CHILD_REPORT_FD = 3,
    OUTPUT_PIPE_BYTES = 1024 * 1024, /* so that a burst of logs does not hold a node up */
};

struct strings {
    char **items;
    size_t count;
    size_t capacity;
};

static void strings_done(struct strings *strings)
{
    vec_for_each (string, strings)
        free(*string);
    vec_done(strings);
}

/* The environment that the node inherits, but for what we decide. */
static void add_inherited(struct strings *environment)
{
    static const char *const ours[] = {"HISTRIO_SYSTEM=", "HISTRIO_SYSTEM_UID=", "HISTRIO_NODE_NAME=",
        "HISTRIO_POD_UID=", "HISTRIO_CREDENTIAL=", "HISTRIO_CONTROL_ADDRESS=", "HISTRIO_LINK_ADDRESS=",
        "HISTRIO_GATEWAY_ADDRESS=", "HISTRIO_CODE_FOLDERS=", "HISTRIO_REPORT_FD=", "HISTRIO_KUBE_NODE=",
        "HISTRIO_ZONE="};
    for (char **variable = environ; *variable; variable++) {
        bool is_ours = false;
        for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]) && !is_ours; i++)
            is_ours = text_starts_with(*variable, ours[i]);
        if (!is_ours)
            vec_push(environment, xstrdup(*variable));
    }
}

static void fill_environment(const struct process_driver_config *config, const struct driver_node *node,
    const char *node_folder, struct strings *environment)
{
    uint64_t pod_uid;
    rng_system_bytes(&pod_uid, sizeof(pod_uid));
    add_inherited(environment);
    vec_push(environment, xasprintf("HISTRIO_SYSTEM=%s", config->system));
    vec_push(environment, xasprintf("HISTRIO_SYSTEM_UID=%s", config->system_uid));
    vec_push(environment, xasprintf("HISTRIO_NODE_NAME=%s", node->name));
    vec_push(environment, xasprintf("HISTRIO_POD_UID=%016llx", (unsigned long long)pod_uid));
    vec_push(environment, xasprintf("HISTRIO_CREDENTIAL=%s", config->credential));
    vec_push(environment, xasprintf("HISTRIO_CONTROL_ADDRESS=unix:%s/control.sock", node_folder));
    vec_push(environment, xasprintf("HISTRIO_LINK_ADDRESS=unix:%s/link.sock", node_folder));
    vec_push(environment, xasprintf("HISTRIO_GATEWAY_ADDRESS=unix:%s/gateway.sock", node_folder));
    vec_push(environment, xasprintf("HISTRIO_CODE_FOLDERS=%s", config->code_folders));
    vec_push(environment, xasprintf("HISTRIO_REPORT_FD=%d", CHILD_REPORT_FD));
    vec_push(environment, xasprintf("HISTRIO_KUBE_NODE=%s", node->kube_node ? node->kube_node : ""));
    vec_push(environment, xasprintf("HISTRIO_ZONE=%s", node->zone ? node->zone : ""));
    vec_push(environment, NULL);
}

/* A process group of its own, so that Ctrl-C on the terminal reaches only us: we drain the nodes. No signal
 * is blocked or ignored in the child. */
static int start(const char *program, char *const *environment, int report_fd, int output_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char *arguments[] = {"histrio-node", NULL};
    (void)posix_spawn_file_actions_init(&actions); /* glibc's never fails */
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    /* Sources are moved above the targets first (spawn_raise), so no target overwrites a source. */
    int failure = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
    if (!failure)
        failure = posix_spawn_file_actions_adddup2(&actions, report_fd, CHILD_REPORT_FD);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failure)
        failure = posix_spawn(ret_pid, program, &actions, &attributes, arguments, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failure;
}

/* The same descriptor at 10 or above. */
static int spawn_raise(int fd)
{
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    (void)close(fd);
    return raised;
}

int process_spawn(const struct process_driver_config *config, const struct driver_node *node,
    const char *node_folder, struct process_spawned *ret_spawned, struct err *err)
{
    _cleanup_(strings_done) struct strings environment = {0};
    int report[2], output[2];
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, report) < 0)
        return err_set_errno(err, errno, "make the report socket of node \"%s\"", node->name);
    _cleanup_(cleanup_close) int report_ours = spawn_raise(report[0]);
    _cleanup_(cleanup_close) int report_theirs = spawn_raise(report[1]);
    if (pipe2(output, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "make the log pipe of node \"%s\"", node->name);
    _cleanup_(cleanup_close) int output_ours = spawn_raise(output[0]);
    _cleanup_(cleanup_close) int output_theirs = spawn_raise(output[1]);
    if (report_ours < 0 || report_theirs < 0 || output_ours < 0 || output_theirs < 0)
        return err_set(err, ERR_SYSTEM, "start node \"%s\": out of file descriptors", node->name);
    (void)fcntl(output_ours, F_SETPIPE_SZ, OUTPUT_PIPE_BYTES); /* the default size works too */
    (void)fcntl(output_ours, F_SETFL, O_NONBLOCK);
    (void)fcntl(report_ours, F_SETFL, O_NONBLOCK);
    fill_environment(config, node, node_folder, &environment);
    int failure = start(config->program, environment.items, report_theirs, output_theirs, &pid);
    if (failure)
        return err_set_errno(err, failure, "start node \"%s\" with \"%s\"", node->name, config->program);
    int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0) {
        int number = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return err_set_errno(err, number, "watch node \"%s\"", node->name);
    }
    *ret_spawned = (struct process_spawned){pid, pid_fd, steal_fd(&report_ours), steal_fd(&output_ours)};
    return 0;
}
