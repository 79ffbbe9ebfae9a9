/* YAML in and out of the trees of base/json.h, with the line of each node.
 *
 * Read is what JSON can say: plain scalars follow the core schema of YAML 1.2 (null ~ true false, integers
 * also as 0x and 0o, floats), everything quoted is a text. Refused with their line: anchors and aliases, tags
 * other than the core schema's, keys that are not texts, duplicate keys, NaN and infinity, more than the
 * limits of base/limits.h. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stddef.h>

struct err;
struct json;
struct str;

/* All documents of text as one array; empty documents are left out. name (a file name; NULL for none) begins
 * the error text: "bank.yaml:12: ...". ERR_INVALID or ERR_LIMIT. */
int yaml_parse(const char *name, const char *text, size_t size, struct json **ret_documents, struct err *err);

/* As yaml_parse, of a file of at most LIMIT_MANIFEST_BYTES: a larger one is refused before it is read. */
int yaml_parse_file(const char *path, struct json **ret_documents, struct err *err);

/* Appends node as one YAML document in block style, which yaml_parse reads back as the same tree. */
void yaml_write(const struct json *node, struct str *out);

#endif
