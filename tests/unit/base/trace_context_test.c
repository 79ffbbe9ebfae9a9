/* Traceparents as W3C Trace Context, level 1, has receivers take them. */
#include "harness.h"

#include "base/trace_context.h"

#include <string.h>

#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

static void traceparents(void **state)
{
    static const uint8_t trace_id[16] = {
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
    struct trace_context context;
    (void)state;
    assert_true(trace_context_parse("00-" IDS "-01", &context));
    assert_memory_equal(context.trace_id, trace_id, sizeof(trace_id));
    assert_int_equal(context.parent_id[0], 0xb7);
    assert_int_equal(context.parent_id[7], 0x31);
    assert_int_equal(context.flags, 1);
    assert_true(trace_context_parse("00-" IDS "-03", &context));
    assert_int_equal(context.flags, 3);
}

static void later_versions(void **state)
{
    struct trace_context context;
    (void)state;
    assert_true(trace_context_parse("cc-" IDS "-ff", &context));
    assert_int_equal(context.flags, 1); /* the others may mean anything */
    assert_true(trace_context_parse("01-" IDS "-00-what the future brings", &context));
    assert_int_equal(context.flags, 0);
    assert_false(trace_context_parse("01-" IDS "-00.what the future brings", &context));
}

static void malformed_ones(void **state)
{
    static const char *const bad[] = {"", "0", "00", "00-", "00-" IDS, "00-" IDS "-", "00-" IDS "-0",
        "00-" IDS "-01-", "00-" IDS "-01-more", "00-" IDS "-011", "00-" IDS "-0g", "ff-" IDS "-01",
        " 00-" IDS "-01", "00-" IDS "-01 ", "000-" IDS "-01", "0-" IDS "-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319cc-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", "nonsense",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\xc3\xa9-01"};
    struct trace_context context;
    (void)state;
    memset(&context, 0x55, sizeof(context));
    const struct trace_context before = context;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (trace_context_parse(bad[i], &context))
            fail_msg("\"%s\"", bad[i]);
    assert_false(trace_context_parse(NULL, &context));
    assert_memory_equal(&context, &before, sizeof(context));
}

TEST_GROUP(trace_context, cmocka_unit_test(traceparents), cmocka_unit_test(later_versions),
    cmocka_unit_test(malformed_ones));
