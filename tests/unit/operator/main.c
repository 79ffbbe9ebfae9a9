#include "suites.h"

#include "base/err.h"
#include "operator/fence_file.h"
#include "operator/run_folder.h"
#include "support/temp_folder.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int full_disk(const char *path, const void *data, size_t size, mode_t mode, struct err *err)
{
    (void)data;
    (void)size;
    (void)mode;
    return err_set_errno(err, ENOSPC, "write \"%s\"", path);
}

static void test_fence_file(void **state)
{
    char *folder = temp_folder_new();
    char *state_folder = file_join(folder, "a/b");
    struct fence_file *file = NULL;
    struct str text = STR_INIT(1000);
    struct err err = {0};
    (void)state;
    assert_int_equal(fence_file_open(state_folder, NULL, &file, NULL), 0);
    assert_int_equal(fence_file_read(file, &text, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(fence_file_write(file, "one", 3, NULL), 0);
    assert_int_equal(fence_file_write(file, "two!", 4, NULL), 0);
    assert_int_equal(fence_file_read(file, &text, NULL), 0);
    assert_string_equal(str_text(&text), "two!");
    fence_file_free(file);
    str_clear(&text);
    assert_int_equal(fence_file_open(state_folder, NULL, &file, NULL), 0); /* the next run */
    assert_int_equal(fence_file_read(file, &text, NULL), 0);
    assert_string_equal(str_text(&text), "two!");
    fence_file_free(file);
    str_done(&text);
    free(state_folder);
    temp_folder_remove(folder);
}

static void test_fence_file_on_full_disk(void **state)
{
    char *folder = temp_folder_new();
    struct fence_file *file = NULL;
    struct str text = STR_INIT(1000);
    struct err err = {0};
    (void)state;
    assert_int_equal(fence_file_open(folder, NULL, &file, NULL), 0);
    assert_int_equal(fence_file_write(file, "one", 3, NULL), 0);
    fence_file_free(file);
    assert_int_equal(fence_file_open(folder, full_disk, &file, NULL), 0);
    assert_int_equal(fence_file_write(file, "two", 3, &err), -1);
    assert_int_equal(err.sys, ENOSPC);
    assert_non_null(strstr(err.text, "write the fence record"));
    assert_int_equal(fence_file_read(file, &text, NULL), 0);
    assert_string_equal(str_text(&text), "one"); /* the former record is still there */
    fence_file_free(file);
    str_done(&text);
    temp_folder_remove(folder);
}

static void test_fence_file_is_locked(void **state)
{
    char *folder = temp_folder_new();
    struct fence_file *first = NULL, *second = NULL;
    struct err err = {0};
    (void)state;
    assert_int_equal(fence_file_open(folder, NULL, &first, NULL), 0);
    assert_int_equal(fence_file_open(folder, NULL, &second, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_null(second);
    fence_file_free(first);
    assert_int_equal(fence_file_open(folder, NULL, &second, NULL), 0);
    fence_file_free(second);
    temp_folder_remove(folder);
}

static char *use_temp_run_folder(void)
{
    char *folder = temp_folder_new();
    assert_int_equal(setenv("HISTRIO_RUN_DIR", folder, 1), 0);
    return folder;
}

static void test_run_folder(void **state)
{
    char *base = use_temp_run_folder();
    struct run_folder folder, other;
    struct run_names names;
    struct err err = {0};
    char *address = NULL, *credential = NULL;
    (void)state;
    assert_int_equal(run_folder_find("bank", &address, &credential, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(run_folder_open("bank", "uid", &folder, NULL), 0);
    assert_int_equal(strlen(folder.credential), 32);
    assert_int_equal(run_folder_open("bank", "uid", &other, &err), -1);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "histrio stop bank"));
    assert_int_equal(run_folder_find("bank", &address, &credential, NULL), 0);
    assert_string_equal(credential, folder.credential);
    char *expected = xasprintf("unix:%s/bank/run.sock", base);
    assert_string_equal(address, expected);
    assert_int_equal(run_folder_list(&names, NULL), 0);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.items[0], "bank");
    run_names_done(&names);
    struct stat status;
    assert_int_equal(stat(folder.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    run_folder_close(&folder);
    free(credential);
    free(address);
    assert_int_equal(run_folder_find("bank", &address, &credential, &err), -1);
    assert_int_equal(run_folder_list(&names, NULL), 0);
    assert_int_equal(names.count, 0);
    run_names_done(&names);
    free(expected);
    temp_folder_remove(base);
}

/* What a killed run left is replaced, its logs stay. */
static void test_run_folder_after_crash(void **state)
{
    char *base = use_temp_run_folder();
    char *left = file_join(base, "bank/nodes/0");
    char *logs = file_join(base, "bank/logs");
    struct run_folder folder;
    (void)state;
    assert_int_equal(file_make_folder(left, 0700, NULL), 0);
    assert_int_equal(file_make_folder(logs, 0700, NULL), 0);
    temp_folder_write(base, "bank/credential", "00", 0600);
    temp_folder_write(base, "bank/logs/bank-nodes-0.log", "what happened", 0600);
    assert_false(run_folder_is_alive("bank"));
    assert_int_equal(run_folder_open("bank", "uid", &folder, NULL), 0);
    assert_true(run_folder_is_alive("bank"));
    assert_int_equal(access(left, F_OK), -1);
    char *log = temp_folder_read(base, "bank/logs.old/bank-nodes-0.log");
    assert_string_equal(log, "what happened");
    char *credential = temp_folder_read(base, "bank/credential");
    assert_string_equal(credential, folder.credential);
    run_folder_close(&folder);
    free(credential);
    free(log);
    free(logs);
    free(left);
    temp_folder_remove(base);
}

static void test_run_folder_that_cannot_be(void **state)
{
    struct run_folder folder;
    struct err err = {0};
    char name[200];
    (void)state;
    assert_int_equal(setenv("HISTRIO_RUN_DIR", "relative", 1), 0);
    assert_int_equal(run_folder_open("bank", "uid", &folder, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    (void)snprintf(name, sizeof(name), "/tmp/%0100d", 1);
    assert_int_equal(setenv("HISTRIO_RUN_DIR", name, 1), 0);
    assert_int_equal(run_folder_open("bank", "uid", &folder, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "too long for sockets"));
    assert_int_equal(setenv("HISTRIO_RUN_DIR", "/proc/nothing", 1), 0);
    assert_int_equal(run_folder_open("bank", "uid", &folder, &err), -1);
}

static void test_hex(void **state)
{
    static const uint8_t bytes[] = {0, 0x7f, 0xff};
    uint8_t *data = NULL;
    size_t size;
    struct err err = {0};
    (void)state;
    char *text = run_folder_hex(bytes, sizeof(bytes));
    assert_string_equal(text, "007fff");
    assert_int_equal(run_folder_unhex(text, &data, &size, NULL), 0);
    assert_int_equal(size, 3);
    assert_memory_equal(data, bytes, 3);
    free(data);
    free(text);
    assert_int_equal(run_folder_unhex("0", &data, &size, &err), -1);
    assert_int_equal(run_folder_unhex("zz", &data, &size, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fence_file),
        cmocka_unit_test(test_fence_file_on_full_disk),
        cmocka_unit_test(test_fence_file_is_locked),
        cmocka_unit_test(test_run_folder),
        cmocka_unit_test(test_run_folder_after_crash),
        cmocka_unit_test(test_run_folder_that_cannot_be),
        cmocka_unit_test(test_hex),
    };
    int failed = cmocka_run_group_tests_name("files", tests, NULL, NULL);
    return failed + _cmocka_run_group_tests("run", run_tests, run_test_count, NULL, NULL);
}
