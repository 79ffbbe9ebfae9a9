/* The crash record: written by a child that really crashes, and read back, also when it is garbled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/symbols.h"
#include "base/thread.h"
#include "node/crash.h"
#include "suites.h"

static void executing(
    char *ret_unit, size_t unit_size, char *ret_actor, size_t actor_size, char *ret_type, size_t type_size)
{
    (void)snprintf(ret_unit, unit_size, "tellers.1");
    (void)snprintf(ret_actor, actor_size, "tellers.1/counter");
    (void)snprintf(ret_type, type_size, "crash");
}

static void crash_by_pointer(void)
{
    int *volatile nowhere = (int *)(uintptr_t)4096; /* not NULL: sanitizers make something else of that */
    *nowhere = 1;
}

static volatile int depth_sink;

__attribute__((noinline)) static int overflow(int depth)
{
    volatile char frame[4096];
    frame[depth % 4096] = (char)depth;
    depth_sink = frame[0];
    int deeper = depth < 1 << 24 ? overflow(depth + 1) : 0; /* far beyond any stack */
    return deeper + frame[depth % 4096];
}

static void crash_by_stack(void)
{
    depth_sink = overflow(0);
}

/* Runs `crash` in a child with the handler installed; returns its wait status and what the record says. */
static int crash_in_child(void (*crash)(void), struct life_end *end)
{
    char text[65536];
    int status = 0;
    int fd = memfd_create("record", MFD_CLOEXEC);
    assert_true(fd >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        if (crash_install(fd, executing, NULL) == 0)
            crash();
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ssize_t size = pread(fd, text, sizeof(text), 0);
    assert_true(size >= 0);
    crash_record_parse(text, (size_t)size, end);
    (void)close(fd);
    return status;
}

static void expect_attributed(int status, int signal_number, const struct life_end *end)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal_number);
    assert_string_equal(end->unit, "tellers.1");
    assert_string_equal(end->actor, "tellers.1/counter");
}

static void test_segfault(void **state)
{
    struct life_end end = {0};
    (void)state;
    int status = crash_in_child(crash_by_pointer, &end);
    expect_attributed(status, SIGSEGV, &end);
    /* The first frame is the one that did it; its function is known to the file only. */
    char named[LIFE_BACKTRACE_BYTES];
    assert_non_null(strstr(end.backtrace, "unit_node(+0x"));
    symbols_name_frames(end.backtrace, named, sizeof(named));
    const char *first = strstr(named, "(crash_by_pointer+0x");
    assert_non_null(first);
    assert_true(first < strchr(named, '\n'));
}

static void test_abort(void **state)
{
    struct life_end end = {0};
    (void)state;
    expect_attributed(crash_in_child(abort, &end), SIGABRT, &end);
}

static void test_stack_overflow_runs_on_the_other_stack(void **state)
{
    struct life_end end = {0};
    (void)state;
    expect_attributed(crash_in_child(crash_by_stack, &end), SIGSEGV, &end);
}

static void test_frames_without_a_name_stay(void **state)
{
    static const char *const texts[] = {"", "\n", "x", "x(+0x", "/nonexistent(+0x10)[0x1]\n",
        "/dev/null(+0x1)[0x1]", "/etc/passwd(+0x10)[0x1]\nlib.so(f+0x1)[0x2]\n",
        "(+0xffffffffffffffffff)[0x1]", "/tmp(+0x0)\n"};
    char out[256];
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        symbols_name_frames(texts[i], out, sizeof(out));
        assert_string_equal(out, texts[i]);
    }
    symbols_name_frames("/nonexistent(+0x10)[0x1]\n", out, 5);
    assert_string_equal(out, "/non");
}

/* Our own program with damaged headers and tables: any answer is fine, reading outside of it is not (the
 * sanitizers see the end of the mapping only by page, so the file is cut as well). */
static void test_damaged_files(void **state)
{
    struct str program = STR_INIT(64 * 1024 * 1024);
    char path[] = "/tmp/histrio-elf-XXXXXX";
    char line[128], out[256];
    struct rng rng;
    (void)state;
    rng_seed(&rng, 11);
    assert_int_equal(file_read("/proc/self/exe", 64 * 1024 * 1024, &program, NULL), 0);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (int i = 0; i < 60; i++) {
        size_t size = rng_one_in(&rng, 3) ? rng_below(&rng, program.size) : program.size;
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, program.data, size, 0), (ssize_t)size);
        for (int damage = 0; damage < 3; damage++) {
            uint64_t wrong = rng_u64(&rng);
            off_t at = (off_t)(rng_one_in(&rng, 2) ? rng_below(&rng, sizeof(Elf64_Ehdr))
                                                   : rng_below(&rng, size + 1));
            assert_int_equal(pwrite(fd, &wrong, 1 + rng_below(&rng, 8), at) > 0, 1);
        }
        (void)snprintf(
            line, sizeof(line), "%s(+0x%llx)[0x1]", path, (unsigned long long)rng_below(&rng, program.size));
        symbols_name_frames(line, out, sizeof(out));
        assert_true(text_starts_with(out, path));
    }
    (void)close(fd);
    (void)unlink(path);
    str_done(&program);
}

struct cutter {
    const struct str *program;
    int fd;
    _Atomic bool is_over;
};

/* Mends the file and cuts it off, whole for some time, for as long as somebody reads it. */
static void cut(void *data)
{
    struct cutter *cutter = data;
    struct rng rng;
    bool is_written = true;
    rng_seed(&rng, 12);
    while (is_written && !cutter->is_over) {
        is_written = pwrite(cutter->fd, cutter->program->data, cutter->program->size, 0) > 0;
        int64_t until_ns = clock_now_ns(clock_system()) + (int64_t)rng_below(&rng, NS_PER_MS);
        while (clock_now_ns(clock_system()) < until_ns)
            continue;
        is_written = is_written && ftruncate(cutter->fd, 0) == 0;
    }
}

/* A trace may name a file of its writer, who can cut it off at any time. */
static void test_files_that_shrink(void **state)
{
    struct str program = STR_INIT(64 * 1024 * 1024);
    char path[] = "/tmp/histrio-elf-XXXXXX";
    char line[128], out[256];
    struct thread *thread;
    (void)state;
    assert_int_equal(file_read("/proc/self/exe", 64 * 1024 * 1024, &program, NULL), 0);
    struct cutter cutter = {.program = &program, .fd = mkstemp(path)};
    assert_true(cutter.fd >= 0);
    (void)snprintf(line, sizeof(line), "%s(+0xffffffff)[0x1]", path); /* all symbols are looked at */
    assert_int_equal(thread_start(&thread, "cutter", cut, &cutter, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        symbols_name_frames(line, out, sizeof(out));
        assert_string_equal(out, line);
    }
    cutter.is_over = true;
    thread_join(thread);
    (void)close(cutter.fd);
    (void)unlink(path);
    str_done(&program);
}

/* One of symbols without end, which takes no room on its disk. */
static void test_very_large_files(void **state)
{
    enum { LINES = 16 };
    char path[] = "/tmp/histrio-elf-XXXXXX";
    struct str lines = STR_INIT(4096);
    char out[4096];
    const uint64_t size = UINT64_C(1) << 36;
    const Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
        .e_shoff = sizeof(header),
        .e_shnum = 1,
        .e_shentsize = sizeof(Elf64_Shdr)};
    const Elf64_Shdr symbols = {.sh_type = SHT_SYMTAB, .sh_offset = 4096, .sh_size = size - 4096};
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(pwrite(fd, &symbols, sizeof(symbols), sizeof(header)), sizeof(symbols));
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    for (int i = 0; i < LINES; i++)
        str_appendf(&lines, "%s(+0x1)[0x1]\n", path);
    symbols_name_frames(str_text(&lines), out, sizeof(out)); /* ends soon */
    assert_string_equal(out, str_text(&lines));
    str_done(&lines);
    (void)close(fd);
    (void)unlink(path);
}

static void test_garbled_records(void **state)
{
    char text[600];
    struct rng rng;
    struct life_end end;
    (void)state;
    rng_seed(&rng, 7);
    memset(&end, 'x', sizeof(end));
    crash_record_parse("", 0, &end);
    assert_string_equal(end.unit, "");
    assert_string_equal(end.backtrace, "");
    for (int i = 0; i < 2000; i++) {
        int head = snprintf(text, sizeof(text), "signal 11\nunit %s\nactor a\nbacktrace\n", "u\xff\x01");
        size_t size = (size_t)head + rng_below(&rng, sizeof(text) - (size_t)head);
        for (size_t at = (size_t)head; at < size; at++)
            text[at] = (char)rng_u64(&rng);
        text[rng_below(&rng, size)] = (char)rng_u64(&rng);
        crash_record_parse(text, size - rng_below(&rng, size), &end);
        for (const char *at = end.backtrace; *at; at++)
            assert_true((*at >= ' ' && *at <= '~') || *at == '\n');
        assert_true(strlen(end.unit) < sizeof(end.unit));
    }
}

static void test_long_record_is_cut(void **state)
{
    static char text[3 * LIFE_BACKTRACE_BYTES];
    struct life_end end;
    (void)state;
    int head = snprintf(text, sizeof(text), "unit u\nbacktrace\n");
    memset(text + head, 'f', sizeof(text) - (size_t)head);
    crash_record_parse(text, sizeof(text), &end);
    assert_string_equal(end.unit, "u");
    assert_int_equal(strlen(end.backtrace), LIFE_BACKTRACE_BYTES - 1);
}

const struct CMUnitTest crash_tests[] = {
    cmocka_unit_test(test_segfault),
    cmocka_unit_test(test_abort),
    cmocka_unit_test(test_stack_overflow_runs_on_the_other_stack),
    cmocka_unit_test(test_frames_without_a_name_stay),
    cmocka_unit_test(test_damaged_files),
    cmocka_unit_test(test_files_that_shrink),
    cmocka_unit_test(test_very_large_files),
    cmocka_unit_test(test_garbled_records),
    cmocka_unit_test(test_long_record_is_cut),
};
const size_t crash_test_count = sizeof(crash_tests) / sizeof(crash_tests[0]);
