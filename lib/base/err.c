#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_vset(struct err *err, enum err_kind kind, const char *fmt, va_list args)
{
    if (!err)
        return -1;
    char text[sizeof(err->text)];                   /* an argument may be err->text itself */
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose */
    err->kind = kind;
    err->sys = 0;
    err->retry_after_ms = 0;
    memcpy(err->text, text, sizeof(text));
    return -1;
}

int err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)err_vset(err, kind, fmt, args);
    va_end(args);
    return -1;
}

static enum err_kind kind_of_errno(int errno_value)
{
    switch (errno_value) {
    case EACCES:
    case EPERM:
    case EROFS: return ERR_DENIED;
    case ENOENT:
    case ENXIO:
    case ESRCH: return ERR_NOT_FOUND;
    case EEXIST: return ERR_CONFLICT;
    case EAGAIN:
    case EBUSY: return ERR_BUSY;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOTCONN:
    case EPIPE: return ERR_UNAVAILABLE;
    case ETIMEDOUT: return ERR_TIMEOUT;
    case ECANCELED: return ERR_CANCELED;
    default: return ERR_SYSTEM;
    }
}

int err_set_errno(struct err *err, int errno_value, const char *fmt, ...)
{
    if (!err)
        return -1;
    va_list args;
    va_start(args, fmt);
    (void)err_vset(err, kind_of_errno(errno_value), fmt, args);
    va_end(args);
    err->sys = errno_value;
    char buffer[128];
    const char *reason = strerror_r(errno_value, buffer, sizeof(buffer));
    size_t used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", reason);
    return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return -1;
    char text[2 * sizeof(err->text)];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(err->text), fmt, args);
    va_end(args);
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof(text) - used, ": %s", err->text);
    text[sizeof(err->text) - 1] = '\0';
    memcpy(err->text, text, sizeof(err->text));
    return -1;
}

void err_clear(struct err *err)
{
    if (err)
        memset(err, 0, sizeof(*err));
}

const char *err_kind_name(enum err_kind kind)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_SYSTEM] = "system",
        [ERR_INVALID] = "invalid",
        [ERR_NOT_FOUND] = "not found",
        [ERR_CONFLICT] = "conflict",
        [ERR_EXPIRED] = "expired",
        [ERR_DENIED] = "denied",
        [ERR_BUSY] = "busy",
        [ERR_UNAVAILABLE] = "unavailable",
        [ERR_TIMEOUT] = "timeout",
        [ERR_CANCELED] = "canceled",
        [ERR_LIMIT] = "limit",
    };
    if ((size_t)kind >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[kind];
}
