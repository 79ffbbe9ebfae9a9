#include "support/node_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "node_control/life.h"

const uint8_t node_credential[16] = {
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

enum { SETTINGS_MAX = 64, REPORT_FD = 3, REPORT_WAIT_MS = 10000 };

/* The node's environment: ours where it is not about Histrio, the usual settings, then those of the test. */
struct settings {
    char *texts[SETTINGS_MAX + 1];
    size_t count;
};

static void set(struct settings *settings, const char *text)
{
    size_t name_size = strcspn(text, "=") + 1;
    for (size_t i = 0; i < settings->count; i++) {
        if (strncmp(settings->texts[i], text, name_size) == 0) {
            free(settings->texts[i]);
            settings->texts[i] = xstrdup(text);
            return;
        }
    }
    assert_true(settings->count < SETTINGS_MAX);
    settings->texts[settings->count++] = xstrdup(text);
}

__attribute__((format(printf, 2, 3))) static void setf(struct settings *settings, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = xvasprintf(fmt, args);
    va_end(args);
    set(settings, text);
    free(text);
}

static void fill(struct settings *settings, const struct node_process *node, const char *const *more)
{
    static const char *const kept[] = {"PATH", "HOME", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS",
        "TSAN_OPTIONS", "LD_LIBRARY_PATH", "GRPC_TRACE", "GRPC_VERBOSITY"};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (getenv(kept[i]))
            setf(settings, "%s=%s", kept[i], getenv(kept[i]));
    set(settings, "HISTRIO_SYSTEM=" NODE_SYSTEM);
    set(settings, "HISTRIO_SYSTEM_UID=" NODE_SYSTEM_UID);
    set(settings, "HISTRIO_NODE_NAME=bank-nodes-0");
    set(settings, "HISTRIO_POD_UID=pod-1");
    set(settings, "HISTRIO_CREDENTIAL=" NODE_CREDENTIAL_HEX);
    setf(settings, "HISTRIO_CONTROL_ADDRESS=%s", node->control_address);
    setf(settings, "HISTRIO_LINK_ADDRESS=%s", node->link_address);
    setf(settings, "HISTRIO_GATEWAY_ADDRESS=%s", node->gateway_address);
    setf(settings, "HISTRIO_CODE_FOLDERS=%s", getenv("HISTRIO_TEST_CODE"));
    setf(settings, "HISTRIO_REPORT_FD=%d", REPORT_FD);
    set(settings, "HISTRIO_LOG_LEVEL=debug");
    for (size_t i = 0; more && more[i]; i++)
        set(settings, more[i]);
}

static void spawn(struct node_process *node, int their_end, int log_fd, char *const *environment)
{
    const char *program = getenv("HISTRIO_NODE_PROGRAM");
    char name[] = "histrio-node";
    char *const arguments[] = {name, NULL};
    posix_spawn_file_actions_t files;
    assert_non_null(program);
    assert_int_equal(posix_spawn_file_actions_init(&files), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&files, their_end, REPORT_FD), 0);
    if (log_fd >= 0)
        assert_int_equal(posix_spawn_file_actions_adddup2(&files, log_fd, 1), 0);
    else
        assert_int_equal(
            posix_spawn_file_actions_addopen(&files, 1, node->log, O_WRONLY | O_CREAT | O_APPEND, 0600), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&files, 1, 2), 0);
    assert_int_equal(posix_spawn(&node->pid, program, &files, NULL, arguments, environment), 0);
    posix_spawn_file_actions_destroy(&files);
}

void node_process_start(struct node_process *node, const char *const *more)
{
    node_process_start_logging_to(node, more, -1);
}

void node_process_start_logging_to(struct node_process *node, const char *const *more, int log_fd)
{
    struct settings settings = {.count = 0};
    int ends[2];
    *node = (struct node_process){.report_fd = -1};
    (void)snprintf(node->folder, sizeof(node->folder), "/tmp/histrio-node-XXXXXX");
    assert_non_null(mkdtemp(node->folder));
    (void)snprintf(
        node->control_address, sizeof(node->control_address), "unix:%s/control.sock", node->folder);
    (void)snprintf(node->link_address, sizeof(node->link_address), "unix:%s/link.sock", node->folder);
    (void)snprintf(
        node->gateway_address, sizeof(node->gateway_address), "unix:%s/gateway.sock", node->folder);
    (void)snprintf(node->log, sizeof(node->log), "%s/log", node->folder);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    node->report_fd = ends[0];
    fill(&settings, node, more);
    spawn(node, ends[1], log_fd, settings.texts);
    (void)close(ends[1]); /* the node has its own copy */
    for (size_t i = 0; i < settings.count; i++)
        free(settings.texts[i]);
}

/* Waits until `fd` is readable; false at the deadline. */
static int wait_readable(int fd, int64_t deadline_ns)
{
    int64_t left_ms = (deadline_ns - clock_now_ns(clock_system())) / NS_PER_MS;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return left_ms > 0 && poll(&polled, 1, (int)left_ms) > 0;
}

/* Takes the first whole line, if there is one, as JSON. */
static struct json *take_line(struct node_process *node)
{
    struct json *line = NULL;
    char *newline = memchr(node->lines, '\n', node->line_bytes);
    if (!newline)
        return NULL;
    size_t size = (size_t)(newline - node->lines);
    assert_int_equal(json_parse(node->lines, size, &line, NULL), 0);
    node->line_bytes -= size + 1;
    memmove(node->lines, newline + 1, node->line_bytes);
    return line;
}

struct json *node_process_report(struct node_process *node, const char *event, int timeout_ms)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + timeout_ms * NS_PER_MS;
    for (;;) { /* ends at the deadline */
        struct json *line = take_line(node);
        if (line && text_equal(json_string(json_get(line, "event")), event))
            return line;
        json_free(line);
        if (line)
            continue;
        if (!wait_readable(node->report_fd, deadline_ns))
            fail_msg("no report \"%s\" in %d ms", event, timeout_ms);
        ssize_t size =
            read(node->report_fd, node->lines + node->line_bytes, sizeof(node->lines) - node->line_bytes);
        assert_true(size > 0);
        node->line_bytes += (size_t)size;
    }
}

void node_process_started(struct node_process *node, uint64_t *ret_uid, pid_t *ret_pid)
{
    struct json *line = node_process_report(node, "started", REPORT_WAIT_MS);
    assert_int_equal(life_uid_parse(json_string(json_get(line, "uid")), ret_uid, NULL), 0);
    *ret_pid = (pid_t)json_int(json_get(line, "pid"));
    json_free(line);
}

int node_process_wait(struct node_process *node, int timeout_ms)
{
    int status = 0;
    int fd = (int)syscall(SYS_pidfd_open, node->pid, 0);
    int64_t deadline_ns = clock_now_ns(clock_system()) + timeout_ms * NS_PER_MS;
    assert_true(fd >= 0);
    int has_ended = wait_readable(fd, deadline_ns);
    (void)close(fd); /* nothing is written through it */
    if (!has_ended)
        fail_msg("the node did not end in %d ms", timeout_ms);
    assert_int_equal(waitpid(node->pid, &status, 0), node->pid);
    node->pid = 0;
    return status;
}

static void show(const char *path)
{
    struct str text = STR_INIT(1024 * 1024);
    if (file_read(path, 1024 * 1024, &text, NULL) == 0)
        (void)fprintf(stderr, "%s", str_text(&text));
    str_done(&text);
}

void node_process_end(struct node_process *node, int show_log)
{
    if (show_log)
        show(node->log);
    if (node->pid > 0) {
        (void)kill(node->pid, SIGKILL); /* the runtime follows its parent */
        (void)waitpid(node->pid, NULL, 0);
    }
    if (node->report_fd >= 0)
        (void)close(node->report_fd);
    if (node->folder[0])
        (void)file_remove_tree(node->folder, NULL); /* best effort */
    *node = (struct node_process){.report_fd = -1};
}
