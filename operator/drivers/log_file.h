/* drivers/log_file.h: a log that never grows beyond a size: at `bytes_max` the file becomes NAME.1, NAME.1
 * becomes NAME.2, and so on; the oldest of `kept` old files goes. A full disk loses lines and is told once by
 * log_file_is_failing. Owned by one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

struct log_file {
    char *path;
    int fd;
    size_t size;
    size_t bytes_max;
    unsigned kept;
    bool at_line_start; /* files change between lines only, unless one of twice the size has no end of line */
    bool is_failing;
};

/* Appends to what is there. */
int log_file_open(struct log_file *log, const char *path, size_t bytes_max, unsigned kept, struct err *err);
void log_file_write(struct log_file *log, const char *data, size_t size);
void log_file_done(struct log_file *log); /* fits a zeroed struct with fd -1 as well */
