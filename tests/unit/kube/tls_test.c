/* Who is trusted, against a real TLS server. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/role.h"
#include "certs/certs.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/http.h"
#include "unit/kube/suites.h"

#include "support/temp_folder.h" /* needs cmocka.h */

#define UID "11111111-2222-3333-4444-555555555555"
#define NAME "node." UID ".histrio.dev"
#define OPERATOR_NAME "operator." UID ".histrio.dev"

enum { HOUR_S = 3600 };

struct peers {
    char *folder;
    struct certs_pair authority, stranger;
    pid_t server;
    int stop_fd; /* the server's standard input */
    struct kube_config config;
    struct kube_client *client;
    struct clock_virtual clock; /* of its credentials */
};

static char *path_of(const struct peers *peers, const char *name)
{
    return file_join(peers->folder, name);
}

static void write_pair(const struct peers *peers, const struct certs_pair *authority, enum role role)
{
    struct certs_pair leaf;
    int64_t now_s = clock_wall_ms(clock_system()) / MS_PER_S;
    _cleanup_(cleanup_free) char *chain = xasprintf("%s.crt", role_text(role));
    _cleanup_(cleanup_free) char *key = xasprintf("%s.key", role_text(role));
    assert_int_equal(certs_make_leaf(authority, role, UID, now_s, HOUR_S, &leaf, NULL), 0);
    temp_folder_write(peers->folder, chain, leaf.chain, 0600);
    temp_folder_write(peers->folder, key, leaf.key, 0600);
    certs_pair_done(&leaf);
}

static void start_server(struct peers *peers, bool checks_clients)
{
    char *arguments[] = {(char[]){"tests/support/https_server.py"}, path_of(peers, "node.crt"),
        path_of(peers, "node.key"), checks_clients ? path_of(peers, "ca.crt") : NULL, NULL};
    int input[2], output[2];
    char port[16] = "";
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&peers->server, arguments[0], &actions, NULL, arguments, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(input[0]);
    (void)close(output[1]);
    peers->stop_fd = input[1];
    for (size_t size = 0; size < sizeof(port) - 1 && !strchr(port, '\n'); size++)
        assert_int_equal(read(output[0], port + size, 1), 1);
    (void)close(output[0]);
    port[strcspn(port, "\n")] = '\0';
    peers->config.server = xasprintf("https://127.0.0.1:%s", port);
    for (char **argument = arguments + 1; *argument; argument++)
        free(*argument);
}

static int setup(void **state)
{
    struct peers *peers = xcalloc(1, sizeof(*peers));
    int64_t now_s = clock_wall_ms(clock_system()) / MS_PER_S;
    peers->folder = temp_folder_new();
    clock_virtual_init(&peers->clock, NS_PER_S, now_s * MS_PER_S);
    assert_int_equal(certs_make_authority("test", UID, now_s, &peers->authority, NULL), 0);
    assert_int_equal(certs_make_authority("test", UID, now_s, &peers->stranger, NULL), 0);
    temp_folder_write(peers->folder, "ca.crt", peers->authority.chain, 0600);
    write_pair(peers, &peers->authority, ROLE_NODE);
    write_pair(peers, &peers->authority, ROLE_OPERATOR);
    peers->config.authority_file = path_of(peers, "ca.crt");
    peers->config.server_name = xstrdup(NAME);
    *state = peers;
    return 0;
}

static int teardown(void **state)
{
    struct peers *peers = *state;
    kube_client_free(peers->client);
    (void)close(peers->stop_fd);
    assert_int_equal(waitpid(peers->server, NULL, 0), peers->server);
    free(peers->config.server);
    free(peers->config.server_name);
    free(peers->config.authority_file);
    free(peers->config.certificate_file);
    free(peers->config.key_file);
    certs_pair_done(&peers->authority);
    certs_pair_done(&peers->stranger);
    temp_folder_remove(peers->folder);
    free(peers);
    return 0;
}

/* What the server saw, or NULL with err. The caller frees it. */
static char *get(struct peers *peers, struct err *err)
{
    struct kube_answer answer = {0};
    struct kube_request request = {.method = "GET", .path = "/", .timeout_ms = 10000};
    struct kube_client_config settings = {.config = &peers->config,
        .thread_name = "test kube",
        .user_agent = "histrio-test/1",
        .clock = &peers->clock.clock};
    if (!peers->client)
        assert_int_equal(kube_client_new(&settings, &peers->client, err), 0);
    if (kube_client_call(peers->client, &request, &answer, NULL, err) < 0)
        return NULL;
    char *text = str_steal(&answer.body);
    kube_answer_done(&answer);
    return text;
}

static void assert_refused(struct peers *peers, enum err_kind kind)
{
    struct err err = {0};
    _cleanup_(cleanup_free) char *text = get(peers, &err);
    if (text || err.kind != kind)
        fail_msg("%s, %s: %s", text ? text : "none", err_kind_name(err.kind), err.text);
}

static void assert_taken(struct peers *peers, const char *expected)
{
    struct err err = {0};
    _cleanup_(cleanup_free) char *text = get(peers, &err);
    if (!text)
        fail_msg("%s", err.text);
    assert_string_equal(text, expected);
}

static void the_server_name_is_checked(void **state)
{
    struct peers *peers = *state;
    start_server(peers, false);
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 ");
}

static void the_host_is_checked_otherwise(void **state)
{
    struct peers *peers = *state;
    start_server(peers, false);
    free(peers->config.server_name);
    peers->config.server_name = NULL;
    assert_refused(peers, ERR_DENIED);
}

static void a_wrong_name_is_refused(void **state)
{
    struct peers *peers = *state;
    start_server(peers, false);
    free(peers->config.server_name);
    peers->config.server_name = xstrdup(OPERATOR_NAME);
    assert_refused(peers, ERR_DENIED);
}

/* Then the right authority comes into the file, and is found at once. */
static void a_stranger_is_refused(void **state)
{
    struct peers *peers = *state;
    start_server(peers, false);
    temp_folder_write(peers->folder, "ca.crt", peers->stranger.chain, 0600);
    assert_refused(peers, ERR_DENIED);
    temp_folder_write(peers->folder, "ca.crt", peers->authority.chain, 0600);
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 ");
}

static void nothing_is_checked_when_insecure(void **state)
{
    struct peers *peers = *state;
    start_server(peers, false);
    free(peers->config.server_name);
    free(peers->config.authority_file);
    peers->config.server_name = peers->config.authority_file = NULL;
    peers->config.is_insecure = true;
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 ");
}

static void our_certificate_is_shown(void **state)
{
    struct peers *peers = *state;
    start_server(peers, true);
    peers->config.certificate_file = path_of(peers, "operator.crt");
    peers->config.key_file = path_of(peers, "operator.key");
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 " OPERATOR_NAME);
}

static void without_a_certificate_we_are_refused(void **state)
{
    struct peers *peers = *state;
    start_server(peers, true);
    assert_refused(peers, ERR_UNAVAILABLE);
}

/* Time moves on by a minute: files are read again. */
static void a_new_certificate_gets_a_new_connection(void **state)
{
    struct peers *peers = *state;
    start_server(peers, true);
    peers->config.certificate_file = path_of(peers, "operator.crt");
    peers->config.key_file = path_of(peers, "operator.key");
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 " OPERATOR_NAME);
    clock_virtual_advance(&peers->clock, 61 * NS_PER_S);
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 " OPERATOR_NAME); /* nothing has changed */
    write_pair(peers, &peers->authority, ROLE_OPERATOR);
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 " OPERATOR_NAME);
    clock_virtual_advance(&peers->clock, 61 * NS_PER_S);
    assert_taken(peers, "2 127.0.0.1 TLSv1.3 " OPERATOR_NAME);
}

static void renew(void *ctx)
{
    kube_http_renew(ctx);
}

static void renewing_gets_a_new_connection(void **state)
{
    struct peers *peers = *state;
    start_server(peers, false);
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 ");
    assert_taken(peers, "1 127.0.0.1 TLSv1.3 ");
    kube_http_post(kube_client_http(peers->client), renew, kube_client_http(peers->client));
    assert_taken(peers, "2 127.0.0.1 TLSv1.3 ");
}

const struct CMUnitTest tls_tests[9] = {
    cmocka_unit_test_setup_teardown(the_server_name_is_checked, setup, teardown),
    cmocka_unit_test_setup_teardown(the_host_is_checked_otherwise, setup, teardown),
    cmocka_unit_test_setup_teardown(a_wrong_name_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(a_stranger_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(nothing_is_checked_when_insecure, setup, teardown),
    cmocka_unit_test_setup_teardown(our_certificate_is_shown, setup, teardown),
    cmocka_unit_test_setup_teardown(without_a_certificate_we_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(a_new_certificate_gets_a_new_connection, setup, teardown),
    cmocka_unit_test_setup_teardown(renewing_gets_a_new_connection, setup, teardown),
};
