/* What a parent tells the next runtime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "node_control/life.h"
#include "suites.h"

static struct life_end end_of(uint64_t uid, int signal_number)
{
    struct life_end end = {.node_uid = uid, .signal = signal_number};
    (void)snprintf(end.unit, sizeof(end.unit), "tellers.1"); /* fits */
    (void)snprintf(end.backtrace, sizeof(end.backtrace), "lib.so(f+0x1) \"q\"\nlib.so(g)\n");
    return end;
}

static void test_uid_text(void **state)
{
    static const char *const bad[] = {"", "12", "00000000000000zz", "00000000000000000", "0000000000000AAA"};
    char text[LIFE_UID_BYTES];
    uint64_t uid = 0;
    (void)state;
    assert_string_equal(life_uid_format(0xabc, text), "0000000000000abc");
    assert_int_equal(life_uid_parse("fffffffffffffffe", &uid, NULL), 0);
    assert_true(uid == UINT64_MAX - 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(life_uid_parse(bad[i], &uid, NULL), -1);
}

static void test_round_trip(void **state)
{
    struct life life = {.node_uid = 1}, read = {0};
    struct str text = STR_INIT(LIFE_DOCUMENT_BYTES);
    struct err err = {0};
    (void)state;
    for (uint64_t uid = 1; uid <= 3; uid++) {
        struct life_end end = end_of(uid, SIGSEGV);
        life_advance(&life, &end, uid + 1);
    }
    life_write(&life, &text);
    if (life_read(text.data, text.size, &read, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(read.node_uid, 4);
    assert_true(read.has_previous);
    assert_int_equal(read.previous.node_uid, 3);
    assert_int_equal(read.previous.signal, SIGSEGV);
    assert_string_equal(read.previous.unit, "tellers.1");
    assert_string_equal(read.previous.backtrace, life.previous.backtrace);
    assert_int_equal(read.earlier.count, 2);
    assert_int_equal(read.earlier.items[0], 1);
    assert_int_equal(read.earlier.items[1], 2);
    life_done(&read);
    life_done(&life);
    str_done(&text);
}

static void test_full_life_fits_its_document(void **state)
{
    struct life life = {.node_uid = 1};
    struct str text = STR_INIT(LIFE_DOCUMENT_BYTES);
    (void)state;
    for (uint64_t uid = 1; uid < LIFE_EARLIER_MAX + 10; uid++) {
        struct life_end end = end_of(uid, SIGKILL);
        memset(end.backtrace, '"', sizeof(end.backtrace) - 1);
        life_advance(&life, &end, uid + 1);
    }
    assert_int_equal(life.earlier.count, LIFE_EARLIER_MAX);
    assert_int_equal(
        life.earlier.items[LIFE_EARLIER_MAX - 1], LIFE_EARLIER_MAX + 8); /* the oldest are forgotten */
    life_write(&life, &text);
    assert_int_equal(str_check(&text, "life", NULL), 0);
    life_done(&life);
    str_done(&text);
}

static void test_broken_documents(void **state)
{
    static const char *const bad[] = {"", "{}", "[]", "{\"uid\":7}",
        "{\"uid\":\"0000000000000001\",\"previous\":{}}",
        "{\"uid\":\"0000000000000001\",\"earlier\":[\"x\"]}",
        "{\"uid\":\"0000000000000001\",\"previous\":[1]}"};
    struct life life = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        if (life_read(bad[i], strlen(bad[i]), &life, &err) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_true(text_starts_with(err.text, "life"));
    }
}

const struct CMUnitTest life_tests[] = {
    cmocka_unit_test(test_uid_text),
    cmocka_unit_test(test_round_trip),
    cmocka_unit_test(test_full_life_fits_its_document),
    cmocka_unit_test(test_broken_documents),
};
const size_t life_test_count = sizeof(life_tests) / sizeof(life_tests[0]);
