/* operator/fence_file.h: the fence record (R0) of a system that runs locally, as a file that outlives its
 * runs:
 *
 *     $HISTRIO_STATE_DIR, else $XDG_STATE_HOME/histrio, else ~/.local/state/histrio, then /SYSTEM/fence.json
 *
 * Whoever has it open holds the lock beside it, so that only one run of a system can raise its term. Each
 * write is a new file, fsync, rename, fsync of the folder: after a crash or on a full disk the former record
 * is still there. Content is bytes here; types/fence_record.h knows what they mean. Thread: one. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct err;
struct fence_file;
struct str;

/* How a file is replaced; for tests of a disk that is full. NULL: file_write_atomically(). */
typedef int (*fence_file_writer)(
    const char *path, const void *data, size_t size, mode_t mode, struct err *err);

/* `folder` is made when it is missing. ERR_CONFLICT: another run has it open. */
int fence_file_open(
    const char *folder, fence_file_writer writer, struct fence_file **ret_file, struct err *err);

/* ERR_NOT_FOUND: there was no run before. */
int fence_file_read(const struct fence_file *file, struct str *out, struct err *err);
int fence_file_write(struct fence_file *file, const char *data, size_t size, struct err *err);

const char *fence_file_path(const struct fence_file *file);
void fence_file_free(struct fence_file *file); /* gives the lock up; the file stays */
