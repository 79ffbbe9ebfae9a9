#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/system_private.h"
#include "base/err.h"
#include "base/mem.h"
#include "scheduler.h"

enum { UNITS_MAX = 5, CHILDREN_MAX = 6, ROUNDS_MAX = 3 };
#define QUIET_LIMIT_NS (3600 * NS_PER_S)

struct world world;

static uint64_t below(uint64_t bound)
{
    return rng_below(sim_rng(), bound);
}

void world_hash(uint64_t value)
{
    world.hash = (world.hash ^ value) * UINT64_C(0x100000001b3);
}

/* ---- records ---- */

struct record *world_record_new(void)
{
    struct record *record = xcalloc(1, sizeof(*record));
    record->number = (uint32_t)world.records.count;
    vec_push(&world.records, record);
    return record;
}

struct record *world_record_of(struct histrio_ref ref)
{
    for (size_t i = world.records.count; i-- > 1;) {
        if (histrio_ref_equal(world.records.items[i]->ref, ref))
            return world.records.items[i];
    }
    return NULL;
}

/* ---- rule 1 ---- */

struct payload world_payload(uint32_t sender, uint32_t identity, uint32_t depth)
{
    uint64_t key = (uint64_t)sender << 32 | identity;
    uintptr_t sequence = (uintptr_t)map64_get(&world.sequences_sent, key) + 1;
    map64_put(&world.sequences_sent, key, (void *)sequence);
    return (struct payload){.sender = sender, .sequence = (uint32_t)sequence, .depth = depth};
}

void world_check_order(const struct record *receiver, const struct payload *payload)
{
    uint64_t key = (uint64_t)payload->sender << 32 | receiver->identity;
    uintptr_t last = (uintptr_t)map64_get(&world.sequences_received, key);
    if (payload->sequence == 0)
        return; /* from outside, where order is not promised: see send_from_outside() */
    if (payload->sequence <= last)
        sim_violation("actor %u got message %u of actor %u after %u", receiver->number, payload->sequence,
            payload->sender, (unsigned)last);
    map64_put(&world.sequences_received, key, (void *)(uintptr_t)payload->sequence);
}

/* ---- rule 8 ---- */

static struct window *window_of(const char *path)
{
    struct window *window = map_get(&world.windows, path);
    if (!window) {
        window = xcalloc(1, sizeof(*window));
        map_put(&world.windows, path, window);
    }
    return window;
}

/* The supervisor of a path is what stands before its last part; of a unit's root, the unit itself. */
static struct window *window_above(const char *path)
{
    char above[PATH_BYTES];
    (void)snprintf(above, sizeof(above), "%s", path); /* paths of this world are short */
    char *slash = strrchr(above, '/');
    if (slash)
        *slash = '\0';
    return window_of(above);
}

void world_on_exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    world_hash(strlen(report->path) * 31 + strlen(report->decision));
    if (strchr(report->path, '/'))
        vec_clear(
            &window_of(report->path)->restarts_ns); /* if it was a supervisor, the next one counts anew */
    bool again = strncmp(report->decision, "Restart", 7) == 0,
         gives_up = strcmp(report->decision, "GiveUp") == 0;
    struct window *window = window_above(report->path);
    if (report->cause[0] != '\0' || window->period_ms == 0 || (!again && !gives_up))
        return;
    /* The supervisor reads the clock a moment before it reports: a millisecond may lie between. */
    size_t surely = 1, perhaps = 1;
    vec_for_each (at_ns, &window->restarts_ns) {
        int64_t age_ms = sim_now_ns() / NS_PER_MS - *at_ns / NS_PER_MS;
        surely += age_ms + 1 < window->period_ms;
        perhaps += age_ms <= window->period_ms + 1;
    }
    if (again && surely > window->restarts_max)
        sim_violation("\"%s\" was restarted %zu times in %u ms, allowed are %u", report->path, surely,
            window->period_ms, window->restarts_max);
    if (gives_up && perhaps <= window->restarts_max && strcmp(report->reason, "no start") != 0 &&
        strncmp(report->reason, "shutdown: child", 15) != 0)
        sim_violation("\"%s\" gave up after %zu of %u restarts", report->path, perhaps, window->restarts_max);
    vec_push(&window->restarts_ns, sim_now_ns());
}

void world_on_unit(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    (void)ctx;
    (void)epoch;
    (void)reason;
    unsigned number = (unsigned)strtoul(unit + 1, NULL, 10);
    world_hash(number * 8 + (unsigned)state);
    if (state == UNIT_STARTING)
        vec_clear(&window_of(unit)->restarts_ns);
    if (state == UNIT_FAILED || state == UNIT_STOPPED)
        world.unit_runs[number] = false;
}

/* ---- units ---- */

static const uint8_t arguments[4][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}}; /* traps exits, may fail to start */

struct tree {
    struct actor_child_spec root, children[CHILDREN_MAX];
    char names[CHILDREN_MAX][16];
    size_t count;
};

static void set_limits(struct actor_child_spec *spec, const char *path)
{
    static const uint32_t periods_ms[] = {1, 5, 20, 100, 1000};
    static const uint32_t restarts_max[] = {0, 1, 2, 5, 1000, 1000};
    spec->restarts_max = restarts_max[below(6)];
    spec->period_ms = periods_ms[below(5)];
    struct window *window = window_of(path);
    window->restarts_max = spec->restarts_max;
    window->period_ms = spec->period_ms;
}

static void make_supervisor(struct actor_child_spec *spec, const char *path)
{
    spec->is_supervisor = true;
    spec->strategy = (enum actor_strategy)below(3);
    set_limits(spec, path);
}

static void make_worker(struct actor_child_spec *spec)
{
    static const uint32_t shutdowns_ms[] = {ACTOR_SHUTDOWN_BRUTAL, 1, 10, ACTOR_SHUTDOWN_INFINITY};
    spec->behavior = "sim.random";
    spec->arguments = arguments[below(8) == 0 ? 2 + below(2) : below(2)];
    spec->arguments_size = sizeof(arguments[0]);
    spec->shutdown_ms = shutdowns_ms[below(4)];
    spec->drop_mailbox_on_restart = below(4) == 0;
    if (below(4) == 0) {
        spec->mailbox_capacity = (uint32_t)below(20) + 1;
        spec->overflow = (enum actor_overflow)below(4);
    }
}

static const char *path_of(const struct tree *tree, size_t unit, size_t child, char *buffer, size_t size)
{
    char under[PATH_BYTES];
    (void)snprintf(buffer, size, "%s", tree->children[child].name);
    for (const char *name = tree->children[child].under; name[0] != '\0';) {
        (void)snprintf(under, sizeof(under), "%s/%s", name, buffer);
        (void)snprintf(buffer, size, "%s", under);
        size_t above = (size_t)strtoul(name + 1, NULL, 10);
        name = tree->children[above].under;
    }
    (void)snprintf(under, sizeof(under), "u%zu/%s", unit, buffer);
    (void)snprintf(buffer, size, "%s", under);
    return buffer;
}

static void name_known(const char *path)
{
    for (size_t i = 0; i < world.name_count; i++) {
        if (strcmp(world.names[i], path) == 0)
            return;
    }
    if (world.name_count < NAMES_MAX)
        (void)snprintf(world.names[world.name_count++], PATH_BYTES, "%s", path);
}

static void grow_tree(struct tree *tree, size_t unit)
{
    const char *above[CHILDREN_MAX + 1] = {""};
    size_t supervisors = 1;
    tree->count = below(CHILDREN_MAX) + 1;
    for (size_t i = 0; i < tree->count; i++) {
        struct actor_child_spec *child = &tree->children[i];
        char path[PATH_BYTES];
        (void)snprintf(tree->names[i], sizeof(tree->names[i]), "c%zu", i);
        child->name = tree->names[i];
        child->under = above[below(supervisors)];
        child->restart = (enum actor_restart)(below(4) == 0 ? 1 + below(2) : 0);
        (void)path_of(tree, unit, i, path, sizeof(path));
        if (below(4) == 0) {
            make_supervisor(child, path);
            child->shutdown_ms = below(4) == 0 ? 5 : ACTOR_SHUTDOWN_INFINITY;
            above[supervisors++] = child->name;
        } else {
            make_worker(child);
            name_known(path);
        }
    }
}

static void start_unit(size_t unit)
{
    struct tree tree = {0};
    struct err err = {0};
    char name[16];
    (void)snprintf(name, sizeof(name), "u%zu", unit);
    tree.root.under = "";
    name_known(name); /* also of a supervisor, who answers that it knows no such method */
    if (below(4) == 0) {
        make_worker(&tree.root);
        tree.root.restart = (enum actor_restart)below(3);
        set_limits(&tree.root, name);
    } else {
        make_supervisor(&tree.root, name);
        grow_tree(&tree, unit);
    }
    struct actor_unit_spec spec = {
        .name = name, .root = tree.root, .children = tree.children, .child_count = tree.count};
    world.unit_runs[unit] = true;
    if (actor_system_unit_start(world.system, &spec, 1, &err) < 0)
        sim_violation("unit %s: %s", name, err.text);
}

static void stop_unit(size_t unit)
{
    struct err err = {0};
    char name[16];
    (void)snprintf(name, sizeof(name), "u%zu", unit);
    (void)actor_system_unit_stop(world.system, name, &err); /* it may just have ended */
}

/* ---- the driver ---- */

static void on_answer(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    (void)value;
    (void)size;
    bool *is_answered = ctx;
    if (*is_answered)
        sim_violation("an ask from outside was answered twice");
    *is_answered = true;
    world.outside_answers++;
    world_hash((uint64_t)error);
}

static bool answers[4096];

static void send_from_outside(void)
{
    uint64_t name = below(world.name_count);
    struct payload payload = world_payload(OUTSIDE, (uint32_t)name + 1, (uint32_t)below(6));
    const uint8_t *bytes = (const uint8_t *)&payload;
    uint64_t id = actor_system_name(world.system, world.names[name]);
    if (names_present(&world.system->names, (uint32_t)id) == 0)
        payload.sequence =
            0; /* not started: it goes through some worker, and may be overtaken by a later one */
    if (below(3) != 0) {
        if (actor_system_tell(world.system, world.names[name], "act", bytes, sizeof(payload)) == HISTRIO_OK)
            world.tells++;
        return;
    }
    payload.sequence = 0; /* it takes its own way, through a clerk */
    actor_system_ask(world.system, world.names[name], "act", bytes, sizeof(payload), (uint32_t)below(50) + 1,
        on_answer, &answers[world.outside_asks++ % 4096]);
}

static void drive_round(void)
{
    for (uint64_t i = below(200) + 20; i > 0 && !sim_violated(); i--) {
        size_t unit = below(world.unit_count);
        if (below(20) == 0) {
            if (world.unit_runs[unit])
                stop_unit(unit);
            else
                start_unit(unit);
        } else if (below(3) == 0) {
            sim_pause((int64_t)below((uint64_t)(5 * NS_PER_MS)));
        } else {
            send_from_outside();
        }
    }
}

static void check_record(const struct record *record)
{
    if (!record->is_alive)
        return;
    if (record->asks.count > 0)
        sim_violation("actor %u waits for the outcome of an ask, and everything is quiet", record->number);
    if (record->timers.count > 0)
        sim_violation("actor %u waits for a timer, and everything is quiet", record->number);
    vec_for_each (wait, &record->monitors) {
        if (wait->target && !world.records.items[wait->target]->is_alive)
            sim_violation("actor %u has heard no DOWN of actor %u", record->number, wait->target);
    }
    vec_for_each (link, &record->links) {
        const struct record *peer = world.records.items[*link];
        bool must_know = !peer->is_alive && (record->traps || strcmp(peer->reason, "normal") != 0);
        if (must_know)
            sim_violation("actor %u lives, and is linked with actor %u, which ended: %s", record->number,
                peer->number, peer->reason);
    }
}

static void check_state(void *ctx, const struct actor_info *info)
{
    (void)ctx;
    if (strcmp(info->state, "Running") != 0 && strcmp(info->state, "Stopped") != 0)
        sim_violation("\"%s\" is %s, and everything is quiet", info->path, info->state);
}

/* Rules 6 and 7. */
static void check_worker(const struct worker *worker, uint64_t *waiting_tells)
{
    if (worker->run_first || worker->pending_outboxes)
        sim_violation("worker %u sleeps, and has work", worker->number);
    for (uint32_t slot = 0; slot < worker->slot_end; slot++) {
        const struct actor *actor = registry_slot(worker, slot);
        if ((actor->flags & ACTOR_MUTED) != 0)
            sim_violation("an actor of worker %u is muted, and everything is quiet", worker->number);
        if ((actor->flags & ACTOR_ALIVE) != 0 && actor->first)
            sim_violation("an actor of worker %u has messages, and everything is quiet", worker->number);
        for (const struct message *message = actor->first; message; message = message->next)
            *waiting_tells += message->kind == HISTRIO_TELL;
    }
}

static void check_quiet(void)
{
    struct actor_counters counters = {0};
    uint64_t waiting_tells = 0;
    vec_for_each (record, &world.records)
        check_record(*record);
    actor_system_list(world.system, "", check_state, NULL);
    for (unsigned i = 0; i < world.system->worker_count; i++)
        check_worker(&world.system->workers[i], &waiting_tells);
    actor_system_counters(world.system, &counters);
    if (world.tells != world.received + counters.dead_letters + waiting_tells)
        sim_violation("%llu tells, %llu received, %llu dead letters, %llu waiting",
            (unsigned long long)world.tells, (unsigned long long)world.received,
            (unsigned long long)counters.dead_letters, (unsigned long long)waiting_tells);
    if (world.outside_asks != world.outside_answers)
        sim_violation("%llu asks from outside, %llu answers", (unsigned long long)world.outside_asks,
            (unsigned long long)world.outside_answers);
}

static void settle(void)
{
    if (sim_violated())
        return;
    if (!sim_wait_quiet(QUIET_LIMIT_NS))
        sim_violation("not quiet after an hour");
    check_quiet();
}

void world_drive(void *ctx)
{
    (void)ctx;
    world.unit_count = below(UNITS_MAX) + 1;
    world.peace = below(12) + 1;
    for (size_t i = 0; i < world.unit_count; i++)
        start_unit(i);
    for (uint64_t round = below(ROUNDS_MAX) + 1; round > 0 && !sim_violated(); round--) {
        world.budget = (int64_t)below(3000) + 100;
        drive_round();
        settle();
    }
    for (size_t i = 0; i < world.unit_count; i++)
        stop_unit(i);
    settle();
    vec_for_each (record, &world.records) {
        if ((*record)->is_alive)
            sim_violation("actor %u lives, and all units have ended", (*record)->number);
    }
    for (size_t i = 0; i < world.unit_count; i++) {
        if (world.unit_runs[i])
            sim_violation("unit u%zu was stopped, and no report came", i);
    }
}

/* ---- life of a world ---- */

static void intern_below(const char *path, size_t from)
{
    (void)intern(path, strlen(path));
    for (size_t i = from; i < CHILDREN_MAX; i++) {
        char child[PATH_BYTES];
        (void)snprintf(child, sizeof(child), "%s/c%zu", path, i);
        intern_below(child, i + 1);
    }
}

/* Numbers of names are given out for good, and choose workers here and there: all names of all worlds get
 * theirs first, so that a seed does the same whatever ran before it. */
void world_intern_names(void)
{
    static const char *const types[] = {"act", "timer", "supervisor.retry"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        (void)histrio_type(types[i]);
    for (size_t unit = 0; unit < UNITS_MAX; unit++) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof(path), "u%zu", unit);
        intern_below(path, 0);
    }
}

void world_begin(void)
{
    memset(answers, 0, sizeof(answers));
    (void)world_record_new(); /* the outside */
    world.hash = UINT64_C(0xcbf29ce484222325);
}

static void free_window(void *value)
{
    struct window *window = value;
    vec_done(&window->restarts_ns);
    free(window);
}

void world_end(void)
{
    vec_for_each (record, &world.records) {
        vec_done(&(*record)->asks);
        vec_done(&(*record)->monitors);
        vec_done(&(*record)->timers);
        vec_done(&(*record)->links);
        free(*record);
    }
    vec_done(&world.records);
    map64_done(&world.sequences_sent, NULL);
    map64_done(&world.sequences_received, NULL);
    map64_done(&world.signals, NULL);
    map_done(&world.windows, free_window);
    memset(&world, 0, sizeof(world));
}
