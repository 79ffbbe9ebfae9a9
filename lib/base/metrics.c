#include "base/metrics.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/vec.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    METRICS_RANK = 970, /* docs/locks.md */
    BOUNDS_MAX = 32,
    KEY_BYTES_MAX = 1024,
    LABEL_SEPARATOR = '\x1f', /* of values in a key; it cannot be in a label that a text file could show */
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
static const char *const kind_names[] = {"counter", "gauge", "histogram"};

struct series {
    double value;      /* of a histogram the sum of what was observed */
    uint64_t *buckets; /* of a histogram: not cumulative, the last one is +Inf; else NULL */
};

struct metric {
    struct metrics *metrics;
    char *name;
    char *help;
    enum metric_kind kind;
    char *labels[METRIC_LABELS_MAX];
    size_t label_count;
    double bounds[BOUNDS_MAX];
    size_t bound_count;
    struct map series; /* label values, joined -> struct series *; guarded by the lock of metrics */
};

struct collector {
    void (*collect)(void *ctx);
    void *ctx;
};

struct metrics {
    struct mutex lock;
    VEC(struct metric *) all;         /* sorted by name; guarded by lock */
    VEC(struct collector) collectors; /* the same */
};

static void series_free(void *value)
{
    struct series *series = value;
    free(series->buckets);
    free(series);
}

static struct series *series_new(const struct metric *metric)
{
    struct series *series = xcalloc(1, sizeof(*series));
    if (metric->kind == METRIC_HISTOGRAM)
        series->buckets = xcalloc(metric->bound_count + 1, sizeof(*series->buckets));
    return series;
}

/* The value for these labels, made when it is new. */
static struct series *series_of(struct metric *metric, va_list values) REQUIRES(&metric->metrics->lock)
{
    struct str key = STR_INIT(KEY_BYTES_MAX);
    for (size_t i = 0; i < metric->label_count; i++) {
        if (i > 0)
            str_append_char(&key, LABEL_SEPARATOR);
        str_append(&key, va_arg(values, const char *));
    }
    struct series *series = map_get(&metric->series, str_text(&key));
    if (!series && metric->label_count > 0 &&
        (map_count(&metric->series) >= METRIC_SERIES_MAX || key.overflowed)) {
        str_clear(&key);
        for (size_t i = 0; i < metric->label_count; i++)
            str_append(&key, i == 0 ? "other" : "\x1fother");
        series = map_get(&metric->series, str_text(&key));
    }
    if (!series) {
        series = series_new(metric);
        (void)map_put(&metric->series, str_text(&key), series); /* there was none */
    }
    str_done(&key);
    return series;
}

struct metrics *metrics_new(void)
{
    struct metrics *metrics = xcalloc(1, sizeof(*metrics));
    mutex_init(&metrics->lock, METRICS_RANK, "metrics");
    return metrics;
}

static void metric_free(struct metric *metric)
{
    map_done(&metric->series, series_free);
    for (size_t i = 0; i < metric->label_count; i++)
        free(metric->labels[i]);
    free(metric->name);
    free(metric->help);
    free(metric);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    vec_for_each (metric, &metrics->all)
        metric_free(*metric);
    vec_done(&metrics->all);
    vec_done(&metrics->collectors);
    mutex_done(&metrics->lock);
    free(metrics);
}

static void register_metric(struct metrics *metrics, struct metric *metric)
{
    mutex_lock(&metrics->lock);
    size_t at = 0;
    while (at < metrics->all.count && strcmp(metrics->all.items[at]->name, metric->name) < 0)
        at++;
    assert(at == metrics->all.count || strcmp(metrics->all.items[at]->name, metric->name) != 0);
    vec_insert_at(&metrics->all, at, metric);
    if (metric->label_count == 0)
        (void)map_put(&metric->series, "", series_new(metric)); /* it is empty */
    mutex_unlock(&metrics->lock);
}

static struct metric *metric_new(struct metrics *metrics, enum metric_kind kind, const char *name,
    const char *help, const double *bounds, size_t bound_count, va_list labels)
{
    struct metric *metric = xcalloc(1, sizeof(*metric));
    metric->metrics = metrics;
    metric->kind = kind;
    metric->name = xstrdup(name);
    metric->help = xstrdup(help);
    assert(bound_count <= BOUNDS_MAX);
    for (size_t i = 0; i < bound_count; i++) {
        assert(i == 0 || bounds[i] > bounds[i - 1]);
        metric->bounds[i] = bounds[i];
    }
    metric->bound_count = bound_count;
    const char *label;
    while ((label = va_arg(labels, const char *))) {
        assert(metric->label_count < METRIC_LABELS_MAX);
        metric->labels[metric->label_count++] = xstrdup(label);
    }
    register_metric(metrics, metric);
    return metric;
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help, ...)
{
    va_list labels;
    va_start(labels, help);
    struct metric *metric = metric_new(metrics, METRIC_COUNTER, name, help, NULL, 0, labels);
    va_end(labels);
    return metric;
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help, ...)
{
    va_list labels;
    va_start(labels, help);
    struct metric *metric = metric_new(metrics, METRIC_GAUGE, name, help, NULL, 0, labels);
    va_end(labels);
    return metric;
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
    const double *bounds, size_t bound_count, ...)
{
    va_list labels;
    va_start(labels, bound_count);
    struct metric *metric = metric_new(metrics, METRIC_HISTOGRAM, name, help, bounds, bound_count, labels);
    va_end(labels);
    return metric;
}

void metric_add(struct metric *metric, double amount, ...)
{
    va_list values;
    assert(metric->kind != METRIC_HISTOGRAM);
    assert(metric->kind != METRIC_COUNTER || amount >= 0);
    va_start(values, amount);
    mutex_lock(&metric->metrics->lock);
    series_of(metric, values)->value += amount;
    mutex_unlock(&metric->metrics->lock);
    va_end(values);
}

void metric_set(struct metric *metric, double value, ...)
{
    va_list values;
    assert(metric->kind != METRIC_HISTOGRAM);
    va_start(values, value);
    mutex_lock(&metric->metrics->lock);
    series_of(metric, values)->value = value;
    mutex_unlock(&metric->metrics->lock);
    va_end(values);
}

void metric_observe(struct metric *metric, double value, ...)
{
    va_list values;
    size_t bucket = 0;
    assert(metric->kind == METRIC_HISTOGRAM);
    while (bucket < metric->bound_count && value > metric->bounds[bucket])
        bucket++;
    va_start(values, value);
    mutex_lock(&metric->metrics->lock);
    struct series *series = series_of(metric, values);
    series->value += value;
    series->buckets[bucket]++;
    mutex_unlock(&metric->metrics->lock);
    va_end(values);
}

void metric_clear(struct metric *metric)
{
    assert(metric->label_count > 0);
    mutex_lock(&metric->metrics->lock);
    map_done(&metric->series, series_free);
    mutex_unlock(&metric->metrics->lock);
}

void metrics_on_write(struct metrics *metrics, void (*collect)(void *ctx), void *ctx)
{
    mutex_lock(&metrics->lock);
    vec_push(&metrics->collectors, ((struct collector){collect, ctx}));
    mutex_unlock(&metrics->lock);
}

/* In label values: backslash, quote and line feed are escaped; bytes that are not UTF-8 become '?'. */
static void write_escaped(struct str *text, const char *value, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t bytes = text_utf8_size(value + i, size - i);
        if (bytes == 0) {
            str_append_char(text, '?');
            i++;
            continue;
        }
        if (value[i] == '\n')
            str_append(text, "\\n");
        else if (value[i] == '\\' || value[i] == '"')
            str_appendf(text, "\\%c", value[i]);
        else
            str_append_bytes(text, value + i, bytes);
        i += bytes;
    }
}

/* {verb="get",le="0.1"}: nothing when there are no labels; extra comes last and may be NULL. */
static void write_labels(struct str *text, const struct metric *metric, const char *key, const char *extra)
{
    if (metric->label_count == 0 && !extra)
        return;
    str_append_char(text, '{');
    for (size_t i = 0; i < metric->label_count; i++) {
        const char *end = strchr(key, LABEL_SEPARATOR);
        size_t size = end && i + 1 < metric->label_count ? (size_t)(end - key) : strlen(key);
        str_appendf(text, "%s%s=\"", i > 0 ? "," : "", metric->labels[i]);
        write_escaped(text, key, size);
        str_append_char(text, '"');
        key += size + (end ? 1 : 0);
    }
    if (extra)
        str_appendf(text, "%sle=\"%s\"", metric->label_count > 0 ? "," : "", extra);
    str_append_char(text, '}');
}

static void write_number(struct str *text, double number)
{
    if (isinf(number))
        str_append(text, number > 0 ? "+Inf" : "-Inf");
    else if (number == floor(number) && fabs(number) < 1e15)
        str_appendf(text, "%.0f", number);
    else
        str_appendf(text, "%.9g", number);
}

static void write_sample(struct str *text, const struct metric *metric, const char *suffix, const char *key,
    const char *extra, double value)
{
    str_appendf(text, "%s%s", metric->name, suffix);
    write_labels(text, metric, key, extra);
    str_append_char(text, ' ');
    write_number(text, value);
    str_append_char(text, '\n');
}

static void write_histogram(
    struct str *text, const struct metric *metric, const char *key, const struct series *series)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        char bound[32];
        count += series->buckets[i];
        if (i < metric->bound_count)
            (void)snprintf(bound, sizeof(bound), "%g", metric->bounds[i]); /* it fits */
        write_sample(text, metric, "_bucket", key, i < metric->bound_count ? bound : "+Inf", (double)count);
    }
    write_sample(text, metric, "_sum", key, NULL, series->value);
    write_sample(text, metric, "_count", key, NULL, (double)count);
}

static void write_metric(struct str *text, const struct metric *metric)
{
    str_appendf(text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
        kind_names[metric->kind]);
    map_for_each (item, &metric->series) {
        if (metric->kind == METRIC_HISTOGRAM)
            write_histogram(text, metric, item.key, item.value);
        else
            write_sample(text, metric, "", item.key, NULL, ((const struct series *)item.value)->value);
    }
}

void metrics_write(struct metrics *metrics, struct str *text)
{
    struct collector collector;
    /* They are only ever added; each is called without the lock, which it needs for its own metrics. */
    for (size_t i = 0;; i++) {
        mutex_lock(&metrics->lock);
        bool is_end = i >= metrics->collectors.count;
        if (!is_end)
            collector = metrics->collectors.items[i];
        mutex_unlock(&metrics->lock);
        if (is_end)
            break;
        collector.collect(collector.ctx);
    }
    mutex_lock(&metrics->lock);
    vec_for_each (metric, &metrics->all)
        write_metric(text, *metric);
    mutex_unlock(&metrics->lock);
}
