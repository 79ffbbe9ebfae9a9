/* Two nodes in two processes: remote_bench [tcp|unix] [--workers N] [--seconds S] [--only ask|asks|oneway]
 *     [--busy-poll-us U] [--tls]          U: 300, as in nodes
 *
 * Prints `name workers value unit`: remote_ask_p50 and _p99 (one caller, one ask at a time), remote_asks (64
 * callers, one ask each at a time), remote_oneway (8 senders of 32-byte messages to one receiver, counted
 * where they arrive). The same process started with "--serve" is the other node; its standard input is its
 * life. */
#include "actor/system.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "certs/certs.h"
#include "rpc/creds.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "transport/transport.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CLIENT_UID = 1, /* the smaller uid dials */
    SERVER_UID = 2,
    CALLERS = 64,
    SENDERS = 8,
    BURST = 256,
    VALUE_BYTES = 32,
    ASK_MS = 60 * 1000,
    SAMPLES_MAX = 1000 * 1000,
    LOCK_RANK = 10,
};

/* Set before any actor exists, and never changed. */
static unsigned busy_poll_us;
static const char *tls_folder; /* NULL: plaintext */
static struct rpc_creds *creds;
static uint32_t type_run, type_next, type_note, type_count;

static uint64_t number_of(const uint8_t *value, size_t size)
{
    uint64_t number = 0;
    if (size == sizeof(number))
        memcpy(&number, value, sizeof(number));
    return number;
}

/* ---- the server's actors ---- */

static enum histrio_result echo_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (message->kind == HISTRIO_ASK)
        histrio_reply(ctx, message->value, message->size);
    return message->kind == HISTRIO_EXIT ? HISTRIO_STOP : HISTRIO_CONTINUE;
}

static enum histrio_result sink_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    uint64_t *count = state;
    if (message->type == type_note)
        (*count)++;
    else if (message->type == type_count)
        histrio_reply(ctx, (const uint8_t *)count, sizeof(*count));
    return message->kind == HISTRIO_EXIT ? HISTRIO_STOP : HISTRIO_CONTINUE;
}

static const struct histrio_behavior echo = {.name = "echo", .receive = echo_receive};
static const struct histrio_behavior sink = {
    .name = "sink", .state_size = sizeof(uint64_t), .receive = sink_receive};

/* ---- the client's actors ---- */

struct caller {
    struct histrio_caller asker;
    int64_t until_ns, sent_ns;
    uint64_t answers;
    bool is_sampling;
};

static uint32_t
    samples_us10[SAMPLES_MAX]; /* tenths of a microsecond; written by the one caller that samples */
static size_t sample_count;

static void ask_next(struct histrio_context *ctx, struct caller *caller)
{
    uint64_t number = caller->answers;
    caller->sent_ns = histrio_now_ns(ctx);
    (void)histrio_ask(ctx, histrio_lookup(ctx, "echo"), type_next, (const uint8_t *)&number, sizeof(number),
        ASK_MS); /* its outcome is a message */
}

/* "run" with a number of milliseconds: asks as long; answers with how many were answered. */
static enum histrio_result caller_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct caller *caller = state;
    if (message->kind == HISTRIO_EXIT)
        return HISTRIO_STOP;
    if (message->type == type_run && message->kind == HISTRIO_ASK) {
        uint64_t duration_ms = number_of(message->value, message->size);
        *caller = (struct caller){.asker = histrio_caller(ctx),
            .until_ns = histrio_now_ns(ctx) + (int64_t)(duration_ms & 0xffffffff) * NS_PER_MS,
            .is_sampling = duration_ms >> 32 != 0};
        ask_next(ctx, caller);
        return HISTRIO_CONTINUE;
    }
    int64_t now_ns = histrio_now_ns(ctx);
    caller->answers += message->kind == HISTRIO_REPLY;
    if (caller->is_sampling && sample_count < SAMPLES_MAX)
        samples_us10[sample_count++] = (uint32_t)((now_ns - caller->sent_ns) / 100);
    if (now_ns < caller->until_ns)
        ask_next(ctx, caller);
    else
        histrio_reply_to(ctx, caller->asker, (const uint8_t *)&caller->answers, sizeof(caller->answers));
    return HISTRIO_CONTINUE;
}

struct sender {
    struct histrio_caller asker;
    struct histrio_ref sink;
    uint64_t left;
};

/* "run" with a number: tells the sink as often, in bursts, so that muting takes effect between them. */
static enum histrio_result sender_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct sender *sender = state;
    static const uint8_t value[VALUE_BYTES];
    if (message->kind == HISTRIO_EXIT)
        return HISTRIO_STOP;
    if (message->type == type_run)
        *sender = (struct sender){
            histrio_caller(ctx), histrio_lookup(ctx, "sink"), number_of(message->value, message->size)};
    for (int i = 0; i < BURST && sender->left > 0; i++, sender->left--)
        (void)histrio_tell(ctx, sender->sink, type_note, value, sizeof(value)); /* the sink counts */
    if (sender->left > 0)
        (void)histrio_tell(ctx, histrio_self(ctx), type_next, NULL, 0); /* as above */
    else
        histrio_reply_to(ctx, sender->asker, NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior caller_behavior = {
    .name = "caller", .state_size = sizeof(struct caller), .receive = caller_receive};
static const struct histrio_behavior sender_behavior = {
    .name = "sender", .state_size = sizeof(struct sender), .receive = sender_receive};

static const struct histrio_behavior *const behaviors[] = {
    &echo, &sink, &caller_behavior, &sender_behavior, NULL};
static const struct histrio_library library = {HISTRIO_ABI_VERSION, "bench", behaviors};

/* ---- a node ---- */

struct node {
    struct rpc_loop *loop;
    struct transport *transport;
    struct actor_system *actors;
    struct rpc_server *server;
    struct mutex lock;
    struct condition changed;
    unsigned running; /* units; guarded by the lock */
    unsigned answered;
    uint64_t total;
};

static void die(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "remote_bench: %s: %s\n", what, err->text);
    exit(1);
}

static void unit_changed(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    struct node *node = ctx;
    (void)unit;
    (void)epoch;
    (void)reason;
    mutex_lock(&node->lock);
    if (state == UNIT_RUNNING)
        node->running++;
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

static void exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    (void)report;
}

static void stuck(void *ctx, const char *path, const char *type, uint64_t running_ms)
{
    (void)ctx;
    (void)path;
    (void)type;
    (void)running_ms;
}

static void write_part(const char *name, const char *text)
{
    struct err err = {0};
    char *path = file_join(tls_folder, name);
    if (file_write_atomically(path, text, strlen(text), 0600, &err) < 0)
        die(name, &err);
    free(path);
}

/* Certificates for both nodes. */
static void make_tls_folder(void)
{
    static char folder[] = "/tmp/histrio-remote-bench-XXXXXX";
    int64_t now_s = clock_wall_ms(clock_system()) / MS_PER_S;
    struct certs_pair authority, leaf;
    struct err err = {0};
    tls_folder = mkdtemp(folder);
    if (!tls_folder || certs_make_authority("bench", "bench", now_s, &authority, &err) < 0 ||
        certs_make_leaf(&authority, ROLE_NODE, "bench", now_s, CERTS_LEAF_S, &leaf, &err) < 0)
        die("certificates", &err);
    write_part("ca.crt", authority.chain);
    write_part("tls.crt", leaf.chain);
    write_part("tls.key", leaf.key);
    certs_pair_done(&authority);
    certs_pair_done(&leaf);
}

static void load_creds(void)
{
    struct err err = {0};
    if (tls_folder && rpc_creds_from_folder(tls_folder, 0, &creds, &err) < 0)
        die("credentials", &err);
}

static void start_node(struct node *node, uint64_t uid, unsigned workers, const char *address)
{
    struct err err = {0};
    *node = (struct node){0};
    mutex_init(&node->lock, LOCK_RANK, "bench");
    condition_init(&node->changed);
    if (rpc_loop_new("link", &node->loop, &err) < 0)
        die("loop", &err);
    rpc_loop_set_busy_poll(node->loop, busy_poll_us);
    struct transport_config transport = {
        .loop = node->loop, .system = "bench", .system_uid = "bench", .node_uid = uid, .creds = creds};
    if (transport_new(&transport, &node->transport, &err) < 0)
        die("transport", &err);
    struct actor_system_config actors = {.node_uid = uid,
        .system = "bench",
        .worker_count = workers,
        .seed = uid,
        .outbound = transport_outbound(node->transport),
        .events = {.exited = exited, .unit_changed = unit_changed, .stuck = stuck, .ctx = node}};
    if (actor_system_new(&actors, &node->actors, &err) < 0 ||
        actor_system_add_library(node->actors, &library, &err) < 0)
        die("actors", &err);
    transport_attach(node->transport, node->actors);
    const char *addresses[] = {address, NULL};
    struct rpc_server_config server = {.addresses = addresses, .creds = creds};
    server.methods = transport_methods(node->transport, &server.method_count);
    if (address && rpc_server_new(node->loop, &server, &node->server, &err) < 0)
        die("server", &err);
}

static void stop_node(struct node *node)
{
    transport_close(node->transport);
    rpc_server_free(node->server, 0);
    actor_system_free(node->actors, 1000);
    transport_free(node->transport);
    rpc_loop_free(node->loop);
}

static void wait_for(struct node *node, const unsigned *value, unsigned wanted)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + ASK_MS * NS_PER_MS;
    mutex_lock(&node->lock);
    while (*value < wanted)
        if (!condition_wait_until(&node->changed, &node->lock, deadline_ns))
            exit(3);
    mutex_unlock(&node->lock);
}

static void start_unit(struct node *node, const char *name, const char *behavior, unsigned number)
{
    struct err err = {0};
    struct actor_unit_spec spec = {.name = name,
        .root = {
            .name = name, .under = "", .behavior = behavior, .restart = ACTOR_TEMPORARY, .shutdown_ms = 100}};
    transport_unit_held(node->transport, name, 1);
    if (actor_system_unit_start(node->actors, &spec, 1, &err) < 0)
        die(name, &err);
    wait_for(node, &node->running, number);
}

/* What both nodes know of each other. */
static void place(struct node *node, const char *server_address)
{
    const struct transport_member members[] = {
        {CLIENT_UID, "client", ""}, {SERVER_UID, "server", server_address}};
    const struct transport_placement placements[] = {{"echo", 1, SERVER_UID}, {"sink", 1, SERVER_UID}};
    transport_set_roster(node->transport, 1, members, 2, NULL, 0);
    transport_set_routes(node->transport, 1, false, placements, 2);
}

static int serve(const char *address, unsigned workers)
{
    struct node node;
    start_node(&node, SERVER_UID, workers, address);
    start_unit(&node, "echo", "bench.echo", 1);
    start_unit(&node, "sink", "bench.sink", 2);
    place(&node, "");
    (void)printf("%s\n", rpc_server_address(node.server, 0));
    (void)fflush(stdout); /* a reader that is gone closes our input, too */
    char rest[16];
    while (read(STDIN_FILENO, rest, sizeof(rest)) > 0)
        ;
    stop_node(&node);
    return 0;
}

/* ---- the client ---- */

static void answered(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    struct node *node = ctx;
    if (error != HISTRIO_OK) {
        (void)fprintf(stderr, "remote_bench: an ask ended with %s\n", histrio_error_name(error));
        exit(1);
    }
    mutex_lock(&node->lock);
    node->total += number_of(value, size);
    node->answered++;
    condition_broadcast(&node->changed);
    mutex_unlock(&node->lock);
}

static void ask(struct node *node, const char *target, uint32_t type, uint64_t number)
{
    actor_system_ask(node->actors, target, histrio_type_name(type), (const uint8_t *)&number, sizeof(number),
        ASK_MS, answered, node);
}

/* Has `count` actors of that name run with this number; returns the seconds, and in node->total what they
 * answered. */
static double run(struct node *node, const char *name, unsigned count, uint64_t number)
{
    node->answered = 0;
    node->total = 0;
    int64_t start_ns = clock_now_ns(clock_system());
    for (unsigned i = 0; i < count; i++) {
        char target[32];
        (void)snprintf(target, sizeof(target), "%s.%u", name, i);
        ask(node, target, type_run, number);
    }
    wait_for(node, &node->answered, count);
    return (double)(clock_now_ns(clock_system()) - start_ns) / 1e9;
}

static uint64_t sink_count(struct node *node)
{
    node->answered = 0;
    node->total = 0;
    ask(node, "sink", type_count, 0);
    wait_for(node, &node->answered, 1);
    return node->total;
}

static double oneway(struct node *node, uint64_t count)
{
    uint64_t before = sink_count(node);
    int64_t start_ns = clock_now_ns(clock_system());
    (void)run(node, "sender", SENDERS, count / SENDERS);
    uint64_t wanted = before + count / SENDERS * SENDERS, now = before;
    while (now < wanted) {
        uint64_t former = now;
        now = sink_count(node);
        if (now == former && clock_now_ns(clock_system()) - start_ns > 30 * NS_PER_S) {
            (void)fprintf(
                stderr, "remote_bench: %llu messages are lost\n", (unsigned long long)(wanted - now));
            exit(1);
        }
    }
    return (double)(clock_now_ns(clock_system()) - start_ns) / 1e9;
}

static int by_size(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void measure_ask(struct node *node, unsigned workers, uint64_t duration_ms)
{
    (void)run(node, "caller", 1, 200); /* warms up */
    (void)run(node, "caller", 1, duration_ms | 1ull << 32);
    qsort(samples_us10, sample_count, sizeof(samples_us10[0]), by_size);
    (void)printf("remote_ask_p50 %u %.1f us\n", workers, samples_us10[sample_count / 2] / 10.0);
    (void)printf("remote_ask_p99 %u %.1f us\n", workers, samples_us10[sample_count * 99 / 100] / 10.0);
}

static void measure(struct node *node, unsigned workers, double seconds, const char *only)
{
    uint64_t duration_ms = (uint64_t)(seconds * 1000);
    if (!only || strcmp(only, "ask") == 0)
        measure_ask(node, workers, duration_ms);
    if (!only || strcmp(only, "asks") == 0) {
        double took = run(node, "caller", CALLERS, duration_ms);
        (void)printf("remote_asks %u %.1f k/s\n", workers, (double)node->total / took / 1e3);
    }
    if (!only || strcmp(only, "oneway") == 0) {
        uint64_t first = 200 * 1000, count = (uint64_t)((double)first / oneway(node, first) * seconds);
        if (count < first)
            count = first;
        double took = oneway(node, count);
        (void)printf("remote_oneway %u %.3f M/s\n", workers, (double)count / took / 1e6);
    }
}

/* Starts ourselves as the server and reads its address. */
static pid_t spawn_server(const char *program, const char *address, const char *workers,
    const char *busy_poll, int *ret_life, char *ret_address, size_t size)
{
    int life[2], out[2];
    posix_spawn_file_actions_t actions;
    char *const argv[] = {(char *)program, "--serve", (char *)address, "--workers", (char *)workers,
        "--busy-poll-us", (char *)busy_poll, (char *)(tls_folder ? "--tls-folder" : NULL), (char *)tls_folder,
        NULL};
    pid_t pid;
    if (pipe(life) < 0 || pipe(out) < 0)
        exit(1);
    (void)posix_spawn_file_actions_init(&actions); /* these fail only for lack of memory */
    (void)posix_spawn_file_actions_adddup2(&actions, life[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_addclose(&actions, life[1]);
    (void)posix_spawn_file_actions_addclose(&actions, out[0]);
    if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) != 0)
        exit(1);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(life[0]);
    (void)close(out[1]);
    FILE *file = fdopen(out[0], "r");
    if (!file || !fgets(ret_address, (int)size, file))
        exit(1);
    ret_address[strcspn(ret_address, "\n")] = 0;
    (void)fclose(file);
    *ret_life = life[1];
    return pid;
}

static int drive(const char *program, const char *address, const char *workers, const char *busy_poll,
    double seconds, const char *only)
{
    int life;
    char server_address[256];
    pid_t pid =
        spawn_server(program, address, workers, busy_poll, &life, server_address, sizeof(server_address));
    unsigned worker_count = (unsigned)strtoul(workers, NULL, 10), units = 0;
    struct node node;
    start_node(&node, CLIENT_UID, worker_count, NULL);
    place(&node, server_address);
    for (unsigned i = 0; i < CALLERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "caller.%u", i);
        start_unit(&node, name, "bench.caller", ++units);
        (void)snprintf(name, sizeof(name), "sender.%u", i);
        if (i < SENDERS)
            start_unit(&node, name, "bench.sender", ++units);
    }
    measure(&node, worker_count, seconds, only);
    stop_node(&node);
    (void)close(life);
    (void)waitpid(pid, NULL, 0); /* how it ends is not measured */
    if (tls_folder)
        (void)file_remove_tree(tls_folder, NULL); /* left in /tmp at worst */
    return 0;
}

int main(int argc, char **argv)
{
    const char *workers = "1", *busy_poll = "300", *served = NULL, *only = NULL, *address = "127.0.0.1:0";
    char unix_address[128];
    double seconds = 1.5;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
            workers = argv[++i];
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--tls") == 0)
            make_tls_folder();
        else if (strcmp(argv[i], "--tls-folder") == 0 && i + 1 < argc)
            tls_folder = argv[++i];
        else if (strcmp(argv[i], "--busy-poll-us") == 0 && i + 1 < argc)
            busy_poll = argv[++i];
        else if (strcmp(argv[i], "--serve") == 0 && i + 1 < argc)
            served = argv[++i];
        else if (strcmp(argv[i], "unix") == 0) {
            (void)snprintf(
                unix_address, sizeof(unix_address), "unix:/tmp/histrio-remote-bench-%d.sock", (int)getpid());
            address = unix_address;
        } else if (strcmp(argv[i], "tcp") != 0) {
            (void)fprintf(stderr, "remote_bench: what is %s?\n", argv[i]);
            return 2;
        }
    }
    busy_poll_us = (unsigned)strtoul(busy_poll, NULL, 10);
    type_run = histrio_type("run");
    type_next = histrio_type("next");
    type_note = histrio_type("note");
    type_count = histrio_type("count");
    load_creds();
    if (served)
        return serve(served, (unsigned)strtoul(workers, NULL, 10));
    return drive(argv[0], address, workers, busy_poll, seconds, only);
}
