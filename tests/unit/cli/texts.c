/* Options, addresses, ages, tables, exit codes. */
#include "suites.h"

#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/address.h"
#include "cli/age.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

#define PARSE(known, options, err, ...)                                                                      \
    options_parse((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                             \
        (char *const *)(uintptr_t)(const char *[]){__VA_ARGS__}, (known), (options), (err))

static const unsigned all = ~0u;

static void test_options(void **state)
{
    struct options options;
    (void)state;
    assert_int_equal(PARSE(all, &options, NULL, "bank/a", "-o", "json", "--timeout=250ms", "-f", "deposit",
                         "--nodes", "5", "--dry-run", "--detach", "--lines=7", "--", "-x", "-"),
        0);
    assert_int_equal(options.words.count, 4);
    assert_string_equal(options.words.items[0], "bank/a");
    assert_string_equal(options.words.items[2], "-x");
    assert_string_equal(options.words.items[3], "-");
    assert_int_equal(options.output, OUTPUT_JSON);
    assert_int_equal(options.timeout_ms, 250);
    assert_int_equal(options.nodes, 5);
    assert_int_equal(options.lines, 7);
    assert_true(options.follow && options.dry_run && options.detach && !options.is_help);
    options_done(&options);
    assert_int_equal(PARSE(all, &options, NULL, "-owide", "-h"), 0);
    assert_int_equal(options.output, OUTPUT_WIDE);
    assert_true(options.is_help);
    assert_int_equal(options.timeout_ms, -1);
    options_done(&options);
}

static void assert_refused(const char *first, const char *second, unsigned known, const char *text)
{
    struct options options;
    struct err err = {0};
    const char *arguments[] = {first, second};
    assert_int_equal(
        options_parse(second ? 2 : 1, (char *const *)(uintptr_t)arguments, known, &options, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    options_done(&options);
}

static void test_bad_options(void **state)
{
    (void)state;
    assert_refused("--dry-run=yes", NULL, all, "takes no value");
    assert_refused("--nodes", NULL, all, "needs a value");
    assert_refused("-o", "xml", all, "json, yaml or wide");
    assert_refused("--nodes", "many", all, "must be a number");
    assert_refused("--lines", "-1", all, "whole number");
    assert_refused("--timeout", "0s", all, "above 0");
    assert_refused("--follow", NULL, OPTION_OUTPUT, "unknown option");
    assert_refused("--nodesx", NULL, all, "unknown option");
    assert_refused("-z", NULL, all, "unknown option");
}

static void assert_address(const char *text, const char *system, const char *path)
{
    struct address address;
    assert_int_equal(address_parse(text, &address, NULL), 0);
    assert_string_equal(address.system, system);
    assert_string_equal(address.path, path);
    address_done(&address);
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"", "/a", "bank/", "bank//a", "bank/a/", "Bank/a", "-bank",
        "a-name-that-is-longer-than-forty-characters-is/a"};
    (void)state;
    assert_address("bank", "bank", "");
    assert_address("bank/tellers.0/counter", "bank", "tellers.0/counter");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct address address;
        struct err err = {0};
        assert_int_equal(address_parse(bad[i], &address, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void test_ages(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {{-5, "0s"}, {999, "0s"}, {119 * 1000, "119s"}, {252 * 1000, "4m12s"}, {240 * 1000, "4m"},
        {720 * 1000, "12m"}, {179LL * 60 * 1000, "179m"}, {5LL * 3600 * 1000, "5h"},
        {72LL * 3600 * 1000, "3d"}};
    char buffer[AGE_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(age_format(rows[i].ms, buffer), rows[i].text);
    assert_int_equal(age_parse_time("1970-01-01T00:00:01.250Z"), 1250);
    assert_int_equal(age_parse_time("2026-11-23T12:00:00Z"), 1795435200000);
    assert_int_equal(age_parse_time("yesterday"), 0);
}

static void test_table(void **state)
{
    static const char *const headings[] = {"ACTOR", "NODE", "LAST EXIT", NULL};
    struct table table;
    struct str text = STR_INIT(1000);
    (void)state;
    table_init(&table, headings);
    table_add(&table, "bank/ledger");
    table_add(&table, "n-0");
    table_add(&table, NULL);
    table_add(&table, "bank/a");
    table_addf(&table, "n-%d", 10);
    table_add(&table, "error:\x1b[2J\nboom");
    table_write(&table, &text);
    assert_string_equal(str_text(&text), "ACTOR         NODE   LAST EXIT\n"
                                         "bank/ledger   n-0\n"
                                         "bank/a        n-10   error: [2J boom\n");
    str_done(&text);
    table_done(&table);
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of_answer(0), CLI_OK);
    assert_int_equal(exit_code_of_answer(1), CLI_NOT_FOUND);
    assert_int_equal(exit_code_of_answer(3), CLI_UNCERTAIN);
    assert_int_equal(exit_code_of_answer(8), CLI_USAGE);
    assert_int_equal(exit_code_of_answer(10), CLI_DENIED);
    assert_int_equal(exit_code_of_answer(11), CLI_FAILED);
    assert_int_equal(exit_code_of_answer(-1), CLI_FAILED);
    assert_string_equal(exit_code_answer_name(2), "Unavailable");
    assert_string_equal(exit_code_answer_name(8), "BadArgument");
    assert_string_equal(exit_code_answer_name(99), "unknown error");
    /* Each code once, and every kind of error has one. */
    for (int code = 0; exit_code_rows[code].name; code++)
        assert_int_equal(exit_code_rows[code].code, code);
    for (int kind = ERR_SYSTEM; kind <= ERR_LIMIT; kind++) {
        struct err err = {.kind = (enum err_kind)kind};
        assert_int_not_equal(exit_code_of_err(&err), CLI_OK);
    }
    assert_int_equal(exit_code_of_err(&(struct err){.kind = ERR_CONFLICT}), CLI_CONFLICT);
}

/* docs/cli.md has the same list; tests run in the folder of the sources. */
static void test_documented_exit_codes(void **state)
{
    struct str text = STR_INIT(1000000);
    (void)state;
    assert_int_equal(file_read("docs/cli.md", 1000000, &text, NULL), 0);
    for (const struct exit_code_row *row = exit_code_rows; row->name; row++) {
        char line[200];
        (void)snprintf(line, sizeof(line), "| %d | %s | %s |", (int)row->code, row->name, row->meaning);
        if (!strstr(str_text(&text), line))
            fail_msg("docs/cli.md has not: %s", line);
    }
    str_done(&text);
}

const struct CMUnitTest text_tests[] = {
    cmocka_unit_test(test_options),
    cmocka_unit_test(test_bad_options),
    cmocka_unit_test(test_addresses),
    cmocka_unit_test(test_ages),
    cmocka_unit_test(test_table),
    cmocka_unit_test(test_exit_codes),
    cmocka_unit_test(test_documented_exit_codes),
};
const size_t text_test_count = sizeof(text_tests) / sizeof(text_tests[0]);
