/* What somebody in another pod of the namespace can try against the nodes of a system, with more and more
 * stolen keys; each attempt must be refused. Run in such a pod by test_bank.py, which looks at the system
 * meanwhile.
 *
 * usage: attacker SYSTEM UID HOST FOLDER OTHER-SYSTEM OTHER-UID OTHER-HOST OTHER-FOLDER OTHER-TERM
 * FOLDER has all of the system's Secret: ca.crt, tls.crt, tls.key, operator.crt, operator.key. The other
 * system is the attacker's own, and its only node may be commanded for a moment: OTHER-TERM is its leader's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/epoch.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/role.h"
#include "base/str.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "support/control_client.h"
#include "support/tls.h"

#define TEXT(constant) ((char *)(uintptr_t)(constant)) /* generated structs are not const; nobody writes */
#define SESSION_PATH "/histrio.v1.Control/Session"
#define MESSAGES_PATH "/histrio.v1.Link/Messages"

enum { CONTROL_PORT = 7070, GATEWAY_PORT = 7071, LINK_PORT = 7073, WAIT_MS = 20 * 1000, WORDS = 9 };

/* A system that is attacked, and what was stolen from it. */
struct victim {
    const char *system, *uid, *host, *folder;
    char server_name[ROLE_NAME_BYTES]; /* of its nodes */
    char *authorities;
};

static struct victim victim, other;
static uint64_t other_term;

static char *read_file(const struct victim *from, const char *name)
{
    struct str text = STR_INIT(LIMIT_FILE_BYTES);
    struct err err = {0};
    char *path = file_join(from->folder, name);
    if (file_read(path, LIMIT_FILE_BYTES, &text, &err) < 0)
        fail_msg("%s", err.text);
    free(path);
    char *copy = xstrdup(str_text(&text));
    str_done(&text);
    return copy;
}

/* Trusts the victim's nodes, shows the certificate `name` ("tls", "operator") of a Secret. */
static struct rpc_creds *stolen(const struct victim *from, const char *name)
{
    struct rpc_creds *creds = NULL;
    struct err err = {0};
    char *chain_name = xasprintf("%s.crt", name), *key_name = xasprintf("%s.key", name);
    char *chain = read_file(from, chain_name), *key = read_file(from, key_name);
    char *trusted = xasprintf("%s%s", victim.authorities, other.authorities);
    if (rpc_creds_from_memory(trusted, chain, key, &creds, &err) < 0)
        fail_msg("%s", err.text);
    free(trusted);
    free(chain);
    free(key);
    free(chain_name);
    free(key_name);
    return creds;
}

/* Of an authority that the attacker made, with the right names in it. */
static struct rpc_creds *self_made(enum role role)
{
    struct certs_pair trusted = {.chain = victim.authorities}, authority = tls_authority(victim.uid);
    struct rpc_creds *creds = tls_creds_of(&trusted, &authority, role, victim.uid, 0);
    certs_pair_done(&authority);
    return creds;
}

static char *address_of(const struct victim *to, int port)
{
    return xasprintf("%s:%d", to->host, port);
}

/* How a call of that method ends. Takes the creds. */
static void expect_call(int port, const char *path, struct rpc_creds *creds, enum err_kind expected)
{
    char *address = address_of(&victim, port);
    struct rpc_client_config config = {
        .address = address, .creds = creds, .server_name = creds ? victim.server_name : NULL};
    struct rpc_loop *loop = NULL;
    struct rpc_client *client = NULL;
    struct err err = {0};
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(rpc_loop_new("attacker", &loop, NULL), 0);
    assert_int_equal(rpc_client_new(loop, &config, &client, NULL), 0);
    int result = rpc_client_call_wait(client, path, "", 0, WAIT_MS, false, &data, &size, &err);
    print_message("%s at port %d: %s: %s\n", path, port, err_kind_name(err.kind), err.text);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, expected);
    rpc_client_free(client);
    rpc_loop_free(loop);
    rpc_creds_unref(creds);
    free(address);
}

/* How a session of Control ends in which somebody says hello in that term. Takes the creds. */
static void expect_session(struct rpc_creds *creds, uint64_t term, enum rpc_code expected)
{
    char *address = address_of(&victim, CONTROL_PORT);
    struct control_client_config config = {.address = address,
        .system = victim.system,
        .system_uid = victim.uid,
        .server_name = victim.server_name,
        .creds = creds,
        .term = term,
        .has_one_try = true};
    struct control_client *client = control_client_new(&config);
    assert_int_equal(control_client_wait_closed(client), expected);
    control_client_free(client);
    rpc_creds_unref(creds);
    free(address);
}

static void test_plain_text(void **state)
{
    (void)state;
    expect_call(CONTROL_PORT, SESSION_PATH, NULL, ERR_UNAVAILABLE);
    expect_call(LINK_PORT, MESSAGES_PATH, NULL, ERR_UNAVAILABLE);
    expect_session(NULL, 1, RPC_UNAVAILABLE);
}

/* What a port says to a TLS client without a certificate, if anything. */
static void expect_no_service(int port)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char answer[16];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, victim.host, &name.sin_addr), 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\2h2", 3), 0);
    SSL *connection = SSL_new(context);
    assert_int_equal(SSL_set_fd(connection, fd), 1);
    /* With TLS 1.3 the client is done before the server has looked. */
    if (SSL_connect(connection) == 1) {
        (void)SSL_write(connection, preface, sizeof(preface) - 1); /* the answer tells */
        assert_true(SSL_read(connection, answer, sizeof(answer)) <= 0);
    }
    SSL_free(connection);
    SSL_CTX_free(context);
    (void)close(fd);
}

static void test_no_certificate(void **state)
{
    (void)state;
    expect_no_service(CONTROL_PORT);
    expect_no_service(LINK_PORT);
}

static void test_self_made_certificate(void **state)
{
    (void)state;
    expect_session(self_made(ROLE_OPERATOR), 1, RPC_UNAVAILABLE);
    expect_call(LINK_PORT, MESSAGES_PATH, self_made(ROLE_NODE), ERR_UNAVAILABLE);
}

static void test_certificate_of_another_system(void **state)
{
    (void)state;
    expect_session(stolen(&other, "operator"), 1, RPC_UNAVAILABLE);
    expect_call(LINK_PORT, MESSAGES_PATH, stolen(&other, "tls"), ERR_UNAVAILABLE);
}

/* As somebody has who took over a node. */
static void test_certificate_of_a_node(void **state)
{
    (void)state;
    expect_session(stolen(&victim, "tls"), 1, RPC_PERMISSION_DENIED);
}

/* As nobody has who cannot read the system's Secret. */
static void test_certificate_of_the_operator(void **state)
{
    (void)state;
    expect_call(LINK_PORT, MESSAGES_PATH, stolen(&victim, "operator"), ERR_DENIED);
    expect_session(stolen(&victim, "operator"), 100 * 1000, RPC_FAILED_PRECONDITION); /* a strange term */
    expect_session(stolen(&victim, "operator"), 0, RPC_FAILED_PRECONDITION);          /* a former one */
}

static void test_the_gateway_only_asks(void **state)
{
    (void)state;
    expect_call(GATEWAY_PORT, SESSION_PATH, NULL, ERR_INVALID); /* no such method there */
    expect_call(GATEWAY_PORT, MESSAGES_PATH, NULL, ERR_INVALID);
}

/* ---- with the operator's certificate and its term ---- */

static void configure(struct control_client *client)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Configuration configuration = HISTRIO__V1__CONFIGURATION__INIT;
    Histrio__V1__Configuration__Library outside = HISTRIO__V1__CONFIGURATION__LIBRARY__INIT;
    Histrio__V1__Configuration__Library *libraries[] = {&outside};
    outside.name = TEXT("outside");
    outside.path = TEXT("/proc/self/exe");
    configuration.generation = 1;
    configuration.libraries = libraries;
    configuration.n_libraries = 1;
    configuration.lease_ms = 3000;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_CONFIGURATION;
    message.configuration = &configuration;
    control_client_send(client, &message);
}

struct attempt {
    const char *unit, *behavior;
    uint64_t epoch, term;
    int refusal; /* Histrio__V1__RefusalReason */
    const char *reason;
};

static bool is_answer(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    const struct attempt *attempt = ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_ASSIGNED &&
           text_equal(message->assigned->unit, attempt->unit);
}

static void expect_refused(struct control_client *client, uint64_t node_uid, const struct attempt *attempt)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Assign assign = HISTRIO__V1__ASSIGN__INIT;
    Histrio__V1__UnitSpec unit = HISTRIO__V1__UNIT_SPEC__INIT;
    Histrio__V1__Child root = HISTRIO__V1__CHILD__INIT;
    root.name = unit.name = TEXT(attempt->unit);
    root.behavior_c = TEXT(attempt->behavior);
    unit.generation = 1;
    unit.root = &root;
    assign.unit = &unit;
    assign.epoch = attempt->epoch;
    assign.node_uid = node_uid;
    message.term = attempt->term;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ASSIGN;
    message.assign = &assign;
    control_client_send(client, &message);
    const Histrio__V1__AssignResult *result =
        control_client_wait(client, is_answer, attempt, "answer to assign")->assigned;
    print_message("assign %s: %s\n", attempt->unit, result->reason);
    assert_int_equal((int)result->refusal, attempt->refusal);
    assert_non_null(strstr(result->reason, attempt->reason));
}

static void test_what_a_node_refuses_even_then(void **state)
{
    (void)state;
    char *address = address_of(&other, CONTROL_PORT);
    struct control_client_config config = {.address = address,
        .system = other.system,
        .system_uid = other.uid,
        .server_name = other.server_name,
        .creds = stolen(&other, "operator"),
        .term = other_term};
    struct control_client *client = control_client_new(&config);
    uint64_t node_uid = control_client_hello(client)->hello->node_uid;
    uint64_t epoch = epoch_make((uint32_t)other_term, 1000);
    const struct attempt attempts[] = {
        {"code", "outside.main", epoch, other_term, HISTRIO__V1__REFUSAL_REASON__REFUSAL_START_FAILED,
            "is outside of the code folders"},
        {"strange", "outside.main", epoch, other_term + 1001,
            HISTRIO__V1__REFUSAL_REASON__REFUSAL_STRANGE_TERM, ""},
        {"ledger", "outside.main", 1, other_term, HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_EPOCH, ""},
    };
    configure(client);
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
        expect_refused(client, node_uid, &attempts[i]);
    control_client_free(client);
    rpc_creds_unref(config.creds);
    free(address);
}

static void read_victim(struct victim *ret_victim, char **words)
{
    *ret_victim = (struct victim){.system = words[0], .uid = words[1], .host = words[2], .folder = words[3]};
    (void)role_name(ROLE_NODE, ret_victim->uid, ret_victim->server_name);
    ret_victim->authorities = read_file(ret_victim, "ca.crt");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_no_certificate),
        cmocka_unit_test(test_self_made_certificate),
        cmocka_unit_test(test_certificate_of_another_system),
        cmocka_unit_test(test_certificate_of_a_node),
        cmocka_unit_test(test_certificate_of_the_operator),
        cmocka_unit_test(test_the_gateway_only_asks),
        cmocka_unit_test(test_what_a_node_refuses_even_then),
    };
    if (argc != 1 + WORDS) {
        (void)fprintf(stderr, "usage: attacker SYSTEM UID HOST FOLDER OTHER-SYSTEM OTHER-UID OTHER-HOST "
                              "OTHER-FOLDER OTHER-TERM\n"); /* nothing else to say it to */
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* SSL_write() may meet a closed connection */
    read_victim(&victim, argv + 1);
    read_victim(&other, argv + 5);
    other_term = strtoull(argv[WORDS], NULL, 10);
    int failed = cmocka_run_group_tests_name("attacker", tests, NULL, NULL);
    free(victim.authorities);
    free(other.authorities);
    return failed ? 1 : 0;
}
