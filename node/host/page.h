/* What a process leaves behind when it dies: a page of memory with the deliveries that it had begun, and a
 * trace, a file in memory that its fatal signal handler wrote stacks to. Both are shared with it, so nothing
 * in them can be trusted further than that process. */
#ifndef HOST_PAGE_H
#define HOST_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { PAGE_BYTES = 4096, PAGE_ENTRIES = PAGE_BYTES / 8 - 2, TRACE_BYTES = 64 * 1024 };
#define PAGE_OVER (UINT64_C(1) << 63)
/* In the entry of what executes: not a delivery, but the slot of an actor. */
#define PAGE_ACTOR (UINT64_C(1) << 62)

struct page {
    int page_fd, trace_fd;
    const volatile uint64_t *words; /* of the mapping */
};

/* What has become of a delivery that was handed over. */
enum page_entry {
    PAGE_NOT_BEGUN,
    PAGE_BEGUN,
    PAGE_IS_OVER, /* its answer was not written */
};

/* The page at one moment. */
struct page_view {
    uint64_t busy_since_ns;      /* the earlier of both threads' handlers; 0: none runs */
    uint64_t loop_busy_since_ns; /* of the handler that the event loop runs */
    uint64_t executing;          /* the delivery, or PAGE_ACTOR and a slot, on the stack of the thread that
                                    dispatches; 0: none */
    uint64_t entries[PAGE_ENTRIES];
};

int page_init(struct page *page, struct err *err);
void page_done(struct page *page);
void page_look(const struct page *page, struct page_view *ret_view);
/* The trace as a text of at most size - 1 bytes, its end when it is longer. */
void page_read_trace(const struct page *page, char *ret_text, size_t size);
/* Before a stack is asked for: what comes is the only one. */
void page_clear_trace(const struct page *page);

#endif
