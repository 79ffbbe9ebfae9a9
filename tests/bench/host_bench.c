/* An actor in C that asks an actor in Python, or one in C in a worker process or in the node, `window` asks
 * at a time: what node and worker process cost without the caller's Python.
 *
 *     host_bench [--python INTERPRETER | --c Process | --c Node] [--calls N] [--window N]
 *
 * The interpreter needs the package histrio. Prints one JSON line a round: calls a second, and the CPU time
 * of a call in the node. */
#include "actor/system.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "host/host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROUNDS = 5, WAIT_S = 120, NODE_UID = 1 };

static const char module[] = "import histrio\n"
                             "class Counter(histrio.Actor):\n"
                             "    def __init__(self):\n"
                             "        self.n = 0\n"
                             "    @histrio.method\n"
                             "    def add(self, k):\n"
                             "        self.n += k\n"
                             "        return self.n\n";

static struct {
    struct mutex lock;
    struct condition changed;
    unsigned rounds; /* that are over; guarded by lock */
    uint64_t calls, window;
    const char *c; /* where the one in C is; NULL: Python is asked */
} bench;

/* The state of the asker. */
struct asker {
    uint64_t sent, answered;
};

static void send_one(struct histrio_context *ctx, struct asker *asker);

static enum histrio_result answered(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    struct asker *asker = state;
    (void)data;
    if (outcome->kind == HISTRIO_ERROR) {
        (void)fprintf(stderr, "host_bench: %.*s\n", (int)outcome->size, (const char *)outcome->value);
        _exit(1);
    }
    if (asker->sent < bench.calls)
        send_one(ctx, asker);
    if (++asker->answered < bench.calls)
        return HISTRIO_CONTINUE;
    mutex_lock(&bench.lock);
    bench.rounds++;
    condition_broadcast(&bench.changed);
    mutex_unlock(&bench.lock);
    return HISTRIO_CONTINUE;
}

static void send_one(struct histrio_context *ctx, struct asker *asker)
{
    static const uint8_t one[] = {0x91, 1};
    asker->sent++;
    (void)histrio_ask_then(ctx, histrio_lookup(ctx, "counter"), histrio_type("add"), one, sizeof(one),
        WAIT_S * MS_PER_S, answered, NULL);
}

static enum histrio_result receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct asker *asker = state;
    (void)message;
    *asker = (struct asker){0};
    for (uint64_t i = 0; i < bench.window && i < bench.calls; i++)
        send_one(ctx, asker);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior asker_behavior = {
    .name = "asker", .state_size = sizeof(struct asker), .receive = receive};
static const struct histrio_behavior *const behaviors[] = {&asker_behavior, NULL};
static const struct histrio_library library = {HISTRIO_ABI_VERSION, "bench", behaviors};

static double cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage); /* valid arguments: cannot fail */
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void run_round(struct actor_system *system, unsigned round)
{
    int64_t begin_ns = clock_now_ns(clock_system());
    double begin_cpu = cpu_us();
    bool in_time = true;
    if (actor_system_tell(system, "asker", "go", NULL, 0) != HISTRIO_OK)
        exit(1);
    mutex_lock(&bench.lock);
    while (in_time && bench.rounds <= round)
        in_time = condition_wait_until(&bench.changed, &bench.lock, begin_ns + WAIT_S * NS_PER_S);
    mutex_unlock(&bench.lock);
    double seconds = (double)(clock_now_ns(clock_system()) - begin_ns) / 1e9;
    if (!in_time)
        exit(1);
    (void)printf("{\"bench\":\"host\",\"callee\":\"%s\",\"window\":%" PRIu64
                 ",\"callsPerSecond\":%.0f,\"nodeCpuUs\":%.2f}\n",
        bench.c ? bench.c : "Python", bench.window, (double)bench.calls / seconds,
        (cpu_us() - begin_cpu) / (double)bench.calls);
    (void)fflush(stdout);
}

static int start_unit(struct actor_system *system, const char *name, const char *behavior,
    enum actor_isolation isolation, struct err *err)
{
    struct actor_unit_spec spec = {.name = name,
        .root = {
            .name = name, .behavior = behavior, .period_ms = 1, .shutdown_ms = 1000, .isolation = isolation}};
    return actor_system_unit_start(system, &spec, 1, err);
}

static int start_counter(struct actor_system *system, struct err *err)
{
    if (!bench.c)
        return start_unit(system, "counter", "host_bench_module:Counter", ACTOR_ISOLATION_NODE, err);
    bool in_process = strcmp(bench.c, "Process") == 0;
    if (actor_system_load_library(system, "host_c_behaviors", HOST_BENCH_LIBRARY, err) < 0)
        return -1;
    return start_unit(system, "counter", "host_c_behaviors.risky",
        in_process ? ACTOR_ISOLATION_PROCESS : ACTOR_ISOLATION_NODE, err);
}

static int run(const char *interpreter, const char *folder, struct err *err)
{
    struct host *host = NULL;
    struct actor_system *system = NULL;
    struct host_config config = {.system = "bench", .node = "bench", .node_uid = NODE_UID, .script_fd = -1};
    if (host_new(&config, &host, err) < 0)
        return -1;
    host_configure(host,
        &(struct host_app){.interpreter = interpreter, .paths = &folder, .path_count = 1, .workers = 1});
    struct actor_system_config actors = {
        .node_uid = NODE_UID, .system = "bench", .worker_count = 1, .hosting = host_hosting(host)};
    int result = actor_system_new(&actors, &system, err);
    if (result == 0)
        result = actor_system_add_library(system, &library, err);
    if (result == 0)
        result = start_counter(system, err);
    if (result == 0)
        result = start_unit(system, "asker", "bench.asker", ACTOR_ISOLATION_NODE, err);
    for (unsigned round = 0; result == 0 && round < ROUNDS; round++)
        run_round(system, round);
    actor_system_free(system, 5000);
    host_free(host);
    return result;
}

static int write_module(char *folder, struct err *err)
{
    if (!mkdtemp(folder))
        return err_set(err, ERR_SYSTEM, "no folder for the module");
    char *path = xasprintf("%s/host_bench_module.py", folder);
    int result = file_write_atomically(path, module, strlen(module), 0644, err);
    free(path);
    return result;
}

int main(int argument_count, char **arguments)
{
    const char *interpreter = "python3";
    struct err err = {0};
    char folder[] = "/tmp/host_bench-XXXXXX";
    bench.calls = 200000;
    bench.window = 256;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--python") == 0)
            interpreter = arguments[i + 1];
        else if (strcmp(arguments[i], "--c") == 0)
            bench.c = arguments[i + 1];
        else if (strcmp(arguments[i], "--calls") == 0)
            (void)text_to_u64(arguments[i + 1], UINT32_MAX, &bench.calls, &err);
        else if (strcmp(arguments[i], "--window") == 0)
            (void)text_to_u64(arguments[i + 1], UINT32_MAX, &bench.window, &err);
    }
    log_init(STDERR_FILENO, LOG_WARNING);
    mutex_init(&bench.lock, 940, "bench");
    condition_init(&bench.changed);
    int result = err.kind == ERR_NONE ? write_module(folder, &err) : -1;
    if (result == 0)
        result = run(interpreter, folder, &err);
    (void)file_remove_tree(folder, NULL); /* below /tmp, and small */
    if (result == 0)
        return 0;
    (void)fprintf(stderr, "host_bench: %s\n", err.text);
    return 1;
}
