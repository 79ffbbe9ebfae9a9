#include "operator/fence_file.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { FENCE_FILE_BYTES_MAX = 16 * 1024 * 1024 };

struct fence_file {
    char *path;
    int lock_fd;
    fence_file_writer writer;
};

int fence_file_open(
    const char *folder, fence_file_writer writer, struct fence_file **ret_file, struct err *err)
{
    _cleanup_(cleanup_free) char *lock_path = file_join(folder, "fence.lock");
    _cleanup_(cleanup_close) int lock_fd = -1;
    if (file_make_folder(folder, 0700, err) < 0)
        return err_wrap(err, "state folder");
    if (file_lock(lock_path, &lock_fd, err) < 0)
        return err_wrap(err, "state folder");
    struct fence_file *file = xcalloc(1, sizeof(*file));
    file->path = file_join(folder, "fence.json");
    file->lock_fd = steal_fd(&lock_fd);
    file->writer = writer ? writer : file_write_atomically;
    *ret_file = file;
    return 0;
}

int fence_file_read(const struct fence_file *file, struct str *out, struct err *err)
{
    return file_read(file->path, FENCE_FILE_BYTES_MAX, out, err);
}

int fence_file_write(struct fence_file *file, const char *data, size_t size, struct err *err)
{
    if (file->writer(file->path, data, size, 0600, err) < 0)
        return err_wrap(err, "write the fence record");
    return 0;
}

const char *fence_file_path(const struct fence_file *file)
{
    return file->path;
}

void fence_file_free(struct fence_file *file)
{
    if (!file)
        return;
    cleanup_close(&file->lock_fd);
    free(file->path);
    free(file);
}
