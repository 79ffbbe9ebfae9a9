#include "operator/run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "drivers/process.h"
#include "operator/fence_file.h"
#include "operator/run_private.h"
#include "operator/run_server.h"
#include "operator_control/control.h"
#include "types/fence_record.h"
#include "types/status.h"
#include "types/system.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATUS_INTERVAL_MS = 100,
    FENCE_BYTES_MAX = 16 * 1024 * 1024,
    EXIT_CONFIGURATION = 78,
};

void run_tell_event(struct run *run, const char *reason, const char *about, bool is_warning, const char *text)
{
    struct run_event event = {
        reason ? reason : "", text ? text : "", about, is_warning, clock_wall_ms(clock_system())};
    if (run->config.listener.event)
        run->config.listener.event(&event, run->config.listener.ctx);
}

static void on_control_event(struct control_event *event, void *ctx)
{
    struct run *run = ctx;
    run_queue_push_event(&run->queue, event);
}

static void on_driver_event(const struct driver_event *event, void *ctx)
{
    struct run *run = ctx;
    (void)shell_tick(&run->shell); /* the core wants to know the time, we do not */
    switch (event->kind) {
    case DRIVER_RUNTIME_STARTED: {
        _cleanup_(cleanup_free) char *address = run->driver->control_address(run->driver, event->name);
        core_node_started(run->core, event->name, event->node_uid, event->pid);
        control_dial(run->control, event->name, address);
        break;
    }
    case DRIVER_RUNTIME_EXITED: {
        struct core_node_exit how = {.exit_code = event->exit_code,
            .signal = event->signal,
            .unit = event->unit,
            .actor = event->actor,
            .backtrace = event->backtrace};
        core_node_exited(run->core, event->name, event->node_uid, &how);
        break;
    }
    case DRIVER_NODE_GONE: {
        _cleanup_(cleanup_free) char *text = NULL;
        if (event->signal)
            text = xasprintf(
                "node process was killed by signal %d (%s)", event->signal, strsignal(event->signal));
        else if (event->exit_code)
            text = xasprintf("node process ended with exit code %d%s", event->exit_code,
                event->exit_code == EXIT_CONFIGURATION ? " (bad configuration): its log says more" : "");
        control_hang_up(run->control, event->name);
        core_node_gone(run->core, event->name, event->exit_code, text);
        break;
    }
    }
}

static int read_record(struct run *run, struct fence_record *ret_record, bool *ret_found, struct err *err)
{
    _cleanup_(str_done) struct str text = STR_INIT(FENCE_BYTES_MAX);
    _cleanup_(json_freep) struct json *document = NULL;
    struct err read_err = {0};
    *ret_found = false;
    if (fence_file_read(run->fence, &text, &read_err) < 0) {
        if (read_err.kind == ERR_NOT_FOUND)
            return 0;
        return err_set(err, read_err.kind, "%s", read_err.text);
    }
    if (json_parse(str_text(&text), text.size, &document, err) < 0 ||
        fence_record_from_json(document, ret_record, err) < 0) {
        (void)err_wrap(err, "fence record \"%s\" (move it away to begin anew)", fence_file_path(run->fence));
        return -1;
    }
    *ret_found = true;
    return 0;
}

static int make_core(struct run *run, struct err *err)
{
    struct fence_record record = {0};
    struct rng rng;
    bool is_found;
    struct core_options options = {.system_uid = run->system_uid, .seed = rng_seed_from_system(&rng)};
    if (read_record(run, &record, &is_found, err) < 0)
        return -1;
    run->core = core_new(&options, run->config.spec, is_found ? &record : NULL);
    fence_record_done(&record);
    return 0;
}

static int make_parts(struct run *run, struct err *err)
{
    const struct run_config *config = &run->config;
    const char *system = config->spec->name;
    _cleanup_(cleanup_free) char *state_folder = run_folder_state_path(system);
    _cleanup_(cleanup_free) uint8_t *credential = NULL;
    size_t credential_size;
    if (run_folder_open(system, run->system_uid, &run->folder, err) < 0 ||
        run_folder_unhex(run->folder.credential, &credential, &credential_size, err) < 0 ||
        fence_file_open(state_folder, NULL, &run->fence, err) < 0 || make_core(run, err) < 0 ||
        run_queue_init(&run->queue, err) < 0)
        return -1;
    run->has_queue = true;
    _cleanup_(cleanup_free) char *address = xasprintf("unix:%s/run.sock", run->folder.path);
    struct process_driver_config driver = {config->node_program, run->folder.path, system, run->system_uid,
        run->folder.credential, config->code_folders, on_driver_event, run};
    struct control_config control = {.system = system,
        .system_uid = run->system_uid,
        .credential = credential,
        .credential_size = credential_size,
        .software = config->software,
        .code_folders = config->code_folders,
        .listener = on_control_event,
        .ctx = run};
    struct run_server_config server = {address, credential, credential_size, &run->queue};
    if (process_driver_new(&driver, &run->driver, err) < 0 || control_new(&control, &run->control, err) < 0)
        return -1;
    run->shell = (struct shell){.core = run->core, .control = run->control, .clock = clock_system()};
    run_hands(run, &run->shell.hands);
    return run_server_new(&server, &run->server, err);
}

int run_new(const struct run_config *config, struct run **ret_run, struct err *err)
{
    struct run *run = xcalloc(1, sizeof(*run));
    uint64_t uid[2];
    rng_system_bytes(uid, sizeof(uid));
    run->config = *config;
    run->config.spec = system_spec_ref(config->spec);
    run->folder.lock_fd = -1;
    run->system_uid = xasprintf("%016llx%016llx", (unsigned long long)uid[0], (unsigned long long)uid[1]);
    if (make_parts(run, err) < 0) {
        run_free(run);
        return -1;
    }
    *ret_run = run;
    return 0;
}

void run_free(struct run *run)
{
    if (!run)
        return;
    run_server_stop(run->server);
    if (run->driver)
        run->driver->free(run->driver);
    control_free(run->control);
    if (run->has_queue)
        run_queue_done(&run->queue);
    run_server_free(run->server);
    core_free(run->core);
    fence_file_free(run->fence);
    run_folder_close(&run->folder);
    system_spec_unref(run->config.spec);
    free(run->system_uid);
    free(run);
}

const char *run_folder_of(const struct run *run)
{
    return run->folder.path;
}

void run_stop(struct run *run, uint32_t drain_timeout_ms)
{
    run->stops++;
    if (run->stops > 2) {
        run->is_killed = true; /* run_free() does it */
        return;
    }
    (void)shell_tick(&run->shell); /* the core wants to know the time, we do not */
    core_stop(run->core, drain_timeout_ms);
}

static void take_queue(struct run *run)
{
    struct list events, requests;
    struct list_node *link;
    run_queue_take(&run->queue, &events, &requests);
    while ((link = list_pop_front(&events))) {
        struct control_event *event = control_event_of_link(link);
        const char *text = "";
        (void)shell_tick(&run->shell); /* the core wants to know the time, we do not */
        if (!control_event_apply(event, run->core, &text))
            run_tell_event(run, "ControlRefused", control_event_node(event), true, text);
        control_event_free(event);
    }
    while ((link = list_pop_front(&requests)))
        run_serve(run, list_entry(link, struct run_request, link));
}

static void tell_status(struct run *run)
{
    struct status status = {0};
    core_status(run->core, &status);
    run->config.listener.status(&status, run->config.listener.ctx);
    status_done(&status);
}

/* Milliseconds until something is due by itself; -1: nothing. */
static int next_wait(struct run *run, int64_t now_ms)
{
    int64_t due_ms = run->shell.wake_at_ms;
    if (run->status_changed && run->config.listener.status) {
        int64_t status_due_ms = run->status_told_ms + STATUS_INTERVAL_MS;
        if (now_ms >= status_due_ms) {
            run->status_changed = false;
            run->status_told_ms = now_ms;
            tell_status(run);
        } else if (status_due_ms < due_ms) {
            due_ms = status_due_ms;
        }
    }
    if (due_ms == INT64_MAX)
        return -1;
    int64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    return wait_ms > 60 * MS_PER_S ? (int)(60 * MS_PER_S) : (int)wait_ms;
}

int run_loop(struct run *run, struct err *err)
{
    enum { POLL_QUEUE, POLL_DRIVER, POLL_INPUT };
    struct pollfd fds[] = {{.fd = run->queue.event_fd, .events = POLLIN},
        {.fd = run->driver->fd(run->driver), .events = POLLIN},
        {.fd = run->config.input_fd, .events = POLLIN}};
    for (;;) {
        shell_act(&run->shell);
        if (run->shell.is_lost)
            return err_set(
                err, ERR_CONFLICT, "another operator took the system over: its fence record was changed");
        if (run->shell.is_stopped || run->is_killed)
            break;
        int wait_ms = next_wait(run, shell_tick(&run->shell));
        if (poll(fds, 3, wait_ms) < 0 && errno != EINTR)
            return err_set_errno(err, errno, "wait for events");
        if (fds[POLL_INPUT].revents && run->config.listener.input)
            run->config.listener.input(run, run->config.listener.ctx);
        /* The driver first: its proofs are what failover waits for. */
        if (fds[POLL_DRIVER].revents)
            run->driver->dispatch(run->driver);
        if (fds[POLL_QUEUE].revents)
            take_queue(run);
    }
    if (run->config.listener.status)
        tell_status(run);
    return 0;
}
