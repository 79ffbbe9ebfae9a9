/* As in a cluster: certificates, a loop that systems share, and a leader whose time may be over. */
#include "fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/loop.h"
#include "support/tls.h"

#define NODE_NAME "bank-nodes-0"
#define ADDRESS "127.0.0.1:0"

/* A fixture whose node and operator show such certificates; all are released by secure_end(). */
struct secure {
    struct fixture fixture;
    struct certs_pair authority;
    struct rpc_creds *node, *operator_creds;
};

static void secure_begin(struct secure *secure, enum role role, const char *system_uid)
{
    secure->authority = tls_authority("uid-1");
    secure->node = tls_creds(&secure->authority, role, system_uid);
    secure->operator_creds = tls_creds(&secure->authority, ROLE_OPERATOR, "uid-1");
    struct fixture_options options = {
        .address = ADDRESS, .node_creds = secure->node, .operator_creds = secure->operator_creds};
    fixture_begin_with(&secure->fixture, &options);
    fixture_start_node(&secure->fixture);
}

static void secure_end(struct secure *secure)
{
    fixture_end(&secure->fixture);
    rpc_creds_unref(secure->node);
    rpc_creds_unref(secure->operator_creds);
    certs_pair_done(&secure->authority);
}

static void request_inventory(struct fixture *fixture)
{
    struct core_action action = {.kind = CORE_REQUEST_INVENTORY, .uid = UID};
    control_send(fixture->control, fixture->core, &action);
}

static void expect_echo(struct fixture *fixture, size_t index, uint64_t nonce)
{
    const operator_message *message = fixture_received(fixture, index);
    assert_int_equal(message->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_ECHO);
    assert_int_equal(message->echo->nonce, nonce);
}

static void test_certificates_in_place_of_a_credential(void **state)
{
    struct secure secure;
    (void)state;
    secure_begin(&secure, ROLE_NODE, "uid-1");
    control_dial(secure.fixture.control, NODE_NAME, secure.fixture.address);
    assert_string_equal(fixture_next_event(&secure.fixture), "");
    assert_int_equal(fixture_received(&secure.fixture, 0)->hello->credential.len, 0);
    fixture_stop_node(&secure.fixture);
    assert_string_equal(fixture_next_event(&secure.fixture), ""); /* disconnected */
    fixture_start_node(&secure.fixture);
    assert_string_equal(fixture_next_event(&secure.fixture), ""); /* connected again */
    secure_end(&secure);
}

/* Whoever has the node's address by now, with a certificate of the same authority: it gets not even our
 * hello. */
static void expect_impostor(enum role role, const char *system_uid, const char *reason)
{
    struct secure secure;
    secure_begin(&secure, role, system_uid);
    control_dial(secure.fixture.control, NODE_NAME, secure.fixture.address);
    const char *text = fixture_next_event(&secure.fixture);
    if (!strstr(text, reason))
        fail_msg("\"%s\" does not say \"%s\"", text, reason);
    assert_int_equal(secure.fixture.streams, 0);
    secure_end(&secure);
}

static void test_impostors(void **state)
{
    (void)state;
    expect_impostor(ROLE_NODE, "uid-2", "Hostname Verification Check failed");
    expect_impostor(ROLE_OPERATOR, "uid-1", "certificate verify failed");
}

static void test_renewed_certificates(void **state)
{
    struct secure secure;
    (void)state;
    secure_begin(&secure, ROLE_NODE, "uid-1");
    struct rpc_creds *expired =
        tls_creds_of(&secure.authority, &secure.authority, ROLE_OPERATOR, "uid-1", -2 * TLS_HOUR_S);
    control_set_creds(secure.fixture.control, expired);
    rpc_creds_unref(expired);
    control_dial(secure.fixture.control, NODE_NAME, secure.fixture.address); /* and fails, and tries again */
    control_set_creds(secure.fixture.control, secure.operator_creds);
    assert_string_equal(fixture_next_event(&secure.fixture), "");
    assert_int_equal(secure.fixture.streams, 1);
    secure_end(&secure);
}

/* R9: what a leader is asked to say after its time is not said, also not later. */
static void test_leader_whose_time_is_over(void **state)
{
    struct fixture fixture;
    struct control_gate gate = {.until_ms = INT64_MAX};
    (void)state;
    fixture_begin_with(&fixture, &(struct fixture_options){.gate = &gate});
    fixture_start_node(&fixture);
    control_dial(fixture.control, NODE_NAME, fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    request_inventory(&fixture);
    fixture_ask_echo(&fixture, 1);
    expect_echo(&fixture, 2, 1);
    control_gate_set(&gate, clock_now_ms(clock_system()));
    assert_false(control_gate_is_open(&gate));
    request_inventory(&fixture);
    fixture_ask_echo(&fixture, 2);
    (void)control_hang_up_wait(fixture.control, "another-node"); /* what was to be sent has passed by then */
    node_message load = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__Load body = HISTRIO__V1__LOAD__INIT;
    load.node_uid = UID;
    load.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_LOAD;
    load.load = &body;
    fixture_send(&fixture, &load);
    assert_string_equal(fixture_next_event(&fixture), ""); /* so the request for an echo came before */
    control_gate_set(&gate, INT64_MAX);
    fixture_ask_echo(&fixture, 3);
    expect_echo(&fixture, 3, 3);
    fixture_end(&fixture);
    assert_true(control_gate_is_open(NULL));
    assert_false(control_gate_is_open(&(struct control_gate){0}));
}

static void test_last_echo(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_begin(&fixture);
    fixture_start_node(&fixture);
    assert_int_equal(control_hang_up_wait(fixture.control, NODE_NAME), 0); /* never dialled */
    control_dial(fixture.control, NODE_NAME, fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    assert_int_equal(fixture.last_echo_ms, 0);
    request_inventory(&fixture);
    int64_t before_ms = clock_now_ms(clock_system());
    fixture_ask_echo(&fixture, 1);
    expect_echo(&fixture, 2, 1);
    int64_t after_ms = clock_now_ms(clock_system());
    int64_t told_ms = control_hang_up_wait(fixture.control, NODE_NAME);
    assert_in_range(told_ms, before_ms, after_ms);
    assert_string_equal(fixture_next_event(&fixture), ""); /* disconnected */
    assert_int_equal(fixture.last_echo_ms, told_ms);
    fixture_end(&fixture);
}

static void test_systems_share_a_loop(void **state)
{
    struct fixture one, other;
    struct rpc_loop *loop = NULL;
    (void)state;
    assert_int_equal(rpc_loop_new("shared", &loop, NULL), 0);
    struct fixture_options options = {.loop = loop};
    fixture_begin_with(&one, &options);
    fixture_begin_with(&other, &options);
    fixture_start_node(&one);
    fixture_start_node(&other);
    control_dial(one.control, NODE_NAME, one.address);
    control_dial(other.control, NODE_NAME, other.address);
    assert_string_equal(fixture_next_event(&one), "");
    assert_string_equal(fixture_next_event(&other), "");
    fixture_end(&one);
    request_inventory(&other); /* which does not mind */
    fixture_ask_echo(&other, 5);
    expect_echo(&other, 2, 5);
    fixture_end(&other);
    rpc_loop_free(loop);
}

/* 64 nodes at an address where nobody says a word: the next one waits for its turn, and gets it. */
static void test_dials_take_turns(void **state)
{
    enum { SILENT = 80, TURN_MS = 1000 };
    struct control_gate gate = {.until_ms = INT64_MAX};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    struct fixture fixture;
    (void)state;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(silent, 2 * SILENT), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&name, &size), 0);
    char *address = xasprintf("127.0.0.1:%d", ntohs(name.sin_port));
    struct certs_pair authority = tls_authority("uid-1");
    struct rpc_creds *node = tls_creds(&authority, ROLE_NODE, "uid-1");
    struct rpc_creds *operator_creds = tls_creds(&authority, ROLE_OPERATOR, "uid-1");
    struct fixture_options options = {
        .address = ADDRESS, .node_creds = node, .operator_creds = operator_creds, .gate = &gate};
    fixture_begin_with(&fixture, &options);
    fixture_start_node(&fixture);
    int64_t begun_ms = clock_now_ms(clock_system());
    for (int i = 0; i < SILENT; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "silent-%d", i);
        control_dial(fixture.control, text, address);
    }
    control_dial(fixture.control, NODE_NAME, fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    assert_true(clock_now_ms(clock_system()) - begun_ms >= TURN_MS);
    fixture_end(&fixture);
    assert_int_equal(gate.dials, 0);
    assert_true(list_is_empty(&gate.waiting));
    rpc_creds_unref(node);
    rpc_creds_unref(operator_creds);
    certs_pair_done(&authority);
    (void)close(silent);
    free(address);
}

struct turns {
    struct control_gate *gate;
    unsigned count;
};

static void count_turns(void *ctx)
{
    struct turns *turns = ctx;
    turns->count = turns->gate->dials;
}

/* Machines that are away take nobody's turn, and none of the CPU of a handshake: SYNs to a socket whose queue
 * is full are dropped, as if there were no machine. */
static void test_nobody_answers(void **state)
{
    enum { AWAY = 80, QUEUE = 2 };
    struct control_gate gate = {.until_ms = INT64_MAX};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    struct rpc_loop *loop = NULL;
    int filling[QUEUE];
    (void)state;
    int away = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(away, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(away, QUEUE - 1), 0);
    assert_int_equal(getsockname(away, (struct sockaddr *)&name, &size), 0);
    for (int i = 0; i < QUEUE; i++) {
        filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(filling[i], (const struct sockaddr *)&name, size), 0);
    }
    char *address = xasprintf("127.0.0.1:%d", ntohs(name.sin_port));
    struct certs_pair authority = tls_authority("uid-1");
    struct rpc_creds *node = tls_creds(&authority, ROLE_NODE, "uid-1");
    struct rpc_creds *operator_creds = tls_creds(&authority, ROLE_OPERATOR, "uid-1");
    assert_int_equal(rpc_loop_new("shared", &loop, NULL), 0);
    struct fixture fixture;
    struct fixture_options options = {.address = ADDRESS,
        .node_creds = node,
        .operator_creds = operator_creds,
        .gate = &gate,
        .loop = loop};
    fixture_begin_with(&fixture, &options);
    fixture_start_node(&fixture);
    for (int i = 0; i < AWAY; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "away-%d", i);
        control_dial(fixture.control, text, address);
    }
    control_dial(fixture.control, NODE_NAME, fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    struct turns turns = {.gate = &gate};
    rpc_loop_call(loop, count_turns, &turns);
    assert_int_equal(turns.count, 0);
    fixture_end(&fixture);
    rpc_loop_free(loop);
    rpc_creds_unref(node);
    rpc_creds_unref(operator_creds);
    certs_pair_done(&authority);
    for (int i = 0; i < QUEUE; i++)
        (void)close(filling[i]);
    (void)close(away);
    free(address);
}

const struct CMUnitTest secure_tests[] = {
    cmocka_unit_test(test_certificates_in_place_of_a_credential),
    cmocka_unit_test(test_impostors),
    cmocka_unit_test(test_renewed_certificates),
    cmocka_unit_test(test_leader_whose_time_is_over),
    cmocka_unit_test(test_last_echo),
    cmocka_unit_test(test_systems_share_a_loop),
    cmocka_unit_test(test_dials_take_turns),
    cmocka_unit_test(test_nobody_answers),
};
const size_t secure_test_count = sizeof(secure_tests) / sizeof(secure_tests[0]);
