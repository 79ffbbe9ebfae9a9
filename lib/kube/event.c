#include "kube/event.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/thread.h"
#include "kube/event_book.h"
#include "kube/meta.h"
#include "kube/micro_time.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/verbs.h"

enum { QUEUE_MAX = 1000, REQUEST_MS = 2000, FLUSH_MS = 2000, SWEEP_MS = 30 * 1000 };
enum { BODY_BYTES_MAX = 64 * 1024 };

struct queued {
    struct list_node node;
    struct kube_event event; /* its texts are ours */
    int64_t wall_ms;
};

struct kube_recorder {
    struct kube_client *client;
    struct clock *clock;
    struct kube_recorder_config config; /* its texts are ours */
    struct thread *thread;

    /* Of the thread. */
    struct event_book book;
    struct err problem; /* as it was told */
    int64_t sweep_ms;

    struct mutex lock;
    struct condition changed;
    struct list queue GUARDED_BY(&lock);
    size_t queue_count GUARDED_BY(&lock);
    bool is_stopped GUARDED_BY(&lock);
    int64_t flush_until_ms GUARDED_BY(&lock);
    struct kube_recorder_stats stats GUARDED_BY(&lock);
};

/* ---- the queue: any thread ---- */

static const char *dup_text(const char *text)
{
    return text ? xstrndup(text, LIMIT_STATUS_TEXT_BYTES) : NULL;
}

static struct queued *queued_new(const struct kube_event *event, int64_t wall_ms)
{
    struct queued *queued = xcalloc(1, sizeof(*queued));
    queued->wall_ms = wall_ms;
    queued->event = (struct kube_event){.api_version = dup_text(event->api_version),
        .kind = dup_text(event->kind),
        .namespace = dup_text(event->namespace),
        .name = dup_text(event->name),
        .uid = dup_text(event->uid),
        .is_warning = event->is_warning,
        .reason = dup_text(event->reason),
        .action = dup_text(event->action),
        .note = dup_text(event->note)};
    return queued;
}

static void queued_free(struct queued *queued)
{
    const struct kube_event *event = &queued->event;
    const char *const texts[] = {event->api_version, event->kind, event->namespace, event->name, event->uid,
        event->reason, event->action, event->note};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free((void *)(uintptr_t)texts[i]);
    free(queued);
}

void kube_recorder_emit(struct kube_recorder *recorder, const struct kube_event *event)
{
    if (!recorder)
        return;
    struct queued *queued = queued_new(event, clock_wall_ms(recorder->clock));
    mutex_lock(&recorder->lock);
    bool has_room = recorder->queue_count < QUEUE_MAX && !recorder->is_stopped;
    recorder->stats.emitted++;
    if (has_room) {
        list_push_back(&recorder->queue, &queued->node);
        recorder->queue_count++;
        condition_signal(&recorder->changed);
    } else {
        recorder->stats.dropped++;
    }
    mutex_unlock(&recorder->lock);
    if (!has_room)
        queued_free(queued);
}

void kube_recorder_stats(struct kube_recorder *recorder, struct kube_recorder_stats *ret_stats)
{
    mutex_lock(&recorder->lock);
    *ret_stats = recorder->stats;
    mutex_unlock(&recorder->lock);
}

/* ---- writing: the thread ---- */

static void write_create(const struct kube_recorder *recorder, const struct event_series *series,
    const char *namespace, struct str *body)
{
    char time[KUBE_MICRO_TIME_BYTES];
    _cleanup_(json_freep) struct json *object = json_object_new();
    (void)kube_meta_begin(object, &KUBE_EVENTS, namespace, series->event_name); /* no more metadata */
    json_set_string(object, "eventTime", kube_micro_time(series->first_wall_ms, time));
    json_set_string(object, "reportingController", recorder->config.controller);
    json_set_string(object, "reportingInstance", recorder->config.instance);
    json_set_string(object, "type", series->is_warning ? "Warning" : "Normal");
    json_set_string(object, "reason", series->reason);
    json_set_string(object, "action", series->action);
    json_set_string(object, "note", series->note);
    struct json *regarding = json_set_object(object, "regarding");
    json_set_string(regarding, "apiVersion", series->api_version);
    json_set_string(regarding, "kind", series->kind);
    if (*series->namespace)
        json_set_string(regarding, "namespace", series->namespace);
    json_set_string(regarding, "name", series->name);
    if (*series->uid)
        json_set_string(regarding, "uid", series->uid);
    json_write(object, JSON_COMPACT, body);
}

static void write_count(const struct event_series *series, struct str *body)
{
    char time[KUBE_MICRO_TIME_BYTES];
    _cleanup_(json_freep) struct json *object = json_object_new();
    struct json *counts = json_set_object(object, "series");
    json_set_int(counts, "count", series->count);
    json_set_string(counts, "lastObservedTime", kube_micro_time(series->last_wall_ms, time));
    json_write(object, JSON_COMPACT, body);
}

static int send_series(struct kube_recorder *recorder, const struct event_series *series,
    uint32_t *ret_written, struct kube_status *ret_status, struct err *err)
{
    const char *namespace = *series->namespace ? series->namespace : "default";
    const struct kube_target target = {
        .resource = &KUBE_EVENTS, .namespace = namespace, .name = series->event_name};
    const struct kube_target collection = {.resource = &KUBE_EVENTS, .namespace = namespace};
    const struct kube_options options = {.timeout_ms = REQUEST_MS};
    _cleanup_(str_done) struct str body = STR_INIT(BODY_BYTES_MAX);
    if (series->written == 0) {
        *ret_written = 1; /* a series of more is told by the next write */
        write_create(recorder, series, namespace, &body);
        return kube_create(recorder->client, &collection, str_text(&body), &options, NULL, ret_status, err);
    }
    *ret_written = series->count;
    write_count(series, &body);
    return kube_merge_patch(recorder->client, &target, str_text(&body), &options, NULL, ret_status, err);
}

static void tell_problem(struct kube_recorder *recorder, const struct err *problem)
{
    if (text_equal(recorder->problem.text, problem->text))
        return;
    recorder->problem = *problem;
    if (recorder->config.on_problem)
        recorder->config.on_problem(recorder->config.ctx, problem);
}

static void write_series(struct kube_recorder *recorder, struct event_series *series)
{
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct err err = {0};
    uint32_t written = 0;
    int result = send_series(recorder, series, &written, &status, &err);
    bool exists =
        series->written == 0 && status.reason == KUBE_REASON_ALREADY_EXISTS; /* an answer was lost */
    if (result == 0 || exists)
        event_series_wrote(series, written);
    else if (status.reason == KUBE_REASON_NOT_FOUND && series->written > 0)
        event_series_lost(series);
    else
        tell_problem(recorder, &err);
    mutex_lock(&recorder->lock);
    recorder->stats.written += result == 0;
    recorder->stats.failed += result < 0;
    mutex_unlock(&recorder->lock);
}

static void take(struct kube_recorder *recorder, struct queued *queued)
{
    struct event_series *series =
        event_book_add(&recorder->book, clock_now_ms(recorder->clock), queued->wall_ms, &queued->event);
    if (series) {
        write_series(recorder, series);
    } else {
        mutex_lock(&recorder->lock);
        recorder->stats.suppressed++;
        mutex_unlock(&recorder->lock);
    }
    queued_free(queued);
}

/* What was kept back or failed, once in a while. */
static void sweep(struct kube_recorder *recorder)
{
    int64_t now_ms = clock_now_ms(recorder->clock);
    if (now_ms < recorder->sweep_ms)
        return;
    recorder->sweep_ms = now_ms + SWEEP_MS;
    struct event_series *series = event_book_next(&recorder->book, now_ms);
    if (series)
        write_series(recorder, series);
}

/* The next event, or NULL when it is time to sweep; false when it is the end. */
static bool wait_next(struct kube_recorder *recorder, struct queued **ret_queued)
{
    int64_t now_ms = clock_now_ms(recorder->clock);
    int64_t deadline_ns = clock_now_ns(clock_system()) + (recorder->sweep_ms - now_ms) * NS_PER_MS;
    mutex_lock(&recorder->lock);
    while (!recorder->is_stopped && list_is_empty(&recorder->queue) &&
           condition_wait_until(&recorder->changed, &recorder->lock, deadline_ns))
        ;
    bool is_flushed =
        recorder->is_stopped && (list_is_empty(&recorder->queue) || now_ms >= recorder->flush_until_ms);
    struct list_node *node = is_flushed ? NULL : list_pop_front(&recorder->queue);
    recorder->queue_count -= node != NULL;
    mutex_unlock(&recorder->lock);
    *ret_queued = node ? list_entry(node, struct queued, node) : NULL;
    return !is_flushed;
}

static void run(void *ctx)
{
    struct kube_recorder *recorder = ctx;
    struct queued *queued;
    while (wait_next(recorder, &queued)) { /* until stopped */
        if (queued)
            take(recorder, queued);
        sweep(recorder);
    }
}

/* ---- begin and end ---- */

static void recorder_done(struct kube_recorder *recorder)
{
    mutex_lock(&recorder->lock);
    struct list_node *node;
    while ((node = list_pop_front(&recorder->queue))) /* each round takes one out */
        queued_free(list_entry(node, struct queued, node));
    mutex_unlock(&recorder->lock);
    event_book_done(&recorder->book);
    condition_done(&recorder->changed);
    mutex_done(&recorder->lock);
    free((void *)(uintptr_t)recorder->config.controller);
    free((void *)(uintptr_t)recorder->config.instance);
    free(recorder);
}

int kube_recorder_start(struct kube_client *client, struct clock *clock,
    const struct kube_recorder_config *config, struct kube_recorder **ret_recorder, struct err *err)
{
    struct kube_recorder *recorder = xcalloc(1, sizeof(*recorder));
    recorder->client = client;
    recorder->clock = clock;
    recorder->config = *config;
    recorder->config.controller = xstrdup(config->controller);
    recorder->config.instance = xstrdup(config->instance);
    recorder->sweep_ms = clock_now_ms(clock) + SWEEP_MS;
    mutex_init(&recorder->lock, 350, "kube events");
    condition_init(&recorder->changed);
    mutex_lock(&recorder->lock);
    list_init(&recorder->queue);
    mutex_unlock(&recorder->lock);
    if (thread_start(&recorder->thread, "kube events", run, recorder, err) < 0) {
        recorder_done(recorder);
        return -1;
    }
    *ret_recorder = recorder;
    return 0;
}

void kube_recorder_free(struct kube_recorder *recorder)
{
    if (!recorder)
        return;
    mutex_lock(&recorder->lock);
    recorder->is_stopped = true;
    recorder->flush_until_ms = clock_now_ms(recorder->clock) + FLUSH_MS;
    condition_signal(&recorder->changed);
    mutex_unlock(&recorder->lock);
    thread_join(recorder->thread);
    recorder_done(recorder);
}
