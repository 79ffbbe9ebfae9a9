/* Cuts the text of a JSON object or array into its direct parts without making a tree, so that a list of 100
 * MB needs the memory of one object. Only the cuts are checked: each part goes through json_parse afterwards.
 * Pure. */
#ifndef KUBE_SPLIT_H
#define KUBE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

struct err;

struct kube_split {
    const char *at;
    const char *end;
    char closing;   /* '}' or ']' */
    bool has_begun; /* behind the first part */
};

/* A piece of the text. */
struct kube_part {
    const char *key; /* raw, without its quotes; NULL in an array */
    size_t key_size;
    const char *value;
    size_t value_size;
};

/* text is one object ('{') or array ('['), with blanks around it at most. ERR_INVALID. */
int kube_split_begin(
    const char *text, size_t size, char opening, struct kube_split *ret_split, struct err *err);

/* 1 and the next part, 0 at the end, -1 and ERR_INVALID when the text breaks off or is no JSON at this place.
 */
int kube_split_next(struct kube_split *split, struct kube_part *ret_part, struct err *err);

/* Goes on to the part of that key, an object, and into it: what comes next are its parts, and behind them -1,
 * not 0, as the text goes on. What stands behind its opening is not looked at. 1: it is in; 0: there is none;
 * -1: as above. */
int kube_split_enter(struct kube_split *split, const char *key, struct err *err);

bool kube_part_is(const struct kube_part *part, const char *key);

#endif
