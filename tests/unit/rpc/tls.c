/* Mutual TLS: who gets through, who is refused and told why, and certificates that change while connections
 * stand. */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "support/temp_folder.h"
#include "support/tls.h"

#define OTHER_UID "00000000-8a62-4c8e-9b36-3a2f0b9c1d10"
#define NODE ROLE_NODE, SYSTEM_UID
#define OPERATOR ROLE_OPERATOR, SYSTEM_UID

static struct fixture fixture;
static struct certs_pair authority, other;
static char *folder;

static int setup(void **state)
{
    (void)state;
    authority = tls_authority(SYSTEM_UID);
    other = tls_authority(SYSTEM_UID); /* same names, another key */
    folder = temp_folder_new();
    fixture_start(&fixture, TRANSPORT_TLS, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    temp_folder_remove(folder);
    certs_pair_done(&authority);
    certs_pair_done(&other);
    return 0;
}

/* A new server at the fixture's address; takes the creds. */
static void serve_take(struct rpc_creds *creds)
{
    static const struct fixture_options none = {0};
    fixture_server_stop(&fixture, 0);
    rpc_creds_unref(fixture.server_creds);
    fixture.server_creds = creds;
    fixture_server_start(&fixture, &none);
}

/* A new client; takes the creds. */
static void connect_take(struct rpc_creds *creds)
{
    fixture_connect(&fixture, creds, SERVER_NAME);
    rpc_creds_unref(creds);
}

/* The first call after a server has gone may meet the connection to it, whose end is on its way. */
static void expect_served(void)
{
    uint8_t *data;
    size_t size;
    struct err err;
    int failed = -1;
    for (int i = 0; failed && i < 2; i++) {
        err = (struct err){0};
        failed = rpc_client_call_wait(
            fixture.client, "/test.Service/Reverse", "ok", 2, 30 * 1000, true, &data, &size, &err);
        if (failed && err.kind != ERR_UNAVAILABLE)
            break;
    }
    if (failed)
        fail_msg("%s", err.text);
    assert_memory_equal(data, "ko", 2);
    free(data);
}

static void expect_refused_with(enum rpc_code code, const char *reason)
{
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, code);
    if (!strstr(client->text, reason))
        fail_msg("\"%s\" does not say \"%s\"", client->text, reason);
    mutex_lock(&fixture.lock);
    assert_int_equal(fixture.accepted_count, 0); /* nobody got as far as a call */
    mutex_unlock(&fixture.lock);
}

static void expect_refused(const char *reason)
{
    expect_refused_with(RPC_UNAVAILABLE, reason);
}

/* The client does not want such a server. */
static void expect_impostor(const char *reason)
{
    expect_refused_with(RPC_UNAUTHENTICATED, reason);
}

struct name_question {
    struct probe *probe;
    const char *name;
    bool has_it;
};

static void ask_name(void *ctx)
{
    struct name_question *question = ctx;
    question->has_it = rpc_stream_peer_has_name(question->probe->stream, question->name);
}

static bool has_name(struct probe *probe, const char *name)
{
    struct name_question question = {.probe = probe, .name = name};
    rpc_loop_call(probe->loop, ask_name, &question);
    return question.has_it;
}

static void test_names(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, true, REACT_NOTHING);
    assert_int_equal(probe_write(client, "hello", 5, NULL), 0);
    struct probe *server = fixture_accept(&fixture);
    probe_wait(server, server->messages == 1);
    assert_int_equal(probe_write(server, "hello", 5, NULL), 0);
    probe_wait(client, client->messages == 1);
    assert_true(has_name(server, CLIENT_NAME));
    assert_true(has_name(client, SERVER_NAME));
    assert_false(has_name(server, SERVER_NAME));
    assert_false(has_name(server, "operator." OTHER_UID ".histrio.dev"));
    assert_false(has_name(server, "operator"));
    assert_false(has_name(server, ""));
    probe_cancel(client);
    probe_wait(server, server->closed == 1);
    assert_false(has_name(server, CLIENT_NAME)); /* the call is over */
}

static void test_plaintext_has_no_names(void **state)
{
    (void)state;
    serve_take(NULL);
    connect_take(NULL);
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, true, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    assert_false(has_name(server, CLIENT_NAME));
    assert_false(has_name(server, ""));
    probe_cancel(client);
}

static void test_clients_that_are_refused(void **state)
{
    (void)state;
    serve_take(tls_creds(&authority, NODE));
    connect_take(tls_creds_of(&authority, &other, OPERATOR, 0));
    expect_refused("closed"); /* the reason stands in the server's log */
    connect_take(tls_creds_of(&authority, &authority, OPERATOR, -2 * TLS_HOUR_S)); /* has expired */
    expect_refused("closed");
    connect_take(tls_creds_of(&authority, &authority, OPERATOR, 2 * TLS_HOUR_S)); /* is not valid yet */
    expect_refused("closed");
    connect_take(NULL); /* plaintext */
    expect_refused("closed");
    connect_take(tls_creds(&authority, OPERATOR));
    expect_served();
}

static void test_servers_that_are_refused(void **state)
{
    (void)state;
    serve_take(tls_creds(&other, NODE));
    connect_take(tls_creds(&authority, OPERATOR));
    expect_impostor("certificate verify failed");
    serve_take(tls_creds_of(&authority, &authority, NODE, -2 * TLS_HOUR_S));
    connect_take(tls_creds(&authority, OPERATOR));
    expect_impostor("certificate verify failed");
    serve_take(tls_creds(&authority, ROLE_NODE, OTHER_UID));
    connect_take(tls_creds(&authority, OPERATOR));
    expect_impostor("Hostname Verification Check failed");
    /* An operator does not serve: neither its name nor its purpose fits. */
    serve_take(tls_creds(&authority, OPERATOR));
    connect_take(tls_creds(&authority, OPERATOR));
    expect_impostor("certificate verify failed");
    fixture_connect(&fixture, fixture.server_creds, CLIENT_NAME); /* not even under its own name */
    expect_impostor("certificate verify failed");
    serve_take(NULL); /* plaintext */
    connect_take(tls_creds(&authority, OPERATOR));
    expect_impostor("wrong version number");
}

/* TLS without a certificate, by hand: the connection ends without an answer. */
static void attack_without_certificate(void)
{
    char answer[512];
    struct sockaddr_in name = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(strrchr(fixture.address, ':') + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\2h2", 3);
    SSL *connection = SSL_new(context);
    assert_int_equal(SSL_set_fd(connection, fd), 1);
    /* With TLS 1.3 the client is done before the server has looked. */
    if (SSL_connect(connection) == 1) {
        (void)SSL_write(connection, preface, sizeof(preface) - 1);
        assert_true(SSL_read(connection, answer, sizeof(answer)) <= 0);
    }
    SSL_free(connection);
    SSL_CTX_free(context);
    (void)close(fd);
}

/* The log says why, at most once a second: so more than one attempt may be needed. */
static void test_no_certificate(void **state)
{
    static const char expected[] = "peer did not return a certificate";
    int64_t until_ns = patience_deadline();
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* SSL_write() may meet a closed connection */
    char *path = file_join(folder, "log");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    assert_true(fd >= 0);
    log_init(fd, LOG_INFO);
    for (bool is_logged = false; !is_logged;) {
        assert_true(clock_now_ns(clock_system()) < until_ns);
        attack_without_certificate();
        expect_served(); /* the others do not mind */
        char *text = temp_folder_read(folder, "log");
        is_logged = strstr(text, expected) != NULL;
        free(text);
    }
    log_init(STDERR_FILENO, LOG_INFO);
    (void)close(fd);
    free(path);
}

static struct rpc_creds *folder_creds(void)
{
    struct rpc_creds *creds = NULL;
    struct err err = {0};
    if (rpc_creds_from_folder(folder, TLS_RELOAD_S, &creds, &err) < 0)
        fail_msg("%s", err.text);
    return creds;
}

static void write_folder(const char *version, const char *authorities, const struct certs_pair *signer)
{
    struct certs_pair leaf = tls_leaf_of(signer, NODE, 0);
    tls_write_folder(folder, version, authorities, &leaf);
    certs_pair_done(&leaf);
}

static void expect_echo(struct probe *client, const char *text)
{
    size_t before = probe_read(client, messages);
    assert_int_equal(probe_write(client, text, strlen(text), NULL), 0);
    probe_wait(client, client->messages == before + 1);
    assert_string_equal(client->last, text);
}

/* The server's folder changes to another authority altogether: who trusts only that one gets in as soon as it
 * was read; the stream that stands goes on. */
static void test_server_reloads(void **state)
{
    (void)state;
    write_folder("v1", authority.chain, &authority);
    serve_take(folder_creds());
    connect_take(tls_creds(&authority, OPERATOR));
    struct rpc_client *old = fixture.client;
    struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, true, REACT_NOTHING);
    expect_echo(client, "before");
    write_folder("v2", other.chain, &other);
    fixture.client = NULL; /* the old one stays */
    connect_take(tls_creds(&other, OPERATOR));
    expect_served(); /* waits until it is ready: tries again by itself */
    expect_echo(client, "after");
    connect_take(tls_creds(&authority, OPERATOR));
    expect_impostor("certificate verify failed");
    rpc_client_free(old);
}

/* The same of a client, which comes back to a server of the other authority with its new certificate. */
static void test_client_reloads(void **state)
{
    (void)state;
    write_folder("v1", authority.chain, &authority);
    serve_take(tls_creds(&authority, NODE));
    connect_take(folder_creds());
    expect_served();
    write_folder("v2", other.chain, &other);
    serve_take(tls_creds(&other, NODE));
    expect_served();
}

/* Half a Secret, or nonsense, until it is repaired: nothing that stands breaks, and nobody gets in who should
 * not. */
static void test_damaged_reload(void **state)
{
    (void)state;
    struct certs_pair nonsense = {.chain = (char[]){"nonsense"}, .key = (char[]){"nonsense"}};
    write_folder("v1", authority.chain, &authority);
    serve_take(folder_creds());
    connect_take(tls_creds(&authority, OPERATOR));
    struct rpc_client *old = fixture.client;
    struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, true, REACT_NOTHING);
    expect_echo(client, "before");
    tls_write_folder(folder, "v2", "nonsense", &nonsense);
    write_folder("v3", other.chain, &other);
    fixture.client = NULL;
    connect_take(tls_creds(&other, OPERATOR));
    expect_served();
    expect_echo(client, "after");
    rpc_client_free(old);
}

static void test_folders_that_are_refused(void **state)
{
    (void)state;
    struct rpc_creds *creds = NULL;
    struct err err = {0};
    struct certs_pair leaf = tls_leaf_of(&authority, NODE, 0);
    assert_int_equal(rpc_creds_from_folder("/nonexistent", 0, &creds, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "ca.crt"));
    tls_write(folder, "ca.crt", authority.chain);
    tls_write(folder, "tls.crt", leaf.chain);
    assert_int_equal(rpc_creds_from_folder(folder, 0, &creds, &err), -1);
    assert_non_null(strstr(err.text, "tls.key"));
    tls_write(folder, "tls.key", leaf.chain); /* a certificate is no key */
    assert_int_equal(rpc_creds_from_folder(folder, 0, &creds, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "tls.key is no PRIVATE KEY"));
    tls_write(folder, "tls.key", leaf.key);
    tls_write(folder, "ca.crt", "");
    assert_int_equal(rpc_creds_from_folder(folder, 0, &creds, &err), -1);
    assert_non_null(strstr(err.text, "ca.crt is no CERTIFICATE"));
    assert_int_equal(rpc_creds_from_memory(NULL, leaf.chain, leaf.key, &creds, &err), -1);
    assert_int_equal(rpc_creds_from_memory(authority.chain, leaf.chain, "", &creds, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(creds);
    certs_pair_done(&leaf);
}

/* Whoever answers would be right. */
static void test_server_without_name(void **state)
{
    (void)state;
    struct rpc_client_config config = {.address = fixture.address, .creds = fixture.client_creds};
    struct rpc_client *client = NULL;
    struct err err = {0};
    assert_int_equal(rpc_client_new(fixture.client_loop, &config, &client, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    config.server_name = "";
    assert_int_equal(rpc_client_new(fixture.client_loop, &config, &client, &err), -1);
}

const struct CMUnitTest tls_tests[] = {
    cmocka_unit_test_setup_teardown(test_names, setup, teardown),
    cmocka_unit_test_setup_teardown(test_plaintext_has_no_names, setup, teardown),
    cmocka_unit_test_setup_teardown(test_clients_that_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(test_servers_that_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(test_no_certificate, setup, teardown),
    cmocka_unit_test_setup_teardown(test_server_reloads, setup, teardown),
    cmocka_unit_test_setup_teardown(test_client_reloads, setup, teardown),
    cmocka_unit_test_setup_teardown(test_damaged_reload, setup, teardown),
    cmocka_unit_test_setup_teardown(test_folders_that_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(test_server_without_name, setup, teardown),
};
const size_t tls_test_count = sizeof(tls_tests) / sizeof(tls_tests[0]);
