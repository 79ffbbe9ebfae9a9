/* node_control/life.h: the lives of one node: each runtime process is a life with a uid of its own; the
 * parent outlives them, knows how each ended, and tells the next one, who repeats it to the operator as proof
 * of death (R6). Pure. */
#pragma once

#include "base/vec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct str;
struct json;

enum {
    LIFE_UNIT_BYTES = 128,
    LIFE_ACTOR_BYTES = 256,
    LIFE_BACKTRACE_BYTES = 4096,
    LIFE_EARLIER_MAX = 10000, /* older uids that are kept */
    LIFE_DOCUMENT_BYTES = 512 * 1024,
};

/* How one runtime process ended. Texts are "" where nothing is known. */
struct life_end {
    uint64_t node_uid;
    int exit_code;              /* 0 when a signal ended it */
    int signal;                 /* 0 when it exited */
    char unit[LIFE_UNIT_BYTES]; /* whose code was executing */
    char actor[LIFE_ACTOR_BYTES];
    char backtrace[LIFE_BACKTRACE_BYTES];
};

/* What a runtime is told about itself. */
struct life {
    uint64_t node_uid;
    bool has_previous;
    struct life_end previous;
    VEC(uint64_t) earlier; /* the uids before `previous`, oldest first */
};

void life_done(struct life *life);

/* The next life of the same parent: `ended` becomes the previous one, what was previous moves to earlier. */
void life_advance(struct life *life, const struct life_end *ended, uint64_t next_uid);

/* As a JSON document, and back; the document may come from a broken parent: ERR_INVALID says what is wrong.
 */
void life_write(const struct life *life, struct str *out);
int life_read(const char *text, size_t size, struct life *ret_life, struct err *err);

/* 16 lower-case hex digits; LIFE_UID_BYTES holds them. */
enum { LIFE_UID_BYTES = 17 };
char *life_uid_format(uint64_t uid, char *buffer);
int life_uid_parse(const char *text, uint64_t *ret_uid, struct err *err);
