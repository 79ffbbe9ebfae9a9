#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static char folder[] = "/tmp/histrio-base-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    struct stat status;
    return file_remove_tree(folder, NULL) < 0 || stat(folder, &status) == 0 ? -1 : 0;
}

static void written_files_read_back(void **state)
{
    (void)state;
    _cleanup_(cleanup_free) char *path = file_join(folder, "fence");
    _cleanup_(str_done) struct str text = STR_INIT(1000);
    struct stat status;
    assert_int_equal(file_write_atomically(path, "old", 3, 0600, NULL), 0);
    assert_int_equal(file_write_atomically(path, "a\0b", 3, 0640, NULL), 0);
    assert_int_equal(file_read(path, 3, &text, NULL), 0);
    assert_int_equal(text.size, 3);
    assert_memory_equal(text.data, "a\0b", 3);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void reading_says_what_is_wrong(void **state)
{
    (void)state;
    struct err err = {0};
    _cleanup_(str_done) struct str text = STR_INIT(1000);
    _cleanup_(cleanup_free) char *path = file_join(folder, "large");
    assert_int_equal(file_read(path, 10, &text, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(file_read(folder, 10, &text, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(file_write_atomically(path, "12345678901", 11, 0600, NULL), 0);
    assert_int_equal(file_read(path, 10, &text, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(truncate(path, 1LL << 40), 0); /* a terabyte of holes is refused without reading it */
    assert_int_equal(file_read(path, 10, &text, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(text.size, 0);
    _cleanup_(cleanup_free) char *pipe = file_join(folder, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(file_read(pipe, 10, &text, &err), -1); /* does not wait for a writer */
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(file_read("/proc/self/stat", 10, &text, &err), -1); /* says that it has 0 bytes */
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void failed_writes_leave_nothing(void **state)
{
    (void)state;
    struct err err = {0};
    _cleanup_(cleanup_free) char *path = file_join(folder, "a-folder");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_write_atomically(path, "x", 1, 0600, &err), -1); /* no rename over a folder */
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0); /* empty: the temporary file is gone */
    assert_int_equal(file_write_atomically(path, "x", 1, 0600, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void folders_with_parents(void **state)
{
    (void)state;
    struct err err = {0};
    _cleanup_(cleanup_free) char *path = file_join(folder, "a//b/c/");
    _cleanup_(cleanup_free) char *inner = file_join(path, "file");
    _cleanup_(cleanup_free) char *below = file_join(inner, "x");
    assert_int_equal(file_make_folder(path, 0700, NULL), 0);
    assert_int_equal(file_make_folder(path, 0700, NULL), 0);
    assert_int_equal(file_write_atomically(inner, "", 0, 0600, NULL), 0);
    assert_int_equal(file_make_folder(inner, 0700, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(file_make_folder(below, 0700, &err), -1);
    assert_int_equal(file_make_folder("", 0700, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

static void links_are_removed_and_not_followed(void **state)
{
    (void)state;
    _cleanup_(cleanup_free) char *outside = file_join(folder, "outside");
    _cleanup_(cleanup_free) char *kept = file_join(outside, "kept");
    _cleanup_(cleanup_free) char *inside = file_join(folder, "inside");
    _cleanup_(cleanup_free) char *link = file_join(inside, "link");
    struct stat status;
    assert_int_equal(file_make_folder(outside, 0700, NULL), 0);
    assert_int_equal(file_make_folder(inside, 0700, NULL), 0);
    assert_int_equal(file_write_atomically(kept, "", 0, 0600, NULL), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(file_remove_tree(inside, NULL), 0);
    assert_int_equal(stat(inside, &status), -1);
    assert_int_equal(stat(kept, &status), 0);
    assert_int_equal(file_remove_tree(inside, NULL), 0);
}

static void locks_exclude(void **state)
{
    (void)state;
    struct err err = {0};
    int first = -1;
    int second = -1;
    _cleanup_(cleanup_free) char *path = file_join(folder, "lock");
    assert_int_equal(file_lock(path, &first, NULL), 0);
    assert_int_equal(file_lock(path, &second, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_int_equal(second, -1);
    assert_int_equal(close(first), 0);
    assert_int_equal(file_lock(path, &second, &err), 0);
    assert_int_equal(close(second), 0);
}

static void parts_of_paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}};
    for (size_t i = 0; i < 3; i++) {
        _cleanup_(cleanup_free) char *joined = file_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
    }
    static const char *const folders[][2] = {{"a/b", "a"}, {"/a", "/"}, {"a", "."}};
    for (size_t i = 0; i < 3; i++) {
        _cleanup_(cleanup_free) char *found = file_folder_of(folders[i][0]);
        assert_string_equal(found, folders[i][1]);
    }
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
TEST_GROUP(file, in_folder(written_files_read_back), in_folder(reading_says_what_is_wrong),
    in_folder(failed_writes_leave_nothing), in_folder(folders_with_parents),
    in_folder(links_are_removed_and_not_followed), in_folder(locks_exclude),
    cmocka_unit_test(parts_of_paths));
