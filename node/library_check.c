#include "node/library_check.h"

#include "base/err.h"
#include "capi/library.h"

#include <stdio.h>

int library_check_run(const char *name, const char *path)
{
    struct libraries libraries;
    struct err err = {0};
    libraries_init(&libraries);
    int failed = libraries_load(&libraries, name, path, &err);
    if (failed)
        (void)printf("error %s\n", err.text);
    map_for_each (item, &libraries.behaviors)
        (void)printf("behavior %s\n", item.key);
    /* Whoever asked sees by the exit code whether all of it came through. */
    failed |= fflush(stdout);
    libraries_done(&libraries);
    return failed ? 1 : 0;
}
