/* Counters, gauges and histograms, written as Prometheus text (format 0.0.4: name, help, type, samples).
 *
 *     struct metric *requests = metrics_counter(metrics, "histrio_requests_total", "Requests by verb.",
 * "verb", NULL); metric_add(requests, 1, "get");
 *
 * A metric has label names from the start and one value for each combination of label values that was ever
 * touched, at most METRIC_SERIES_MAX; later ones are counted together under the label value "other". Names
 * and labels are checked by assert: they are ours. Owner: the creator of the metrics; what it makes lives as
 * long. Thread: any; one lock, held for a look-up and an addition. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stddef.h>

struct metric;
struct metrics;
struct str;

enum { METRIC_LABELS_MAX = 4, METRIC_SERIES_MAX = 2000 };

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Label names follow help, ended by NULL. A metric without labels is 0 from the start, so that a rate is
 * known from the first scrape. Texts are copied. */
__attribute__((sentinel)) struct metric *metrics_counter(
    struct metrics *metrics, const char *name, const char *help, ...);
__attribute__((sentinel)) struct metric *metrics_gauge(
    struct metrics *metrics, const char *name, const char *help, ...);
/* bounds: rising upper bounds of the buckets, without +Inf; count at most 32. */
__attribute__((sentinel)) struct metric *metrics_histogram(struct metrics *metrics, const char *name,
    const char *help, const double *bounds, size_t bound_count, ...);

/* Label values follow, as many as the metric has names. */
void metric_add(struct metric *metric, double amount, ...); /* counters (amount >= 0) and gauges */
void metric_set(struct metric *metric, double value, ...);  /* gauges; and counters that are kept elsewhere */
void metric_observe(struct metric *metric, double value, ...); /* histograms */
/* Forgets all values of a metric with labels: before a gauge is filled anew from a list that may have shrunk.
 */
void metric_clear(struct metric *metric);

/* Called by metrics_write before it writes, to fill in what is counted elsewhere. */
void metrics_on_write(struct metrics *metrics, void (*collect)(void *ctx), void *ctx);
/* Appends everything, sorted by name. */
void metrics_write(struct metrics *metrics, struct str *text);

#endif
