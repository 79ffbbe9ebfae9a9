#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

static void str_grows_and_stays_ended(void **state)
{
    (void)state;
    _cleanup_(str_done) struct str str = STR_INIT(100000);
    assert_string_equal(str_text(&str), "");
    for (int i = 0; i < 5000; i++)
        str_appendf(&str, "%d,", i % 10);
    assert_int_equal(str.size, 10000);
    assert_int_equal(strlen(str.data), 10000);
    str_truncate(&str, 4);
    assert_string_equal(str.data, "0,1,");
    str_appendf(&str, "%0500d", 7); /* longer than the buffer on the stack */
    assert_int_equal(strlen(str.data), 504);
    _cleanup_(cleanup_free) char *stolen = str_steal(&str);
    assert_int_equal(strlen(stolen), 504);
    assert_string_equal(str_text(&str), "");
    _cleanup_(cleanup_free) char *nothing = str_steal(&str);
    assert_string_equal(nothing, "");
}

static void str_remembers_an_overflow(void **state)
{
    (void)state;
    struct err err = {0};
    _cleanup_(str_done) struct str str = STR_INIT(4);
    str_append(&str, "abcd");
    assert_int_equal(str_check(&str, "name", &err), 0);
    str_append_char(&str, 'e');
    assert_string_equal(str.data, "abcd");
    assert_null(str_extend(&str, 0)); /* nothing goes in behind a gap */
    assert_int_equal(str_check(&str, "name", &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.text, "name is larger than 4 bytes");
    str_clear(&str);
    str_append(&str, "xy");
    assert_int_equal(str_check(&str, "name", &err), 0);
    assert_string_equal(str.data, "xy");
}

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {{"", "\"\""}, {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\n\r\t\b\f\x01\x7f", "\"\\n\\r\\t\\b\\f\\u0001\\u007f\""},
        {"\xC3\xA9\xF0\x9F\x98\x80", "\"\xC3\xA9\xF0\x9F\x98\x80\""},
        {"\xFFx\xC3", "\"\xEF\xBF\xBDx\xEF\xBF\xBD\""},
        {"\xE2\x80\xA8\xC2\x85\xEF\xBB\xBF", "\"\\u2028\\u0085\\ufeff\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(str_done) struct str str = STR_INIT(1000);
        str_append_json_string(&str, cases[i].text);
        assert_string_equal(str_text(&str), cases[i].json);
    }
}

static void utf8_is_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80", "\xC1\x80", "\xC2", "\xE0\x9F\x80", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x28\xA1", "\xF0\x90\x28\x80"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void texts_are_cut_between_characters(void **state)
{
    static const char text[] = "a\u00e9\u20ac\U0001f389"; /* of 1, 2, 3 and 4 bytes */
    static const size_t sizes[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    (void)state;
    for (size_t size_max = 0; size_max < sizeof(sizes) / sizeof(sizes[0]); size_max++)
        assert_int_equal(text_cut(text, size_max), sizes[size_max]);
}

static void questions_about_texts(void **state)
{
    (void)state;
    assert_true(text_equal(NULL, NULL));
    assert_false(text_equal(NULL, "a"));
    assert_true(text_equal("a", "a"));
    assert_true(text_starts_with("bank/a", "bank/"));
    assert_false(text_starts_with("ban", "bank"));
    assert_true(text_ends_with("a.yaml", ".yaml"));
    assert_false(text_ends_with("yaml", ".yaml"));
    assert_true(text_is_dns_label("tellers-2"));
    static const char *const bad[] = {"", "-a", "a-", "A", "a.b", "a_b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_dns_label(bad[i]));
}

static void whole_numbers_are_strict(void **state)
{
    (void)state;
    uint64_t number = 99;
    struct err err = {0};
    assert_int_equal(text_to_u64("0", 10, &number, &err), 0);
    assert_int_equal(number, 0);
    assert_int_equal(text_to_u64("18446744073709551615", UINT64_MAX, &number, &err), 0);
    assert_true(number == UINT64_MAX);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "01", "1x", "0x1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(text_to_u64(bad[i], UINT64_MAX, &number, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
    assert_int_equal(text_to_u64("11", 10, &number, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(text_to_u64("18446744073709551616", UINT64_MAX, &number, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(number == UINT64_MAX);
}

static void base64_both_ways(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t size = 0; size < 200; size++) {
        uint8_t data[200];
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)rng_u64(&rng);
        _cleanup_(str_done) struct str text = STR_INIT(1000);
        _cleanup_(str_done) struct str back = STR_INIT(1000);
        base64_encode(data, size, &text);
        assert_int_equal(text.size, base64_size(size));
        assert_int_equal(base64_decode(str_text(&text), text.size, &back), 0);
        assert_int_equal(back.size, size);
        assert_memory_equal(str_text(&back), data, size);
    }
    static const char *const bad[] = {
        "a", "ab=", "abc", "====", "a===", "ab=c", "ab==abcd", "ab cd==", "aB==", "aaB=", "a\xC3\xA9="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        _cleanup_(str_done) struct str back = STR_INIT(1000);
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &back), -1);
    }
}

/* The numbers come from another implementation of XXH64. */
static void hashes_never_change(void **state)
{
    (void)state;
    assert_true(hash_string("bank/account/1") == hash_bytes("bank/account/1", 14));
    assert_true(hash_string("") == 0xF17BF25C0F393B42ULL);
    assert_true(hash_string("bank/ledger") == 0x1E66E333DBAC7E7BULL);
    assert_true(hash_string("bank/account/a-key-of-more-than-32-bytes") == 0x323588BEB2A20B01ULL);
    assert_true(hash_u64(1) == 0x283A72A5B9AB93D3ULL);
}

static void epochs_as_texts(void **state)
{
    (void)state;
    char text[EPOCH_TEXT_BYTES];
    uint64_t epoch = 0;
    assert_string_equal(epoch_format(epoch_make(1, 7), text), "1.7");
    assert_int_equal(epoch_parse(epoch_format(UINT64_MAX, text), &epoch, NULL), 0);
    assert_true(epoch == UINT64_MAX);
    static const char *const bad[] = {"", "1", ".1", "1.", "1.2.3", "4294967296.0", "01.1", "-1.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        assert_int_equal(epoch_parse(bad[i], &epoch, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void copies(void **state)
{
    (void)state;
    _cleanup_(cleanup_free) char *part = xstrndup("abcdef", 3);
    _cleanup_(cleanup_free) char *whole = xstrndup("ab", 30);
    _cleanup_(cleanup_free) char *made = xasprintf("%s-%d", "a", 5);
    assert_string_equal(part, "abc");
    assert_string_equal(whole, "ab");
    assert_string_equal(made, "a-5");
    char *taken = steal_ptr(&made);
    assert_null(made);
    free(taken);
    int fd = 5;
    assert_int_equal(steal_fd(&fd), 5);
    assert_int_equal(fd, -1);
}

static void allocate_everything(void)
{
    free(xreallocarray(NULL, SIZE_MAX / 2, 4));
}

static void no_memory_aborts(void **state)
{
    (void)state;
    assert_true(aborts(allocate_everything));
}

TEST_GROUP(text, cmocka_unit_test(str_grows_and_stays_ended), cmocka_unit_test(str_remembers_an_overflow),
    cmocka_unit_test(json_strings_are_always_valid), cmocka_unit_test(utf8_is_checked),
    cmocka_unit_test(texts_are_cut_between_characters), cmocka_unit_test(questions_about_texts),
    cmocka_unit_test(whole_numbers_are_strict), cmocka_unit_test(base64_both_ways),
    cmocka_unit_test(hashes_never_change), cmocka_unit_test(epochs_as_texts), cmocka_unit_test(copies),
    cmocka_unit_test(no_memory_aborts));
