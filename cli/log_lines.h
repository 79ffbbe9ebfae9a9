/* cli/log_lines.h: the log files of a run's nodes, read from where one stopped last time, also across
 * rotation, and filtered by actor. Thread: one. */
#pragma once

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct str;

struct log_source {
    char *name; /* "bank-nodes-0.log" */
    int fd;     /* -1: not open */
    ino_t inode;
    char *partial; /* the begin of a line whose end is not there yet */
};

/* A line that passed the filter. */
struct log_line {
    char *time; /* "" when it is no line of ours: then it sorts behind the one before it */
    char *text;
};

struct log_lines {
    char *folder;
    char *system;
    char *node;  /* only this node's file; NULL: all */
    char *actor; /* only this actor and what is below; NULL: everything */
    bool is_raw; /* as JSON; else as text for people */
    VEC(struct log_source) sources;
    VEC(struct log_line) found;
};

/* Strings are copied. */
void log_lines_init(struct log_lines *lines, const char *folder, const char *system, const char *node,
    const char *actor, bool is_raw);
void log_lines_done(struct log_lines *lines);

/* Reads what is new; with `with_old`, rotated files first. ERR_NOT_FOUND: there are no logs. What it finds is
 * in `found`, by time. */
int log_lines_read(struct log_lines *lines, bool with_old, struct err *err);
/* Text of a log that comes in pieces from elsewhere; name tells the pieces of one log from those of another.
 */
void log_lines_add(struct log_lines *lines, const char *name, const char *data, size_t size);
/* Appends the last `count` lines found, and forgets all. */
void log_lines_take(struct log_lines *lines, uint64_t count, struct str *out);
