#include "host/page.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int page_init(struct page *page, struct err *err)
{
    *page = (struct page){-1, -1, NULL};
    page->page_fd = memfd_create("histrio-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    page->trace_fd = memfd_create("histrio-trace", MFD_CLOEXEC);
    /* Sealed: were the page cut off by its process, our next look at it would be a SIGBUS. */
    if (page->page_fd < 0 || page->trace_fd < 0 || ftruncate(page->page_fd, PAGE_BYTES) < 0 ||
        fcntl(page->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        page_done(page);
        return err_set_errno(err, errno, "memory for a process");
    }
    void *memory = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, page->page_fd, 0);
    if (memory == MAP_FAILED) {
        page_done(page);
        return err_set_errno(err, errno, "memory for a process");
    }
    page->words = memory;
    return 0;
}

void page_done(struct page *page)
{
    if (page->words)
        (void)munmap((void *)(uintptr_t)page->words, PAGE_BYTES); /* ours: cannot fail */
    if (page->page_fd >= 0)
        (void)close(page->page_fd); /* nothing is written back */
    if (page->trace_fd >= 0)
        (void)close(page->trace_fd);
    *page = (struct page){-1, -1, NULL};
}

void page_look(const struct page *page, struct page_view *ret_view)
{
    uint64_t first = page->words[0], second = page->words[1];
    ret_view->busy_since_ns = first != 0 && (second == 0 || first < second) ? first : second;
    for (size_t i = 0; i < PAGE_ENTRIES; i++)
        ret_view->entries[i] = page->words[2 + i];
    ret_view->loop_busy_since_ns = second;
    ret_view->executing = first != 0 ? ret_view->entries[0] & ~PAGE_OVER : 0;
}

void page_read_trace(const struct page *page, char *ret_text, size_t size)
{
    struct stat status;
    off_t begin = 0;
    if (fstat(page->trace_fd, &status) == 0 && status.st_size > (off_t)(size - 1))
        begin = status.st_size - (off_t)(size - 1);
    ssize_t got = pread(page->trace_fd, ret_text, size - 1, begin);
    ret_text[got > 0 ? got : 0] = 0;
    for (char *zero = memchr(ret_text, 0, got > 0 ? (size_t)got : 0); zero;
         zero = memchr(zero, 0, (size_t)(ret_text + got - zero)))
        *zero = ' '; /* a hole, where its writer went on behind what was cut off */
}

void page_clear_trace(const struct page *page)
{
    /* The descriptor shares its place with the process's: it writes from the beginning again. */
    (void)!ftruncate(page->trace_fd, 0); /* what a failure leaves is an older stack before the new one */
    (void)lseek(page->trace_fd, 0, SEEK_SET);
}
