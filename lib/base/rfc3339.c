#include "base/rfc3339.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

static const int64_t seconds_min = -62167219200; /* year 0 */
static const int64_t seconds_max = 253402300799; /* the last second of year 9999 */

int rfc3339_format(int64_t seconds, uint32_t nanoseconds, char *text, struct err *err)
{
    struct tm parts = {0};
    time_t time = (time_t)seconds;
    if (seconds < seconds_min || seconds > seconds_max || !gmtime_r(&time, &parts))
        return err_set(err, ERR_INVALID, "a time outside of the years 0 to 9999");
    char fraction[16] = "";
    if (nanoseconds > 0) {
        int size = snprintf(fraction, sizeof(fraction), ".%09u", nanoseconds);
        while (fraction[size - 1] == '0') /* ends: one digit is not 0 */
            fraction[--size] = '\0';
    }
    (void)snprintf(text, RFC3339_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", parts.tm_year + 1900,
        parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, fraction);
    return 0;
}

/* Exactly `digits` digits at *at, which moves behind them; -1 when they are not there. */
static int number_at(const char **at, int digits)
{
    int number = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        number = number * 10 + (**at - '0');
    }
    return number;
}

static bool take(const char **at, const char *letters)
{
    if (**at == '\0' || !strchr(letters, **at))
        return false;
    (*at)++;
    return true;
}

static bool parse_fraction(const char **at, uint32_t *ret_nanoseconds)
{
    uint32_t nanoseconds = 0;
    int digits = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++, digits++) {
        if (digits >= 9)
            return false;
        nanoseconds = nanoseconds * 10 + (uint32_t)(**at - '0');
    }
    if (digits == 0)
        return false;
    for (; digits < 9; digits++)
        nanoseconds *= 10;
    *ret_nanoseconds = nanoseconds;
    return true;
}

static bool parse_offset(const char **at, int *ret_seconds)
{
    *ret_seconds = 0;
    if (take(at, "Zz"))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!take(at, "+-"))
        return false;
    int hours = number_at(at, 2);
    if (hours < 0 || hours > 23 || !take(at, ":"))
        return false;
    int minutes = number_at(at, 2);
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return minutes >= 0 && minutes < 60;
}

static bool is_date(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 0 || month < 1 || month > 12 || day < 1)
        return false;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

int rfc3339_parse(const char *text, int64_t *ret_seconds, uint32_t *ret_nanoseconds)
{
    const char *at = text;
    int year = number_at(&at, 4);
    int month = take(&at, "-") ? number_at(&at, 2) : -1;
    int day = take(&at, "-") ? number_at(&at, 2) : -1;
    if (!is_date(year, month, day) || !take(&at, "Tt "))
        return -1;
    int hour = number_at(&at, 2);
    int minute = take(&at, ":") ? number_at(&at, 2) : -1;
    int second = take(&at, ":") ? number_at(&at, 2) : -1;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return -1;
    uint32_t nanoseconds = 0;
    int offset_seconds;
    if (take(&at, ".") && !parse_fraction(&at, &nanoseconds))
        return -1;
    if (!parse_offset(&at, &offset_seconds) || *at != '\0')
        return -1;
    struct tm parts = {.tm_year = year - 1900,
        .tm_mon = month - 1,
        .tm_mday = day,
        .tm_hour = hour,
        .tm_min = minute,
        .tm_sec = second};
    int64_t seconds = (int64_t)timegm(&parts) - offset_seconds;
    if (seconds < seconds_min || seconds > seconds_max)
        return -1; /* the offset moved it out of what can be written */
    *ret_seconds = seconds;
    *ret_nanoseconds = nanoseconds;
    return 0;
}
