#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

static int open_again(const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int read_all(int fd, const char *path, size_t limit, struct str *out, struct err *err)
{
    size_t total = 0;
    char buffer[16 * 1024];
    for (;;) { /* ends at the end of the file or past the limit */
        ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, errno, "read \"%s\"", path);
        if (got == 0)
            return str_check(out, path, err);
        total += (size_t)got;
        if (total > limit)
            return err_set(err, ERR_LIMIT, "\"%s\" has more than %zu bytes", path, limit);
        str_append_bytes(out, buffer, (size_t)got);
    }
}

int file_read(const char *path, size_t limit, struct str *out, struct err *err)
{
    /* Without O_NONBLOCK opening a pipe waits for a writer. */
    _cleanup_(cleanup_close) int fd = open_again(path, O_RDONLY | O_NONBLOCK, 0);
    struct stat status;
    if (fd < 0)
        return err_set_errno(err, errno, "open \"%s\"", path);
    if (fstat(fd, &status) < 0)
        return err_set_errno(err, errno, "stat \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_INVALID, "\"%s\" is not a regular file", path);
    if ((uint64_t)status.st_size > limit)
        return err_set(
            err, ERR_LIMIT, "\"%s\" has %lld bytes, more than %zu", path, (long long)status.st_size, limit);
    return read_all(fd, path, limit, out, err);
}

static int write_all(int fd, const char *path, const void *data, size_t size, struct err *err)
{
    const char *at = data;
    while (size > 0) { /* each round writes something or ends */
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return err_set_errno(err, errno, "write \"%s\"", path);
        at += written;
        size -= (size_t)written;
    }
    if (fsync(fd) < 0)
        return err_set_errno(err, errno, "fsync \"%s\"", path);
    return 0;
}

static int sync_folder(const char *path, struct err *err)
{
    _cleanup_(cleanup_free) char *folder = file_folder_of(path);
    _cleanup_(cleanup_close) int fd = open_again(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_set_errno(err, errno, "open \"%s\"", folder);
    if (fsync(fd) < 0)
        return err_set_errno(err, errno, "fsync \"%s\"", folder);
    return 0;
}

int file_write_atomically(const char *path, const void *data, size_t size, mode_t mode, struct err *err)
{
    _cleanup_(cleanup_free) char *temporary = xasprintf("%s.XXXXXX", path);
    _cleanup_(cleanup_close) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno, "create \"%s\"", temporary);
    int result = write_all(fd, temporary, data, size, err);
    if (result == 0 && fchmod(fd, mode) < 0)
        result = err_set_errno(err, errno, "chmod \"%s\"", temporary);
    if (result == 0 && rename(temporary, path) < 0)
        result = err_set_errno(err, errno, "rename \"%s\" to \"%s\"", temporary, path);
    if (result < 0) {
        (void)unlink(temporary); /* the first error is the one to tell */
        return -1;
    }
    return sync_folder(path, err);
}

static int make_one(const char *path, mode_t mode, struct err *err)
{
    struct stat status;
    if (mkdir(path, mode) == 0)
        return 0;
    int cause = errno;
    if (cause == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return 0;
    return err_set_errno(err, cause, "make folder \"%s\"", path);
}

int file_make_folder(const char *path, mode_t mode, struct err *err)
{
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "the name of a folder is missing");
    _cleanup_(cleanup_free) char *prefix = xstrdup(path);
    for (char *slash = strchr(prefix + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (make_one(prefix, mode, err) < 0)
            return -1;
        *slash = '/';
    }
    return make_one(path, mode, err);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status; /* nftw gives more than is needed */
    (void)kind;
    (void)walk;
    return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

int file_remove_tree(const char *path, struct err *err)
{
    int failed = nftw(path, remove_entry, /* descriptors= */ 16, FTW_DEPTH | FTW_PHYS);
    if (failed < 0 && errno == ENOENT)
        return 0;
    if (failed != 0)
        return err_set_errno(err, failed < 0 ? errno : failed, "remove \"%s\"", path);
    return 0;
}

int file_lock(const char *path, int *ret_fd, struct err *err)
{
    _cleanup_(cleanup_close) int fd = open_again(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0)
        return err_set_errno(err, errno, "open \"%s\"", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_CONFLICT, "\"%s\" is locked by another process", path);
        return err_set_errno(err, errno, "lock \"%s\"", path);
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

char *file_join(const char *folder, const char *name)
{
    if (name[0] == '/')
        return xstrdup(name);
    return xasprintf("%s%s%s", folder, text_ends_with(folder, "/") ? "" : "/", name);
}

char *file_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}
