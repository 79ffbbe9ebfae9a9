#include "kube/auth.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "kube/config.h"
#include "kube/http.h"
#include "unit/kube/suites.h"

#include "support/temp_folder.h" /* needs cmocka.h */

#define PEM(kind, content) "-----BEGIN " kind "-----\n" content "\n-----END " kind "-----\n"

static char API_VERSION[] = "client.authentication.k8s.io/v1";
static char SERVER[] = "https://h";

struct account {
    char *folder;
    struct clock_virtual clock;
    struct kube_config config;
    struct kube_auth *auth;
};

static int setup(void **state)
{
    struct account *account = xcalloc(1, sizeof(*account));
    account->folder = temp_folder_new();
    clock_virtual_init(&account->clock, NS_PER_S, 1767225600000); /* 2026-01-01 */
    account->config.server = SERVER;
    account->config.authority_file = file_join(account->folder, "ca.crt");
    account->config.token_file = file_join(account->folder, "token");
    temp_folder_write(account->folder, "ca.crt", PEM("CERTIFICATE", "one"), 0600);
    temp_folder_write(account->folder, "token", " t1\n", 0600);
    account->auth = kube_auth_new(&account->config, &account->clock.clock);
    *state = account;
    return 0;
}

static int teardown(void **state)
{
    struct account *account = *state;
    kube_auth_free(account->auth);
    free(account->config.authority_file);
    free(account->config.token_file);
    temp_folder_remove(account->folder);
    free(account);
    return 0;
}

static struct kube_credential get(struct account *account)
{
    struct kube_credential credential = {0};
    struct err err = {0};
    if (kube_auth_get(account->auth, &credential, &err) < 0)
        fail_msg("%s", err.text);
    return credential;
}

static void assert_token(struct account *account, const char *expected)
{
    struct kube_credential credential = get(account);
    assert_string_equal(credential.token, expected);
    kube_credential_done(&credential);
}

static void after(struct account *account, int64_t seconds)
{
    clock_virtual_advance(&account->clock, seconds * NS_PER_S);
}

static void files_are_read_each_minute(void **state)
{
    struct account *account = *state;
    assert_token(account, "t1");
    temp_folder_write(account->folder, "token", "t2", 0600);
    after(account, 59);
    assert_token(account, "t1");
    after(account, 2);
    assert_token(account, "t2");
}

static void the_old_token_stays_when_reading_fails(void **state)
{
    struct account *account = *state;
    assert_token(account, "t1");
    temp_folder_write(account->folder, "token", "\n", 0600);
    after(account, 61);
    assert_token(account, "t1");
    assert_int_equal(unlink(account->config.token_file), 0);
    after(account, 61);
    assert_token(account, "t1");
    temp_folder_write(account->folder, "token", "t3", 0600);
    after(account, 6); /* sooner than after a good one */
    assert_token(account, "t3");
}

static void a_refused_token_is_dropped(void **state)
{
    struct account *account = *state;
    struct kube_credential first = get(account);
    struct kube_credential none = {0};
    struct err err = {0};
    temp_folder_write(account->folder, "token", "t2", 0600);
    assert_true(kube_auth_reject(account->auth, first.number));
    assert_token(account, "t2");
    assert_true(kube_auth_reject(account->auth, first.number)); /* an old one: no matter */
    assert_int_equal(unlink(account->config.token_file), 0);
    assert_token(account, "t2");
    struct kube_credential second = get(account);
    assert_true(kube_auth_reject(account->auth, second.number));
    assert_int_equal(kube_auth_get(account->auth, &none, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    kube_credential_done(&first);
    kube_credential_done(&second);
}

static void a_fixed_token_is_kept(void **state)
{
    struct account *account = *state;
    struct kube_config config = account->config;
    config.token_file = NULL;
    config.token = (char[]){"fixed"};
    _cleanup_(kube_auth_freep) struct kube_auth *auth = kube_auth_new(&config, &account->clock.clock);
    struct kube_credential credential = {0};
    assert_int_equal(kube_auth_get(auth, &credential, NULL), 0);
    assert_string_equal(credential.token, "fixed");
    assert_false(kube_auth_reject(auth, credential.number));
    kube_credential_done(&credential);
}

static void authorities_are_replaced_by_whole_ones_only(void **state)
{
    struct account *account = *state;
    struct kube_credential first = get(account);
    temp_folder_write(account->folder, "ca.crt", "", 0600);
    after(account, 61);
    struct kube_credential second = get(account);
    assert_ptr_equal(second.tls, first.tls);
    temp_folder_write(account->folder, "ca.crt", "-----BEGIN CERTIFICATE-----\nhal", 0600);
    after(account, 61);
    struct kube_credential third = get(account);
    assert_ptr_equal(third.tls, first.tls);
    temp_folder_write(account->folder, "ca.crt", PEM("CERTIFICATE", "two"), 0600);
    kube_auth_doubt(account->auth, third.number); /* without waiting */
    struct kube_credential fourth = get(account);
    assert_ptr_not_equal(fourth.tls, first.tls);
    assert_non_null(strstr(fourth.tls->authorities, "two"));
    assert_true(fourth.number > first.number);
    kube_credential_done(&first);
    kube_credential_done(&second);
    kube_credential_done(&third);
    kube_credential_done(&fourth);
}

static void nothing_to_begin_with_is_an_error(void **state)
{
    struct account *account = *state;
    struct kube_credential credential = {0};
    struct err err = {0};
    assert_int_equal(unlink(account->config.authority_file), 0);
    assert_int_equal(kube_auth_get(account->auth, &credential, &err), -1);
    assert_non_null(strstr(err.text, "ca.crt"));
    temp_folder_write(account->folder, "ca.crt", "no certificate", 0600);
    assert_int_equal(kube_auth_get(account->auth, &credential, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    temp_folder_write(account->folder, "ca.crt", PEM("CERTIFICATE", "one"), 0600);
    temp_folder_write(account->folder, "token", "a\x01z", 0600);
    assert_int_equal(kube_auth_get(account->auth, &credential, &err), -1);
    assert_non_null(strstr(err.text, "control character"));
    temp_folder_write(account->folder, "token", "fine", 0600);
    assert_token(account, "fine");
}

/* A plugin that counts its runs: the token is the number. */
static struct kube_exec *counting_plugin(struct account *account, struct kube_exec *exec, const char *expiry)
{
    _cleanup_(cleanup_free) char *text =
        xasprintf("#!/bin/sh\necho x >>\"$0.runs\"\nprintf "
                  "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
                  "\"status\":{\"token\":\"r%%s\"%s}}' $(wc -l <\"$0.runs\")\n",
            expiry);
    temp_folder_write(account->folder, "plugin", text, 0700);
    *exec = (struct kube_exec){.command = file_join(account->folder, "plugin"), .api_version = API_VERSION};
    return exec;
}

static void a_plugin_runs_again_before_its_token_ends(void **state)
{
    struct account *account = *state;
    struct kube_exec exec;
    account->config.exec =
        counting_plugin(account, &exec, ",\"expirationTimestamp\":\"2026-01-01T00:05:00Z\"");
    free(account->config.token_file);
    account->config.token_file = NULL;
    assert_token(account, "r1");
    after(account, 200);
    assert_token(account, "r1");
    after(account, 89); /* 4:49 */
    assert_token(account, "r1");
    after(account, 2); /* 4:51: 9 s are left */
    assert_token(account, "r2");
    free(exec.command);
}

static void a_plugin_runs_again_when_its_token_is_refused(void **state)
{
    struct account *account = *state;
    struct kube_exec exec;
    struct err err = {0};
    account->config.exec = counting_plugin(account, &exec, "");
    free(account->config.token_file);
    account->config.token_file = NULL;
    struct kube_credential credential = get(account);
    assert_string_equal(credential.token, "r1");
    after(account, 100000);
    assert_token(account, "r1");
    assert_true(kube_auth_reject(account->auth, credential.number));
    assert_token(account, "r2");
    kube_credential_done(&credential);
    credential = get(account);
    assert_true(kube_auth_reject(account->auth, credential.number));
    kube_credential_done(&credential);
    temp_folder_write(account->folder, "plugin", "#!/bin/sh\nexit 1\n", 0700);
    assert_int_equal(kube_auth_get(account->auth, &credential, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    free(exec.command);
}

const struct CMUnitTest auth_tests[8] = {
    cmocka_unit_test_setup_teardown(files_are_read_each_minute, setup, teardown),
    cmocka_unit_test_setup_teardown(the_old_token_stays_when_reading_fails, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refused_token_is_dropped, setup, teardown),
    cmocka_unit_test_setup_teardown(a_fixed_token_is_kept, setup, teardown),
    cmocka_unit_test_setup_teardown(authorities_are_replaced_by_whole_ones_only, setup, teardown),
    cmocka_unit_test_setup_teardown(nothing_to_begin_with_is_an_error, setup, teardown),
    cmocka_unit_test_setup_teardown(a_plugin_runs_again_before_its_token_ends, setup, teardown),
    cmocka_unit_test_setup_teardown(a_plugin_runs_again_when_its_token_is_refused, setup, teardown),
};
