/* Files as wholes: read with a limit, replace atomically, make folders, hold a lock. All descriptors are
 * close-on-exec. Thread: any. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct err;
struct str;

/* Appends the content to out. A file of more than limit bytes is refused with ERR_LIMIT before it is read
 * (and one that grows meanwhile as well); ERR_INVALID when it is not a regular file, a pipe or a terminal. */
int file_read(const char *path, size_t limit, struct str *out, struct err *err);

/* Readers see the old or the new content, also after a crash: a temporary file in the same folder, fsync,
 * rename, fsync of the folder. */
int file_write_atomically(const char *path, const void *data, size_t size, mode_t mode, struct err *err);

/* Makes path and its parents as needed, with mode. */
int file_make_folder(const char *path, mode_t mode, struct err *err);

/* Removes path and everything below it, without following links; no error when it does not exist. */
int file_remove_tree(const char *path, struct err *err);

/* Takes an exclusive flock on path (made if needed) without waiting; close(*ret_fd) gives it up. ERR_CONFLICT
 * when another process holds it. */
int file_lock(const char *path, int *ret_fd, struct err *err);

/* folder and name joined by one slash; name alone when it is absolute. The caller frees it. */
char *file_join(const char *folder, const char *name);
/* The folder part of path, "." when there is none. The caller frees it. */
char *file_folder_of(const char *path);

#endif
