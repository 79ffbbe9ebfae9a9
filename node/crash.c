#include "node/crash.h"

#include <stdbool.h>
#include <string.h>

/* Copies at most to the end of the line (or of everything, with `lines`), and only what any JSON or protobuf
 * reader takes. */
static void copy_clean(const char *text, size_t size, bool lines, char *buffer, size_t buffer_size)
{
    size_t used = 0;
    for (size_t i = 0; i < size && used + 1 < buffer_size; i++) {
        char character = text[i];
        if (character == '\n' && !lines)
            break;
        bool is_plain = (character >= ' ' && character <= '~') || character == '\n';
        buffer[used++] = is_plain ? character : '?';
    }
    buffer[used] = 0;
}

void crash_record_parse(const char *text, size_t size, struct life_end *end)
{
    static const char unit[] = "unit ", actor[] = "actor ", backtrace_line[] = "backtrace\n";
    size_t at = 0;
    end->unit[0] = end->actor[0] = end->backtrace[0] = 0;
    while (at < size) {
        const char *line = text + at;
        size_t left = size - at;
        if (left >= strlen(unit) && memcmp(line, unit, strlen(unit)) == 0)
            copy_clean(line + strlen(unit), left - strlen(unit), false, end->unit, sizeof(end->unit));
        else if (left >= strlen(actor) && memcmp(line, actor, strlen(actor)) == 0)
            copy_clean(line + strlen(actor), left - strlen(actor), false, end->actor, sizeof(end->actor));
        else if (left >= strlen(backtrace_line) &&
                 memcmp(line, backtrace_line, strlen(backtrace_line)) == 0) {
            copy_clean(line + strlen(backtrace_line), left - strlen(backtrace_line), true, end->backtrace,
                sizeof(end->backtrace));
            return;
        }
        const char *newline = memchr(line, '\n', left);
        if (!newline)
            return;
        at += (size_t)(newline - line) + 1;
    }
}
