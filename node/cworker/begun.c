#include "cworker/begun.h"

#include "base/err.h"
#include "host/page.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

int begun_init(struct begun *begun, int page_fd, struct err *err)
{
    *begun = (struct begun){.top = 1, .entries = PAGE_ENTRIES};
    if (page_fd < 0)
        return 0;
    void *memory = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    if (memory == MAP_FAILED)
        return err_set_errno(err, errno, "the page of descriptor %d", page_fd);
    begun->words = memory;
    return 0;
}

void begun_done(struct begun *begun)
{
    if (begun->words)
        (void)munmap((void *)(uintptr_t)begun->words, PAGE_BYTES); /* ours: cannot fail */
    begun->words = NULL;
}

struct begun_before begun_enter(struct begun *begun, uint32_t slot, int64_t now_ns)
{
    struct begun_before before = {0};
    if (!begun->words)
        return before;
    before = (struct begun_before){begun->words[0], begun->words[2]};
    begun->words[2] = PAGE_ACTOR | slot;
    begun->words[0] = (uint64_t)now_ns;
    return before;
}

void begun_leave(struct begun *begun, const struct begun_before *before)
{
    if (!begun->words)
        return;
    begun->words[0] = before->since_ns;
    begun->words[2] = before->executing;
}

/* Below an open one that is the last of the page. */
static size_t find_free(const struct begun *begun)
{
    size_t entry = 1;
    while (entry < begun->entries && begun->words[2 + entry] != 0)
        entry++;
    assert(entry < begun->entries); /* nested starts are fewer than entries */
    return entry;
}

size_t begun_add(struct begun *begun, uint64_t delivery)
{
    if (!begun->words)
        return 0;
    size_t entry = begun->top < begun->entries ? begun->top++ : find_free(begun);
    begun->words[2 + entry] = delivery;
    return entry;
}

void begun_over(struct begun *begun, size_t entry)
{
    if (begun->words)
        begun->words[2 + entry] |= PAGE_OVER;
}

bool begun_is_full(const struct begun *begun)
{
    return begun->top >= begun->entries;
}

void begun_written(struct begun *begun)
{
    if (!begun->words)
        return;
    for (size_t entry = 1; entry < begun->top; entry++)
        if ((begun->words[2 + entry] & PAGE_OVER) != 0)
            begun->words[2 + entry] = 0;
    while (begun->top > 1 && begun->words[2 + begun->top - 1] == 0)
        begun->top--;
}
