/* drivers/report_reader.h: the JSON lines that a node's parent writes about its runtimes (node/report.h),
 * from bytes in any portions. A line that makes no sense is skipped and counted: the other end is a process
 * of ours, but it may have been hit by a wild pointer. Pure; one thread. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct report_line {
    bool is_exit; /* else a start */
    uint64_t node_uid;
    pid_t pid;
    int exit_code;
    int signal;
    const char *unit; /* texts are never NULL and valid during the callback */
    const char *actor;
    const char *backtrace;
};

struct report_reader {
    struct str partial;
    unsigned bad_lines;
    bool skipping; /* inside a line that is too long */
};

void report_reader_init(struct report_reader *reader);
void report_reader_done(struct report_reader *reader);
void report_reader_feed(struct report_reader *reader, const char *data, size_t size,
    void (*line)(const struct report_line *line, void *ctx), void *ctx);
