#include "node_control/control.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "node_control/control_private.h"

#include <stdlib.h>
#include <unistd.h>

#define CONTROL_SESSION_PATH "/histrio.v1.Control/Session"

enum { CONTROL_STREAMS_MAX = 16, CLOSE_GRACE_MS = 200 };

int64_t control_now_ns(const struct node_control *control)
{
    return clock_now_ns(control->config.clock);
}

struct convert_sender control_sender(const struct node_control *control)
{
    return (struct convert_sender){.node_uid = control->config.life->node_uid, .term = control->lease.term};
}

bool control_send_take(struct node_control *control, struct rpc_buffer *buffer, bool must_not_be_lost)
{
    if (control->current)
        return session_send_take(control->current, buffer, must_not_be_lost);
    rpc_buffer_free(buffer);
    return false;
}

/* ---- the runtime's events, on worker threads ---- */

static void actor_exited(void *ctx, const struct actor_exit_report *report)
{
    struct node_control *control = ctx;
    if (exits_add(&control->exits, report))
        rpc_loop_post(control->config.loop, control_exits_waiting, control);
}

static void unit_changed(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    struct node_control *control = ctx;
    if (changes_add(&control->changes, unit, epoch, state, reason))
        rpc_loop_post(control->config.loop, control_changes_waiting, control);
}

static void handler_stuck(void *ctx, const char *path, const char *type, uint64_t running_ms)
{
    (void)ctx; /* only the log is told for now */
    log_event(LOG_WARNING, "handler is stuck", "actor", path, "type", type, "runningMs",
        log_number(running_ms), NULL);
}

struct actor_events node_control_actor_events(struct node_control *control)
{
    return (struct actor_events){
        .exited = actor_exited, .unit_changed = unit_changed, .stuck = handler_stuck, .ctx = control};
}

/* ---- timers ---- */

static enum control_readiness readiness(const struct node_control *control)
{
    if (control->is_fenced)
        return CONTROL_IS_FENCED;
    if (control->is_draining)
        return CONTROL_DRAINS;
    return control_is_ready(control) && control->roster_version > 0 ? CONTROL_SERVES : CONTROL_UNCONFIGURED;
}

const char *node_control_not_ready(const struct node_control *control)
{
    switch ((enum control_readiness)atomic_load_explicit(&control->readiness, memory_order_relaxed)) {
    case CONTROL_UNCONFIGURED: return "no operator has told this node its configuration and roster yet";
    case CONTROL_SERVES: return NULL;
    case CONTROL_DRAINS: return "the node drains";
    case CONTROL_IS_FENCED: return "the node was declared dead";
    }
    return NULL;
}

static void lease_timer(void *ctx)
{
    struct node_control *control = ctx;
    bool is_held = lease_is_held(&control->lease, control_now_ns(control));
    if (is_held != control->was_held)
        log_event(is_held ? LOG_INFO : LOG_WARNING, is_held ? "lease held" : "lease lost", "term",
            log_number(control->lease.term), NULL);
    control->was_held = is_held;
    control_send_lease_request(control);
    control_advance_waiting(control);
    atomic_store_explicit(&control->readiness, readiness(control), memory_order_relaxed);
    rpc_timer_set(control->lease_timer, LEASE_REQUEST_INTERVAL_MS);
}

static void inventory_timer(void *ctx)
{
    struct node_control *control = ctx;
    if (control->is_inventory_due)
        control_send_inventory(control);
}

static void exits_timer(void *ctx)
{
    control_send_exits(ctx);
}

static void load_timer(void *ctx)
{
    struct node_control *control = ctx;
    control_send_load(control);
    rpc_timer_set(control->load_timer, LOAD_INTERVAL_MS);
}

/* ---- life ---- */

static void set_identity(struct node_control *control)
{
    const struct node_control_config *config = &control->config;
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_size = sysconf(_SC_PAGE_SIZE);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    control->identity = (struct convert_identity){.system = config->system,
        .system_uid = config->system_uid,
        .node_name = config->node_name,
        .pod_uid = config->pod_uid,
        .kube_node = config->kube_node,
        .zone = config->zone,
        .software = "histrio/0.1.0",
        .credential = config->credential,
        .credential_size = config->credential_size,
        .cores = cores > 0 ? (uint32_t)cores : 1,
        .memory_bytes = pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : 0};
}

int node_control_new(
    const struct node_control_config *config, struct node_control **ret_control, struct err *err)
{
    (void)err; /* nothing here can fail today; the face allows it */
    struct node_control *control = xcalloc(1, sizeof(*control));
    uint64_t first_nonce = 0;
    control->config = *config;
    (void)role_name(ROLE_OPERATOR, config->system_uid, control->operator_name);
    list_init(&control->sessions);
    exits_init(&control->exits);
    changes_init(&control->changes);
    assignments_init(&control->assignments, config->life->node_uid, free);
    rng_system_bytes(&first_nonce, sizeof(first_nonce)); /* an echo must not be guessable */
    lease_init(&control->lease, config->life->node_uid, first_nonce);
    set_identity(control);
    control->lease_timer = rpc_timer_new(config->loop, lease_timer, control);
    control->inventory_timer = rpc_timer_new(config->loop, inventory_timer, control);
    control->exits_timer = rpc_timer_new(config->loop, exits_timer, control);
    control->load_timer = rpc_timer_new(config->loop, load_timer, control);
    control->drain_timer = rpc_timer_new(config->loop, control_drain_timer, control);
    *ret_control = control;
    return 0;
}

static void refuse_session(struct rpc_stream *stream, enum rpc_code code, const char *text)
{
    rpc_stream_finish(stream, code, text);
    rpc_stream_free(stream);
}

static void open_session(struct rpc_stream *stream, void *ctx)
{
    struct node_control *control = ctx;
    struct session_events events = {
        .hello = control_hello, .command = control_command, .ended = control_session_ended, .ctx = control};
    if (control->is_closing) {
        refuse_session(stream, RPC_UNAVAILABLE, "the node stops");
        return;
    }
    if (control->config.creds && !rpc_stream_peer_has_name(stream, control->operator_name)) {
        log_event(LOG_WARNING, "control session refused", "peer", rpc_stream_peer(stream), "error",
            "the certificate is not the operator's of this system", NULL);
        refuse_session(
            stream, RPC_PERMISSION_DENIED, "your certificate is not the operator's of this system");
        return;
    }
    session_accept(control->config.loop, stream, &events, &control->sessions);
}

static void start_timers(void *ctx)
{
    struct node_control *control = ctx;
    rpc_timer_set(control->lease_timer, LEASE_REQUEST_INTERVAL_MS);
    rpc_timer_set(control->load_timer, LOAD_INTERVAL_MS);
}

int node_control_listen(struct node_control *control, const char *address, struct actor_system *actors,
    const char *link_address, const char *gateway_address, struct err *err)
{
    const char *const addresses[] = {address, NULL};
    const struct rpc_method methods[] = {
        {.path = CONTROL_SESSION_PATH, .open = open_session, .ctx = control}};
    struct rpc_server_config config = {.addresses = addresses,
        .methods = methods,
        .method_count = 1,
        .streams_max = CONTROL_STREAMS_MAX,
        .creds = control->config.creds};
    control->actors = actors;
    control->identity.link_address = link_address;
    control->identity.gateway_address = gateway_address;
    control->loader =
        loader_new(control->config.loop, actors, control->config.program, control_libraries_loaded, control);
    if (rpc_server_new(control->config.loop, &config, &control->server, err) < 0)
        return err_wrap(err, "control server");
    rpc_loop_call(control->config.loop, start_timers, control);
    return 0;
}

const char *node_control_address(const struct node_control *control)
{
    return rpc_server_address(control->server, 0);
}

struct drain_request {
    struct node_control *control;
    uint32_t timeout_ms;
};

static void drain_requested(void *ctx)
{
    struct drain_request *request = ctx;
    control_start_drain(request->control, request->timeout_ms);
    free(request);
}

void node_control_drain(struct node_control *control, uint32_t timeout_ms)
{
    struct drain_request *request = xmalloc(sizeof(*request));
    *request = (struct drain_request){control, timeout_ms};
    rpc_loop_post(control->config.loop, drain_requested, request);
}

static void begin_close(void *ctx)
{
    struct node_control *control = ctx;
    control->is_closing = true;
    rpc_timer_cancel(control->lease_timer);
    rpc_timer_cancel(control->inventory_timer);
    rpc_timer_cancel(control->exits_timer);
    rpc_timer_cancel(control->load_timer);
    rpc_timer_cancel(control->drain_timer);
    if (control->current)
        session_finish(control->current, RPC_OK, "the node stops");
}

static void finish_close(void *ctx)
{
    struct node_control *control = ctx;
    session_free_all(&control->sessions);
    control->current = NULL;
    rpc_timer_free(control->lease_timer);
    rpc_timer_free(control->inventory_timer);
    rpc_timer_free(control->exits_timer);
    rpc_timer_free(control->load_timer);
    rpc_timer_free(control->drain_timer);
}

void node_control_close(struct node_control *control)
{
    rpc_loop_call(control->config.loop, begin_close, control);
    rpc_server_free(control->server, CLOSE_GRACE_MS);
    control->server = NULL;
    loader_free(control->loader);
    control->loader = NULL;
    rpc_loop_call(control->config.loop, finish_close, control);
}

void node_control_free(struct node_control *control)
{
    if (!control)
        return;
    assignments_done(&control->assignments);
    loader_job_done(&control->queued_job);
    loader_python_done(&control->python);
    struct loader_job known = {.libraries = {0}};
    vec_for_each (library, &control->libraries.items)
        vec_push(&known.libraries, *library);
    loader_job_done(&known);
    vec_done(&control->libraries.items);
    exits_done(&control->exits);
    changes_done(&control->changes);
    free(control);
}
