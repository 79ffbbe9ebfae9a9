/* Many requests at once, and a server that is not always there. */
#include "integration/kube/requests.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/thread.h"
#include "kube/http.h"
#include "kube/resource.h"

enum { THREADS = 4 };

/* ---- many ---- */

struct worker {
    struct thread *thread;
    unsigned number;
    int64_t end_ms;
    unsigned reads, writes, failed_reads, failed_writes, surprises;
    char text[256]; /* of the last failure */
};

static void work_once(struct worker *worker, unsigned round)
{
    struct kube_target maps = map_target(NULL), namespace = {&KUBE_NAMESPACES, NULL, "default", NULL};
    struct err err = {0};
    _cleanup_(cleanup_free) char *name = xasprintf("w%u-%u", worker->number, round);
    _cleanup_(cleanup_free) char *body = map_body(name, NULL, "x");
    for (int at = 0; at < 9; at++) {
        worker->reads++;
        worker->failed_reads += kube_get(client, &namespace, NULL, NULL, NULL, &err) < 0;
    }
    worker->writes++;
    if (kube_create(client, &maps, body, NULL, NULL, NULL, &err) < 0) {
        worker->failed_writes++;
        worker->surprises += err.kind != ERR_UNAVAILABLE;
    }
    if (err.kind != ERR_NONE)
        (void)snprintf(worker->text, sizeof(worker->text), "%s", err.text);
}

static void work(void *ctx)
{
    struct worker *worker = ctx;
    for (unsigned round = 0; clock_now_ms(clock_system()) < worker->end_ms; round++)
        work_once(worker, round);
}

int many(int64_t seconds)
{
    struct worker workers[THREADS] = {0};
    struct worker sum = {0};
    for (unsigned at = 0; at < THREADS; at++) {
        workers[at].number = at;
        workers[at].end_ms = clock_now_ms(clock_system()) + seconds * MS_PER_S;
        if (thread_start(&workers[at].thread, "worker", work, &workers[at], NULL) < 0)
            return 1;
    }
    for (unsigned at = 0; at < THREADS; at++) {
        thread_join(workers[at].thread);
        sum.reads += workers[at].reads;
        sum.writes += workers[at].writes;
        sum.failed_reads += workers[at].failed_reads;
        sum.failed_writes += workers[at].failed_writes;
        sum.surprises += workers[at].surprises;
        if (*workers[at].text)
            (void)fprintf(stderr, "%s\n", workers[at].text);
    }
    (void)printf(
        "{\"reads\": %u, \"writes\": %u, \"failed_reads\": %u, \"failed_writes\": %u, \"surprises\": %u, "
        "\"connections\": %u}\n",
        sum.reads, sum.writes, sum.failed_reads, sum.failed_writes, sum.surprises, count_connections());
    return 0;
}

static void pause_ms(int64_t ms)
{
    static struct mutex lock;
    static struct condition never;
    int64_t deadline_ns = clock_now_ns(clock_system()) + ms * NS_PER_MS;
    mutex_init(&lock, LOCK_RANK, "test pause");
    condition_init(&never);
    mutex_lock(&lock);
    while (condition_wait_until(&never, &lock, deadline_ns))
        ;
    mutex_unlock(&lock);
    condition_done(&never);
    mutex_done(&lock);
}

/* ---- watches ---- */

enum { WATCHES = 6 };

struct watcher {
    struct str line; /* the client's thread */
    unsigned seen;   /* atomic: counted by that thread, read by any */
    int64_t latest_ms;
    int64_t sum_ms;
};

/* Each object says when it was sent. */
static void look_at_line(struct watcher *watcher)
{
    const char *at = strstr(str_text(&watcher->line), "\"sent\":\"");
    if (at) {
        int64_t late_ms = clock_now_ms(clock_system()) - strtol(at + 8, NULL, 10);
        (void)__atomic_add_fetch(&watcher->seen, 1, __ATOMIC_RELAXED); /* only the number is read meanwhile */
        watcher->sum_ms += late_ms;
        watcher->latest_ms = late_ms > watcher->latest_ms ? late_ms : watcher->latest_ms;
    }
    str_clear(&watcher->line);
}

static void on_watch_data(const char *data, size_t size, void *ctx)
{
    struct watcher *watcher = ctx;
    for (size_t at = 0; at < size; at++) {
        if (data[at] == '\n')
            look_at_line(watcher);
        else
            str_append_char(&watcher->line, data[at]);
    }
}

static void on_watch_ended(const struct kube_stream_end *end, void *ctx)
{
    (void)ctx;
    if (!end->err || end->err->kind != ERR_CANCELED) /* what ends at the end */
        (void)fprintf(stderr, "a watch ended: %s\n", end->err ? end->err->text : "");
}

static void start_watcher(void *ctx)
{
    static const struct kube_stream_events events = {NULL, on_watch_data, on_watch_ended};
    struct kube_request request = {
        .method = "GET", .path = "/api/v1/namespaces/default/configmaps?watch=true"};
    (void)kube_stream_start(client, &request, &events, ctx);
}

static void write_once(struct worker *worker, unsigned round)
{
    struct kube_target maps = map_target(NULL);
    struct err err = {0};
    _cleanup_(cleanup_free) char *body =
        xasprintf("{\"metadata\":{\"name\":\"s%u-%u\"},\"data\":{\"sent\":\"%lld\"}}", worker->number, round,
            (long long)clock_now_ms(clock_system()));
    worker->writes++;
    if (kube_create(client, &maps, body, NULL, NULL, NULL, &err) < 0) {
        worker->failed_writes++;
        (void)snprintf(worker->text, sizeof(worker->text), "%s", err.text);
    }
}

static void write_all(void *ctx)
{
    struct worker *worker = ctx;
    for (unsigned round = 0; clock_now_ms(clock_system()) < worker->end_ms; round++)
        write_once(worker, round);
}

static bool all_have_seen(const struct watcher *watchers, unsigned writes)
{
    for (unsigned at = 0; at < WATCHES; at++) {
        if (__atomic_load_n(&watchers[at].seen, __ATOMIC_RELAXED) < writes)
            return false;
    }
    return true;
}

/* Until what is under way has come, and long enough for what would come twice. */
static void wait_for_all(const struct watcher *watchers, unsigned writes)
{
    int pauses = 0;
    do
        pause_ms(2000);
    while (++pauses < 15 && !all_have_seen(watchers, writes));
    if (pauses > 1)
        pause_ms(2000);
}

int watches(int64_t seconds)
{
    struct watcher watchers[WATCHES] = {0};
    struct worker workers[THREADS] = {0};
    unsigned writes = 0, failed = 0;
    int64_t late_ms = 0, sum_ms = 0;
    for (unsigned at = 0; at < WATCHES; at++) {
        str_init(&watchers[at].line, 1024 * 1024);
        kube_http_post(kube_client_http(client), start_watcher, &watchers[at]);
    }
    for (unsigned at = 0; at < THREADS; at++) {
        workers[at].number = at;
        workers[at].end_ms = clock_now_ms(clock_system()) + seconds * MS_PER_S;
        if (thread_start(&workers[at].thread, "worker", write_all, &workers[at], NULL) < 0)
            return 1;
    }
    for (unsigned at = 0; at < THREADS; at++) {
        thread_join(workers[at].thread);
        writes += workers[at].writes;
        failed += workers[at].failed_writes;
    }
    wait_for_all(watchers, writes - failed);
    kube_client_free(steal_ptr(&client));
    (void)printf("{\"writes\": %u, \"failed_writes\": %u, \"seen\": [", writes, failed);
    for (unsigned at = 0; at < WATCHES; at++) {
        late_ms = watchers[at].latest_ms > late_ms ? watchers[at].latest_ms : late_ms;
        sum_ms += watchers[at].seen ? watchers[at].sum_ms / watchers[at].seen : 0;
        (void)printf("%s%u", at ? ", " : "", watchers[at].seen);
        str_done(&watchers[at].line);
    }
    (void)printf(
        "], \"mean_ms\": %lld, \"latest_ms\": %lld}\n", (long long)sum_ms / WATCHES, (long long)late_ms);
    return 0;
}

/* ---- probe ---- */

int probe(int64_t seconds)
{
    int64_t end_ms = clock_now_ms(clock_system()) + seconds * MS_PER_S;
    struct kube_target namespace = {&KUBE_NAMESPACES, NULL, "default", NULL};
    struct kube_options options = {.timeout_ms = 1000};
    while (clock_now_ms(clock_system()) < end_ms) {
        struct err err = {0};
        (void)kube_get(client, &namespace, &options, NULL, NULL, &err); /* err says it */
        (void)printf("%s\n", err.kind == ERR_NONE ? "fine" : err_kind_name(err.kind));
        (void)fflush(stdout);
        pause_ms(50);
    }
    return 0;
}
