#include "kube/informer.h"

#include <assert.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "base/str.h"
#include "kube/client.h"
#include "kube/follower.h"
#include "kube/http.h"
#include "kube/list.h"
#include "kube/path.h"

/* A list that is longer comes in pages instead: this much is in memory while it is read. */
enum { LIST_BYTES_MAX = 32 * 1024 * 1024 };
static_assert((int)LIST_BYTES_MAX <= (int)LIMIT_KUBE_LIST_BYTES, "a list fits the limit");
enum { LIST_TIMEOUT_MS = 60 * 1000 };

struct kube_informer {
    struct kube_informer_config config; /* its texts are ours */
    struct kube_client *client;
    struct clock *clock;
    struct kube_store *store;
    int64_t begun_ms;

    /* Of the client's thread. */
    struct kube_follower *follower;
    struct kube_stream *stream; /* NULL: no request is open */
    struct kube_http_timer timer;
    bool is_stopped;

    struct mutex lock;
    struct condition stopped;
    bool has_stopped GUARDED_BY(&lock);
    bool has_synced GUARDED_BY(&lock);
    struct kube_informer_stats stats GUARDED_BY(&lock);
};

/* ---- what others see ---- */

/* After the follower did something. */
static void publish(struct kube_informer *informer)
{
    struct kube_follower_counts counts;
    kube_follower_counts(informer->follower, &counts);
    bool has_synced = kube_follower_has_synced(informer->follower);
    mutex_lock(&informer->lock);
    bool is_first = has_synced && !informer->has_synced;
    int64_t synced_ms =
        is_first ? clock_now_ms(informer->clock) - informer->begun_ms : informer->stats.synced_ms;
    informer->has_synced = has_synced;
    informer->stats = (struct kube_informer_stats){.lists = counts.lists,
        .watches = counts.watches,
        .events = counts.events,
        .bookmarks = counts.bookmarks,
        .failures = counts.failures,
        .refused = counts.refused,
        .silences = counts.silences,
        .synced_ms = synced_ms,
        .largest_bytes = counts.largest_bytes};
    mutex_unlock(&informer->lock);
    if (is_first && informer->config.on_synced)
        informer->config.on_synced(informer->config.ctx);
}

struct kube_store *kube_informer_store(struct kube_informer *informer)
{
    return informer->store;
}

bool kube_informer_has_synced(struct kube_informer *informer)
{
    mutex_lock(&informer->lock);
    bool has_synced = informer->has_synced;
    mutex_unlock(&informer->lock);
    return has_synced;
}

uint64_t kube_informer_version(struct kube_informer *informer)
{
    return kube_store_version(informer->store);
}

void kube_informer_stats(struct kube_informer *informer, struct kube_informer_stats *ret_stats)
{
    mutex_lock(&informer->lock);
    *ret_stats = informer->stats;
    mutex_unlock(&informer->lock);
}

/* ---- paths ---- */

static int list_path(const struct kube_informer_config *config, const struct reflector_request *request,
    struct str *path, struct err *err)
{
    const struct kube_list_request list = {.resource = config->resource,
        .namespace = config->namespace,
        .label_selector = config->label_selector,
        .field_selector = config->field_selector,
        .resource_version = request->version,
        .page_count_max = request->page_count_max};
    return kube_list_path(&list, request->continue_token, path, err);
}

static int watch_path(const struct kube_informer_config *config, const struct reflector_request *request,
    struct str *path, struct err *err)
{
    if (kube_path(config->resource, config->namespace, NULL, NULL, path, err) < 0)
        return -1;
    kube_path_query(path, "watch", "true");
    kube_path_query(path, "allowWatchBookmarks", "true");
    if (request->step == REFLECTOR_STREAM) {
        kube_path_query(path, "sendInitialEvents", "true");
        kube_path_query(path, "resourceVersionMatch", "NotOlderThan");
    }
    kube_path_query(path, "resourceVersion", request->version);
    kube_path_query_number(path, "timeoutSeconds", request->timeout_s);
    kube_path_query(path, "labelSelector", config->label_selector);
    kube_path_query(path, "fieldSelector", config->field_selector);
    return str_check(path, "the path of a watch", err);
}

/* ---- requests: the client's thread ---- */

static void advance(struct kube_informer *informer);

static void cancel(struct kube_informer *informer)
{
    if (informer->stream)
        kube_stream_cancel(steal_ptr(&informer->stream));
}

static void on_data(const char *data, size_t size, void *ctx)
{
    struct kube_informer *informer = ctx;
    bool goes_on = kube_follower_data(informer->follower, clock_now_ms(informer->clock), data, size);
    publish(informer);
    if (goes_on)
        return;
    cancel(informer);
    advance(informer);
}

static void on_ended(const struct kube_stream_end *end, void *ctx)
{
    struct kube_informer *informer = ctx;
    informer->stream = NULL;
    if (end->err && end->err->kind == ERR_CANCELED)
        return; /* the client stops */
    const struct kube_follower_end follower_end = {.err = end->err,
        .status = end->status,
        .has_answer = end->code != 0,
        .page = end->body,
        .page_size = end->body_size};
    kube_follower_ended(informer->follower, clock_now_ms(informer->clock), &follower_end);
    publish(informer);
    advance(informer);
}

static const struct kube_stream_events list_events = {.ended = on_ended};
static const struct kube_stream_events watch_events = {.data = on_data, .ended = on_ended};

static void open_request(struct kube_informer *informer, const struct reflector_request *request)
{
    const struct kube_informer_config *config = &informer->config;
    bool is_list = request->step == REFLECTOR_LIST;
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    struct err err = {0};
    int result = is_list ? list_path(config, request, &path, &err) : watch_path(config, request, &path, &err);
    if (result < 0) { /* a token or selector that is too long; the next try waits */
        kube_follower_ended(
            informer->follower, clock_now_ms(informer->clock), &(struct kube_follower_end){.err = &err});
        return;
    }
    struct kube_request stream_request = {.method = "GET", .path = str_text(&path)};
    if (config->metadata_only)
        stream_request.accept = is_list ? KUBE_ACCEPT_METADATA_LIST : KUBE_ACCEPT_METADATA;
    if (is_list) {
        stream_request.timeout_ms = LIST_TIMEOUT_MS;
        stream_request.answer_bytes_max = LIST_BYTES_MAX;
    }
    informer->stream = kube_stream_start(
        informer->client, &stream_request, is_list ? &list_events : &watch_events, informer);
}

static void on_timer(void *ctx)
{
    struct kube_informer *informer = ctx;
    if (informer->stream && kube_follower_gives_up(informer->follower, clock_now_ms(informer->clock))) {
        kube_http_renew(kube_client_http(informer->client));
        cancel(informer);
        publish(informer);
    }
    advance(informer);
}

static void advance(struct kube_informer *informer)
{
    if (informer->is_stopped)
        return;
    struct reflector_request request;
    do { /* an open request makes it WAIT; and so do requests that cannot be sent, after a few */
        kube_follower_next(informer->follower, clock_now_ms(informer->clock), &request);
        if (request.step != REFLECTOR_WAIT)
            open_request(informer, &request);
    } while (request.step != REFLECTOR_WAIT);
    kube_http_timer_set(
        kube_client_http(informer->client), &informer->timer, request.until_ms, on_timer, informer);
}

/* ---- begin and end ---- */

static void begin(void *ctx)
{
    advance(ctx);
}

static void end(void *ctx)
{
    struct kube_informer *informer = ctx;
    informer->is_stopped = true;
    kube_http_timer_cancel(&informer->timer);
    cancel(informer);
    mutex_lock(&informer->lock);
    informer->has_stopped = true;
    condition_signal(&informer->stopped);
    mutex_unlock(&informer->lock);
}

struct requirement {
    struct kube_informer *informer;
    uint64_t version;
};

static void require(void *ctx)
{
    _cleanup_(cleanup_free) struct requirement *requirement = ctx;
    struct kube_informer *informer = requirement->informer;
    if (kube_follower_require(informer->follower, clock_now_ms(informer->clock), requirement->version))
        cancel(informer);
    if (!informer->stream)
        advance(informer);
}

void kube_informer_require(struct kube_informer *informer, uint64_t version)
{
    struct requirement *requirement = xmalloc(sizeof(*requirement));
    *requirement = (struct requirement){informer, version};
    kube_http_post(kube_client_http(informer->client), require, requirement);
}

static char *dup_text(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

int kube_informer_start(struct kube_client *client, struct clock *clock,
    const struct kube_informer_config *config, struct kube_informer **ret_informer, struct err *err)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    const struct reflector_request probe = {.step = REFLECTOR_STREAM, .version = "18446744073709551615"};
    if (watch_path(config, &probe, &path, err) < 0)
        return -1;
    struct kube_informer *informer = xcalloc(1, sizeof(*informer));
    informer->config = *config;
    informer->config.namespace = dup_text(config->namespace);
    informer->config.label_selector = dup_text(config->label_selector);
    informer->config.field_selector = dup_text(config->field_selector);
    informer->client = client;
    informer->clock = clock;
    informer->begun_ms = clock_now_ms(clock);
    informer->store = kube_store_new(config->indexes, config->index_count);
    mutex_init(&informer->lock, 330, "kube informer");
    condition_init(&informer->stopped);
    struct rng rng;
    const struct kube_follower_config follower_config = {.store = informer->store,
        .decode = config->decode,
        .release = config->release,
        .on_change = config->on_change,
        .on_problem = config->on_problem,
        .ctx = config->ctx,
        .can_stream = !config->lists,
        .version = config->version,
        .seed = rng_seed_from_system(&rng)};
    informer->follower = kube_follower_new(&follower_config);
    /* Callbacks may come before this returns, so the caller's pointer is there first. */
    *ret_informer = informer;
    kube_http_post(kube_client_http(client), begin, informer);
    return 0;
}

void kube_informer_free(struct kube_informer *informer)
{
    if (!informer)
        return;
    assert(!kube_http_is_own_thread(kube_client_http(informer->client)));
    kube_http_post(kube_client_http(informer->client), end, informer);
    mutex_lock(&informer->lock);
    while (!informer->has_stopped) /* the thread of the client runs until the client is freed */
        condition_wait(&informer->stopped, &informer->lock);
    mutex_unlock(&informer->lock);
    kube_follower_free(informer->follower);
    kube_store_free(informer->store);
    condition_done(&informer->stopped);
    mutex_done(&informer->lock);
    free((void *)(uintptr_t)informer->config.namespace);
    free((void *)(uintptr_t)informer->config.label_selector);
    free((void *)(uintptr_t)informer->config.field_selector);
    free(informer);
}
