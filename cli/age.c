#include "cli/age.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

char *age_format(int64_t ms, char *buffer)
{
    long long seconds = ms > 0 ? (long long)(ms / MS_PER_S) : 0;
    if (seconds < 120)
        (void)snprintf(buffer, AGE_TEXT_BYTES, "%llds", seconds);
    else if (seconds < 600 && seconds % 60)
        (void)snprintf(buffer, AGE_TEXT_BYTES, "%lldm%llds", seconds / 60, seconds % 60);
    else if (seconds < 3 * 3600)
        (void)snprintf(buffer, AGE_TEXT_BYTES, "%lldm", seconds / 60);
    else if (seconds < 48 * 3600)
        (void)snprintf(buffer, AGE_TEXT_BYTES, "%lldh", seconds / 3600);
    else
        (void)snprintf(buffer, AGE_TEXT_BYTES, "%lldd", seconds / 86400);
    return buffer; /* 32 bytes hold any of them */
}

int64_t age_parse_time(const char *text)
{
    struct tm parts = {0};
    int milliseconds = 0, used = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
            &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6)
        return 0;
    if (text[used] == '.' && sscanf(text + used + 1, "%3d", &milliseconds) != 1)
        return 0;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    return (int64_t)timegm(&parts) * MS_PER_S + milliseconds;
}
