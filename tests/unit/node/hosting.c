/* What the host counts, as the node's metrics show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/str.h"
#include "host/host.h"
#include "node/environment.h"
#include "node/hosting.h"
#include "suites.h"

static void metrics_are_written(void **state)
{
    (void)state;
    static char system[] = "bank", node[] = "node-0";
    struct environment environment = {.system = system, .node_name = node};
    struct hosting hosting = {0};
    struct err err = {0};
    struct str text = STR_INIT(64 * 1024);
    assert_int_equal(hosting_start(&hosting, &environment, 7, &err), 0);
    struct metrics *metrics = metrics_new();
    hosting_make_metrics(&hosting, metrics);
    metrics_on_write(metrics, hosting_collect, &hosting);
    metrics_write(metrics, &text);
    static const char *const names[] = {"histrio_node_processes_started_total",
        "histrio_node_processes_lost_total", "histrio_node_deliveries_total", "histrio_node_hosted_actors",
        "histrio_node_processes", "histrio_node_deliveries_open", "histrio_node_process_buffer_bytes",
        "histrio_node_large_data_bytes", "histrio_node_large_data_files"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *line = xasprintf("\n%s 0\n", names[i]);
        assert_non_null(strstr(str_text(&text), line));
        free(line);
    }
    str_done(&text);
    metrics_free(metrics);
    host_free(hosting.host);
}

const struct CMUnitTest hosting_tests[] = {cmocka_unit_test(metrics_are_written)};
const size_t hosting_test_count = sizeof(hosting_tests) / sizeof(hosting_tests[0]);
