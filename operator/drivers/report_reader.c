#include "drivers/report_reader.h"

#include "base/err.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { REPORT_LINE_BYTES_MAX = 64 * 1024 };

void report_reader_init(struct report_reader *reader)
{
    *reader = (struct report_reader){0};
    str_init(&reader->partial, REPORT_LINE_BYTES_MAX);
}

void report_reader_done(struct report_reader *reader)
{
    str_done(&reader->partial);
}

static bool parse_uid(const char *text, uint64_t *ret_uid)
{
    char *end = NULL;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *ret_uid = strtoull(text, &end, 16);
    return *ret_uid != 0;
}

static bool decode(const struct json *object, struct report_line *ret_line)
{
    const char *event = json_string(json_get(object, "event"));
    struct report_line line = {.is_exit = text_equal(event, "exited")};
    if (!line.is_exit && !text_equal(event, "started"))
        return false;
    if (!parse_uid(json_string(json_get(object, "uid")), &line.node_uid))
        return false;
    line.pid = (pid_t)json_int(json_get(object, "pid"));
    line.exit_code = (int)json_int(json_get(object, "exitCode"));
    line.signal = (int)json_int(json_get(object, "signal"));
    line.unit = json_string(json_get(object, "unit"));
    line.actor = json_string(json_get(object, "actor"));
    line.backtrace = json_string(json_get(object, "backtrace"));
    *ret_line = line;
    return true;
}

static void take_line(
    struct report_reader *reader, void (*function)(const struct report_line *line, void *ctx), void *ctx)
{
    _cleanup_(json_freep) struct json *object = NULL;
    struct report_line line;
    if (reader->skipping || reader->partial.overflowed ||
        json_parse(str_text(&reader->partial), reader->partial.size, &object, NULL) < 0 ||
        !decode(object, &line))
        reader->bad_lines++;
    else
        function(&line, ctx);
    reader->skipping = false;
    str_clear(&reader->partial);
}

void report_reader_feed(struct report_reader *reader, const char *data, size_t size,
    void (*line)(const struct report_line *line, void *ctx), void *ctx)
{
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t portion = newline ? (size_t)(newline - data) : size;
        str_append_bytes(&reader->partial, data, portion);
        if (reader->partial.overflowed)
            reader->skipping = true;
        if (newline) {
            take_line(reader, line, ctx);
            portion++;
        }
        data += portion;
        size -= portion;
    }
}
