#include "base/duration.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
enum { UNIT_COUNT = sizeof(units) / sizeof(units[0]), PARTS_MAX = 4, DIGITS_MAX = 5 };

/* One number and unit at *at, which moves behind it; -1 when there is none. */
static int64_t read_part(const char **at)
{
    int64_t number = 0;
    const char *start = *at;
    const char *end = start;
    for (; *end >= '0' && *end <= '9' && end - start <= DIGITS_MAX; end++)
        number = number * 10 + (*end - '0');
    if (end == start || end - start > DIGITS_MAX)
        return -1;
    size_t letters = strspn(end, "hms");
    /* "1m30s" is taken letter by letter, "ms" as one. */
    size_t size = letters >= 2 && end[0] == 'm' && end[1] == 's' ? 2 : 1;
    for (int i = 0; i < UNIT_COUNT; i++) {
        if (letters > 0 && strlen(units[i].name) == size && strncmp(units[i].name, end, size) == 0) {
            *at = end + size;
            return number * units[i].ms;
        }
    }
    return -1;
}

int duration_parse(const char *text, int64_t *ret_ms, struct err *err)
{
    int64_t total_ms = 0;
    const char *at = text;
    for (int parts = 0; *at != '\0'; parts++) {
        int64_t part_ms = parts < PARTS_MAX ? read_part(&at) : -1;
        if (part_ms < 0)
            return err_set(err, ERR_INVALID, "\"%.40s\" is no duration such as 250ms, 10s or 1m30s", text);
        total_ms += part_ms;
    }
    if (at == text)
        return err_set(err, ERR_INVALID, "a duration such as 250ms, 10s or 1m30s is needed");
    *ret_ms = total_ms;
    return 0;
}

char *duration_format(int64_t ms, char *buffer)
{
    assert(ms >= 0);
    assert(ms < 100000LL * 3600000);
    size_t used = 0;
    buffer[0] = '\0';
    for (int i = 0; i < UNIT_COUNT; i++) {
        int64_t number = ms / units[i].ms;
        ms %= units[i].ms;
        if (number > 0)
            used += (size_t)snprintf(
                buffer + used, DURATION_TEXT_BYTES - used, "%lld%s", (long long)number, units[i].name);
    }
    if (used == 0)
        (void)snprintf(buffer, DURATION_TEXT_BYTES, "0s");
    return buffer;
}
