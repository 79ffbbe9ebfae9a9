#include "suites.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

struct result {
    enum exit_code code;
    char *out;
    char *errors;
};

static struct result histrio(size_t count, const char *const *arguments)
{
    struct result result = {0};
    size_t out_size, errors_size;
    FILE *out = open_memstream(&result.out, &out_size);
    FILE *errors = open_memstream(&result.errors, &errors_size);
    result.code = cli_main(false, (int)count, (char *const *)(uintptr_t)arguments, out, errors);
    (void)fclose(out);
    (void)fclose(errors);
    return result;
}

static void result_done(struct result *result)
{
    free(result->out);
    free(result->errors);
}

#define HISTRIO(...)                                                                                         \
    histrio(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void assert_fails(struct result result, enum exit_code code, const char *text)
{
    assert_int_equal(result.code, code);
    if (!strstr(result.errors, text))
        fail_msg("\"%s\" is not in \"%s\"", text, result.errors);
    /* One line. */
    assert_ptr_equal(strchr(result.errors, '\n'), result.errors + strlen(result.errors) - 1);
    result_done(&result);
}

static void test_usage_mistakes(void **state)
{
    (void)state;
    assert_fails(HISTRIO("fly"), CLI_USAGE, "no verb \"fly\"");
    assert_fails(HISTRIO("ask"), CLI_USAGE, "something is missing; usage: histrio ask SYSTEM/ACTOR METHOD");
    assert_fails(HISTRIO("stop", "a", "b"), CLI_USAGE, "too many arguments");
    assert_fails(HISTRIO("stop", "bank", "--force"), CLI_USAGE, "unknown option \"--force\"");
    assert_fails(HISTRIO("get", "actors"), CLI_USAGE, "the name of a system");
    assert_fails(HISTRIO("get", "cats", "bank"), CLI_USAGE, "nodes, units, actors or exits");
    assert_fails(HISTRIO("ask", "bank/a", "m", "{1}"), CLI_USAGE, "arguments must be JSON");
    assert_fails(HISTRIO("ask", "bank", "m"), CLI_USAGE, "write SYSTEM/ACTOR");
    assert_fails(HISTRIO("ask", "Bank!/a", "m"), CLI_USAGE, "is no address");
    assert_fails(
        HISTRIO("ask", "bank/a", "m", "--timeout", "soon"), CLI_USAGE, "--timeout: must be a duration");
    assert_fails(HISTRIO("explain", "bank"), CLI_USAGE, "write SYSTEM/UNIT");
    assert_fails(HISTRIO("run", "x.yaml", "--nodes", "0"), CLI_USAGE, "--nodes: must be a number from 1");
    assert_fails(HISTRIO("help", "fly"), CLI_USAGE, "no verb \"fly\"");
}

static void test_no_such_system(void **state)
{
    (void)state;
    assert_int_equal(setenv("HISTRIO_RUN_DIR", "/nonexistent/histrio", 1), 0);
    assert_fails(HISTRIO("run", "/nonexistent/app.py", "--fast"), CLI_NOT_FOUND, "app.py\": No such file");
    assert_fails(HISTRIO("get", "actors", "bank"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("describe", "bank"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("ask", "bank/a", "m"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("tell", "bank/a", "m", "[1]"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("explain", "bank/a"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("resume", "bank/a"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("stop", "bank"), CLI_NOT_FOUND, "no system \"bank\" runs");
    assert_fails(HISTRIO("logs", "bank/a"), CLI_NOT_FOUND, "no logs");
    struct result none = HISTRIO("get", "systems");
    assert_int_equal(none.code, CLI_OK);
    assert_string_equal(none.out, "");
    result_done(&none);
    none = HISTRIO("get", "systems", "-o", "json");
    assert_string_equal(none.out, "{\n  \"items\": []\n}\n");
    result_done(&none);
}

static void test_help_and_version(void **state)
{
    (void)state;
    struct result result = HISTRIO("version");
    assert_int_equal(result.code, CLI_OK);
    assert_string_equal(result.out, "histrio " HISTRIO_VERSION "\n");
    result_done(&result);
    result = HISTRIO("version", "-o", "yaml");
    assert_string_equal(result.out, "version: \"0.1.0\"\n");
    result_done(&result);
    result = HISTRIO("help");
    for (const struct verb *verb = verbs; verb->name; verb++)
        assert_non_null(strstr(result.out, verb->name));
    result_done(&result);
    result = HISTRIO("ask", "--help");
    assert_int_equal(result.code, CLI_OK);
    assert_non_null(strstr(result.out, "usage: histrio ask"));
    result_done(&result);
    result = HISTRIO("help", "exit-codes");
    assert_non_null(strstr(result.out, "  5  Uncertain"));
    result_done(&result);
    result = histrio(0, NULL);
    assert_int_equal(result.code, CLI_OK);
    result_done(&result);
}

/* What cannot be written is not a success. */
static void test_full_output(void **state)
{
    const char *arguments[] = {"help"};
    FILE *out = fopen("/dev/full", "w");
    FILE *errors = fopen("/dev/null", "w");
    (void)state;
    assert_int_equal(cli_main(false, 1, (char *const *)(uintptr_t)arguments, out, errors), CLI_FAILED);
    (void)fclose(out);
    (void)fclose(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_mistakes),
        cmocka_unit_test(test_no_such_system),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_full_output),
    };
    int failed = cmocka_run_group_tests_name("verbs", tests, NULL, NULL);
    failed += _cmocka_run_group_tests("texts", text_tests, text_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("rows", rows_tests, rows_test_count, NULL, NULL);
    failed += _cmocka_run_group_tests("manifests", manifest_tests, manifest_test_count, NULL, NULL);
    return failed + _cmocka_run_group_tests("logs", logs_tests, logs_test_count, NULL, NULL);
}
