/* Trees as JSON has them: made by json_parse, by yaml_parse or by hand, read with typed calls whose errors
 * say where.
 *
 * Numbers without a fraction are exact over int64 and uint64, others are doubles; what fits neither is
 * refused. Duplicate keys are refused. Members keep their order. Each node knows its parent, so that a
 * mistake can be shown with its path ("spec.actors[2].restart"), and its source line, when it has one. Texts
 * are UTF-8 and may hold a NUL, which the typed reads of texts refuse; keys never do.
 *
 * Owner: a tree belongs to whoever holds its root, which json_free frees with everything below; other nodes
 * are borrowed. Thread: one at a time, and any number that only read. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct err;
struct str;
struct json;

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,  /* fits int64 */
    JSON_UINT, /* above int64, fits uint64 */
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

void json_free(struct json *root);
DEFINE_CLEANUP(struct json *, json_free)
/* A copy with everything below, lines included, as a root of its own. */
struct json *json_dup(const struct json *node);

/* ---- text to tree ---- */

/* Strict RFC 8259 of one value; ERR_INVALID with "line 3 column 7: ..." in the text, ERR_LIMIT beyond
 * LIMIT_JSON_BYTES, LIMIT_TREE_DEPTH or LIMIT_TREE_NODES. */
int json_parse(const char *text, size_t size, struct json **ret_root, struct err *err);

/* ---- reading ---- */

/* A NULL node reads as JSON_NULL everywhere, so chains of json_get need no checks. */
enum json_type json_type(const struct json *node);
/* "an integer", "a string", ...: for error texts. */
const char *json_type_name(enum json_type type);
bool json_is_null(const struct json *node);

/* The source line, counted from 1; 0 for nodes that were built. */
unsigned json_line(const struct json *node);
/* Appends "spec.actors[2].restart"; nothing for a root. Keys that are not plain words are quoted: spec["a
 * b"]. */
void json_path(const struct json *node, struct str *out);
const struct json *json_parent(const struct json *node);

/* The member of that name, or NULL; also when node is no object. */
struct json *json_get(const struct json *object, const char *key);
/* Items of an array or members of an object; 0 for others. */
size_t json_count(const struct json *node);
/* The item or member value at index, NULL behind the end. */
struct json *json_at(const struct json *node, size_t index);
/* The key of the member at index; NULL behind the end and for arrays. */
const char *json_key_at(const struct json *object, size_t index);
/* The key under which node stands in its object, NULL in an array or at the root. */
const char *json_key(const struct json *node);

/* Plain values; with the wrong type false, 0 or "". */
bool json_bool(const struct json *node);
int64_t json_int(const struct json *node);
uint64_t json_uint(const struct json *node);
double json_double(const struct json *node); /* of any number */
const char *json_string(const struct json *node);
size_t json_string_size(const struct json *node);

/* item is declared as struct json * for each item or member value in turn; break and continue work. */
#define json_for_each(item, node)                                                                            \
    for (size_t item##_index = 0, item##_end = json_count(node), item##_ended = 1;                           \
         item##_ended && item##_index < item##_end; item##_index++)                                          \
        for (struct json *item = (item##_ended = 0, json_at((node), item##_index)); !item##_ended;           \
             item##_ended = 1)

/* Typed reads: node itself must be of that type, else ERR_INVALID with "line 3: spec.nodes: must be an
 * integer, not a string". A NULL node is ERR_NOT_FOUND. */
int json_read_bool(const struct json *node, bool *ret_value, struct err *err);
int json_read_int(
    const struct json *node, int64_t minimum, int64_t maximum, int64_t *ret_value, struct err *err);
int json_read_uint(const struct json *node, uint64_t maximum, uint64_t *ret_value, struct err *err);
int json_read_double(const struct json *node, double *ret_value, struct err *err);
/* At most size_max bytes; *ret_text is borrowed from the tree. */
int json_read_string(const struct json *node, size_t size_max, const char **ret_text, struct err *err);
int json_read_duration(const struct json *node, int64_t *ret_ms, struct err *err);
/* The index of the text among names (ended by NULL); the error lists them. */
int json_read_enum(const struct json *node, const char *const *names, int *ret_index, struct err *err);
int json_expect(const struct json *node, enum json_type type, struct err *err);
/* The first member whose key is none of names (ended by NULL), at or after *position, which moves behind it;
 * NULL when there is none left. Start with a position of 0. */
const struct json *json_next_unknown(const struct json *object, const char *const *names, size_t *position);
/* Fills err with ERR_INVALID and "line 3: path: " before the text; returns -1. */
__attribute__((format(printf, 3, 4))) int json_error(
    const struct json *node, struct err *err, const char *fmt, ...);

/* ---- building ---- */

struct json *json_null_new(void);
struct json *json_bool_new(bool value);
struct json *json_int_new(int64_t value);
struct json *json_uint_new(uint64_t value);
struct json *json_double_new(double value); /* finite */
struct json *json_string_new(const char *text);
struct json *json_bytes_new(const char *text, size_t size); /* a text that may hold a NUL */
struct json *json_array_new(void);
struct json *json_object_new(void);
void json_set_line(struct json *node, unsigned line);

/* Puts value, a root until now, under key, in place of what was there. Takes value and returns it. */
struct json *json_set_take(struct json *object, const char *key, struct json *value);
struct json *json_set_null(struct json *object, const char *key);
struct json *json_set_bool(struct json *object, const char *key, bool value);
struct json *json_set_int(struct json *object, const char *key, int64_t value);
struct json *json_set_uint(struct json *object, const char *key, uint64_t value);
struct json *json_set_double(struct json *object, const char *key, double value);
struct json *json_set_string(struct json *object, const char *key, const char *text); /* NULL text: null */
__attribute__((format(printf, 3, 4))) struct json *json_set_stringf(
    struct json *object, const char *key, const char *fmt, ...);
/* A new empty array or object under key, returned. */
struct json *json_set_array(struct json *object, const char *key);
struct json *json_set_object(struct json *object, const char *key);
/* Removes the member; false when there is none. */
bool json_remove(struct json *object, const char *key);

/* Adds at the end. Takes value and returns it. */
struct json *json_add_take(struct json *array, struct json *value);
struct json *json_add_string(struct json *array, const char *text);
struct json *json_add_int(struct json *array, int64_t value);
struct json *json_add_object(struct json *array);

/* ---- tree to text ---- */

enum json_style {
    JSON_COMPACT,
    JSON_PRETTY
}; /* one line without blanks, or two blanks a level and a newline at the end */

/* Appends node as JSON; equal trees give equal bytes, and json_parse of them gives an equal tree. */
void json_write(const struct json *node, enum json_style style, struct str *out);
/* As a new text, which the caller frees. */
char *json_to_text(const struct json *node, enum json_style style);
/* Same types, values and order of members; lines do not count. */
bool json_equal(const struct json *left, const struct json *right);

#endif
