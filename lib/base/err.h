/* What went wrong, in a fixed buffer: nothing to free, and an ignored error leaks nothing.
 *
 * A function that can fail returns 0 or -1 and takes `struct err *err` last. On success *err is left alone,
 * on failure it is filled. Every function here accepts a NULL err, for callers that only want to know whether
 * it worked. Thread: any; an err belongs to its caller. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

enum err_kind {
    ERR_NONE,
    ERR_SYSTEM,      /* a system call failed; sys holds errno */
    ERR_INVALID,     /* the input makes no sense; the same call fails again */
    ERR_NOT_FOUND,   /* what was named does not exist */
    ERR_CONFLICT,    /* somebody else changed or holds it */
    ERR_EXPIRED,     /* it existed, and its time is over */
    ERR_DENIED,      /* the caller may not */
    ERR_BUSY,        /* a queue is full: try again later */
    ERR_UNAVAILABLE, /* the other side cannot be reached */
    ERR_TIMEOUT,     /* no answer in time; it may still have happened */
    ERR_CANCELED,    /* the caller gave up */
    ERR_LIMIT,       /* larger than base/limits.h or the caller allows */
};

struct err {
    enum err_kind kind;
    int sys;            /* errno, 0 when there is none */
    int retry_after_ms; /* what the other side asked for, 0 when it did not */
    char text[256];     /* one line, lower case, no full stop; cut when too long */
};

/* Fills err and returns -1, so that a caller can write `return err_set(err, ERR_INVALID, "...")`. */
__attribute__((format(printf, 3, 4))) int err_set(struct err *err, enum err_kind kind, const char *fmt, ...);

__attribute__((format(printf, 3, 0))) int err_vset(
    struct err *err, enum err_kind kind, const char *fmt, va_list args);

/* As err_set; appends ": " and the system's text. The kind follows from errno_value: EACCES and EPERM are
 * ERR_DENIED, ENOENT is ERR_NOT_FOUND, EEXIST is ERR_CONFLICT, EAGAIN is ERR_BUSY, ECONNREFUSED and its like
 * are ERR_UNAVAILABLE, ETIMEDOUT is ERR_TIMEOUT, everything else is ERR_SYSTEM. */
__attribute__((format(printf, 3, 4))) int err_set_errno(
    struct err *err, int errno_value, const char *fmt, ...);

/* Puts "fmt: " before the text of an error on its way up. Returns -1. */
__attribute__((format(printf, 2, 3))) int err_wrap(struct err *err, const char *fmt, ...);

void err_clear(struct err *err);

/* "invalid", "not found", ...: for texts and logs. */
const char *err_kind_name(enum err_kind kind);

#endif
