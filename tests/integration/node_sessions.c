/* Who may command a node, and what it makes of nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/rng.h"
#include "node_fixture.h"
#include "rpc/stream.h"
#include "suites.h"

static int status_of(struct node_fixture *fixture, struct control_client_config config)
{
    config.address = fixture->node.control_address;
    struct control_client *client = control_client_new(&config);
    int code = control_client_wait_closed(client);
    control_client_free(client);
    return code;
}

static void test_hello_is_checked(void **state)
{
    static const uint8_t wrong[16] = {0x01};
    struct node_fixture *fixture = *state;
    assert_int_equal(status_of(fixture, (struct control_client_config){.term = 5, .credential = wrong}),
        RPC_UNAUTHENTICATED);
    assert_int_equal(status_of(fixture, (struct control_client_config){.term = 5, .system_uid = "system-2"}),
        RPC_FAILED_PRECONDITION);
    assert_int_equal(status_of(fixture, (struct control_client_config){.term = 5, .protocol = 99}),
        RPC_FAILED_PRECONDITION);
    /* None of these had a say in the term. */
    node_fixture_connect(fixture, 1);
}

static void test_node_says_who_it_is(void **state)
{
    struct node_fixture *fixture = *state;
    node_fixture_connect(fixture, FIRST_TERM);
    const Histrio__V1__NodeHello *node = control_client_hello(fixture->client);
    assert_string_equal(node->hello->system_uid, NODE_SYSTEM_UID);
    assert_string_equal(node->hello->node_name, "bank-nodes-0");
    assert_string_equal(node->hello->pod_uid, "pod-1");
    assert_memory_equal(node->hello->credential.data, node_credential, sizeof(node_credential));
    assert_string_equal(node->link_address, fixture->node.link_address);
    assert_string_equal(node->gateway_address, fixture->node.gateway_address);
    assert_true(node->cores > 0);
    assert_true(node->memory_bytes > 0);
    assert_null(node->previous);
}

static void test_terms(void **state)
{
    struct node_fixture *fixture = *state;
    node_fixture_connect(fixture, FIRST_TERM);
    assert_int_equal(
        status_of(fixture, (struct control_client_config){.term = FIRST_TERM - 1}), RPC_FAILED_PRECONDITION);
    assert_int_equal(status_of(fixture, (struct control_client_config){.term = FIRST_TERM + 1001}),
        RPC_FAILED_PRECONDITION);
    assert_false(control_client_is_closed(fixture->client)); /* it did not even notice */
    struct control_client_config next = {.address = fixture->node.control_address, .term = FIRST_TERM + 1};
    struct control_client *newer = control_client_new(&next);
    (void)control_client_hello(newer);
    assert_int_equal(control_client_wait_closed(fixture->client), RPC_FAILED_PRECONDITION);
    control_client_free(newer);
    assert_int_equal(
        status_of(fixture, (struct control_client_config){.term = FIRST_TERM}), RPC_FAILED_PRECONDITION);
    node_fixture_connect(
        fixture, FIRST_TERM + 1); /* the same term again: it comes back after a broken stream */
}

static bool is_refused(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_REFUSED;
}

static void test_command_of_an_old_term(void **state)
{
    struct node_fixture *fixture = *state;
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__InventoryRequest request = HISTRIO__V1__INVENTORY_REQUEST__INIT;
    node_fixture_connect(fixture, FIRST_TERM);
    message.term = FIRST_TERM - 1;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_INVENTORY;
    message.inventory = &request;
    control_client_send(fixture->client, &message);
    const Histrio__V1__NodeMessage *refused =
        control_client_wait(fixture->client, is_refused, NULL, "refusal");
    assert_int_equal(refused->refused->reason, HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_TERM);
    assert_int_equal(refused->refused->highest_term, FIRST_TERM);
}

static void test_bytes_that_are_no_message(void **state)
{
    struct node_fixture *fixture = *state;
    uint8_t garbage[300];
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (uint8_t)rng_u64(&rng);
    garbage[0] = 0xff; /* a field that cannot be skipped */
    node_fixture_connect(fixture, FIRST_TERM);
    control_client_send_bytes(fixture->client, garbage, sizeof(garbage));
    assert_int_equal(control_client_wait_closed(fixture->client), RPC_INVALID_ARGUMENT);
    node_fixture_connect(fixture, FIRST_TERM);
}

/* Straight to the socket, below gRPC. */
static void write_raw(const char *address, const void *data, size_t size)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = address + strlen("unix:");
    assert_true(strlen(path) < sizeof(name.sun_path));
    memcpy(name.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    (void)send(fd, data, size, MSG_NOSIGNAL); /* the node may close at once */
    (void)close(fd);
}

static void test_garbage_on_the_sockets(void **state)
{
    struct node_fixture *fixture = *state;
    uint8_t garbage[5000];
    struct rng rng;
    rng_seed(&rng, 4);
    node_fixture_connect(fixture, FIRST_TERM); /* it listens now */
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(garbage); i++)
            garbage[i] = (uint8_t)rng_u64(&rng);
        if (round % 2) /* so that it gets further than the preface */
            memcpy(garbage, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
        write_raw(fixture->node.control_address, garbage, sizeof(garbage));
        write_raw(fixture->node.link_address, garbage, sizeof(garbage));
        write_raw(fixture->node.gateway_address, garbage, sizeof(garbage));
    }
    assert_false(control_client_is_closed(fixture->client));
    node_fixture_configure(fixture);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_fixture_setup, node_fixture_teardown)
const struct CMUnitTest node_sessions_tests[] = {
    TEST(test_hello_is_checked),
    TEST(test_node_says_who_it_is),
    TEST(test_terms),
    TEST(test_command_of_an_old_term),
    TEST(test_bytes_that_are_no_message),
    TEST(test_garbage_on_the_sockets),
};
const size_t node_sessions_test_count = sizeof(node_sessions_tests) / sizeof(node_sessions_tests[0]);
