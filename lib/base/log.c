#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

/* The log is the one global of the project: set once by main, read by all. */
static int log_fd = STDERR_FILENO;
static enum log_level log_level_min = LOG_INFO;
static char common[4 * 256]; /* ready as ,"key":"value" pairs */
static int common_count;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* Begins the text of a number, which no text of people does: it is written without quotes. */
static const char number_mark = '\x01';

void log_init(int fd, enum log_level level)
{
    log_fd = fd;
    log_level_min = level;
}

void log_set_common(const char *key, const char *value)
{
    struct str text = STR_INIT(sizeof(common) - 1);
    str_append(&text, common);
    str_append_char(&text, ',');
    str_append_json_string(&text, key);
    str_append_char(&text, ':');
    str_append_json_string(&text, value);
    if (!text.overflowed && common_count < 4) {
        memcpy(common, text.data, text.size + 1);
        common_count++;
    }
    str_done(&text);
}

bool log_enabled(enum log_level level)
{
    return level >= log_level_min;
}

const char *log_format_number(char *buffer, int64_t number)
{
    (void)snprintf(
        buffer, LOG_NUMBER_BYTES, "%c%" PRId64, number_mark, number); /* 20 digits and a mark fit */
    return buffer;
}

/* Much less than a line, even when each byte of it needs six. */
enum { TEXT_BYTES_MAX = LIMIT_LOG_LINE_BYTES / 16 };

static void append_text(struct str *line, const char *text)
{
    str_append_json_bytes(line, text, strnlen(text, TEXT_BYTES_MAX));
}

static void append_value(struct str *line, const char *value)
{
    if (!value)
        str_append(line, "null");
    else if (value[0] == number_mark)
        str_append(line, value + 1);
    else
        str_append_json_string(line, value);
}

/* One write: the kernel keeps it in one piece for pipes up to PIPE_BUF and for files opened to append. */
static void write_line(const struct str *line)
{
    size_t done = 0;
    while (done < line->size) { /* each round writes something or ends */
        ssize_t written = write(log_fd, line->data + done, line->size - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nowhere left to complain */
        done += (size_t)written;
    }
}

void log_event(enum log_level level, const char *text, ...)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno; /* a caller may be about to report it */
    char time_text[CLOCK_TEXT_BYTES];
    _cleanup_(str_done) struct str line = STR_INIT(LIMIT_LOG_LINE_BYTES);
    str_appendf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"text\":",
        clock_format_wall(clock_wall_ms(clock_system()), time_text), level_names[level]);
    append_text(&line, text);
    str_append(&line, common);

    va_list args;
    va_start(args, text);
    size_t whole = line.size; /* up to the last pair that fitted */
    for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
        str_append_char(&line, ',');
        str_append_json_string(&line, key);
        str_append_char(&line, ':');
        append_value(&line, va_arg(args, const char *));
        if (line.overflowed)
            break;
        whole = line.size;
    }
    va_end(args);

    bool is_cut = line.overflowed;
    str_truncate(&line, whole);
    line.overflowed = false;
    line.limit += 32; /* the end always fits */
    str_append(&line, is_cut ? ",\"cut\":true}\n" : "}\n");
    write_line(&line);
    errno = saved_errno;
}

int log_level_parse(const char *text, enum log_level *ret_level, struct err *err)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "log level \"%.40s\" is none of debug, info, warning, error", text);
}
