#include "node/report.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { REPORT_PENDING_BYTES = 1024 * 1024, REPORT_LINE_BYTES = 64 * 1024 };

void report_init(struct report *report, int fd)
{
    report->fd = fd;
    str_init(&report->pending, REPORT_PENDING_BYTES);
    /* Without O_NONBLOCK a reader that stopped reading would stop us; where it cannot be set the descriptor
     * is bad, and the first write says so. */
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void report_done(struct report *report)
{
    str_done(&report->pending);
}

static void add_line(struct report *report, const struct json *object)
{
    _cleanup_(str_done) struct str line = STR_INIT(REPORT_LINE_BYTES);
    if (report->fd < 0)
        return;
    json_write(object, JSON_COMPACT, &line);
    str_append_char(&line, '\n');
    if (!line.overflowed && report->pending.size + line.size <= REPORT_PENDING_BYTES)
        str_append_bytes(&report->pending, line.data, line.size);
    report_flush(report);
}

void report_started(struct report *report, uint64_t uid, pid_t pid)
{
    _cleanup_(json_freep) struct json *object = json_object_new();
    char text[LIFE_UID_BYTES];
    json_set_string(object, "event", "started");
    json_set_string(object, "uid", life_uid_format(uid, text));
    json_set_int(object, "pid", pid);
    add_line(report, object);
}

struct json *report_end_document(const struct life_end *end)
{
    struct json *object = json_object_new();
    char text[LIFE_UID_BYTES];
    json_set_string(object, "event", "exited");
    json_set_string(object, "uid", life_uid_format(end->node_uid, text));
    json_set_int(object, "exitCode", end->exit_code);
    json_set_int(object, "signal", end->signal);
    json_set_string(object, "unit", end->unit);
    json_set_string(object, "actor", end->actor);
    json_set_string(object, "backtrace", end->backtrace);
    return object;
}

void report_exited(struct report *report, const struct life_end *end)
{
    _cleanup_(json_freep) struct json *object = report_end_document(end);
    add_line(report, object);
}

bool report_has_pending(const struct report *report)
{
    return report->fd >= 0 && report->pending.size > 0;
}

void report_flush(struct report *report)
{
    while (report_has_pending(report)) {
        ssize_t written = write(report->fd, report->pending.data, report->pending.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* full: poll says when there is room; broken: poll says that it is gone */
        memmove(report->pending.data, report->pending.data + written, report->pending.size - (size_t)written);
        str_truncate(&report->pending, report->pending.size - (size_t)written);
    }
}

bool report_is_gone(struct report *report)
{
    char discarded[256];
    for (;;) {
        ssize_t got = read(report->fd, discarded, sizeof(discarded));
        if (got > 0 || (got < 0 && errno == EINTR))
            continue;
        return got == 0 || (errno != EAGAIN && errno != EBADF);
    }
}
