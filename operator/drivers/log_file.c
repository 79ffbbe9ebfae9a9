#include "drivers/log_file.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

int log_file_open(struct log_file *log, const char *path, size_t bytes_max, unsigned kept, struct err *err)
{
    struct stat status;
    int fd = open_file(path);
    if (fd < 0)
        return err_set_errno(err, errno, "open log \"%s\"", path);
    *log = (struct log_file){xstrdup(path), fd, 0, bytes_max, kept, true, false};
    if (fstat(fd, &status) == 0)
        log->size = (size_t)status.st_size;
    return 0;
}

void log_file_done(struct log_file *log)
{
    if (log->fd >= 0)
        (void)close(log->fd);
    free(log->path);
    *log = (struct log_file){.fd = -1};
}

static void rotate(struct log_file *log)
{
    for (unsigned i = log->kept; i > 0; i--) {
        char *to = xasprintf("%s.%u", log->path, i);
        char *from = i > 1 ? xasprintf("%s.%u", log->path, i - 1) : xstrdup(log->path);
        (void)rename(from, to); /* the first times there is nothing to rename */
        free(from);
        free(to);
    }
    if (log->kept == 0)
        (void)unlink(log->path);
    int fd = open_file(log->path);
    if (fd < 0) {
        log->is_failing = true; /* go on with the old one: it is better than none */
    } else {
        (void)close(log->fd);
        log->fd = fd;
    }
    log->size = 0;
}

static void write_all(struct log_file *log, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(log->fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            log->is_failing = true;
            return;
        }
        log->is_failing = false;
        log->size += (size_t)written;
        log->at_line_start = data[written - 1] == '\n';
        data += written;
        size -= (size_t)written;
    }
}

void log_file_write(struct log_file *log, const char *data, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t line = newline ? (size_t)(newline - data) + 1 : size;
        if (log->size > 0 && log->size + line > log->bytes_max &&
            (log->at_line_start || log->size >= 2 * log->bytes_max))
            rotate(log);
        /* As many whole lines as fit go out in one call. */
        while (line < size && log->size + line < log->bytes_max) {
            newline = memchr(data + line, '\n', size - line);
            size_t next = newline ? (size_t)(newline - data) + 1 : size;
            if (log->size + next > log->bytes_max)
                break;
            line = next;
        }
        write_all(log, data, line);
        data += line;
        size -= line;
    }
}
