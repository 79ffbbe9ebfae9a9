/* Where a process for behaviors in C was, from what base/crash.h left in its trace. */
#include "base/str.h"
#include "host/reason_private.h"

#include <stdio.h>
#include <string.h>

static const char begin[] = "\nbacktrace\n";

/* A line of it: "/app/libbank.so(receive+0x1c)[0x7f12...]". */
struct c_frame {
    const char *file; /* without folders, not ended */
    size_t file_size;
    const char *function;
    size_t function_size;
};

char *reason_frames_of_c(char *trace)
{
    char *found = NULL;
    for (char *next = strstr(trace, begin); next; next = strstr(next + 1, begin))
        found = next + sizeof(begin) - 1;
    return found;
}

static bool parse_frame(const char *line, struct c_frame *ret_frame)
{
    size_t all = strcspn(line, "\n");
    const char *open = memchr(line, '(', all);
    const char *close = open ? memchr(open, ')', all - (size_t)(open - line)) : NULL;
    if (!close)
        return false;
    const char *slash = memrchr(line, '/', (size_t)(open - line));
    ret_frame->file = slash ? slash + 1 : line;
    ret_frame->file_size = (size_t)(open - ret_frame->file);
    ret_frame->function = open + 1;
    ret_frame->function_size = (size_t)(close - open - 1);
    return true;
}

/* Of the C library and its kind, or of our own program: not where somebody's code went wrong. */
static bool is_of_the_system(const struct c_frame *frame)
{
    static const char *const names[] = {"libc.so", "libc-2", "libpthread", "ld-linux", "libgcc_s",
        "libstdc++", "libasan", "libubsan", "libtsan", "linux-vdso", "histrio-host"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (frame->file_size >= strlen(names[i]) && memcmp(frame->file, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

bool reason_place_of_c(const char *trace, char *ret_place, size_t size)
{
    const char *line = reason_frames_of_c((char *)(uintptr_t)trace); /* which only looks */
    struct c_frame frame, first = {0}, *found = NULL;
    for (; line && *line && !found; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (!parse_frame(line, &frame))
            continue;
        if (!first.file)
            first = frame;
        if (!is_of_the_system(&frame))
            found = &frame;
    }
    if (!found && first.file)
        found = &first;
    if (found)
        (void)snprintf(ret_place, size, "%.*s in %.*s", (int)found->file_size, found->file,
            (int)found->function_size, found->function); /* longer ones are cut */
    return found != NULL;
}
