#include "kube/micro_time.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rfc3339.h"

char *kube_micro_time(int64_t wall_ms, char *buffer)
{
    char seconds[RFC3339_TEXT_BYTES];
    int64_t ms = wall_ms % MS_PER_S;
    if (ms < 0)
        ms += MS_PER_S;
    if (rfc3339_format((wall_ms - ms) / MS_PER_S, 0, seconds, NULL) < 0)
        (void)snprintf(
            seconds, sizeof(seconds), "1970-01-01T00:00:00Z"); /* a clock that is thousands of years off */
    seconds[strlen(seconds) - 1] = 0;                          /* the Z */
    (void)snprintf(buffer, KUBE_MICRO_TIME_BYTES, "%s.%03d000Z", seconds, (int)ms);
    return buffer;
}
