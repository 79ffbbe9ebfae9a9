/* The page that the node looks at when we are gone: what was begun, who executes, and since when. */
#ifndef CWORKER_BEGUN_H
#define CWORKER_BEGUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct begun {
    volatile uint64_t *words; /* NULL: there is none */
    size_t entries;           /* behind the two words of time; the first of them is who executes */
    size_t top;               /* entries from here on are empty */
};

/* What was executing before, to go back to. */
struct begun_before {
    uint64_t since_ns, executing;
};

int begun_init(struct begun *begun, int page_fd, struct err *err);
void begun_done(struct begun *begun);

/* The actor in that slot executes from now on. */
struct begun_before begun_enter(struct begun *begun, uint32_t slot, int64_t now_ns);
void begun_leave(struct begun *begun, const struct begun_before *before);

/* A delivery begins: its entry. Where begun_is_full(), all answers are written, and told by begun_written(),
 * before. */
size_t begun_add(struct begun *begun, uint64_t delivery);
/* Its end was said, and is not written yet. */
void begun_over(struct begun *begun, size_t entry);
bool begun_is_full(const struct begun *begun);
/* What was over is written. */
void begun_written(struct begun *begun);

#endif
