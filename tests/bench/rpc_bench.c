/* ./dev bench rpc: round trips and one-way rates of one stream between two processes, over a Unix socket and
 * TCP loopback, through lib/rpc alone. Prints lines `name workers value unit`. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "rpc/server.h"

enum { ROUND_TRIPS = 20000, SMALL_BYTES = 64, LARGE_BYTES = 16 * 1024, RANK = 10 };

extern char **environ;

static void die(const struct err *err)
{
    (void)fprintf(stderr, "rpc_bench: %s\n", err->text);
    exit(1);
}

/* BUSY_POLL_US=20 ./dev bench rpc */
static unsigned busy_poll_us(void)
{
    const char *text = getenv("BUSY_POLL_US");
    return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

/* ---- the server's process ---- */

struct sink {
    uint64_t messages;
};

static void echo(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)ctx;
    (void)rpc_stream_write(stream, data, size, NULL); /* one is under way at a time: there is room */
}

static void count(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct sink *sink = ctx;
    (void)stream;
    (void)data;
    (void)size;
    sink->messages++;
}

static void finish(struct rpc_stream *stream, void *ctx)
{
    struct sink *sink = ctx;
    if (sink)
        (void)rpc_stream_write(stream, &sink->messages, sizeof(sink->messages), NULL); /* the only one */
    rpc_stream_finish(stream, RPC_OK, "");
}

static void closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)status;
    rpc_stream_free(stream);
    free(ctx);
}

static void open_echo(struct rpc_stream *stream, void *ctx)
{
    static const struct rpc_stream_events events = {.message = echo, .half_closed = finish, .closed = closed};
    (void)ctx;
    rpc_stream_listen(stream, &events, NULL);
}

static void open_sink(struct rpc_stream *stream, void *ctx)
{
    static const struct rpc_stream_events events = {
        .message = count, .half_closed = finish, .closed = closed};
    (void)ctx;
    rpc_stream_listen(stream, &events, xcalloc(1, sizeof(struct sink)));
}

/* Serves until stdin ends. */
static int serve(const char *address)
{
    const struct rpc_method methods[] = {
        {.path = "/bench.Bench/Echo", .open = open_echo}, {.path = "/bench.Bench/Sink", .open = open_sink}};
    const char *addresses[] = {address, NULL};
    struct rpc_server_config config = {.addresses = addresses, .methods = methods, .method_count = 2};
    struct rpc_loop *loop;
    struct rpc_server *server;
    struct err err = {0};
    char byte;
    if (rpc_loop_new("bench-server", &loop, &err) < 0)
        die(&err);
    rpc_loop_set_busy_poll(loop, busy_poll_us());
    if (rpc_server_new(loop, &config, &server, &err) < 0)
        die(&err);
    (void)printf("%s\n", rpc_server_address(server, 0));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    rpc_server_free(server, 0);
    rpc_loop_free(loop);
    return 0;
}

/* ---- the client's ---- */

struct bench {
    struct rpc_client *client;
    struct rpc_stream *stream;
    size_t size;
    uint8_t *data;
    int64_t sent_ns;
    int64_t *round_trips;
    size_t done;
    int64_t end_ns; /* of a one-way run */
    uint64_t received;
    struct mutex lock;
    struct condition changed;
    bool is_over;
};

static void send_one(struct bench *bench)
{
    bench->sent_ns = clock_now_ns(clock_system());
    (void)rpc_stream_write(bench->stream, bench->data, bench->size, NULL); /* nothing else is queued */
}

static void came_back(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct bench *bench = ctx;
    (void)data;
    (void)size;
    bench->round_trips[bench->done++] = clock_now_ns(clock_system()) - bench->sent_ns;
    if (bench->done < ROUND_TRIPS)
        send_one(bench);
    else
        rpc_stream_half_close(stream);
}

static void over(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct bench *bench = ctx;
    if (status->code != RPC_OK)
        (void)fprintf(stderr, "rpc_bench: %s\n", status->text);
    rpc_stream_free(stream);
    mutex_lock(&bench->lock);
    bench->is_over = true;
    condition_broadcast(&bench->changed);
    mutex_unlock(&bench->lock);
}

static void start_echo(void *ctx)
{
    static const struct rpc_stream_events events = {.message = came_back, .closed = over};
    struct bench *bench = ctx;
    bench->stream = rpc_client_open(bench->client, "/bench.Bench/Echo", 0, true);
    rpc_stream_listen(bench->stream, &events, bench);
    send_one(bench);
}

static void write_all(struct rpc_stream *stream, void *ctx)
{
    struct bench *bench = ctx;
    if (clock_now_ns(clock_system()) >= bench->end_ns) {
        rpc_stream_half_close(stream);
        return;
    }
    while (rpc_stream_write(stream, bench->data, bench->size, NULL) == 0)
        bench->done++;
}

static void got_count(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct bench *bench = ctx;
    (void)stream;
    if (size == sizeof(bench->received))
        memcpy(&bench->received, data, size);
}

static void start_sink(void *ctx)
{
    static const struct rpc_stream_events events = {
        .message = got_count, .writable = write_all, .closed = over};
    struct bench *bench = ctx;
    bench->stream = rpc_client_open(bench->client, "/bench.Bench/Sink", 0, true);
    rpc_stream_listen(bench->stream, &events, bench);
    write_all(bench->stream, bench);
}

static void run(struct bench *bench, struct rpc_loop *loop, void (*start)(void *ctx))
{
    bench->is_over = false;
    bench->done = 0;
    rpc_loop_post(loop, start, bench);
    mutex_lock(&bench->lock);
    while (!bench->is_over)
        condition_wait(&bench->changed, &bench->lock);
    mutex_unlock(&bench->lock);
}

static int compare(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

static void measure(const char *name, const char *address)
{
    struct bench bench = {.size = SMALL_BYTES};
    struct rpc_client_config config = {.address = address, .write_queue_bytes_max = 1024 * 1024};
    struct rpc_loop *loop;
    struct err err = {0};
    bench.data = xcalloc(1, LARGE_BYTES);
    bench.round_trips = xcalloc(ROUND_TRIPS, sizeof(*bench.round_trips));
    mutex_init(&bench.lock, RANK, "bench");
    condition_init(&bench.changed);
    if (rpc_loop_new("bench-client", &loop, &err) < 0)
        die(&err);
    rpc_loop_set_busy_poll(loop, busy_poll_us());
    if (rpc_client_new(loop, &config, &bench.client, &err) < 0)
        die(&err);

    run(&bench, loop, start_echo);
    qsort(bench.round_trips, ROUND_TRIPS, sizeof(*bench.round_trips), compare);
    (void)printf("%s_rtt_p50 1 %.1f us\n", name, (double)bench.round_trips[ROUND_TRIPS / 2] / 1000);
    (void)printf("%s_rtt_p99 1 %.1f us\n", name, (double)bench.round_trips[ROUND_TRIPS * 99 / 100] / 1000);
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {{"64", SMALL_BYTES}, {"16k", LARGE_BYTES}};
    for (size_t i = 0; i < 2; i++) {
        int64_t start_ns = clock_now_ns(clock_system());
        bench.size = sizes[i].size;
        bench.end_ns = start_ns + NS_PER_S;
        run(&bench, loop, start_sink);
        double seconds = (double)(clock_now_ns(clock_system()) - start_ns) / NS_PER_S;
        (void)printf("%s_oneway_%s 1 %.0f msg/s\n", name, sizes[i].name, (double)bench.received / seconds);
    }
    (void)fflush(stdout);
    rpc_client_free(bench.client);
    rpc_loop_free(loop);
    mutex_done(&bench.lock);
    condition_done(&bench.changed);
    free(bench.data);
    free(bench.round_trips);
}

/* Starts `self serve address`, whose stdin ends with us, and reads where it listens. */
static pid_t start_server(const char *self, const char *address, char *bound, int bound_size, int *ret_stdin)
{
    int to_child[2];
    int from_child[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char *arguments[] = {
        (char *)(uintptr_t)self, (char *)(uintptr_t) "serve", (char *)(uintptr_t)address, NULL};
    if (pipe2(to_child, O_CLOEXEC) < 0 || pipe2(from_child, O_CLOEXEC) < 0)
        return -1;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, to_child[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, from_child[1], STDOUT_FILENO);
    int failure = posix_spawn(&pid, self, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(to_child[0]);
    (void)close(from_child[1]);
    FILE *output = fdopen(from_child[0], "r");
    bool is_bound = failure == 0 && output && fgets(bound, bound_size, output);
    if (output)
        (void)fclose(output);
    *ret_stdin = to_child[1];
    if (!is_bound)
        return -1;
    bound[strcspn(bound, "\n")] = '\0';
    return pid;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/histrio-bench-XXXXXX";
    char address[64];
    char bound[128];
    int child_stdin;
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (!mkdtemp(folder))
        return 1;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(address, sizeof(address), i == 0 ? "unix:%s/socket" : "127.0.0.1:0", folder);
        pid_t pid = start_server("/proc/self/exe", address, bound, sizeof(bound), &child_stdin);
        if (pid < 0)
            return 1;
        measure(i == 0 ? "unix" : "tcp", bound);
        (void)close(child_stdin);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    return rmdir(folder) < 0;
}
