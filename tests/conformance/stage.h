/* Puppets, actors that do what they are told and note what happens to them, and their notes. It is memory
 * that worker processes map as well. Nothing is locked: who notes takes a line of its own, and the player
 * reads when everything is quiet. */
#ifndef CONFORMANCE_STAGE_H
#define CONFORMANCE_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <histrio/actor.h>

enum { NAME_BYTES = 64, LINE_BYTES = 512, PUPPETS_MAX = 32, LABELS_MAX = 8, WORDS_MAX = 64, LINES_MAX = 256 };

/* One name of the scenario, through all its incarnations. */
struct puppet {
    char name[NAME_BYTES];
    char path[4 * NAME_BYTES]; /* "" for one that another puppet spawned */
    bool traps, is_stubborn;
    char ends_with[NAME_BYTES]; /* "": with the signal's reason */
    int fails;                  /* so many of its next starts fail */
    struct histrio_ref ref;     /* of the present or last incarnation */
    bool is_alive;
    char stopped_with[LINE_BYTES]; /* in a worker process: what its stop function was told */
};

struct stage {
    char mutant[NAME_BYTES]; /* the rule that is broken on purpose; a command of this name does nothing */
    bool is_hosted;          /* puppets are in worker processes */
    struct puppet puppets[PUPPETS_MAX];
    _Atomic size_t puppet_count;
    char lines[LINES_MAX][LINE_BYTES]; /* the trace of this step */
    _Atomic size_t line_count;
};

extern struct stage *stage;
extern const struct histrio_behavior stage_puppet_behavior;

/* Makes it, for the player; worker processes that are started from then on find it in their environment. */
void stage_make(void);
/* In a worker process. */
void stage_join(void);
/* For the next scenario. Nobody else may be there. */
void stage_clear(void);

/* Known by now, or made. */
struct puppet *stage_puppet(const char *name);
/* NULL: there is none. */
struct puppet *stage_find(const char *name);
struct puppet *stage_find_ref(struct histrio_ref ref);
__attribute__((format(printf, 1, 2))) void stage_note(const char *fmt, ...);
void stage_note_end(struct puppet *puppet, const char *reason);

#endif
