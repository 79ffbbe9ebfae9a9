#include "conformance/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/system_private.h"
#include "base/err.h"
#include "base/mem.h"

enum { TICK_MS = 10, TICKS_MAX = 1000 };

struct world world;
const char *world_mutant = "";

void world_note(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *line = xvasprintf(fmt, args);
    va_end(args);
    if (world.line_count == LINES_MAX)
        abort(); /* something runs away */
    char *long_reason = strstr(line, " shutdown: child");
    if (long_reason) /* why a supervisor did not start has other words in Erlang */
        memcpy(long_reason, " shutdown: start", sizeof(" shutdown: start"));
    world.lines[world.line_count++] = line;
}

struct puppet *world_find(const char *name)
{
    for (size_t i = 0; i < world.puppet_count; i++) {
        if (strcmp(world.puppets[i].name, name) == 0)
            return &world.puppets[i];
    }
    return NULL;
}

struct puppet *world_puppet(const char *name)
{
    struct puppet *found = world_find(name);
    if (found)
        return found;
    if (world.puppet_count == PUPPETS_MAX)
        abort();
    struct puppet *puppet = &world.puppets[world.puppet_count++];
    (void)snprintf(puppet->name, sizeof(puppet->name), "%s", name);
    return puppet;
}

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
        world_note("up");
    } else if (state == UNIT_FAILED || state == UNIT_STOPPED) {
        /* Our root says more than Erlang's `shutdown` when it gave up. */
        bool gave_up = strncmp(reason, "too many restarts", strlen("too many restarts")) == 0;
        world_note("end top %s", gave_up ? "shutdown" : reason);
        world.has_ended = true;
        if (!world.has_started)
            world_note("not up %s", reason);
    }
}

/* Puppets note their own ends; of supervisors only this is heard. */
static void on_exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    const char *name = strrchr(report->path, '/');
    const struct puppet *puppet = name ? world_find(name + 1) : NULL;
    if (puppet && puppet->fails < 0)
        world_note("end %s %s", puppet->name, report->reason);
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

/* ---- life of a world ---- */

void world_begin(void)
{
    struct err err = {0};
    memset(&world, 0, sizeof(world));
    clock_virtual_init(&world.clock, NS_PER_S, 0);
    world.system = system_new(&(struct actor_system_config){
        .node_uid = 7,
        .system = "conformance",
        .worker_count = 1,
        .clock = &world.clock.clock,
        .outbound = {no_send, no_signal, NULL},
        .events = {.exited = on_exited, .unit_changed = on_unit_changed},
    });
    struct actor_unit_spec asker = {.name = "asker",
        .root = {.behavior = "conformance.asker", .shutdown_ms = ACTOR_SHUTDOWN_BRUTAL, .period_ms = 1000}};
    if (actor_system_add_library(world.system, &world_library, &err) < 0 ||
        actor_system_unit_start(world.system, &asker, 1, &err) < 0) {
        (void)fprintf(stderr, "conformance: %s\n", err.text);
        abort();
    }
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
        while (worker_step(&world.system->workers[0]))
            ;
        bool is_changing = false;
        actor_system_list(world.system, "", find_changing, &is_changing);
        if (!is_changing)
            return;
        clock_virtual_advance(&world.clock, TICK_MS * NS_PER_MS);
    }
    world_note("somebody stops or restarts for ever");
}

void world_end(void)
{
    struct err err = {0};
    (void)actor_system_unit_stop(world.system, "top", &err); /* it may have ended */
    (void)actor_system_unit_stop(world.system, "asker", &err);
    world_settle();
    for (size_t i = 0; i < world.line_count; i++)
        free(world.lines[i]);
    system_done(world.system);
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
        world_note("\"%s\" was not delivered", text);
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
