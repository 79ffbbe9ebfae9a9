/* What a node takes from its environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "node/environment.h"
#include "suites.h"

struct setting {
    const char *name, *value;
};

/* A whole environment, with one setting replaced (NULL value: absent) or added. */
static const char *get(const char *name, void *ctx)
{
    static const struct setting whole[] = {{"HISTRIO_SYSTEM", "bank"}, {"HISTRIO_SYSTEM_UID", "u-1"},
        {"HISTRIO_NODE_NAME", "bank-nodes-0"}, {"HISTRIO_POD_UID", "p-1"},
        {"HISTRIO_CREDENTIAL", "00112233445566778899aabbccddeeff"},
        {"HISTRIO_CONTROL_ADDRESS", "unix:/run/x/control.sock"}, {"HISTRIO_LINK_ADDRESS", "127.0.0.1:0"},
        {"HISTRIO_GATEWAY_ADDRESS", "[::]:7071"}, {"HISTRIO_CODE_FOLDERS", "/app:/lib/code"}};
    const struct setting *replaced = ctx;
    if (replaced && strcmp(replaced->name, name) == 0)
        return replaced->value;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (strcmp(whole[i].name, name) == 0)
            return whole[i].value;
    return NULL;
}

static void test_whole(void **state)
{
    struct environment environment;
    struct str problems = STR_INIT(4096);
    (void)state;
    assert_int_equal(environment_read(get, NULL, &environment, &problems), 0);
    assert_string_equal(str_text(&problems), "");
    assert_string_equal(environment.system, "bank");
    assert_string_equal(environment.zone, "");
    assert_string_equal(environment.http_address, "");
    assert_string_equal(environment.tls_folder, "");
    assert_string_equal(environment.pod_ip, "");
    assert_int_equal(environment.credential_size, 16);
    assert_int_equal(environment.credential[15], 0xff);
    assert_int_equal(environment.code_folders.count, 2);
    assert_string_equal(environment.code_folders.items[1], "/lib/code");
    assert_int_equal(environment.report_fd, -1);
    assert_int_equal(environment.drain_timeout_ms, 10000);
    environment_done(&environment);
    str_done(&problems);
}

static void test_each_mistake_is_one_line(void **state)
{
    static const struct setting wrong[] = {{"HISTRIO_SYSTEM", NULL}, {"HISTRIO_SYSTEM", "Bank"},
        {"HISTRIO_SYSTEM", "a23456789-123456789-123456789-123456789-1"}, {"HISTRIO_SYSTEM_UID", ""},
        {"HISTRIO_NODE_NAME", "\xff"}, {"HISTRIO_CREDENTIAL", "0011"}, {"HISTRIO_CREDENTIAL", NULL},
        {"HISTRIO_CREDENTIAL", "00112233445566778899AABBCCDDEEFF"},
        {"HISTRIO_CONTROL_ADDRESS", "unix:relative"}, {"HISTRIO_LINK_ADDRESS", "nowhere"},
        {"HISTRIO_GATEWAY_ADDRESS", "host:99999"}, {"HISTRIO_CODE_FOLDERS", "relative"},
        {"HISTRIO_HTTP_ADDRESS", "7072"}, {"HISTRIO_TLS_FOLDER", "tls"}, {"HISTRIO_POD_IP", "pod-1"},
        {"HISTRIO_TERMINATION_LOG", "log"}, {"HISTRIO_REPORT_FD", "-1"}, {"HISTRIO_WORKERS", "0"},
        {"HISTRIO_WORKERS", "many"}, {"HISTRIO_HANDLER_TIMEOUT_MS", "1.5"}, {"HISTRIO_LOG_LEVEL", "loud"}};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct setting setting = wrong[i];
        struct environment environment;
        struct str problems = STR_INIT(4096);
        if (environment_read(get, &setting, &environment, &problems) != 1)
            fail_msg(
                "%s=%s: %s", setting.name, setting.value ? setting.value : "(none)", str_text(&problems));
        assert_true(text_starts_with(str_text(&problems), setting.name));
        assert_ptr_equal(strchr(problems.data, '\n'), problems.data + problems.size - 1);
        environment_done(&environment);
        str_done(&problems);
    }
}

static const char *get_nothing(const char *name, void *ctx)
{
    (void)name;
    (void)ctx;
    return NULL;
}

static void test_all_mistakes_at_once(void **state)
{
    struct environment environment;
    struct str problems = STR_INIT(4096);
    (void)state;
    assert_int_equal(environment_read(get_nothing, NULL, &environment, &problems), 9);
    environment_done(&environment);
    str_done(&problems);
}

/* In a pod: certificates in place of the credential. */
static const char *get_in_pod(const char *name, void *ctx)
{
    struct setting absent = {"HISTRIO_CREDENTIAL", NULL};
    if (strcmp(name, "HISTRIO_TLS_FOLDER") == 0)
        return "/etc/histrio/tls";
    if (strcmp(name, "HISTRIO_POD_IP") == 0)
        return "fd00::1";
    return get(name, ctx && strcmp(name, "HISTRIO_CREDENTIAL") != 0 ? ctx : &absent);
}

static void test_pod(void **state)
{
    struct environment environment;
    struct str problems = STR_INIT(4096);
    struct setting bad_uid = {"HISTRIO_SYSTEM_UID", "no label"};
    (void)state;
    assert_int_equal(environment_read(get_in_pod, NULL, &environment, &problems), 0);
    assert_string_equal(environment.tls_folder, "/etc/histrio/tls");
    assert_string_equal(environment.pod_ip, "fd00::1");
    assert_int_equal(environment.credential_size, 0);
    environment_done(&environment);
    assert_int_equal(environment_read(get_in_pod, &bad_uid, &environment, &problems), 1);
    assert_true(text_starts_with(str_text(&problems), "HISTRIO_SYSTEM_UID: must be a DNS label"));
    environment_done(&environment);
    str_done(&problems);
}

static void test_secret_appears_in_no_message(void **state)
{
    struct setting setting = {"HISTRIO_CREDENTIAL", "secret-and-no-hex"};
    struct environment environment;
    struct str problems = STR_INIT(4096);
    (void)state;
    assert_int_equal(environment_read(get, &setting, &environment, &problems), 1);
    assert_null(strstr(str_text(&problems), "secret"));
    environment_done(&environment);
    str_done(&problems);
}

const struct CMUnitTest environment_tests[] = {
    cmocka_unit_test(test_whole),
    cmocka_unit_test(test_each_mistake_is_one_line),
    cmocka_unit_test(test_all_mistakes_at_once),
    cmocka_unit_test(test_pod),
    cmocka_unit_test(test_secret_appears_in_no_message),
};
const size_t environment_test_count = sizeof(environment_tests) / sizeof(environment_tests[0]);
