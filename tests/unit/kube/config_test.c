#include "kube/config.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "unit/kube/suites.h"

#include "support/temp_folder.h" /* needs cmocka.h */

static int setup(void **state)
{
    (void)unsetenv("KUBECONFIG");
    (void)unsetenv("KUBERNETES_SERVICE_HOST");
    (void)unsetenv("KUBERNETES_SERVICE_PORT");
    *state = temp_folder_new();
    return 0;
}

static int teardown(void **state)
{
    temp_folder_remove(*state);
    return 0;
}

/* Reads one file of that content. */
static int load(const char *folder, const char *text, struct kube_config **config, struct err *err)
{
    _cleanup_(cleanup_free) char *path = file_join(folder, "config");
    temp_folder_write(folder, "config", text, 0600);
    return kube_config_from_files(path, NULL, config, err);
}

static void a_pod_finds_its_account(void **state)
{
    const char *folder = *state;
    struct kube_config *config = NULL;
    struct err err = {0};
    assert_int_equal(kube_config_in_cluster(folder, &config, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    (void)setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    (void)setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(kube_config_in_cluster(folder, &config, &err), -1);
    assert_non_null(strstr(err.text, "automountServiceAccountToken"));
    temp_folder_write(folder, "token", "t", 0600);
    assert_int_equal(kube_config_in_cluster(folder, &config, &err), 0);
    assert_string_equal(config->server, "https://10.0.0.1:443");
    assert_string_equal(config->namespace, "default");
    assert_true(text_ends_with(config->token_file, "/token"));
    assert_true(text_ends_with(config->authority_file, "/ca.crt"));
    kube_config_free(config);
    temp_folder_write(folder, "namespace", "ours\n", 0600);
    (void)setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_int_equal(kube_config_in_cluster(folder, &config, &err), 0);
    assert_string_equal(config->server, "https://[fd00::1]:443");
    assert_string_equal(config->namespace, "ours");
    kube_config_free(config);
}

static void a_file_gives_all_fields(void **state)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    const char *folder = *state;
    int result = load(folder,
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: k, cluster: {server: 'https://h:6443/p/', certificate-authority-data: Y2E=, "
        "tls-server-name: s,"
        " proxy-url: 'http://p:1'}}]\n"
        "contexts: [{name: c, context: {cluster: k, user: u, namespace: n}}]\n"
        "users:\n- name: u\n  user:\n    client-certificate: certs/c.pem\n    client-key: /abs/k.pem\n    "
        "token: t\n"
        "    tokenFile: tok\n    as: root\n    as-uid: '7'\n    as-groups: [a, b]\n",
        &config, &err);
    if (result < 0)
        fail_msg("%s", err.text);
    _cleanup_(cleanup_free) char *certificate = file_join(folder, "certs/c.pem");
    _cleanup_(cleanup_free) char *token_file = file_join(folder, "tok");
    assert_string_equal(config->server, "https://h:6443/p");
    assert_string_equal(config->authority_data, "ca");
    assert_string_equal(config->server_name, "s");
    assert_string_equal(config->proxy, "http://p:1");
    assert_string_equal(config->namespace, "n");
    assert_string_equal(config->certificate_file, certificate);
    assert_string_equal(config->key_file, "/abs/k.pem");
    assert_string_equal(config->token, "t");
    assert_string_equal(config->token_file, token_file);
    assert_string_equal(config->impersonate_user, "root");
    assert_string_equal(config->impersonate_uid, "7");
    assert_string_equal(config->impersonate_groups[1], "b");
    assert_null(config->impersonate_groups[2]);
    assert_false(config->is_insecure);
    kube_config_free(config);
}

#define CLUSTER "clusters: [{name: k, cluster: {server: 'https://h'}}]\n"
#define CONTEXT "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"

static void a_plugin_is_read(void **state)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    const char *folder = *state;
    int result = load(folder,
        CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', extensions: ["
                "{name: client.authentication.k8s.io/exec, extension: {audience: x}}]}}]\n"
                "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: "
                "./plugin, args: [a, b],"
                " env: [{name: N, value: v}], installHint: get it, provideClusterInfo: true, "
                "interactiveMode: Never}}}]\n",
        &config, &err);
    if (result < 0)
        fail_msg("%s", err.text);
    assert_true(text_starts_with(config->exec->command, folder));
    assert_string_equal(config->exec->args[1], "b");
    assert_null(config->exec->args[2]);
    assert_string_equal(config->exec->env[0], "N=v");
    assert_string_equal(config->exec->install_hint, "get it");
    assert_true(config->exec->provides_cluster_info);
    assert_string_equal(json_string(json_get(config->exec->cluster_extension, "audience")), "x");
    kube_config_free(config);
}

static void the_first_file_wins(void **state)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    const char *folder = *state;
    temp_folder_write(folder, "one",
        "contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {token: one}}]\n",
        0600);
    temp_folder_write(folder, "two",
        "current-context: c\n" CLUSTER
        "users: [{name: u, user: {token: two, as: ignored}}, {name: v, user: {}}]\n",
        0600);
    _cleanup_(cleanup_free) char *paths = xasprintf("%s/none:%s/one::%s/two", folder, folder, folder);
    if (kube_config_from_files(paths, NULL, &config, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(config->token, "one");
    assert_null(config->impersonate_user);
    assert_string_equal(config->server, "https://h");
    kube_config_free(config);
    assert_int_equal(kube_config_from_files(paths, "other", &config, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no context \"other\""));
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text, *expected;
    } MISTAKES[] = {
        {"", "has no current-context"},
        {"- a\n", "not a mapping"},
        {"a: 1\n---\nb: 2\n", "more than one document"},
        {CONTEXT, "no cluster \"k\""},
        {CONTEXT CLUSTER, "no user \"u\""},
        {CONTEXT "clusters: [{name: k, cluster: {server: 'h:1'}}]\nusers: [{name: u, user: {}}]\n",
            "must begin with \"https://\""},
        {CONTEXT "clusters: [{name: k, cluster: {}}]\nusers: [{name: u, user: {}}]\n", "has no server"},
        {CONTEXT CLUSTER "users: [{name: u, user: {client-certificate: c}}]\n", "come together"},
        {CONTEXT CLUSTER "users: [{name: u, user: {client-key-data: '*'}}]\n", "must be base64"},
        {CONTEXT CLUSTER "users: [{name: u, user: {token: 7}}]\n", "must be a string"},
        {CONTEXT CLUSTER "users: [{name: u, user: {username: a}}]\n", "is not supported"},
        {CONTEXT CLUSTER "users: [{name: u, user: {auth-provider: {}}}]\n", "is not supported"},
        {CONTEXT CLUSTER "users: [{name: u, user: {as-groups: a}}]\n", "must be an array"},
        {CONTEXT CLUSTER "users: [{name: u, user: {exec: {command: a}}}]\n", "apiVersion must be"},
        {CONTEXT CLUSTER "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1}}}]\n",
            "has no command"},
        {CONTEXT "clusters: [{name: k, cluster: {server: 'https://h', insecure-skip-tls-verify: true,"
                 " certificate-authority: a}}]\nusers: [{name: u, user: {}}]\n",
            "take one of them away"},
        {"a: [\n", "config"},
    };
    for (size_t at = 0; at < sizeof(MISTAKES) / sizeof(MISTAKES[0]); at++) {
        struct kube_config *config = NULL;
        struct err err = {0};
        if (load(*state, MISTAKES[at].text, &config, &err) == 0)
            fail_msg("row %zu was taken", at);
        if (!strstr(err.text, MISTAKES[at].expected))
            fail_msg("row %zu: %s", at, err.text);
        assert_null(config);
    }
}

static void no_file_is_not_found(void **state)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    _cleanup_(cleanup_free) char *path = file_join(*state, "none");
    _cleanup_(cleanup_free) char *two = xasprintf("%s:%s", path, path);
    assert_int_equal(kube_config_from_files(path, NULL, &config, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(kube_config_from_files(two, NULL, &config, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void a_user_may_be_missing(void **state)
{
    struct kube_config *config = NULL;
    assert_int_equal(
        load(*state, "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n" CLUSTER, &config,
            NULL),
        0);
    assert_null(config->token);
    kube_config_free(config);
}

static void the_environment_decides(void **state)
{
    const char *folder = *state;
    struct kube_config *config = NULL;
    struct err err = {0};
    (void)setenv("HOME", folder, 1);
    assert_int_equal(kube_config_load(NULL, NULL, &config, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "KUBECONFIG"));
    _cleanup_(cleanup_free) char *usual = file_join(folder, ".kube");
    assert_int_equal(file_make_folder(usual, 0700, NULL), 0);
    temp_folder_write(usual, "config", CONTEXT CLUSTER "users: [{name: u, user: {token: home}}]\n", 0600);
    assert_int_equal(kube_config_load(NULL, NULL, &config, &err), 0);
    assert_string_equal(config->token, "home");
    kube_config_free(config);
    temp_folder_write(folder, "env", CONTEXT CLUSTER "users: [{name: u, user: {token: env}}]\n", 0600);
    _cleanup_(cleanup_free) char *path = file_join(folder, "env");
    (void)setenv("KUBECONFIG", path, 1);
    assert_int_equal(kube_config_load(NULL, NULL, &config, &err), 0);
    assert_string_equal(config->token, "env");
    kube_config_free(config);
    _cleanup_(cleanup_free) char *other = file_join(usual, "config");
    assert_int_equal(kube_config_load(other, "c", &config, &err), 0);
    assert_string_equal(config->token, "home");
    kube_config_free(config);
}

static void errors_show_no_secrets(void **state)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    assert_int_equal(
        load(*state, CONTEXT CLUSTER "users: [{name: u, user: {token: [s3cret]}}]\n", &config, &err), -1);
    assert_null(strstr(err.text, "s3cret"));
    assert_int_equal(
        load(*state, CONTEXT CLUSTER "users: [{name: u, user: {client-key-data: s3cret}}]\n", &config, &err),
        -1);
    assert_null(strstr(err.text, "s3cret"));
}

const struct CMUnitTest config_tests[9] = {
    cmocka_unit_test_setup_teardown(a_pod_finds_its_account, setup, teardown),
    cmocka_unit_test_setup_teardown(a_file_gives_all_fields, setup, teardown),
    cmocka_unit_test_setup_teardown(a_plugin_is_read, setup, teardown),
    cmocka_unit_test_setup_teardown(the_first_file_wins, setup, teardown),
    cmocka_unit_test_setup_teardown(mistakes_are_named, setup, teardown),
    cmocka_unit_test_setup_teardown(no_file_is_not_found, setup, teardown),
    cmocka_unit_test_setup_teardown(a_user_may_be_missing, setup, teardown),
    cmocka_unit_test_setup_teardown(the_environment_decides, setup, teardown),
    cmocka_unit_test_setup_teardown(errors_show_no_secrets, setup, teardown),
};
