/* How plain scalars of YAML read; for yaml.c only. */
#ifndef BASE_YAML_PRIVATE_H
#define BASE_YAML_PRIVATE_H

#include <stddef.h>

struct err;
struct json;

/* The value of an unquoted scalar by the core schema of YAML 1.2: null, a truth value, a number, or a string.
 * Fails for integers beyond 64 bits, NaN and infinity. text ends with a NUL that size does not count. */
int yaml_scalar(const char *text, size_t size, struct json **ret_node, struct err *err);

#endif
