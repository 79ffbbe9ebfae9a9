/* Lines of worker processes become lines of the node's log. */
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "host/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 16 * 1024, READS_IN_A_ROW = 4, TEXTS_MAX = 5 };

/* ---- plain text ---- */

static void split(struct str *rest, void (*line)(void *ctx, const char *text), void *ctx)
{
    char *begin = rest->data, *end = rest->data + rest->size, *newline;
    while (begin < end && (newline = memchr(begin, '\n', (size_t)(end - begin)))) {
        *newline = 0;
        if (newline > begin)
            line(ctx, begin);
        begin = newline + 1;
    }
    size_t left = (size_t)(end - begin);
    memmove(rest->data, begin, left);
    str_truncate(rest, left);
}

bool output_read(int fd, struct str *rest, void (*line)(void *ctx, const char *text), void *ctx)
{
    char data[READ_BYTES];
    for (unsigned i = 0; i < READS_IN_A_ROW; i++) {
        ssize_t got = read(fd, data, sizeof(data));
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return false;
        for (size_t used = 0; used < (size_t)got;) {
            size_t room = LIMIT_LOG_LINE_BYTES - 1 - rest->size;
            size_t part = (size_t)got - used < room ? (size_t)got - used : room;
            str_append_bytes(rest, data + used, part);
            used += part;
            if (rest->size >= LIMIT_LOG_LINE_BYTES - 1 && !memchr(rest->data, '\n', rest->size))
                str_append_char(rest, '\n'); /* a longer line is several */
            split(rest, line, ctx);
        }
    }
    return true;
}

static void log_line(void *ctx, const char *text)
{
    struct process *process = ctx;
    (void)snprintf(process->last_line, sizeof(process->last_line), "%s", text); /* cut */
    log_event(LOG_INFO, text, "process", log_number(process->number), "pid", log_number(process->pid), NULL);
}

void output_ready(struct host *host, struct watched *watched, uint32_t events)
{
    struct process *process = list_entry(watched, struct process, output);
    (void)events;
    if (!output_read(watched->fd, &process->output_line, log_line, process))
        host_unwatch(host, watched);
}

/* ---- LOG frames ---- */

/* A text or number of the map; NULL: neither. */
static const char *read_value(struct value value, char **ret_owned)
{
    const char *text;
    size_t size;
    int64_t number;
    double fraction;
    *ret_owned = NULL;
    if (value_get_string(value, &text, &size))
        *ret_owned = xstrndup(text, size < LIMIT_LOG_LINE_BYTES ? size : LIMIT_LOG_LINE_BYTES);
    else if (value_get_int(value, &number))
        *ret_owned = xasprintf("%lld", (long long)number);
    else if (value_get_double(value, &fraction))
        *ret_owned = xasprintf("%g", fraction);
    return *ret_owned;
}

void output_frame(struct process *process, const struct frame *frame, const uint8_t *payload)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR};
    static const char *const keys[TEXTS_MAX] = {"message", "logger", "stream", "traceback", "traceId"};
    enum log_level level = levels[frame->code <= HISTRIO_LOG_ERROR ? frame->code : HISTRIO_LOG_ERROR];
    struct value map = value_of(payload, frame_payload_bytes(frame));
    char *owned[TEXTS_MAX];
    const char *texts[TEXTS_MAX];
    if (!log_enabled(level))
        return;
    for (size_t i = 0; i < TEXTS_MAX; i++)
        texts[i] = read_value(value_find(map, keys[i]), &owned[i]);
    const struct proxy *proxy = frame->actor > 0 && frame->actor <= process->slots.count
                                    ? process->slots.items[frame->actor - 1]
                                    : NULL;
    struct histrio_context ctx;
    const char *message = texts[0] ? texts[0] : "";
    /* Keys without a value are left out: what comes behind one takes its place. */
    const char *pairs[2 * (TEXTS_MAX - 1) + 1] = {0};
    size_t used = 0;
    for (size_t i = 1; i < TEXTS_MAX; i++) {
        if (!texts[i])
            continue;
        pairs[used++] = keys[i];
        pairs[used++] = texts[i];
    }
    if (proxy && hosted_enter(process->host->worker, proxy->id, &ctx))
        log_event(level, message, "unit", histrio_unit(&ctx), "actor", histrio_path(&ctx), "incarnation",
            log_number(histrio_incarnation(&ctx)), pairs[0], pairs[1], pairs[2], pairs[3], pairs[4], pairs[5],
            pairs[6], pairs[7], NULL);
    else
        log_event(level, message, "process", log_number(process->number), pairs[0], pairs[1], pairs[2],
            pairs[3], pairs[4], pairs[5], pairs[6], pairs[7], NULL);
    for (size_t i = 0; i < TEXTS_MAX; i++)
        free(owned[i]);
}
