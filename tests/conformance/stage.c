#include "conformance/stage.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STAGE_VARIABLE "HISTRIO_CONFORMANCE_STAGE"

struct stage *stage;

static void map(int fd)
{
    void *memory = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        abort();
    stage = memory;
}

void stage_make(void)
{
    char path[64];
    int fd = memfd_create("stage", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(*stage)) < 0)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd); /* open as long as we are */
    if (setenv(STAGE_VARIABLE, path, 1) < 0)
        abort();
    map(fd);
}

void stage_join(void)
{
    const char *path = getenv(STAGE_VARIABLE);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        abort();
    map(fd);
    (void)close(fd); /* the memory stays */
}

void stage_clear(void)
{
    stage->puppet_count = stage->line_count = 0;
    memset(stage->puppets, 0, sizeof(stage->puppets));
}

struct puppet *stage_find(const char *name)
{
    for (size_t i = 0; i < stage->puppet_count; i++) {
        if (strcmp(stage->puppets[i].name, name) == 0)
            return &stage->puppets[i];
    }
    return NULL;
}

struct puppet *stage_find_ref(struct histrio_ref ref)
{
    for (size_t i = 0; i < stage->puppet_count; i++) {
        if (histrio_ref_equal(stage->puppets[i].ref, ref))
            return &stage->puppets[i];
    }
    return NULL;
}

struct puppet *stage_puppet(const char *name)
{
    struct puppet *found = stage_find(name);
    if (found)
        return found;
    size_t number = atomic_fetch_add(&stage->puppet_count, 1); /* never the same name in two processes */
    if (number >= PUPPETS_MAX)
        abort();
    (void)snprintf(stage->puppets[number].name, NAME_BYTES, "%s", name);
    return &stage->puppets[number];
}

void stage_note(const char *fmt, ...)
{
    size_t number = atomic_fetch_add(&stage->line_count, 1);
    if (number >= LINES_MAX)
        abort(); /* something runs away */
    char *line = stage->lines[number];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, LINE_BYTES, fmt, args); /* reasons are shorter */
    va_end(args);
    char *long_reason = strstr(line, " shutdown: child");
    if (long_reason) /* why a supervisor did not start has other words in Erlang */
        memcpy(long_reason, " shutdown: start", sizeof(" shutdown: start"));
}

void stage_note_end(struct puppet *puppet, const char *reason)
{
    puppet->is_alive = false;
    stage_note("end %s %s", puppet->name, reason);
}
