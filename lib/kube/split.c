#include "kube/split.h"

#include <string.h>

#include "base/err.h"

enum { SHOWN_BYTES_MAX = 20 };

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* at is the opening quote; behind the closing one, or NULL. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at < end ? at + 1 : NULL;
}

/* at is an opening bracket; behind the one that closes it, or NULL. Which kinds match is for json_parse. */
static const char *skip_brackets(const char *at, const char *end)
{
    size_t depth = 0;
    while (at && at < end) {
        char character = *at;
        if (character == '"') {
            at = skip_string(at, end);
            continue;
        }
        at++;
        if (character == '{' || character == '[')
            depth++;
        else if ((character == '}' || character == ']') && --depth == 0)
            return at;
    }
    return NULL;
}

static const char *skip_value(const char *at, const char *end)
{
    if (at == end)
        return NULL;
    if (*at == '"')
        return skip_string(at, end);
    if (*at == '{' || *at == '[')
        return skip_brackets(at, end);
    const char *begin = at;
    while (at < end && !strchr(",:]}\" \t\r\n", *at)) /* a NUL ends it as well: json_parse says what it is */
        at++;
    return at > begin && at < end ? at : NULL;
}

static int fail(const struct kube_split *split, struct err *err)
{
    size_t left = (size_t)(split->end - split->at);
    if (left > 0) /* the text need not end with a NUL */
        return err_set(err, ERR_INVALID, "not JSON: what is \"%.*s\"?",
            left < SHOWN_BYTES_MAX ? (int)left : SHOWN_BYTES_MAX, split->at);
    return err_set(err, ERR_INVALID, "not JSON: it breaks off");
}

int kube_split_begin(
    const char *text, size_t size, char opening, struct kube_split *ret_split, struct err *err)
{
    struct kube_split split = {.end = text + size, .closing = opening == '{' ? '}' : ']'};
    split.at = skip_blanks(text, split.end);
    if (split.at == split.end || *split.at != opening)
        return err_set(err, ERR_INVALID, "not JSON: it does not begin with \"%c\"", opening);
    split.at++;
    *ret_split = split;
    return 0;
}

/* Behind the last part: nothing but blanks. */
static int at_closing(struct kube_split *split, struct err *err)
{
    split->at = skip_blanks(split->at + 1, split->end);
    return split->at == split->end ? 0 : fail(split, err);
}

static int read_key(struct kube_split *split, struct kube_part *part, struct err *err)
{
    const char *begin = split->at;
    const char *behind = begin < split->end && *begin == '"' ? skip_string(begin, split->end) : NULL;
    if (!behind)
        return fail(split, err);
    part->key = begin + 1;
    part->key_size = (size_t)(behind - begin) - 2;
    split->at = skip_blanks(behind, split->end);
    if (split->at == split->end || *split->at != ':')
        return fail(split, err);
    split->at = skip_blanks(split->at + 1, split->end);
    return 0;
}

/* Up to the value of the next part: 1; 0 at the end. */
static int next_value(struct kube_split *split, struct kube_part *part, struct err *err)
{
    split->at = skip_blanks(split->at, split->end);
    if (split->at == split->end)
        return fail(split, err);
    if (*split->at == split->closing)
        return at_closing(split, err);
    if (split->has_begun) {
        if (*split->at != ',')
            return fail(split, err);
        split->at = skip_blanks(split->at + 1, split->end);
    }
    split->has_begun = true;
    return split->closing == '}' && read_key(split, part, err) < 0 ? -1 : 1;
}

static int read_value(struct kube_split *split, struct kube_part *part, struct err *err)
{
    const char *behind = skip_value(split->at, split->end);
    if (!behind)
        return fail(split, err);
    part->value = split->at;
    part->value_size = (size_t)(behind - split->at);
    split->at = behind;
    return 1;
}

int kube_split_next(struct kube_split *split, struct kube_part *ret_part, struct err *err)
{
    struct kube_part part = {0};
    int found = next_value(split, &part, err);
    if (found > 0 && read_value(split, &part, err) < 0)
        return -1;
    if (found > 0)
        *ret_part = part;
    return found;
}

int kube_split_enter(struct kube_split *split, const char *key, struct err *err)
{
    struct kube_part part = {0};
    int found;
    while ((found = next_value(split, &part, err)) > 0) {
        if (kube_part_is(&part, key) && split->at < split->end && *split->at == '{') {
            split->at++;
            split->has_begun = false;
            return 1;
        }
        if (read_value(split, &part, err) < 0)
            return -1;
    }
    return found;
}

bool kube_part_is(const struct kube_part *part, const char *key)
{
    return part->key_size == strlen(key) && memcmp(part->key, key, part->key_size) == 0;
}
