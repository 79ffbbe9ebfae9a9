/* All mistakes of a manifest at once. Each is one line: "bank.yaml:12: spec.actors[1].restart: what, and what
 * to do". Owner: the list owns its texts. Thread: one. */
#ifndef API_PROBLEMS_H
#define API_PROBLEMS_H

#include <stdarg.h>
#include <stddef.h>

#include "base/vec.h"

struct json;
struct str;

/* More than that are counted only. */
enum { API_PROBLEMS_MAX = 100 };

struct api_problem {
    unsigned line; /* 0: unknown */
    char *path;    /* "spec.actors[1].restart"; "" for the whole document */
    char *text;
};

struct api_problems {
    char *file; /* for the lines; NULL: none */
    VEC(struct api_problem) items;
    size_t left_out;
};

void api_problems_init(struct api_problems *problems, const char *file);
void api_problems_done(struct api_problems *problems);
__attribute__((format(printf, 4, 5))) void api_problems_add(
    struct api_problems *problems, unsigned line, const char *path, const char *fmt, ...);
/* Line and path of the node; of its parent's line when it has none. */
__attribute__((format(printf, 3, 4))) void api_problems_add_at(
    struct api_problems *problems, const struct json *node, const char *fmt, ...);
/* Sorts by line. Called once before printing. */
void api_problems_sort(struct api_problems *problems);
/* Appends all, a line each. */
void api_problems_print(const struct api_problems *problems, struct str *out);

#endif
