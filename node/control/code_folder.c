#include "node_control/code_folder.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_below(const char *real, const char *folder)
{
    _cleanup_(cleanup_free) char *real_folder = realpath(folder, NULL);
    if (!real_folder || !text_starts_with(real, real_folder))
        return false;
    size_t size = strlen(real_folder);
    return !real[size] || real[size] == '/' || strcmp(real_folder, "/") == 0;
}

static bool is_below_any(const char *real, const char *const *folders, size_t folder_count)
{
    for (size_t i = 0; i < folder_count; i++)
        if (is_below(real, folders[i]))
            return true;
    return false;
}

/* The first that exists; NULL when none does. */
static char *look_up(const char *path, const char *const *folders, size_t folder_count)
{
    if (*path == '/')
        return realpath(path, NULL);
    for (size_t i = 0; i < folder_count; i++) {
        _cleanup_(cleanup_free) char *joined = file_join(folders[i], path);
        char *real = realpath(joined, NULL);
        if (real)
            return real;
    }
    return NULL;
}

static void list_folders(const char *const *folders, size_t folder_count, struct str *out)
{
    for (size_t i = 0; i < folder_count; i++)
        str_appendf(out, "%s%s", i ? ":" : "", folders[i]);
}

int code_folder_find(const char *path, enum code_kind kind, const char *const *folders, size_t folder_count,
    char **ret_path, struct err *err)
{
    struct stat status;
    _cleanup_(str_done) struct str list = STR_INIT(1024);
    _cleanup_(cleanup_free) char *real = look_up(path, folders, folder_count);
    list_folders(folders, folder_count, &list);
    if (!real && *path == '/')
        return err_set(err, ERR_NOT_FOUND, "there is no file \"%s\"", path);
    if (!real)
        return err_set(
            err, ERR_NOT_FOUND, "there is no \"%s\" in the code folders \"%s\"", path, str_text(&list));
    if (!is_below_any(real, folders, folder_count))
        return err_set(
            err, ERR_DENIED, "\"%s\" is outside of the code folders \"%s\"", real, str_text(&list));
    if (stat(real, &status) < 0)
        return err_set_errno(err, errno, "\"%s\"", real);
    if (!S_ISREG(status.st_mode) && !(kind == CODE_FOLDER && S_ISDIR(status.st_mode)))
        return err_set(err, ERR_INVALID, "\"%s\" is no regular file%s", real,
            kind == CODE_FOLDER ? " and no folder" : "");
    *ret_path = steal_ptr(&real);
    return 0;
}
