/* failover_bench SYSTEM KILLS CSV: kills runtime processes of a local run, one node after the other, and
 * measures each time how long it takes from just before the kill until every actor that it hosted has
 * answered again, asked through the gateway of a node that lives on. All lost actors are asked at the same
 * time; an ask that fails is sent again at once. Prints rows `name nodes value ms`, and writes a line for
 * each actor and kill. Started by tests/bench/failover.py, which makes the run of tests/bench/failover.yaml:
 * its actors answer `total`. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/client.h"
#include "cli/rows.h"
#include "operator/run_folder.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum {
    ASK_TIMEOUT_MS = 20,
    PAUSE_MS = 1, /* between two asks for one actor */
    GIVE_UP_MS = 20 * 1000,
    CALM_MS = 30 * 1000,
    LOCK_RANK = 10,
    /* A runtime that was killed younger than a second is restarted with backoff: it would keep us waiting. */
    LIFE_MS = 1100,
    NODES_MAX = 16,
};

struct bench;

/* One actor of the killed node. */
struct probe {
    struct bench *bench;
    struct rpc_timer *retry;
    char *actor;
    bool is_known;       /* answered before the kill; this and the next are guarded by the bench's lock */
    int64_t answered_ns; /* after the kill; 0: not yet */
    unsigned asks;       /* since the start, of which the one under way: */
    bool is_after_death; /* sent when the killed process was gone: nothing but its successor can answer it */
};

struct bench {
    const char *system;
    struct client *client;
    uint8_t *credential;
    size_t credential_size;
    struct rpc_loop *loop;
    struct rpc_client *gateway; /* of the node that is asked */
    char *killed;               /* the name of the node that is killed */
    int killed_fd;              /* pidfd of its runtime */
    struct mutex lock;
    struct condition answered;
    size_t waiting; /* for so many probes; guarded by the lock */
    int64_t killed_ms[NODES_MAX];
    VEC(struct probe *) probes;
    VEC(double) samples;
};

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "failover_bench: %s: %s\n", what, why);
    exit(1);
}

static struct json *read_status(struct bench *bench)
{
    struct json *status = NULL;
    struct err err = {0};
    if (client_status(bench->client, &status, &err) < 0)
        fail("status", err.text);
    return status;
}

static const char *text_of(const struct json *row, const char *member)
{
    return json_string(json_get(row, member));
}

static bool is_calm(const struct json *status)
{
    const struct json *nodes = json_get(status, "nodes");
    const struct json *units = json_get(status, "units");
    json_for_each(node, json_get(status, "nodeStatuses"))
    {
        if (!text_equal(text_of(node, "state"), "Connected"))
            return false;
    }
    if (json_count(json_get(status, "nodeStatuses")) > NODES_MAX)
        fail("status", "more nodes than this benchmark is for");
    return json_int(json_get(nodes, "ready")) == json_int(json_get(nodes, "desired")) &&
           json_int(json_get(units, "running")) == json_int(json_get(units, "desired"));
}

/* The status when all nodes are back and all units run. */
static struct json *wait_until_calm(struct bench *bench)
{
    int64_t deadline_ms = clock_now_ms(clock_system()) + CALM_MS;
    for (;;) {
        struct json *status = read_status(bench);
        if (is_calm(status))
            return status;
        json_free(status);
        if (clock_now_ms(clock_system()) > deadline_ms)
            fail("wait", "the system did not become ready again");
        (void)poll(NULL, 0, 10); /* the status has no watch */
    }
}

static void ask(void *ctx);

static bool is_gone(int process_fd)
{
    struct pollfd polled = {.fd = process_fd, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

static bool is_reply(const struct rpc_status *status, const uint8_t *data, size_t size)
{
    uint8_t first[1024];
    struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    bool is_good = false;
    wire_arena_init(&arena, first, sizeof(first), 100000);
    if (status->code == RPC_OK &&
        wire_unpack(&histrio__v1__ask_response__descriptor, data, size, 100000, &arena, &message, NULL) == 0)
        is_good = ((const Histrio__V1__AskResponse *)message)->error == HISTRIO__V1__ERROR__ERROR_NONE;
    wire_arena_done(&arena);
    return is_good;
}

static void on_answer(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx)
{
    struct probe *probe = ctx;
    struct bench *bench = probe->bench;
    int64_t now_ns = clock_now_ns(clock_system());
    bool is_done = false;
    if (is_reply(status, data, size)) {
        mutex_lock(&bench->lock);
        is_done = probe->is_after_death;
        if (is_done)
            probe->answered_ns = now_ns;
        if (is_done || !probe->is_known) {
            bench->waiting--;
            condition_signal(&bench->answered);
        }
        probe->is_known = true;
        mutex_unlock(&bench->lock);
    }
    if (!is_done)
        rpc_timer_set(probe->retry, PAUSE_MS);
}

static void ask(void *ctx)
{
    struct probe *probe = ctx;
    struct bench *bench = probe->bench;
    Histrio__V1__AskRequest request = HISTRIO__V1__ASK_REQUEST__INIT;
    uint8_t packed[2048];
    request.actor = probe->actor;
    request.method = (char *)(uintptr_t) "total";
    request.timeout_ms = ASK_TIMEOUT_MS;
    request.credential = (ProtobufCBinaryData){bench->credential_size, bench->credential};
    size_t size = wire_packed_size(&request);
    if (size > sizeof(packed))
        fail(probe->actor, "name is too long");
    wire_pack_into(&request, packed);
    probe->asks++;
    probe->is_after_death = is_gone(bench->killed_fd);
    rpc_client_call(bench->gateway, "/histrio.v1.Gateway/Ask", packed, size, 2000, true, on_answer, probe);
}

/* Actors without others below them: supervisors answer nobody. */
static bool is_leaf(const struct json *actors, const char *path)
{
    size_t size = strlen(path);
    json_for_each(actor, actors)
    {
        const char *other = text_of(actor, "path");
        if (strncmp(other, path, size) == 0 && other[size] == '/')
            return false;
    }
    return true;
}

static void add_probes(struct bench *bench, const struct json *status, const char *node)
{
    const struct json *actors = json_get(status, "actorStatuses");
    json_for_each(actor, actors)
    {
        if (!text_equal(text_of(actor, "node"), node) || !is_leaf(actors, text_of(actor, "path")))
            continue;
        struct probe *probe = xcalloc(1, sizeof(*probe));
        probe->bench = bench;
        probe->actor = xstrdup(text_of(actor, "path"));
        vec_push(&bench->probes, probe);
    }
}

static void start_probes(void *ctx)
{
    struct bench *bench = ctx;
    vec_for_each (probe, &bench->probes) {
        (*probe)->retry = rpc_timer_new(bench->loop, ask, *probe);
        ask(*probe);
    }
}

static void end_probes(void *ctx)
{
    struct bench *bench = ctx;
    vec_for_each (probe, &bench->probes) {
        rpc_timer_free((*probe)->retry);
        free((*probe)->actor);
        free(*probe);
    }
    vec_clear(&bench->probes);
    rpc_client_free(bench->gateway);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* A connection that is there already, as a client's would be. */
static void connect_gateway(struct bench *bench, const char *address)
{
    struct rpc_client_config config = {.address = address};
    struct err err = {0};
    uint8_t *response = NULL;
    size_t size;
    if (rpc_client_new(bench->loop, &config, &bench->gateway, &err) < 0)
        fail(address, err.text);
    /* Its answer does not matter, only that there is one. */
    (void)rpc_client_call_wait(
        bench->gateway, "/grpc.health.v1.Health/Check", "", 0, 5000, true, &response, &size, &err);
    free(response);
}

/* Until all probes had the next answer that is waited for. */
static void wait_for_answers(struct bench *bench)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + GIVE_UP_MS * NS_PER_MS;
    mutex_lock(&bench->lock);
    while (bench->waiting > 0) {
        if (!condition_wait_until(&bench->answered, &bench->lock, deadline_ns)) {
            vec_for_each (probe, &bench->probes) {
                if (!(*probe)->answered_ns)
                    (void)fprintf(
                        stderr, "%s does not answer after %u asks\n", (*probe)->actor, (*probe)->asks);
            }
            fail(bench->killed, "its actors did not answer");
        }
    }
    mutex_unlock(&bench->lock);
}

static void keep_samples(struct bench *bench, unsigned number, int64_t killed_ns, FILE *csv)
{
    double worst_ms = 0;
    int64_t age_ms = (clock_now_ns(clock_system()) - killed_ns) / NS_PER_MS;
    int64_t killed_wall_ms = clock_wall_ms(clock_system()) - age_ms; /* to find it in the logs */
    vec_for_each (probe, &bench->probes) {
        double ms = (double)((*probe)->answered_ns - killed_ns) / (double)NS_PER_MS;
        worst_ms = ms > worst_ms ? ms : worst_ms;
        (void)fprintf(csv, "%u,%" PRId64 ",%s,%s,%.3f,%u\n", number, killed_wall_ms, bench->killed,
            (*probe)->actor, ms, (*probe)->asks);
    }
    vec_push(&bench->samples, worst_ms);
}

/* Kills the node in row `index` and asks the one in the next row. */
static void kill_one(struct bench *bench, const struct json *status, size_t index, unsigned number, FILE *csv)
{
    const struct json *nodes = json_get(status, "nodeStatuses");
    const struct json *victim = json_at(nodes, index);
    const struct json *other = json_at(nodes, (index + 1) % json_count(nodes));
    pid_t pid = (pid_t)json_int(json_get(victim, "pid"));
    bench->killed = xstrdup(text_of(victim, "node"));
    bench->killed_fd = pidfd_open(pid, 0);
    if (bench->killed_fd < 0)
        fail(bench->killed, "has no process");
    add_probes(bench, status, bench->killed);
    if (bench->probes.count == 0)
        fail(bench->killed, "hosts no actor");
    connect_gateway(bench, text_of(other, "gatewayAddress"));
    bench->waiting = bench->probes.count;
    rpc_loop_post(bench->loop, start_probes, bench);
    wait_for_answers(bench);
    mutex_lock(&bench->lock);
    bench->waiting = bench->probes.count;
    mutex_unlock(&bench->lock);
    int64_t killed_ns = clock_now_ns(clock_system());
    if (kill(pid, SIGKILL) < 0)
        fail(bench->killed, "cannot be killed");
    wait_for_answers(bench);
    bench->killed_ms[index] = killed_ns / NS_PER_MS;
    keep_samples(bench, number, killed_ns, csv);
    rpc_loop_call(bench->loop, end_probes, bench);
    rpc_loop_call(bench->loop, nothing, NULL); /* the client of the gateway is gone then */
    (void)close(bench->killed_fd);             /* nothing was written through it */
    free(bench->killed);
}

/* The row of the next one to kill, once it has lived long enough. */
static size_t next_victim(struct bench *bench, const struct json *status, uint64_t number)
{
    size_t index = (size_t)number % json_count(json_get(status, "nodeStatuses"));
    int64_t age_ms = clock_now_ms(clock_system()) - bench->killed_ms[index];
    if (bench->killed_ms[index] && age_ms < LIFE_MS)
        (void)poll(NULL, 0, (int)(LIFE_MS - age_ms)); /* a pause, as it says */
    return index;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* By nearest rank: the smallest sample that `percent` of all do not exceed. */
static double percentile(const struct bench *bench, size_t percent)
{
    return bench->samples.items[(bench->samples.count * percent + 99) / 100 - 1];
}

static void print_results(struct bench *bench)
{
    qsort(bench->samples.items, bench->samples.count, sizeof(double), compare);
    (void)printf("failover_worst 1 %.1f ms\nfailover_p99 1 %.1f ms\nfailover_p50 1 %.1f ms\n",
        percentile(bench, 100), percentile(bench, 99), percentile(bench, 50));
}

int main(int argument_count, char **arguments)
{
    struct bench bench = {0};
    struct err err = {0};
    _cleanup_(cleanup_free) char *address = NULL;
    _cleanup_(cleanup_free) char *credential = NULL;
    uint64_t kills = 0;
    if (argument_count != 4 || text_to_u64(arguments[2], 100000, &kills, NULL) < 0 || kills == 0)
        fail("usage", "failover_bench SYSTEM KILLS CSV");
    FILE *csv = fopen(arguments[3], "w");
    if (!csv)
        fail(arguments[3], "cannot be written");
    bench.system = arguments[1];
    if (client_new(&(struct client_place){0}, bench.system, &bench.client, &err) < 0 ||
        run_folder_find(bench.system, &address, &credential, &err) < 0 ||
        run_folder_unhex(credential, &bench.credential, &bench.credential_size, &err) < 0 ||
        rpc_loop_new("bench", &bench.loop, &err) < 0)
        fail(bench.system, err.text);
    mutex_init(&bench.lock, LOCK_RANK, "bench");
    condition_init(&bench.answered);
    (void)fprintf(csv, "kill,at_ms,node,actor,ms,asks\n");
    for (uint64_t i = 0; i < kills; i++) {
        struct json *status = wait_until_calm(&bench);
        kill_one(&bench, status, next_victim(&bench, status, i), (unsigned)i, csv);
        json_free(status);
    }
    json_free(wait_until_calm(&bench));
    if (fclose(csv) != 0)
        fail(arguments[3], "cannot be written");
    print_results(&bench);
    vec_done(&bench.probes);
    vec_done(&bench.samples);
    rpc_loop_free(bench.loop);
    client_free(bench.client);
    condition_done(&bench.answered);
    mutex_done(&bench.lock);
    free(bench.credential);
    return 0;
}
