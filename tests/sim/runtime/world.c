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

void world_on_unit(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    (void)ctx;
    (void)epoch;
    (void)reason;
    unsigned number = (unsigned)strtoul(unit + 1, NULL, 10);
    world_hash(number * 8 + (unsigned)state);
    if (state == UNIT_STARTING)
        vec_clear(&world_window(unit)->restarts_ns);
    if (state == UNIT_FAILED || state == UNIT_STOPPED)
        world.unit_runs[number] = false;
}

/* ---- units ---- */

unsigned world_node_of(const char *path)
{
    return (unsigned)strtoul(path + 1, NULL, 10) % world.node_count;
}

static const uint8_t arguments[4][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}}; /* traps exits, may fail to start */

struct tree {
    struct actor_child_spec root, children[CHILDREN_MAX];
    char *names[CHILDREN_MAX], *paths[CHILDREN_MAX];
    size_t count;
};

static void set_limits(struct actor_child_spec *spec, const char *path)
{
    static const uint32_t periods_ms[] = {1, 5, 20, 100, 1000};
    static const uint32_t restarts_max[] = {0, 1, 2, 5, 1000, 1000};
    spec->restarts_max = restarts_max[below(6)];
    spec->period_ms = periods_ms[below(5)];
    if (spec->restarts_max == 5) { /* no draw: seeds that once failed stay what they were */
        spec->backoff_initial_ms = 1 + spec->period_ms / 10;
        spec->backoff_max_ms = 2 * spec->period_ms;
    }
    struct window *window = world_window(path);
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
    size_t supervisors[CHILDREN_MAX], supervisor_count = 0;
    tree->count = below(CHILDREN_MAX) + 1;
    for (size_t i = 0; i < tree->count; i++) {
        struct actor_child_spec *child = &tree->children[i];
        size_t above = below(supervisor_count + 1); /* the last of them is the root */
        bool is_below_root = above == supervisor_count;
        tree->names[i] = xasprintf("c%zu", i);
        tree->paths[i] = is_below_root ? xasprintf("u%zu/c%zu", unit, i)
                                       : xasprintf("%s/c%zu", tree->paths[supervisors[above]], i);
        child->name = tree->names[i];
        child->under = is_below_root ? "" : tree->names[supervisors[above]];
        child->restart = (enum actor_restart)(below(4) == 0 ? 1 + below(2) : 0);
        if (below(4) == 0) {
            make_supervisor(child, tree->paths[i]);
            child->shutdown_ms = below(4) == 0 ? 5 : ACTOR_SHUTDOWN_INFINITY;
            supervisors[supervisor_count++] = i;
        } else {
            make_worker(child);
            name_known(tree->paths[i]);
        }
    }
}

static void tree_done(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->names[i]);
        free(tree->paths[i]);
    }
}

static void start_unit(size_t unit)
{
    struct tree tree = {0};
    struct err err = {0};
    char name[24];
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
    if (actor_system_unit_start(sim_system(world_node_of(name)), &spec, 1, &err) < 0)
        sim_violation("unit %s: %s", name, err.text);
    tree_done(&tree); /* the runtime has a copy */
}

static void stop_unit(size_t unit)
{
    struct err err = {0};
    char name[24];
    (void)snprintf(name, sizeof(name), "u%zu", unit);
    (void)actor_system_unit_stop(sim_system(world_node_of(name)), name, &err); /* it may just have ended */
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
    /* Mostly at the right node, as the gateway would. */
    unsigned node = below(8) == 0 ? (unsigned)below(world.node_count) : world_node_of(world.names[name]);
    if ((int)node == world.dead_node)
        node = 0;
    struct actor_system *system = sim_system(node);
    uint64_t id = actor_system_name(system, world.names[name]);
    if (names_present(&system->names, (uint32_t)id) == 0)
        payload.sequence = 0; /* not here: it goes through some worker, and may be overtaken by a later one */
    if (below(3) != 0) {
        if (actor_system_tell(system, world.names[name], "act", bytes, sizeof(payload)) == HISTRIO_OK)
            world.tells++;
        return;
    }
    payload.sequence = 0; /* it takes its own way, through a clerk */
    actor_system_ask(system, world.names[name], "act", bytes, sizeof(payload), (uint32_t)below(50) + 1,
        on_answer, &answers[world.outside_asks++ % 4096]);
}

static bool is_dead_node(unsigned node)
{
    return (int)node == world.dead_node;
}

/* The second node's process is killed; a while later the first one is told. */
static void kill_node(void)
{
    if (!sim_kill_node(1))
        return;
    world.dead_node = 1;
    vec_for_each (record, &world.records) {
        if ((*record)->is_alive && (*record)->ref.node == SIM_NODE_UID + 1) {
            (*record)->is_alive = false;
            (void)snprintf((*record)->reason, sizeof((*record)->reason), "noconnection");
        }
    }
    for (size_t i = 0; i < world.unit_count; i++)
        world.unit_runs[i] &= i % world.node_count != 1;
    sim_pause((int64_t)below((uint64_t)(20 * NS_PER_MS)));
    network_cut(1);
    world.dead_is_declared = true;
    actor_system_node_dead(sim_system(0), SIM_NODE_UID + 1);
}

static void drive_round(void)
{
    for (uint64_t i = below(200) + 20; i > 0 && !sim_violated(); i--) {
        size_t unit = below(world.unit_count);
        if (world.node_count == 2 && world.dead_node < 0 && below(150) == 0)
            kill_node();
        if (is_dead_node((unsigned)(unit % world.node_count))) {
            sim_pause((int64_t)below((uint64_t)NS_PER_MS));
        } else if (below(20) == 0) {
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

static void settle(void)
{
    if (sim_violated())
        return;
    if (!sim_wait_quiet(QUIET_LIMIT_NS))
        sim_violation("not quiet after an hour");
    world_check_quiet();
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
    for (size_t i = 0; i < world.unit_count; i++) {
        if (!is_dead_node((unsigned)(i % world.node_count)))
            stop_unit(i);
    }
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
        char *child = xasprintf("%s/c%zu", path, i);
        intern_below(child, i + 1);
        free(child);
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
        char *path = xasprintf("u%zu", unit);
        intern_below(path, 0);
        free(path);
    }
}

void world_begin(void)
{
    memset(answers, 0, sizeof(answers));
    (void)world_record_new(); /* the outside */
    world.dead_node = -1;
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
    network_done();
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
    map64_done(&world.links_asked, NULL);
    map64_done(&world.unlinked_ns, NULL);
    map_done(&world.windows, free_window);
    memset(&world, 0, sizeof(world));
}
