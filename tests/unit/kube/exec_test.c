#include "kube/exec.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "kube/config.h"
#include "unit/kube/suites.h"

#include "support/temp_folder.h" /* needs cmocka.h */

#define V1 "client.authentication.k8s.io/v1"

static char API_VERSION[] = V1;
static char SERVER[] = "https://h";

struct plugin {
    char *folder;
    char *path;
    struct kube_exec exec;
    struct kube_config config;
};

static int setup(void **state)
{
    struct plugin *plugin = xcalloc(1, sizeof(*plugin));
    plugin->folder = temp_folder_new();
    plugin->path = file_join(plugin->folder, "plugin");
    plugin->exec = (struct kube_exec){.command = plugin->path, .api_version = API_VERSION};
    plugin->config = (struct kube_config){.server = SERVER};
    plugin->config.exec = &plugin->exec;
    *state = plugin;
    return 0;
}

static int teardown(void **state)
{
    struct plugin *plugin = *state;
    free(plugin->path);
    temp_folder_remove(plugin->folder);
    free(plugin);
    return 0;
}

/* Runs a shell script as the plugin. */
static int run(struct plugin *plugin, const char *script, int64_t timeout_ms,
    struct kube_exec_credential *credential, struct err *err)
{
    _cleanup_(cleanup_free) char *text = xasprintf("#!/bin/sh\n%s\n", script);
    temp_folder_write(plugin->folder, "plugin", text, 0700);
    return kube_exec_run(&plugin->config, timeout_ms, credential, err);
}

#define SAY_TOKEN                                                                                            \
    "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{\"token\":\"t\","              \
    "\"expirationTimestamp\":\"2026-01-01T00:00:01Z\"}}'"

static void a_token_comes(void **state)
{
    struct kube_exec_credential credential;
    struct err err = {0};
    if (run(*state, SAY_TOKEN, 10000, &credential, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(credential.token, "t");
    assert_null(credential.certificate);
    assert_true(credential.expires_at_ms == 1767225601000);
    kube_exec_credential_done(&credential);
}

static void it_is_told_about_the_cluster(void **state)
{
    struct plugin *plugin = *state;
    struct kube_exec_credential credential;
    struct err err = {0};
    char *args[] = {(char[]){"a b"}, (char[]){"$HOME"}, NULL};
    char *env[] = {(char[]){"EXTRA=x y"}, NULL};
    plugin->exec.args = args;
    plugin->exec.env = env;
    plugin->exec.provides_cluster_info = true;
    plugin->config.authority_data = (char[]){"ca"};
    plugin->config.server_name = (char[]){"s"};
    plugin->exec.cluster_extension = json_string_new("mine");
    if (run(plugin,
            "printf %s \"$KUBERNETES_EXEC_INFO\" >\"$0.info\"; printf '%s|' \"$@\" \"$EXTRA\" "
            ">\"$0.args\"\n" SAY_TOKEN,
            10000, &credential, &err) < 0)
        fail_msg("%s", err.text);
    kube_exec_credential_done(&credential);
    json_free(plugin->exec.cluster_extension);
    _cleanup_(cleanup_free) char *told = temp_folder_read(plugin->folder, "plugin.args");
    _cleanup_(cleanup_free) char *info = temp_folder_read(plugin->folder, "plugin.info");
    assert_string_equal(told, "a b|$HOME|x y|");
    assert_string_equal(info,
        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
        "\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https://h\","
        "\"tls-server-name\":\"s\",\"certificate-authority-data\":\"Y2E=\",\"config\":\"mine\"}}}");
}

static void assert_fails(struct plugin *plugin, const char *script, enum err_kind kind, const char *expected)
{
    struct kube_exec_credential credential;
    struct err err = {0};
    assert_int_equal(run(plugin, script, 10000, &credential, &err), -1);
    if (err.kind != kind || !strstr(err.text, expected))
        fail_msg("%s: %s", err_kind_name(err.kind), err.text);
    assert_non_null(strstr(err.text, "credential plugin"));
}

static void failures_are_told(void **state)
{
    assert_fails(*state, "exit 3", ERR_DENIED, "exited with 3");
    assert_fails(*state, "kill -9 $$", ERR_DENIED, "signal 9");
    assert_fails(*state, "head -c 300000 /dev/zero", ERR_LIMIT, "output is larger");
    assert_fails(*state, "echo 's3cret'", ERR_INVALID, "not JSON");
    assert_fails(*state, "read line || exit 4", ERR_DENIED, "exited with 4"); /* nobody is asked */
}

static void a_missing_program_says_where_to_get_it(void **state)
{
    struct plugin *plugin = *state;
    struct kube_exec_credential credential;
    struct err err = {0};
    plugin->exec.command = (char[]){"no-such-plugin-at-all"};
    plugin->exec.install_hint = (char[]){"get it at the shop"};
    assert_int_equal(kube_exec_run(&plugin->config, 10000, &credential, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "get it at the shop"));
}

static void it_has_a_time_limit(void **state)
{
    struct kube_exec_credential credential;
    struct err err = {0};
    int64_t begun_ms = clock_now_ms(clock_system());
    assert_int_equal(run(*state, "tail -f /dev/null", 100, &credential, &err), -1);
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_true(clock_now_ms(clock_system()) - begun_ms < 5000);
}

/* What it leaves behind holds the pipe open, and is ended. */
static void its_children_do_not_matter(void **state)
{
    struct kube_exec_credential credential;
    struct err err = {0};
    int64_t begun_ms = clock_now_ms(clock_system());
    if (run(*state, "tail -f /dev/null &\n" SAY_TOKEN, 30000, &credential, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(clock_now_ms(clock_system()) - begun_ms < 10000);
    kube_exec_credential_done(&credential);
}

#define SAID(status) "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":" status "}"

static void output_is_checked(void **state)
{
    static const struct {
        const char *text, *expected;
    } WRONG[] = {
        {"{}", "no ExecCredential"},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"x\"}", "apiVersion \"x\""},
        {SAID("{}"), "neither a token"},
        {SAID("{\"token\":7}"), "must be a string"},
        {SAID("{\"clientCertificateData\":\"c\"}"), "come together"},
        {SAID("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}"), "RFC 3339"},
    };
    (void)state;
    struct kube_exec_credential credential;
    struct err err = {0};
    for (size_t at = 0; at < sizeof(WRONG) / sizeof(WRONG[0]); at++) {
        assert_int_equal(kube_exec_decode(WRONG[at].text, strlen(WRONG[at].text), V1, &credential, &err), -1);
        if (!strstr(err.text, WRONG[at].expected))
            fail_msg("row %zu: %s", at, err.text);
    }
    const char *both = SAID("{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\",\"token\":\"\"}");
    assert_int_equal(kube_exec_decode(both, strlen(both), V1, &credential, &err), 0);
    assert_null(credential.token);
    assert_string_equal(credential.key, "k");
    assert_true(credential.expires_at_ms == INT64_MAX);
    kube_exec_credential_done(&credential);
}

const struct CMUnitTest exec_tests[7] = {
    cmocka_unit_test_setup_teardown(a_token_comes, setup, teardown),
    cmocka_unit_test_setup_teardown(it_is_told_about_the_cluster, setup, teardown),
    cmocka_unit_test_setup_teardown(failures_are_told, setup, teardown),
    cmocka_unit_test_setup_teardown(a_missing_program_says_where_to_get_it, setup, teardown),
    cmocka_unit_test_setup_teardown(it_has_a_time_limit, setup, teardown),
    cmocka_unit_test_setup_teardown(its_children_do_not_matter, setup, teardown),
    cmocka_unit_test_setup_teardown(output_is_checked, setup, teardown),
};
