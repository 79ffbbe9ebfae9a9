/* Frames, reasons and pages: bytes and texts in, structs and texts out. */
#include "unit/actor/support.h"

#include "base/limits.h"
#include "host/frame.h"
#include "host/page.h"
#include "host/reason.h"
#include "suites.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void frames_are_checked(void **state)
{
    (void)state;
    struct frame frame = {.size = 52, .kind = FRAME_ASK, .actor = 7, .number = UINT64_MAX}, got;
    uint8_t data[64] = {0};
    struct err err = {0};
    memcpy(data, &frame, sizeof(frame));
    assert_int_equal(frame_parse(data, 3, &got, &err), 0);
    assert_int_equal(got.size, 0);
    assert_int_equal(frame_parse(data, 51, &got, &err), 0);
    assert_int_equal(got.size, 52);
    assert_int_equal(frame_parse(data, 64, &got, &err), 1);
    assert_int_equal(got.actor, 7);
    assert_true(got.number == UINT64_MAX);
    assert_int_equal(frame_payload_bytes(&got), 4);
    static const uint32_t bad[] = {0, 47, LIMIT_HOST_FRAME_BYTES + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(data, &bad[i], sizeof(bad[i]));
        assert_int_equal(frame_parse(data, 64, &got, &err), -1);
    }
    static const uint8_t kinds[] = {0, FRAME_KIND_END, 255};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        frame.kind = kinds[i];
        memcpy(data, &frame, sizeof(frame));
        assert_int_equal(frame_parse(data, 64, &got, &err), -1);
    }
    assert_string_equal(frame_kind_name(FRAME_TRAP), "TRAP");
    assert_string_equal(frame_kind_name(FRAME_KIND_END), "?");
}

static void expect_reason(const struct reason_facts *facts, const char *wanted)
{
    char reason[REASON_BYTES];
    reason_write(facts, reason, sizeof(reason));
    assert_string_equal(reason, wanted);
}

static void reasons_name_the_end(void **state)
{
    (void)state;
    enum { EXIT_3 = 3 << 8 };
    expect_reason(
        &(struct reason_facts){.has_status = true, .status = SIGSEGV | 0x80, .trace = ""}, "SIGSEGV");
    expect_reason(&(struct reason_facts){.has_status = true, .status = EXIT_3, .trace = ""}, "exit code 3");
    expect_reason(&(struct reason_facts){.has_status = true, .status = SIGKILL, .trace = ""}, "SIGKILL");
    expect_reason(
        &(struct reason_facts){.has_status = true, .status = SIGKILL, .is_out_of_memory = true, .trace = ""},
        "SIGKILL (out of memory)");
    expect_reason(&(struct reason_facts){.trace = ""}, "connection closed");
    expect_reason(&(struct reason_facts){.has_status = true,
                      .status = SIGKILL,
                      .killed = "timeout",
                      .trace = "Current thread 0x1 (most recent call first):\n"
                               "  File \"/app/bank.py\", line 7 in wait\n"},
        "timeout bank.py:7 in wait");
}

static void reasons_name_the_place_in_c(void **state)
{
    (void)state;
    static const char crash[] = "signal 10\naddress 0\nunit u\nactor u/a\ntype slow\nbacktrace\n"
                                "/app/libold.so(receive+0x1)[0x1]\n"
                                "signal 6\naddress 0\nunit u\nactor u/a\ntype add\nbacktrace\n"
                                "/lib/x86_64-linux-gnu/libc.so.6(abort+0x12)[0x7f]\n"
                                "/app/libbank.so(count+0x1c)[0x7e]\n"
                                "/app/libbank.so(receive+0x2)[0x7d]\n"
                                "/usr/local/bin/histrio-host(main+0x3)[0x1]\n";
    char place[REASON_PLACE_BYTES], copy[sizeof(crash)];
    assert_true(reason_place(crash, place, sizeof(place)));
    assert_string_equal(place, "libbank.so in count+0x1c");
    expect_reason(&(struct reason_facts){.has_status = true, .status = SIGABRT, .trace = crash},
        "SIGABRT libbank.so in count+0x1c");
    memcpy(copy, crash, sizeof(copy));
    const char *stack = reason_stack(copy, 4096);
    assert_int_equal(strncmp(stack, "/lib/x86_64", 11), 0);
    assert_null(strstr(stack, "libold"));
    /* Nobody's frames but the system's, none at all, and cut off. */
    assert_true(reason_place("signal 11\nbacktrace\n/lib/libc.so.6(+0x1)[0x2]\n", place, sizeof(place)));
    assert_string_equal(place, "libc.so.6 in +0x1");
    assert_false(reason_place("signal 11\nbacktrace\n", place, sizeof(place)));
    assert_false(reason_place("signal 11\nbacktrace\n/app/libbank.so(rec", place, sizeof(place)));
}

static void reasons_name_the_place(void **state)
{
    (void)state;
    static const char crash[] =
        "Fatal Python error: Segmentation fault\n\n"
        "Thread 0x2 (most recent call first):\n"
        "  File \"/app/other.py\", line 1 in idle\n\n"
        "Current thread 0x1 (most recent call first):\n"
        "  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 519 in string_at\n"
        "  File \"/app/a folder/bank.py\", line 41 in add\n"
        "  File \"/usr/lib/python3/dist-packages/histrio/_worker.py\", line 9 in run\n";
    char place[REASON_PLACE_BYTES];
    assert_true(reason_place(crash, place, sizeof(place)));
    assert_string_equal(place, "bank.py:41 in add");
    /* The handler is in another thread than the one that got the signal. */
    static const char elsewhere[] = "Thread 0x2 (most recent call first):\n"
                                    "  File \"/app/bank.py\", line 5 in busy\n\n"
                                    "Current thread 0x1 (most recent call first):\n"
                                    "  File \"/usr/lib/python3.11/threading.py\", line 1 in wait\n";
    assert_true(reason_place(elsewhere, place, sizeof(place)));
    assert_string_equal(place, "bank.py:5 in busy");
    static const char ours[] = "Current thread 0x1 (most recent call first):\n"
                               "  File \"/x/histrio/_worker.py\", line 9 in run\n";
    assert_true(reason_place(ours, place, sizeof(place)));
    assert_string_equal(place, "_worker.py:9 in run");
    static const char *const none[] = {"", "Current thread", "Current thread 0x1\n",
        "Current thread \n  File \"", "Current thread \n  File \"a\", line x in y\n",
        "Current thread \n  File \"a\", line 1 i"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(reason_place(none[i], place, sizeof(place)));
}

/* A process that cut its page off would take the node along at the next look. */
static void a_page_keeps_its_size(void **state)
{
    (void)state;
    struct page page;
    struct page_view view;
    struct err err = {0};
    assert_int_equal(page_init(&page, &err), 0);
    assert_int_equal(ftruncate(page.page_fd, 0), -1);
    assert_int_equal(ftruncate(page.page_fd, 1 << 20), -1);
    page_look(&page, &view);
    assert_int_equal(view.executing, 0);
    page_done(&page);
}

const struct CMUnitTest pure_tests[] = {
    cmocka_unit_test(a_page_keeps_its_size),
    cmocka_unit_test(frames_are_checked),
    cmocka_unit_test(reasons_name_the_end),
    cmocka_unit_test(reasons_name_the_place),
    cmocka_unit_test(reasons_name_the_place_in_c),
};
const size_t pure_test_count = sizeof(pure_tests) / sizeof(pure_tests[0]);
