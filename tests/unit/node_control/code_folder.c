/* Where libraries may come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "node_control/code_folder.h"
#include "suites.h"

static char *write_file(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write_atomically(path, "x", 1, 0600, NULL), 0);
    return path;
}

static int make_folder(void **state)
{
    char template[] = "/tmp/histrio-code-XXXXXX";
    if (!mkdtemp(template))
        return -1;
    *state = xstrdup(template);
    return 0;
}

static int remove_folder(void **state)
{
    int result = file_remove_tree(*state, NULL);
    free(*state);
    return result;
}

static void expect_found(const char *path, const char *folder, const char *real)
{
    const char *const folders[] = {"/nonexistent", folder};
    struct err err = {0};
    char *found = NULL;
    if (code_folder_find(path, CODE_FILE, folders, 2, &found, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(found, real);
    free(found);
}

static void expect_refused(const char *path, const char *folder, enum err_kind kind)
{
    const char *const folders[] = {folder};
    struct err err = {0};
    char *found = NULL;
    assert_int_equal(code_folder_find(path, CODE_FILE, folders, 1, &found, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_null(found);
}

static void test_python_folders(void **state)
{
    const char *const folders[] = {*state};
    struct err err = {0};
    char *found = NULL, *below = file_join(*state, "modules");
    assert_int_equal(file_make_folder(below, 0700, NULL), 0);
    assert_int_equal(code_folder_find(".", CODE_FOLDER, folders, 1, &found, &err), 0);
    assert_string_equal(found, (const char *)*state); /* a code folder itself */
    free(steal_ptr(&found));
    assert_int_equal(code_folder_find("modules", CODE_FOLDER, folders, 1, &found, &err), 0);
    assert_string_equal(found, below);
    free(steal_ptr(&found));
    assert_int_equal(code_folder_find("modules", CODE_FILE, folders, 1, &found, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(code_folder_find("..", CODE_FOLDER, folders, 1, &found, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(code_folder_find("nowhere", CODE_FOLDER, folders, 1, &found, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    free(below);
}

static void test_folders(void **state)
{
    char *inside = file_join(*state, "code"), *beside = file_join(*state, "code2");
    assert_int_equal(file_make_folder(inside, 0700, NULL), 0);
    assert_int_equal(file_make_folder(beside, 0700, NULL), 0);
    char *good = write_file(inside, "good.so"), *other = write_file(beside, "other.so");
    char *link = file_join(inside, "link.so"), *climbing = file_join(inside, "../code2/other.so");
    assert_int_equal(symlink(other, link), 0);
    expect_found(good, inside, good);
    expect_found("good.so", inside, good);
    expect_refused(other, inside, ERR_DENIED); /* "code2" begins with "code", and is not in it */
    expect_refused(link, inside, ERR_DENIED);
    expect_refused(climbing, inside, ERR_DENIED);
    expect_refused("../code2/other.so", inside, ERR_DENIED);
    expect_refused("missing.so", inside, ERR_NOT_FOUND);
    expect_refused("/missing.so", inside, ERR_NOT_FOUND);
    expect_refused(beside, *state, ERR_INVALID); /* a folder is no library */
    free(inside);
    free(beside);
    free(good);
    free(other);
    free(link);
    free(climbing);
}

const struct CMUnitTest code_folder_tests[] = {
    cmocka_unit_test_setup_teardown(test_python_folders, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(test_folders, make_folder, remove_folder),
};
const size_t code_folder_test_count = sizeof(code_folder_tests) / sizeof(code_folder_tests[0]);
