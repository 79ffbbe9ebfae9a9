/* The benchmarks of tests/bench/erlang/bench.erl on our runtime:
 *
 *     actor_bench pingpong|pairs8|ring|fanin|spawn|idle [--workers N] [--messages N]
 *
 * Prints lines `name workers value unit`. Messages are counted where they arrive, each once. A work is run
 * with a small number first, which warms up and tells how much of it takes about 1.2 seconds; that is then
 * measured. With --messages it is run once, with that number: for counting instructions. */
#include "actor/system.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mutex.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAIRS = 8, RING_ACTORS = 1000, SENDERS = 100, SENDER_BURST = 100, SPAWN_BATCH = 1000 };
#define MESSAGES_MAX (UINT64_C(1) << 40)
enum { IDLE_ACTORS = 1000 * 1000, IDLE_NAMED = 100 * 1000, ASK_MS = 600 * 1000 };
static const double measure_s = 1.2;

/* Set before any actor exists, and never changed. */
static uint32_t type_run, type_ball, type_more, type_done, type_named;

static uint64_t number_of(const struct histrio_message *message)
{
    uint64_t number = 0;
    if (message->size == sizeof(number))
        memcpy(&number, message->value, sizeof(number));
    return number;
}

/* ---- ping-pong ---- */

struct ping {
    struct histrio_ref pong;
    struct histrio_caller caller;
    uint64_t left;
};

static enum histrio_result pong_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    histrio_tell(ctx, message->sender, type_ball, NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior pong = {.name = "pong", .receive = pong_receive};

static enum histrio_result ping_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    struct ping *ping = state;
    (void)arguments;
    (void)size;
    return histrio_spawn_behavior(ctx, &pong, NULL, 0, NULL, &ping->pong) == HISTRIO_OK ? HISTRIO_CONTINUE
                                                                                        : HISTRIO_FAIL;
}

/* The first message and the last one: not in the functions that are measured, which would else need a stack
 * for them each time. */
static __attribute__((noinline)) enum histrio_result ping_begin(
    struct histrio_context *ctx, struct ping *ping, uint64_t left)
{
    ping->caller = histrio_caller(ctx);
    ping->left = left;
    histrio_tell(ctx, ping->pong, type_ball, NULL, 0);
    return HISTRIO_CONTINUE;
}

static __attribute__((noinline)) enum histrio_result ping_end(struct histrio_context *ctx, struct ping *ping)
{
    histrio_reply_to(ctx, ping->caller, NULL, 0);
    return HISTRIO_CONTINUE;
}

static enum histrio_result ping_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct ping *ping = state;
    if (message->type != type_ball)
        return ping_begin(ctx, ping, number_of(message) / 2);
    if (--ping->left == 0)
        return ping_end(ctx, ping);
    histrio_tell(ctx, ping->pong, type_ball, NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior ping = {
    .name = "ping", .state_size = sizeof(struct ping), .start = ping_start, .receive = ping_receive};

/* ---- ring ---- */

static enum histrio_result node_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)ctx;
    memcpy(state, arguments, size);
    return HISTRIO_CONTINUE;
}

static enum histrio_result node_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    const struct histrio_ref *next = state;
    (void)message;
    histrio_tell(ctx, *next, type_ball, NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior node = {
    .name = "node", .state_size = sizeof(struct histrio_ref), .start = node_start, .receive = node_receive};

static enum histrio_result ring_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    struct ping *ring = state;
    (void)arguments;
    (void)size;
    ring->pong = histrio_self(ctx);
    for (unsigned i = 1; i < RING_ACTORS; i++) {
        struct histrio_ref next = ring->pong;
        if (histrio_spawn_behavior(ctx, &node, (const uint8_t *)&next, sizeof(next), NULL, &ring->pong) !=
            HISTRIO_OK)
            return HISTRIO_FAIL;
    }
    return HISTRIO_CONTINUE;
}

static enum histrio_result ring_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct ping *ring = state;
    if (message->type != type_ball)
        return ping_begin(ctx, ring, number_of(message) / RING_ACTORS + 1);
    if (--ring->left == 0)
        return ping_end(ctx, ring);
    histrio_tell(ctx, ring->pong, type_ball, NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior ring = {
    .name = "ring", .state_size = sizeof(struct ping), .start = ring_start, .receive = ring_receive};

/* ---- fan-in: senders in one or two units, the receiver in a third ---- */

static enum histrio_result sender_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    uint64_t *left = state;
    if (message->type == type_run)
        *left = number_of(message);
    struct histrio_ref receiver = histrio_lookup(ctx, "receiver");
    unsigned burst = *left < SENDER_BURST ? (unsigned)*left : SENDER_BURST;
    for (unsigned i = 0; i < burst; i++)
        histrio_tell(ctx, receiver, type_ball, NULL, 0);
    *left -= burst;
    if (*left > 0) /* others get their turn, as a preempted process lets them */
        histrio_tell(ctx, histrio_self(ctx), type_more, NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior sender = {
    .name = "sender", .state_size = sizeof(uint64_t), .receive = sender_receive};

struct senders {
    struct histrio_ref refs[SENDERS];
    unsigned count;
};

static enum histrio_result senders_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    struct senders *senders = state;
    (void)size;
    senders->count = arguments[0];
    for (unsigned i = 0; i < senders->count; i++)
        if (histrio_spawn_behavior(ctx, &sender, NULL, 0, NULL, &senders->refs[i]) != HISTRIO_OK)
            return HISTRIO_FAIL;
    return HISTRIO_CONTINUE;
}

static enum histrio_result senders_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    const struct senders *senders = state;
    for (unsigned i = 0; i < senders->count; i++)
        histrio_tell(ctx, senders->refs[i], type_run, message->value, message->size);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior senders = {.name = "senders",
    .state_size = sizeof(struct senders),
    .start = senders_start,
    .receive = senders_receive};

static enum histrio_result receiver_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct ping *receiver = state;
    if (message->type == type_ball) {
        return --receiver->left == 0 ? ping_end(ctx, receiver) : HISTRIO_CONTINUE;
    }
    uint64_t each = number_of(message) / SENDERS;
    receiver->caller = histrio_caller(ctx);
    receiver->left = each * SENDERS;
    histrio_tell(ctx, histrio_lookup(ctx, "senders0"), type_run, (const uint8_t *)&each, sizeof(each));
    histrio_tell(ctx, histrio_lookup(ctx, "senders1"), type_run, (const uint8_t *)&each, sizeof(each));
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior receiver = {
    .name = "receiver", .state_size = sizeof(struct ping), .receive = receiver_receive};

/* ---- spawn: an actor, one message to it, its end ---- */

static enum histrio_result short_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (message->type == type_done)
        histrio_tell(ctx, message->sender, type_more, NULL, 0);
    return HISTRIO_STOP;
}

static const struct histrio_behavior short_lived = {.name = "short", .receive = short_receive};

static enum histrio_result spawner_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct ping *spawner = state;
    if (message->type == type_run) {
        spawner->caller = histrio_caller(ctx);
        spawner->left = number_of(message) / SPAWN_BATCH + 1;
    } else if (--spawner->left == 0) {
        histrio_reply_to(ctx, spawner->caller, NULL, 0);
        return HISTRIO_CONTINUE;
    }
    for (unsigned i = 0; i < SPAWN_BATCH; i++) {
        struct histrio_ref ref;
        if (histrio_spawn_behavior(ctx, &short_lived, NULL, 0, NULL, &ref) != HISTRIO_OK)
            return HISTRIO_FAIL;
        histrio_tell(ctx, ref, i + 1 == SPAWN_BATCH ? type_done : type_ball, NULL, 0);
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior spawner = {
    .name = "spawner", .state_size = sizeof(struct ping), .receive = spawner_receive};

/* ---- idle ---- */

static enum histrio_result empty_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)ctx;
    (void)state;
    (void)message;
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior empty = {.name = "empty", .receive = empty_receive};

static enum histrio_result crowd_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    uint64_t count = number_of(message);
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "a%llu", (unsigned long long)i); /* fits */
        struct histrio_spawn_options options = {.name = name, .link = true};
        if (histrio_spawn_behavior(
                ctx, &empty, NULL, 0, message->type == type_named ? &options : NULL, NULL) != HISTRIO_OK)
            return HISTRIO_FAIL;
    }
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior crowd = {.name = "crowd", .receive = crowd_receive};

static const struct histrio_behavior *const behaviors[] = {
    &ping, &ring, &receiver, &senders, &spawner, &crowd, NULL};
static const struct histrio_library library = {HISTRIO_ABI_VERSION, "bench", behaviors};

/* ---- the program ---- */

struct bench {
    struct actor_system *system;
    unsigned workers;
    uint64_t messages; /* 0: as many as take measure_s */
    struct mutex lock;
    struct condition changed;
    unsigned running; /* units started and asks answered, counted up */
    bool failed;
};

static void on_unit(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    struct bench *bench = ctx;
    (void)epoch;
    if (state == UNIT_FAILED)
        (void)fprintf(stderr, "unit %s failed: %s\n", unit, reason);
    mutex_lock(&bench->lock);
    bench->failed |= state == UNIT_FAILED;
    bench->running += state == UNIT_RUNNING || state == UNIT_FAILED;
    condition_broadcast(&bench->changed);
    mutex_unlock(&bench->lock);
}

static void on_answer(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    struct bench *bench = ctx;
    (void)value;
    (void)size;
    mutex_lock(&bench->lock);
    bench->failed |= error != HISTRIO_OK;
    bench->running++;
    condition_broadcast(&bench->changed);
    mutex_unlock(&bench->lock);
}

static void wait_for(struct bench *bench, unsigned count)
{
    mutex_lock(&bench->lock);
    while (bench->running < count && !bench->failed)
        condition_wait(&bench->changed, &bench->lock);
    bench->running = 0;
    bool failed = bench->failed;
    mutex_unlock(&bench->lock);
    if (failed) {
        (void)fprintf(stderr, "actor_bench: failed\n");
        _exit(1);
    }
}

static void add_unit(
    struct bench *bench, const char *name, const char *behavior, const uint8_t *arguments, size_t size)
{
    struct actor_unit_spec spec = {.name = name,
        .root = {.name = name,
            .under = "",
            .behavior = behavior,
            .arguments = arguments,
            .arguments_size = size,
            .shutdown_ms = 1000,
            .restarts_max = 1,
            .period_ms = 1000}};
    struct err err = {0};
    if (actor_system_unit_start(bench->system, &spec, 1, &err) < 0) {
        (void)fprintf(stderr, "actor_bench: %s\n", err.text);
        _exit(1);
    }
    wait_for(bench, 1);
}

static void ask_unit(struct bench *bench, const char *name, const char *type, uint64_t number)
{
    actor_system_ask(
        bench->system, name, type, (const uint8_t *)&number, sizeof(number), ASK_MS, on_answer, bench);
}

/* `name` or name0, name1 ... with the same number each. Returns seconds. */
static double run_units(struct bench *bench, const char *name, unsigned count, uint64_t number)
{
    char full[32];
    int64_t started_ns = clock_now_ns(clock_system());
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(full, sizeof(full), count == 1 ? "%s" : "%s%u", name, i); /* fits */
        ask_unit(bench, full, "run", number / count);
    }
    wait_for(bench, count);
    return (double)(clock_now_ns(clock_system()) - started_ns) / 1e9;
}

static void rate(struct bench *bench, const char *label, const char *unit, unsigned count, uint64_t first)
{
    uint64_t number = bench->messages;
    if (number == 0) {
        number = (uint64_t)((double)first / run_units(bench, unit, count, first) * measure_s);
        if (number < first)
            number = first;
    }
    double seconds = run_units(bench, unit, count, number);
    printf("%s %u %.3f M/s\n", label, bench->workers, (double)number / seconds / 1e6);
}

static long rss_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        (void)fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static void idle(struct bench *bench, const char *label, const char *type, uint64_t count)
{
    add_unit(bench, label, "bench.crowd", NULL, 0);
    long before = rss_bytes();
    ask_unit(bench, label, type, count);
    wait_for(bench, 1);
    printf("%s %u %.1f B\n", label, bench->workers, (double)(rss_bytes() - before) / (double)count);
}

static int run_bench(struct bench *bench, const char *name)
{
    char unit[32];
    if (strcmp(name, "pingpong") == 0) {
        add_unit(bench, "ping", "bench.ping", NULL, 0);
        rate(bench, name, "ping", 1, 1000 * 1000);
    } else if (strcmp(name, "pairs8") == 0) {
        for (unsigned i = 0; i < PAIRS; i++) {
            (void)snprintf(unit, sizeof(unit), "ping%u", i); /* fits */
            add_unit(bench, unit, "bench.ping", NULL, 0);
        }
        rate(bench, name, "ping", PAIRS, 4 * 1000 * 1000);
    } else if (strcmp(name, "ring") == 0) {
        add_unit(bench, "ring", "bench.ring", NULL, 0);
        rate(bench, name, "ring", 1, 1000 * 1000);
    } else if (strcmp(name, "fanin") == 0) {
        static const uint8_t half = SENDERS / 2;
        add_unit(bench, "receiver", "bench.receiver", NULL, 0);
        add_unit(bench, "senders0", "bench.senders", &half, 1);
        add_unit(bench, "senders1", "bench.senders", &half, 1);
        rate(bench, name, "receiver", 1, 1000 * 1000);
    } else if (strcmp(name, "spawn") == 0) {
        for (unsigned i = 0; i < bench->workers; i++) {
            (void)snprintf(unit, sizeof(unit), bench->workers == 1 ? "spawner" : "spawner%u", i); /* fits */
            add_unit(bench, unit, "bench.spawner", NULL, 0);
        }
        rate(bench, name, "spawner", bench->workers, 200 * 1000);
    } else if (strcmp(name, "idle") == 0) {
        idle(bench, "idle", "unnamed", IDLE_ACTORS);
        idle(bench, "idle_named", "named", IDLE_NAMED);
    } else {
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t workers = 1, messages = 0;
    struct err err = {0};
    bool is_valid = argc >= 2 && argc % 2 == 0;
    for (int i = 2; i < argc && is_valid; i += 2) {
        if (strcmp(argv[i], "--workers") == 0)
            is_valid = text_to_u64(argv[i + 1], 64, &workers, &err) == 0 && workers > 0;
        else if (strcmp(argv[i], "--messages") == 0)
            is_valid = text_to_u64(argv[i + 1], MESSAGES_MAX, &messages, &err) == 0 && messages > 0;
        else
            is_valid = false;
    }
    type_run = histrio_type("run");
    type_ball = histrio_type("ball");
    type_more = histrio_type("more");
    type_done = histrio_type("done");
    type_named = histrio_type("named");
    struct bench bench = {.workers = (unsigned)workers, .messages = messages};
    mutex_init(&bench.lock, 950, "bench");
    condition_init(&bench.changed);
    struct actor_system_config config = {.node_uid = 1,
        .system = "bench",
        .worker_count = (unsigned)workers,
        .seed = 1,
        .handler_timeout_ms = 60 * 1000,
        .events = {.unit_changed = on_unit, .ctx = &bench}};
    if (!is_valid || actor_system_new(&config, &bench.system, &err) < 0 ||
        actor_system_add_library(bench.system, &library, &err) < 0 || run_bench(&bench, argv[1]) < 0) {
        (void)fprintf(stderr,
            "usage: actor_bench pingpong|pairs8|ring|fanin|spawn|idle [--workers N] [--messages N] %s\n",
            err.text);
        return 2;
    }
    (void)fflush(stdout);
    _exit(0); /* a million actors need no goodbye */
}
