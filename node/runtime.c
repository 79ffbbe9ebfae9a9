#include "node/runtime.h"

#include "actor/crash.h"
#include "actor/system.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "gateway/gateway.h"
#include "gateway/http.h"
#include "host/host.h"
#include "node/environment.h"
#include "node/hosting.h"
#include "node/parent.h"
#include "node/peers.h"
#include "node_control/control.h"
#include "node_control/life.h"
#include "rpc/creds.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "transport/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    LINK_BUSY_POLL_US = 300, /* an ask of another node whose threads sleep */
    LINK_GRACE_MS = 100,
    ACTORS_GRACE_MS = 1000,
};

/* Why the process ends; stored by the control loop's thread, then the event descriptor wakes main, which
 * loads it. */
enum runtime_end { RUNTIME_GOES_ON, RUNTIME_DRAINED, RUNTIME_FENCED };

struct runtime {
    const struct environment *environment;
    struct life life;
    int64_t started_ns;
    int signal_fd;
    int end_fd;
    _Atomic int end; /* enum runtime_end */
    struct rpc_loop *control_loop, *link_loop;
    struct node_control *control;
    struct actor_events control_events;
    struct transport *transport;
    struct hosting hosting;
    struct actor_system *actors;
    struct gateway *gateway;
    struct rpc_creds *creds; /* NULL: plaintext, on Unix sockets with a credential */
    struct rpc_server *link_server, *gateway_server;
    char *link_address, *gateway_address; /* as others are told */
    struct gateway_http *http;            /* NULL: none was asked for */
};

/* ---- what the actors do, to both who want to know. On worker threads ---- */

static void actor_exited(void *ctx, const struct actor_exit_report *report)
{
    struct runtime *runtime = ctx;
    runtime->control_events.exited(runtime->control_events.ctx, report);
    gateway_actor_exited(runtime->gateway, report);
}

static void unit_changed(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    struct runtime *runtime = ctx;
    if (state == UNIT_PRESENT) { /* here, as somebody may wait for the way there */
        transport_unit_held(runtime->transport, unit, epoch);
        return;
    }
    runtime->control_events.unit_changed(runtime->control_events.ctx, unit, epoch, state, reason);
    gateway_unit_changed(runtime->gateway, unit, epoch, state, reason);
}

static void handler_stuck(void *ctx, const char *path, const char *type, uint64_t running_ms)
{
    struct runtime *runtime = ctx;
    runtime->control_events.stuck(runtime->control_events.ctx, path, type, running_ms);
}

/* ---- the end ---- */

static void end(struct runtime *runtime, enum runtime_end why)
{
    const uint64_t one = 1;
    atomic_store_explicit(&runtime->end, why, memory_order_release); /* with the load in wait_for_end() */
    (void)!write(runtime->end_fd, &one, sizeof(one)); /* a counter far from its limit: it cannot fail */
}

static void drained(void *ctx)
{
    end(ctx, RUNTIME_DRAINED);
}

static void fenced(void *ctx)
{
    end(ctx, RUNTIME_FENCED);
}

/* ---- start, in order ---- */

static void executing(
    char *ret_unit, size_t unit_size, char *ret_actor, size_t actor_size, char *ret_type, size_t type_size)
{
    (void)actor_executing(
        ret_actor, actor_size, ret_unit, unit_size, ret_type, type_size); /* none: left empty */
}

static int read_life(struct life *ret_life, struct err *err)
{
    _cleanup_(cleanup_close) int fd = PARENT_RUNTIME_LIFE_FD;
    _cleanup_(cleanup_free) char *text = malloc(LIFE_DOCUMENT_BYTES);
    ssize_t size = text ? pread(fd, text, LIFE_DOCUMENT_BYTES, 0) : -1;
    if (size < 0)
        return err_set_errno(err, errno, "read descriptor %d", fd);
    return life_read(text, (size_t)size, ret_life, err);
}

static int open_descriptors(struct runtime *runtime, struct err *err)
{
    sigset_t set;
    (void)sigemptyset(&set); /* on our own memory these cannot fail */
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* valid arguments: cannot fail */
    (void)signal(SIGPIPE, SIG_IGN);           /* a gone reader of our log must not end us */
    runtime->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    runtime->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (runtime->signal_fd < 0 || runtime->end_fd < 0)
        return err_set_errno(err, errno, "descriptors");
    if (fcntl(PARENT_RUNTIME_RECORD_FD, F_SETFD, FD_CLOEXEC) < 0)
        return err_set_errno(err, errno, "crash record");
    if (read_life(&runtime->life, err) < 0)
        return -1;
    return crash_install(PARENT_RUNTIME_RECORD_FD, executing, err);
}

static int start_transport(struct runtime *runtime, struct err *err)
{
    const struct environment *environment = runtime->environment;
    struct transport_config config = {.loop = runtime->link_loop,
        .system = environment->system,
        .system_uid = environment->system_uid,
        .node_name = environment->node_name,
        .pod_uid = environment->pod_uid,
        .kube_node = environment->kube_node,
        .zone = environment->zone,
        .node_uid = runtime->life.node_uid,
        .credential = environment->credential,
        .credential_size = environment->credential_size,
        .creds = runtime->creds};
    return transport_new(&config, &runtime->transport, err);
}

static int start_control(struct runtime *runtime, struct err *err)
{
    const struct environment *environment = runtime->environment;
    struct node_control_config config = {.loop = runtime->control_loop,
        .clock = clock_system(),
        .system = environment->system,
        .system_uid = environment->system_uid,
        .node_name = environment->node_name,
        .pod_uid = environment->pod_uid,
        .kube_node = environment->kube_node,
        .zone = environment->zone,
        .credential = environment->credential,
        .credential_size = environment->credential_size,
        .creds = runtime->creds,
        .code_folders = (const char *const *)environment->code_folders.items,
        .code_folder_count = environment->code_folders.count,
        .program = "/proc/self/exe",
        .life = &runtime->life,
        .worker_count = environment->workers,
        .peers = peers_of(runtime->transport),
        .code = {.configure = hosting_configure, .ctx = &runtime->hosting},
        .events = {.drained = drained, .fenced = fenced, .ctx = runtime}};
    if (node_control_new(&config, &runtime->control, err) < 0)
        return -1;
    runtime->control_events = node_control_actor_events(runtime->control);
    return 0;
}

static int start_actors(struct runtime *runtime, struct err *err)
{
    const struct environment *environment = runtime->environment;
    struct actor_system_config config = {.node_uid = runtime->life.node_uid,
        .system = environment->system,
        .worker_count = environment->workers,
        .handler_timeout_ms = environment->handler_timeout_ms,
        .outbound = transport_outbound(runtime->transport),
        .hosting = host_hosting(runtime->hosting.host),
        .events = {
            .exited = actor_exited, .unit_changed = unit_changed, .stuck = handler_stuck, .ctx = runtime}};
    rng_system_bytes(&config.seed, sizeof(config.seed));
    if (actor_system_new(&config, &runtime->actors, err) < 0)
        return err_wrap(err, "actors");
    transport_attach(runtime->transport, runtime->actors);
    return 0;
}

static int start_gateway(struct runtime *runtime, struct err *err)
{
    const struct environment *environment = runtime->environment;
    struct gateway_config config = {.loop = runtime->link_loop,
        .transport = runtime->transport,
        .node_name = environment->node_name,
        .credential = environment->credential,
        .credential_size = environment->credential_size};
    if (gateway_new(&config, &runtime->gateway, err) < 0)
        return err_wrap(err, "gateway");
    gateway_attach(runtime->gateway, runtime->actors);
    return 0;
}

/* `bound` with the host by which others reach it; the caller frees it. */
static char *advertised(const struct runtime *runtime, const char *bound)
{
    const char *host = runtime->environment->pod_ip;
    if (!*host || text_starts_with(bound, "unix:"))
        return xstrdup(bound);
    return xasprintf(strchr(host, ':') ? "[%s]%s" : "%s%s", host, strrchr(bound, ':'));
}

/* Peers and clients share the loop, not the server: nobody gets at the methods of peers where clients dial.
 */
static int start_servers(struct runtime *runtime, struct err *err)
{
    const char *const link_addresses[] = {runtime->environment->link_address, NULL};
    const char *const gateway_addresses[] = {runtime->environment->gateway_address, NULL};
    struct rpc_server_config link = {.addresses = link_addresses, .creds = runtime->creds};
    struct rpc_server_config gateway = {.addresses = gateway_addresses};
    link.methods = transport_methods(runtime->transport, &link.method_count);
    gateway.methods = gateway_methods(runtime->gateway, &gateway.method_count);
    if (rpc_server_new(runtime->link_loop, &link, &runtime->link_server, err) < 0)
        return err_wrap(err, "link server");
    if (rpc_server_new(runtime->link_loop, &gateway, &runtime->gateway_server, err) < 0)
        return err_wrap(err, "gateway server");
    runtime->link_address = advertised(runtime, rpc_server_address(runtime->link_server, 0));
    runtime->gateway_address = advertised(runtime, rpc_server_address(runtime->gateway_server, 0));
    return 0;
}

static const char *not_ready(void *ctx)
{
    return node_control_not_ready(ctx);
}

static int start_http(struct runtime *runtime, struct err *err)
{
    struct gateway_http_config config = {.address = runtime->environment->http_address,
        .gateway = runtime->gateway,
        .not_ready = not_ready,
        .metrics = {hosting_make_metrics, hosting_collect, &runtime->hosting},
        .ctx = runtime->control};
    if (!*config.address)
        return 0;
    if (gateway_http_new(&config, &runtime->http, err) < 0)
        return err_wrap(err, "HISTRIO_HTTP_ADDRESS");
    log_event(LOG_INFO, "http listens", "address", gateway_http_address(runtime->http), NULL);
    return 0;
}

static void log_step(const struct runtime *runtime, const char *step)
{
    if (log_enabled(LOG_DEBUG))
        log_event(LOG_DEBUG, step, "sinceStartUs",
            log_number((clock_now_ns(clock_system()) - runtime->started_ns) / NS_PER_US), NULL);
}

static int start(struct runtime *runtime, struct err *err)
{
    if (open_descriptors(runtime, err) < 0)
        return -1;
    log_step(runtime, "crash handler installed");
    /* Messages must not wake the thread that keeps the lease, nor wait for it. */
    rpc_poll_apart();
    const char *tls_folder = runtime->environment->tls_folder;
    if (*tls_folder && rpc_creds_from_folder(tls_folder, 0, &runtime->creds, err) < 0)
        return err_wrap(err, "HISTRIO_TLS_FOLDER");
    if (rpc_loop_new("control", &runtime->control_loop, err) < 0 ||
        rpc_loop_new("link", &runtime->link_loop, err) < 0)
        return err_wrap(err, "loops");
    rpc_loop_set_busy_poll(runtime->link_loop, LINK_BUSY_POLL_US);
    log_step(runtime, "loops run");
    if (hosting_start(&runtime->hosting, runtime->environment, runtime->life.node_uid, err) < 0 ||
        start_transport(runtime, err) < 0 || start_control(runtime, err) < 0 ||
        start_actors(runtime, err) < 0 || start_gateway(runtime, err) < 0 ||
        start_servers(runtime, err) < 0 || start_http(runtime, err) < 0)
        return -1;
    log_step(runtime, "link listens");
    /* Last: who reaches Control finds a whole node behind it. */
    if (node_control_listen(runtime->control, runtime->environment->control_address, runtime->actors,
            runtime->link_address, runtime->gateway_address, err) < 0)
        return -1;
    log_step(runtime, "control listens");
    return 0;
}

/* ---- stop ---- */

/* In the reverse order of what can call what; each takes what a start that failed half-way left. */
static void stop(struct runtime *runtime)
{
    if (runtime->control)
        node_control_close(runtime->control);
    if (runtime->gateway)
        gateway_close(runtime->gateway);
    gateway_http_free(runtime->http);
    if (runtime->transport)
        transport_close(runtime->transport);
    rpc_server_free(runtime->gateway_server, LINK_GRACE_MS);
    rpc_server_free(runtime->link_server, LINK_GRACE_MS);
    if (runtime->actors)
        actor_system_free(runtime->actors, ACTORS_GRACE_MS);
    host_free(runtime->hosting.host);
    gateway_free(runtime->gateway);
    transport_free(runtime->transport);
    rpc_loop_free(runtime->link_loop);
    rpc_loop_free(runtime->control_loop); /* runs what the runtime's last events posted */
    node_control_free(runtime->control);
    rpc_creds_unref(runtime->creds);
    free(runtime->link_address);
    free(runtime->gateway_address);
    life_done(&runtime->life);
}

static enum runtime_end wait_for_end(struct runtime *runtime)
{
    for (;;) { /* ends when the control loop says so: a drain has a time limit */
        struct pollfd polled[] = {
            {.fd = runtime->signal_fd, .events = POLLIN}, {.fd = runtime->end_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        (void)poll(polled, 2, -1); /* an interrupted poll is one more turn */
        enum runtime_end why = (enum runtime_end)atomic_load_explicit(&runtime->end, memory_order_acquire);
        if (why != RUNTIME_GOES_ON)
            return why;
        while (read(runtime->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
            node_control_drain(runtime->control, runtime->environment->drain_timeout_ms);
    }
}

int runtime_run(const struct environment *environment)
{
    struct runtime runtime = {.environment = environment,
        .started_ns = clock_now_ns(clock_system()),
        .signal_fd = -1,
        .end_fd = -1};
    struct err err = {0};
    char uid[LIFE_UID_BYTES];
    log_init(STDOUT_FILENO, environment->log_level);
    log_set_common("system", environment->system);
    log_set_common("node", environment->node_name);
    int exit_code = EXIT_FAILURE;
    if (start(&runtime, &err) < 0) {
        log_event(LOG_ERROR, "cannot start", "error", err.text, NULL);
    } else {
        log_event(LOG_INFO, "node started", "uid", life_uid_format(runtime.life.node_uid, uid), "control",
            node_control_address(runtime.control), "startUs",
            log_number((clock_now_ns(clock_system()) - runtime.started_ns) / NS_PER_US), NULL);
        if (wait_for_end(&runtime) == RUNTIME_FENCED)
            return PARENT_EXIT_FENCED; /* with all as it is: an orderly stop would still send */
        exit_code = PARENT_EXIT_DRAINED;
    }
    stop(&runtime);
    (void)close(runtime.signal_fd); /* nothing is written through these */
    (void)close(runtime.end_fd);
    return exit_code;
}
