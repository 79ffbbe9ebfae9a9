/* node_control/code_folder.h: where behavior libraries and Python modules may come from. Touches the file
 * system; thread: any.
 */
#pragma once

#include <stddef.h>

struct err;

enum code_kind {
    CODE_FILE,   /* a library: a regular file */
    CODE_FOLDER, /* for sys.path: a folder, which may be a code folder itself, or an archive */
};

/* The real path (links resolved) of something below one of `folders`, links resolved as well; a relative path
 * is looked up in each folder in turn. The caller frees *ret_path. ERR_DENIED: outside of all of them;
 * ERR_NOT_FOUND: there is no such thing. */
int code_folder_find(const char *path, enum code_kind kind, const char *const *folders, size_t folder_count,
    char **ret_path, struct err *err);
