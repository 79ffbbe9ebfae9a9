/* support/temp_folder.h: a folder below /tmp for one test. Failures fail the cmocka test; include <cmocka.h>
 * first. */
#pragma once

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The caller frees it by temp_folder_remove(). */
__attribute__((unused)) static char *temp_folder_new(void)
{
    char *path = xstrdup("/tmp/histrio-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

__attribute__((unused)) static void temp_folder_remove(char *path)
{
    assert_int_equal(file_remove_tree(path, NULL), 0);
    free(path);
}

__attribute__((unused)) static void temp_folder_write(
    const char *folder, const char *name, const char *text, mode_t mode)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write_atomically(path, text, strlen(text), mode, NULL), 0);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

/* The content of a file; "" when there is none. The caller frees it. */
__attribute__((unused)) static char *temp_folder_read(const char *folder, const char *name)
{
    struct str text = STR_INIT(64 * 1024 * 1024);
    char *path = file_join(folder, name);
    (void)file_read(path, 64 * 1024 * 1024, &text, NULL); /* no file: no text */
    free(path);
    return str_steal(&text);
}
