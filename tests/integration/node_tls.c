/* Two nodes as in pods: TCP, certificates in place of the credential; and who is not let in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "node_fixture.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "suites.h"
#include "support/temp_folder.h"
#include "support/tls.h"

#define TEXT(constant) ((char *)(uintptr_t)(constant)) /* generated structs are not const; nobody writes */
#define NODE_NAME "node." NODE_SYSTEM_UID ".histrio.dev"

enum { NODES = 2, WAIT_MS = 20 * 1000 };

struct tls_fixture {
    char *folder;
    struct certs_pair authority;
    struct rpc_creds *creds; /* of the operator */
    struct node_fixture *nodes[NODES];
};

/* The value of a key in the first line of a log with that text. */
static bool find_in_log(const char *log, const char *text, const char *key, char *value, size_t size)
{
    bool is_found = false;
    for (const char *line = log, *end; !is_found && (end = strchr(line, '\n')); line = end + 1) {
        struct json *object = NULL;
        if (json_parse(line, (size_t)(end - line), &object, NULL) == 0 &&
            text_equal(json_string(json_get(object, "text")), text)) {
            (void)snprintf(value, size, "%s", json_string(json_get(object, key)));
            is_found = true;
        }
        json_free(object);
    }
    return is_found;
}

/* The same of the node's log; waits until there is one. */
static void read_log(
    const struct node_fixture *node, const char *text, const char *key, char *value, size_t size)
{
    struct pollfd polled = {.fd = inotify_init1(IN_CLOEXEC), .events = POLLIN};
    assert_true(inotify_add_watch(polled.fd, node->node.log, IN_MODIFY) >= 0);
    for (bool is_found = false; !is_found;) {
        char *log = temp_folder_read("/", node->node.log), events[4096];
        is_found = find_in_log(log, text, key, value, size);
        free(log);
        if (!is_found && poll(&polled, 1, WAIT_MS) < 1)
            fail_msg("the log does not say \"%s\"", text);
        if (!is_found)
            assert_true(read(polled.fd, events, sizeof(events)) > 0);
    }
    (void)close(polled.fd);
}

static void start_node(struct tls_fixture *fixture, int index)
{
    char tls[128], name[64], termination[128];
    (void)snprintf(tls, sizeof(tls), "HISTRIO_TLS_FOLDER=%s", fixture->folder);
    (void)snprintf(name, sizeof(name), "HISTRIO_NODE_NAME=bank-nodes-%d", index);
    (void)snprintf(
        termination, sizeof(termination), "HISTRIO_TERMINATION_LOG=%s/end-%d", fixture->folder, index);
    const char *const settings[] = {tls, name, termination, "HISTRIO_CREDENTIAL=", "HISTRIO_POD_IP=127.0.0.1",
        "HISTRIO_CONTROL_ADDRESS=127.0.0.1:0", "HISTRIO_LINK_ADDRESS=0.0.0.0:0",
        "HISTRIO_GATEWAY_ADDRESS=0.0.0.0:0", NULL};
    char end[16];
    (void)snprintf(end, sizeof(end), "end-%d", index);
    temp_folder_write(fixture->folder, end, "of an earlier life", 0600);
    struct node_fixture *node = node_fixture_start(settings);
    fixture->nodes[index] = node;
    node->creds = fixture->creds;
    read_log(node, "node started", "control", node->node.control_address, sizeof(node->node.control_address));
}

static int setup(void **state)
{
    struct tls_fixture *fixture = xcalloc(1, sizeof(*fixture));
    *state = fixture;
    fixture->folder = temp_folder_new();
    fixture->authority = tls_authority(NODE_SYSTEM_UID);
    fixture->creds = tls_creds(&fixture->authority, ROLE_OPERATOR, NODE_SYSTEM_UID);
    struct certs_pair leaf = tls_leaf_of(&fixture->authority, ROLE_NODE, NODE_SYSTEM_UID, 0);
    tls_write_folder(fixture->folder, "v1", fixture->authority.chain, &leaf);
    certs_pair_done(&leaf);
    for (int i = 0; i < NODES; i++)
        start_node(fixture, i);
    return 0;
}

static int teardown(void **state)
{
    struct tls_fixture *fixture = *state;
    for (int i = 0; i < NODES; i++)
        node_fixture_end(fixture->nodes[i]);
    rpc_creds_unref(fixture->creds);
    certs_pair_done(&fixture->authority);
    temp_folder_remove(fixture->folder);
    free(fixture);
    return 0;
}

/* Connects to both, and tells each of the other. */
static void connect_all(struct tls_fixture *fixture)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__RosterUpdate roster = HISTRIO__V1__ROSTER_UPDATE__INIT;
    Histrio__V1__Roster current = HISTRIO__V1__ROSTER__INIT;
    Histrio__V1__RosterUpdate__Member members[NODES];
    Histrio__V1__RosterUpdate__Member *pointers[NODES];
    for (int i = 0; i < NODES; i++) {
        struct node_fixture *node = fixture->nodes[i];
        node_fixture_connect(node, FIRST_TERM);
        node_fixture_configure(node);
        const Histrio__V1__NodeHello *hello = control_client_hello(node->client);
        assert_true(text_starts_with(hello->link_address, "127.0.0.1:"));
        assert_int_equal(hello->hello->credential.len, 0);
        (void)snprintf(
            node->node.gateway_address, sizeof(node->node.gateway_address), "%s", hello->gateway_address);
        (void)snprintf(node->node.link_address, sizeof(node->node.link_address), "%s", hello->link_address);
        histrio__v1__roster_update__member__init(&members[i]);
        members[i].node_uid = node->uid;
        members[i].node_name = hello->hello->node_name;
        members[i].link_address = hello->link_address;
        pointers[i] = &members[i];
    }
    current.version = 1;
    roster.current = &current;
    roster.members = pointers;
    roster.n_members = NODES;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROSTER;
    message.roster = &roster;
    for (int i = 0; i < NODES; i++)
        control_client_send(fixture->nodes[i]->client, &message);
}

static void test_nodes_talk(void **state)
{
    struct tls_fixture *fixture = *state;
    connect_all(fixture);
    struct node_fixture *here = fixture->nodes[0], *there = fixture->nodes[1];
    node_fixture_run_unit(there, "tellers.1", "node_behaviors.worker");
    here->epoch = there->epoch;
    node_fixture_send_route(here, "tellers.1", there->uid);
    /* From this node's gateway over the link to the other node, and back. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(
            node_fixture_ask(here, "tellers.1", "echo", 10000, true), HISTRIO__V1__ERROR__ERROR_NONE);
    assert_int_equal(
        node_fixture_ask(there, "tellers.1", "echo", 10000, true), HISTRIO__V1__ERROR__ERROR_NONE);
    /* Without any operator they end, and say how. */
    assert_int_equal(kill(here->node.pid, SIGTERM), 0);
    assert_int_equal(node_process_wait(&here->node, WAIT_MS), 0);
    char *text = temp_folder_read(fixture->folder, "end-0");
    assert_non_null(strstr(text, "\"exitCode\":0"));
    free(text);
}

/* Says hello and, without waiting, that a unit shall run. Returns how the stream ended. */
static int attack(struct tls_fixture *fixture, struct rpc_creds *creds, const char *system_uid)
{
    struct node_fixture *node = fixture->nodes[0];
    struct control_client_config config = {.address = node->node.control_address,
        .term = FIRST_TERM + 100,
        .creds = creds,
        .system_uid = system_uid,
        .has_one_try = true};
    node->client = control_client_new(&config);
    node_fixture_configure(node);
    node_fixture_send_assign(
        node, &(struct assign_options){.unit = "tellers.1", .behavior = "node_behaviors.worker"});
    int code = control_client_wait_closed(node->client);
    control_client_free(node->client);
    node->client = NULL;
    rpc_creds_unref(creds);
    return code;
}

static bool is_empty_inventory(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY && message->inventory->full &&
           message->inventory->n_units == 0 && message->inventory->n_seen == 0;
}

static void test_only_its_operator_commands(void **state)
{
    struct tls_fixture *fixture = *state;
    const struct certs_pair *authority = &fixture->authority;
    struct certs_pair other = tls_authority(NODE_SYSTEM_UID);
    assert_int_equal(
        attack(fixture, tls_creds(authority, ROLE_NODE, NODE_SYSTEM_UID), NULL), RPC_PERMISSION_DENIED);
    assert_int_equal(
        attack(fixture, tls_creds(authority, ROLE_OPERATOR, "system-2"), NULL), RPC_PERMISSION_DENIED);
    assert_int_equal(attack(fixture, tls_creds(authority, ROLE_OPERATOR, NODE_SYSTEM_UID), "system-2"),
        RPC_FAILED_PRECONDITION);
    assert_int_equal(
        attack(fixture, tls_creds_of(authority, &other, ROLE_OPERATOR, NODE_SYSTEM_UID, 0), NULL),
        RPC_UNAVAILABLE);
    assert_int_equal(
        attack(fixture, tls_creds_of(authority, authority, ROLE_OPERATOR, NODE_SYSTEM_UID, -2 * TLS_HOUR_S),
            NULL),
        RPC_UNAVAILABLE);
    assert_int_equal(attack(fixture, NULL, NULL), RPC_UNAVAILABLE); /* plaintext, with the credential */
    certs_pair_done(&other);
    /* None of these had a say in the term, and nothing was executed. */
    node_fixture_connect(fixture->nodes[0], 1);
    (void)control_client_wait(fixture->nodes[0]->client, is_empty_inventory, NULL, "empty inventory");
    char reason[128];
    read_log(fixture->nodes[0], "control session refused", "error", reason, sizeof(reason));
    assert_string_equal(reason, "the certificate is not the operator's of this system");
    read_log(fixture->nodes[0], "TLS handshake failed", "error", reason, sizeof(reason));
    assert_string_equal(reason, "certificate verify failed");
}

static int call(const char *address, struct rpc_creds *creds, const char *path)
{
    struct rpc_client_config config = {.address = address, .creds = creds, .server_name = NODE_NAME};
    struct rpc_loop *loop = NULL;
    struct rpc_client *client = NULL;
    struct err err = {0};
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(rpc_loop_new("attacker", &loop, NULL), 0);
    assert_int_equal(rpc_client_new(loop, &config, &client, NULL), 0);
    int result = rpc_client_call_wait(client, path, "", 0, WAIT_MS, false, &data, &size, &err);
    assert_int_equal(result, -1);
    rpc_client_free(client);
    rpc_loop_free(loop);
    rpc_creds_unref(creds);
    return (int)err.kind;
}

static void test_only_nodes_link(void **state)
{
    static const char *const paths[] = {"/histrio.v1.Link/Messages", "/histrio.v1.Link/System"};
    struct tls_fixture *fixture = *state;
    const struct certs_pair *authority = &fixture->authority;
    connect_all(fixture);
    const char *link = fixture->nodes[0]->node.link_address;
    const char *gateway = fixture->nodes[0]->node.gateway_address;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            call(link, tls_creds(authority, ROLE_OPERATOR, NODE_SYSTEM_UID), paths[i]), ERR_DENIED);
        assert_int_equal(call(link, tls_creds(authority, ROLE_NODE, "system-2"), paths[i]), ERR_DENIED);
        assert_int_equal(call(link, NULL, paths[i]), ERR_UNAVAILABLE);
        assert_int_equal(call(gateway, NULL, paths[i]), ERR_INVALID); /* no such method there */
    }
    assert_int_equal(call(gateway, NULL, "/histrio.v1.Control/Session"), ERR_INVALID);
    assert_int_equal(
        call(link, tls_creds(authority, ROLE_NODE, NODE_SYSTEM_UID), "/histrio.v1.Gateway/Ask"), ERR_INVALID);
}

/* Half a Secret: the log says which file. */
static void test_incomplete_folder(void **state)
{
    (void)state;
    char *folder = temp_folder_new();
    char tls[128], error[256];
    (void)snprintf(tls, sizeof(tls), "HISTRIO_TLS_FOLDER=%s", folder);
    const char *const settings[] = {tls, "HISTRIO_CREDENTIAL=", NULL};
    struct node_fixture *node = node_fixture_start(settings);
    struct json *report = node_process_report(&node->node, "exited", WAIT_MS);
    assert_int_equal(json_int(json_get(report, "exitCode")), 1);
    json_free(report);
    read_log(node, "cannot start", "error", error, sizeof(error));
    assert_non_null(strstr(error, "HISTRIO_TLS_FOLDER"));
    assert_non_null(strstr(error, "ca.crt"));
    node_fixture_end(node);
    temp_folder_remove(folder);
}

const struct CMUnitTest node_tls_tests[] = {
    cmocka_unit_test_setup_teardown(test_nodes_talk, setup, teardown),
    cmocka_unit_test_setup_teardown(test_only_its_operator_commands, setup, teardown),
    cmocka_unit_test_setup_teardown(test_only_nodes_link, setup, teardown),
    cmocka_unit_test(test_incomplete_folder),
};
const size_t node_tls_test_count = sizeof(node_tls_tests) / sizeof(node_tls_tests[0]);
