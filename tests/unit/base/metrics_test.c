#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/str.h"
#include "base/thread.h"

static struct metrics *metrics;

static int setup(void **state)
{
    (void)state;
    metrics = metrics_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_free(metrics);
    return 0;
}

static void expect_text(const char *expected)
{
    struct str text = STR_INIT(1024 * 1024);
    metrics_write(metrics, &text);
    assert_string_equal(str_text(&text), expected);
    str_done(&text);
}

static void expect_part(const char *expected)
{
    struct str text = STR_INIT(1024 * 1024);
    metrics_write(metrics, &text);
    if (!strstr(str_text(&text), expected))
        fail_msg("\"%s\" is not in:\n%s", expected, str_text(&text));
    str_done(&text);
}

static void values_are_written_sorted_by_name(void **state)
{
    (void)state;
    struct metric *b = metrics_counter(metrics, "b_total", "Bees.", NULL);
    struct metric *a = metrics_gauge(metrics, "a", "Ants by colony.", "colony", "queen", NULL);
    expect_text("# HELP a Ants by colony.\n# TYPE a gauge\n# HELP b_total Bees.\n# TYPE b_total "
                "counter\nb_total 0\n");
    metric_add(b, 2);
    metric_add(b, 0.5);
    metric_set(a, 7, "north", "anna");
    metric_add(a, -8, "north", "anna");
    metric_set(a, 3e15, "south", "");
    expect_text(
        "# HELP a Ants by colony.\n# TYPE a gauge\na{colony=\"north\",queen=\"anna\"} -1\n"
        "a{colony=\"south\",queen=\"\"} 3e+15\n# HELP b_total Bees.\n# TYPE b_total counter\nb_total 2.5\n");
    metric_clear(a);
    metric_set(a, 1, "east", "eva");
    expect_part("a gauge\na{colony=\"east\",queen=\"eva\"} 1\n# HELP b");
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    static const double bounds[] = {0.1, 1, 10};
    struct metric *seconds = metrics_histogram(metrics, "s", "Seconds.", bounds, 3, "verb", NULL);
    metric_observe(seconds, 0.1, "get"); /* a bound belongs to its bucket */
    metric_observe(seconds, 0.5, "get");
    metric_observe(seconds, 100, "get");
    expect_text("# HELP s Seconds.\n# TYPE s histogram\n"
                "s_bucket{verb=\"get\",le=\"0.1\"} 1\ns_bucket{verb=\"get\",le=\"1\"} 2\n"
                "s_bucket{verb=\"get\",le=\"10\"} 2\ns_bucket{verb=\"get\",le=\"+Inf\"} 3\n"
                "s_sum{verb=\"get\"} 100.6\ns_count{verb=\"get\"} 3\n");
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    struct metric *metric = metrics_gauge(metrics, "m", "M.", "label", NULL);
    metric_set(metric, 1, "a\"b\\c\nd\xff\xc3\xa9");
    expect_part("m{label=\"a\\\"b\\\\c\\nd?\xc3\xa9\"} 1\n");
}

static void strange_labels_are_bounded(void **state)
{
    (void)state;
    struct metric *metric = metrics_counter(metrics, "m", "M.", "label", "more", NULL);
    char name[16], long_name[2000];
    for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        metric_add(metric, 1, name, "x");
    }
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    metric_add(metric, 1, long_name, "x");
    metric_add(metric, 1, "n0", "x"); /* known ones go on */
    expect_part("m{label=\"n0\",more=\"x\"} 2\n");
    expect_part("m{label=\"other\",more=\"other\"} 11\n");
}

static void collect(void *ctx)
{
    metric_add(ctx, 1);
}

static void collectors_fill_in(void **state)
{
    (void)state;
    metrics_on_write(metrics, collect, metrics_counter(metrics, "c", "C.", NULL));
    expect_part("\nc 1\n");
    expect_part("\nc 2\n");
}

enum { THREADS = 4, ADDITIONS = 5000 };

static void add_many(void *ctx)
{
    for (int i = 0; i < ADDITIONS; i++)
        metric_add(ctx, 1, i % 2 ? "odd" : "even");
}

static void threads_may_share(void **state)
{
    (void)state;
    struct thread *threads[THREADS];
    struct metric *metric = metrics_counter(metrics, "t", "T.", "parity", NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "adder", add_many, metric, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    expect_part("t{parity=\"even\"} 10000\n");
    expect_part("t{parity=\"odd\"} 10000\n");
}

TEST_GROUP(metrics, cmocka_unit_test_setup_teardown(values_are_written_sorted_by_name, setup, teardown),
    cmocka_unit_test_setup_teardown(histograms_are_cumulative, setup, teardown),
    cmocka_unit_test_setup_teardown(label_values_are_escaped, setup, teardown),
    cmocka_unit_test_setup_teardown(strange_labels_are_bounded, setup, teardown),
    cmocka_unit_test_setup_teardown(collectors_fill_in, setup, teardown),
    cmocka_unit_test_setup_teardown(threads_may_share, setup, teardown));
