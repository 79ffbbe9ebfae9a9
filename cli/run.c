#include "cli/run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/detach.h"
#include "cli/explanation.h"
#include "cli/manifest_file.h"
#include "cli/run_view.h"
#include "operator/run.h"
#include "operator/run_folder.h"
#include "placement/dry.h"
#include "types/status.h"
#include "types/system.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { PROBLEM_BYTES_MAX = 256 * 1024, SAME_SIGTERM_MS = 500 };

/* One `histrio run`. */
struct running {
    struct cli *cli;
    struct run_view view;
    struct detach detach;
    int signal_fd;
    int64_t last_sigterm_ms; /* INT64_MIN: none yet */
};

char *run_node_program(void)
{
    char path[PATH_MAX];
    const char *given = getenv("HISTRIO_NODE_PROGRAM");
    if (given && *given)
        return xstrdup(given);
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (size <= 0)
        return xstrdup("histrio-node");
    path[size] = '\0';
    _cleanup_(cleanup_free) char *folder = file_folder_of(path);
    return file_join(folder, "histrio-node");
}

static enum exit_code dry_run(struct cli *cli, struct system_spec *spec)
{
    struct dry_placement dry = {0};
    placement_dry(spec, spec->nodes.replicas, 0, &dry);
    _cleanup_(json_freep) struct json *tree = dry_placement_to_json(&dry);
    if (cli_wants_tree(cli))
        cli_print_tree(cli, tree);
    else
        explanation_print_dry(tree, spec->name, cli->out);
    dry_placement_done(&dry);
    return CLI_OK;
}

static void on_event(const struct run_event *event, void *ctx)
{
    struct running *running = ctx;
    run_view_event(&running->view, event);
}

static void on_status(const struct status *status, void *ctx)
{
    struct running *running = ctx;
    run_view_status(&running->view, status);
    if (status->conditions[CONDITION_READY].is_true)
        detach_ready(&running->detach);
}

/* Who ends a process group ends its leader twice: that is one wish. */
static bool is_repeated_sigterm(struct running *running, const struct signalfd_siginfo *info)
{
    int64_t now_ms = clock_now_ms(clock_system());
    bool is_repeated = running->last_sigterm_ms > now_ms - SAME_SIGTERM_MS;
    if (info->ssi_signo != SIGTERM)
        return false;
    running->last_sigterm_ms = now_ms;
    return is_repeated;
}

/* SIGINT and SIGTERM: the first one drains, the second one stops at once, the third one kills. */
static void on_signal(struct run *run, void *ctx)
{
    struct running *running = ctx;
    struct signalfd_siginfo info;
    while (read(running->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (!is_repeated_sigterm(running, &info))
            run_stop(run, 0);
    }
}

static int open_signals(struct err *err)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return err_set(err, ERR_SYSTEM, "block signals");
    int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_set(err, ERR_SYSTEM, "no descriptor for signals") : fd;
}

static enum exit_code run_system(
    struct running *running, struct system_spec *spec, const char *node_program, const char *code_folders)
{
    struct cli *cli = running->cli;
    struct run *run = NULL;
    struct err err = {0};
    running->signal_fd = open_signals(&err);
    if (running->signal_fd < 0)
        return cli_fail(cli, &err);
    struct run_config config = {.spec = spec,
        .node_program = node_program,
        .code_folders = code_folders,
        .software = "histrio/" HISTRIO_VERSION,
        .input_fd = running->signal_fd,
        .listener = {on_event, on_status, on_signal, running}};
    enum exit_code code = CLI_OK;
    if (run_new(&config, &run, &err) < 0 || run_loop(run, &err) < 0)
        code = cli_fail(cli, &err);
    run_free(run);
    (void)close(running->signal_fd);
    return code;
}

static void say_what_is_ignored(struct cli *cli, const struct system_spec *spec)
{
    _cleanup_(str_done) struct str ignored = STR_INIT(1024);
    manifest_file_ignored(spec, &ignored);
    if (ignored.size > 0)
        (void)fprintf(
            cli->errors, "histrio: not used by a local run: %s\n", str_text(&ignored)); /* for people only */
}

static enum exit_code start(
    struct cli *cli, struct system_spec *spec, const char *node_program, const char *code_folders)
{
    struct running running = {.cli = cli, .last_sigterm_ms = INT64_MIN};
    struct err err = {0};
    bool is_live = !cli->options.detach && isatty(fileno(cli->out)) == 1;
    say_what_is_ignored(cli, spec);
    detach_init(&running.detach);
    if (cli->options.detach) {
        _cleanup_(cleanup_free) char *folder = run_folder_path(spec->name);
        int code =
            detach_begin(&running.detach, folder, spec->name, cli->options.timeout_ms, cli->errors, &err);
        if (code < 0)
            return cli_fail(cli, &err);
        if (!running.detach.is_child)
            return (enum exit_code)code;
    }
    run_view_init(&running.view, cli->out, is_live);
    enum exit_code code = run_system(&running, spec, node_program, code_folders);
    run_view_done(&running.view);
    detach_done(&running.detach, (int)code);
    return code;
}

enum exit_code verb_run(struct cli *cli)
{
    _cleanup_(cleanup_free) char *node_program = run_node_program();
    _cleanup_(cleanup_free) char *code_folders = NULL;
    _cleanup_(str_done) struct str problems = STR_INIT(PROBLEM_BYTES_MAX);
    struct manifest_file_options options = {
        node_program, cli->options.nodes, {cli->options.config_maps.items, cli->options.config_maps.count}};
    struct system_spec *spec = NULL;
    struct err err = {0};
    if (access(node_program, X_OK) < 0)
        return cli_fail(cli, (err_set(&err, ERR_NOT_FOUND,
                                  "node program \"%.160s\" is missing: install it beside histrio, or "
                                  "set HISTRIO_NODE_PROGRAM",
                                  node_program),
                                 &err));
    if (manifest_file_load(cli->options.words.items[0], &options, &spec, &code_folders, &problems, &err) <
        0) {
        (void)fputs(str_text(&problems), cli->errors); /* nowhere else to complain */
        return CLI_USAGE;
    }
    enum exit_code code =
        cli->options.dry_run ? dry_run(cli, spec) : start(cli, spec, node_program, code_folders);
    system_spec_unref(spec);
    return code;
}
