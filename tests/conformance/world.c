#include "conformance/world.h"

#include <histrio/value.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/system_private.h"
#include "base/err.h"
#include "base/mem.h"
#include "host/host.h"

enum { TICK_MS = 10, TICKS_MAX = 1000, PROCESSES_WAIT_MS = 20 * 1000, NODE_UID = 7 };

struct world world;
const char *world_library;

/* ---- the one who asks supervisors ---- */

/* "type\tpath\tchild" becomes an ask; its outcome is noted in Erlang's words. */
static enum histrio_result asker_receive(
    struct histrio_context *ctx, void *data, const struct histrio_message *message)
{
    (void)data;
    if (message->kind == HISTRIO_REPLY) {
        stage_note("ok");
    } else if (message->kind == HISTRIO_ERROR) {
        const char *text = (const char *)message->value;
        if (message->error == HISTRIO_NOT_FOUND)
            stage_note("error not_found");
        else if (message->error == HISTRIO_BAD_ARGUMENT)
            stage_note("error %s", strcmp(text, "is running") == 0 ? "running" : "restarting");
        else
            stage_note("error %s", message->error == HISTRIO_APPLICATION ? "start" : text);
    } else if (message->kind == HISTRIO_TELL) {
        char text[512];
        (void)snprintf(text, sizeof(text), "%.*s", (int)message->size, (const char *)message->value);
        char *rest = text;
        uint32_t type = histrio_type(strsep(&rest, "\t"));
        struct histrio_ref supervisor = histrio_lookup(ctx, strsep(&rest, "\t"));
        struct histrio_writer *writer = histrio_writer_new();
        histrio_put_array(writer, 1);
        histrio_put_string(writer, rest);
        (void)histrio_ask_take(ctx, supervisor, type, writer, 60000);
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior asker_behavior = {.name = "asker", .receive = asker_receive};

static const struct histrio_library puppets = {HISTRIO_ABI_VERSION, "conformance",
    (const struct histrio_behavior *const[]){&stage_puppet_behavior, NULL}};
static const struct histrio_library player = {
    HISTRIO_ABI_VERSION, "player", (const struct histrio_behavior *const[]){&asker_behavior, NULL}};

/* ---- what the runtime reports ---- */

static void on_unit_changed(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    (void)ctx;
    (void)epoch;
    if (strcmp(unit, "top") != 0)
        return;
    if (state == UNIT_RUNNING) {
        world.has_started = true;
        stage_note("up");
    } else if (state == UNIT_FAILED || state == UNIT_STOPPED) {
        /* Our root says more than Erlang's `shutdown` when it gave up. */
        bool gave_up = strncmp(reason, "too many restarts", strlen("too many restarts")) == 0;
        stage_note("end top %s", gave_up ? "shutdown" : reason);
        world.has_ended = true;
        if (!world.has_started)
            stage_note("not up %s", reason);
    }
}

/* Puppets note their own ends; of supervisors only this is heard. */
static void on_exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    const char *name = strrchr(report->path, '/');
    const struct puppet *puppet = name ? stage_find(name + 1) : NULL;
    if (puppet && puppet->fails < 0)
        stage_note("end %s %s", puppet->name, report->reason);
}

static enum histrio_error no_send(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure)
{
    (void)ctx;
    (void)envelope;
    (void)ret_pressure;
    return HISTRIO_NOT_FOUND;
}

static enum histrio_error no_signal(void *ctx, const struct actor_signal *signal, uint64_t *ret_node)
{
    (void)ctx;
    (void)signal;
    (void)ret_node;
    return HISTRIO_NOT_FOUND;
}

/* ---- worker processes ---- */

/* The stop function of what stands for a puppet in the node. */
static void proxy_stop(struct histrio_context *ctx, void *state, const char *reason)
{
    struct puppet *puppet = stage_find_ref(histrio_self(ctx));
    if (puppet && puppet->is_alive) { /* else its start failed */
        stage_note_end(puppet, reason);
        if (strcmp(reason, "killed") != 0 && strcmp(puppet->stopped_with, reason) != 0)
            stage_note("%s was stopped with \"%s\"", puppet->name, puppet->stopped_with);
    }
    host_hosting(world.host)->behavior->stop(ctx, state, reason);
}

static void begin_host(void)
{
    struct err err = {0};
    const struct host_config config = {
        .system = "conformance", .node = "node-0", .node_uid = NODE_UID, .script_fd = -1};
    if (host_new(&config, &world.host, &err) < 0) {
        (void)fprintf(stderr, "conformance: %s\n", err.text);
        abort();
    }
    world.hosting = *host_hosting(world.host);
    world.proxy = *world.hosting.behavior;
    world.proxy.stop = proxy_stop;
    world.hosting.behavior = &world.proxy;
}

static void find_starting(void *ctx, const struct actor_info *info)
{
    bool *is_starting = ctx;
    *is_starting |= strcmp(info->state, "Starting") == 0;
}

static bool processes_work(void)
{
    struct host_counters counters;
    bool is_starting = false;
    host_counters(world.host, &counters);
    actor_system_list(world.system, "", find_starting, &is_starting);
    return counters.deliveries_open > 0 || is_starting;
}

/* The real clock runs for processes, and the virtual one stands still meanwhile: nobody is late because the
 * machine is busy. */
static void run_until_idle(void)
{
    struct worker *worker = &world.system->workers[0];
    int64_t deadline_ns = clock_now_ns(clock_system()) + PROCESSES_WAIT_MS * NS_PER_MS;
    bool is_busy = true;
    while (is_busy) {
        while (worker_step(worker))
            ;
        is_busy = world.host && processes_work();
        if (is_busy && clock_now_ns(clock_system()) > deadline_ns) {
            stage_note("a worker process does not end what it does");
            return;
        }
        if (is_busy)
            world.hosting.wait(world.hosting.ctx, worker, TICK_MS * NS_PER_MS);
    }
}

/* ---- life of a world ---- */

static void add_libraries(void)
{
    struct err err = {0};
    struct actor_unit_spec asker = {.name = "asker",
        .root = {.behavior = "player.asker", .shutdown_ms = ACTOR_SHUTDOWN_BRUTAL, .period_ms = 1000}};
    int added = world_library ? actor_system_load_library(world.system, "conformance", world_library, &err)
                              : actor_system_add_library(world.system, &puppets, &err);
    if (added < 0 || actor_system_add_library(world.system, &player, &err) < 0 ||
        actor_system_unit_start(world.system, &asker, 1, &err) < 0) {
        (void)fprintf(stderr, "conformance: %s\n", err.text);
        abort();
    }
}

void world_begin(void)
{
    memset(&world, 0, sizeof(world));
    stage_clear();
    clock_virtual_init(&world.clock, NS_PER_S, 0);
    if (world_library)
        begin_host();
    world.system = system_new(&(struct actor_system_config){
        .node_uid = NODE_UID,
        .system = "conformance",
        .worker_count = 1,
        .clock = &world.clock.clock,
        .outbound = {no_send, no_signal, NULL},
        .events = {.exited = on_exited, .unit_changed = on_unit_changed},
        .hosting = world.host ? &world.hosting : NULL,
    });
    add_libraries();
    world_settle();
}

static void find_changing(void *ctx, const struct actor_info *info)
{
    bool *is_changing = ctx;
    *is_changing |= strcmp(info->state, "Stopping") == 0 || strcmp(info->state, "Restarting") == 0;
}

void world_settle(void)
{
    for (int tick = 0; tick < TICKS_MAX; tick++) {
        run_until_idle();
        bool is_changing = false;
        actor_system_list(world.system, "", find_changing, &is_changing);
        if (!is_changing)
            return;
        clock_virtual_advance(&world.clock, TICK_MS * NS_PER_MS);
    }
    stage_note("somebody stops or restarts for ever");
}

void world_end(void)
{
    struct err err = {0};
    (void)actor_system_unit_stop(world.system, "top", &err); /* it may have ended */
    (void)actor_system_unit_stop(world.system, "asker", &err);
    world_settle();
    if (world.host)
        world.hosting.stop(world.hosting.ctx, &world.system->workers[0]);
    system_done(world.system);
    host_free(world.host);
}

static void deliver(const char *name, struct histrio_ref ref, const char *type, const char *text)
{
    struct actor_envelope envelope = {.kind = ENVELOPE_TELL,
        .target_name = name,
        .target = ref,
        .type = type,
        .value = (const uint8_t *)text,
        .size = strlen(text)};
    if (actor_system_deliver(world.system, &envelope, NULL) != HISTRIO_OK)
        stage_note("\"%s\" was not delivered", text);
}

void world_command(const struct puppet *puppet, const char *commands)
{
    deliver(NULL, puppet->ref, "do", commands);
}

void world_request(const char *type, const char *supervisor_path, const char *child)
{
    char *text = xasprintf("%s\t%s\t%s", type, supervisor_path, child);
    deliver("asker", (struct histrio_ref){0}, "request", text);
    free(text);
}
