#include "harness.h"

#include <stdio.h>
#include <string.h>

static enum transport present_transport;

enum transport test_transport(void)
{
    return present_transport;
}

static int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    static const char *const names[] = {"unix", "tcp", "tls"};
    char title[64];
    (void)snprintf(title, sizeof(title), "%s over %s", name, names[present_transport]);
    return _cmocka_run_group_tests(title, tests, count, NULL, NULL);
}

int main(void)
{
    int failed = 0;
    for (int i = TRANSPORT_UNIX; i <= TRANSPORT_TLS; i++) {
        present_transport = (enum transport)i;
        failed += run_group("loop", loop_tests, loop_test_count);
        failed += run_group("stream", stream_tests, stream_test_count);
        failed += run_group("client", client_tests, client_test_count);
        failed += run_group("server", server_tests, server_test_count);
        failed += run_group("hostile", hostile_tests, hostile_test_count);
        failed += run_group("health", health_tests, health_test_count);
    }
    failed += run_group("tls", tls_tests, tls_test_count);
    return failed;
}
