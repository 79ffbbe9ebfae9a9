/* What happened in a test with a server, as words. */
#ifndef UNIT_KUBE_WATCH_NOTES_H
#define UNIT_KUBE_WATCH_NOTES_H

#include <stdint.h>

#include "base/str.h"
#include "unit/kube/stage.h"

struct err;
struct json;

/* A stage's ctx. Guarded by the stage's lock. */
struct notes {
    struct stage *stage;
    struct str text;
    int syncs;
    /* The server's Lease. */
    struct json *lease;
    uint64_t lease_version;
    bool refuses;
};

int notes_setup(void **state);
int notes_teardown(void **state);

__attribute__((format(printf, 2, 3))) void note(struct notes *notes, const char *fmt, ...);
/* "problem TEXT|" or "problem over|"; ctx is the notes. */
void note_problem_text(void *ctx, const struct err *problem);
/* Waits until the words are in the notes; they are taken out up to there. */
void expect_noted(struct notes *notes, const char *words);

#endif
