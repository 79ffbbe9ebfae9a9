/* node_control/code_folder.h: where behavior libraries may come from. Touches the file system; thread: any.
 */
#pragma once

#include <stddef.h>

struct err;

/* The real path (links resolved) of a library, which must be a regular file below one of `folders`, links
 * resolved as well; a relative path is looked up in each folder in turn. The caller frees *ret_path.
 * ERR_DENIED: outside of all of them; ERR_NOT_FOUND: no such file. */
int code_folder_find(
    const char *path, const char *const *folders, size_t folder_count, char **ret_path, struct err *err);
