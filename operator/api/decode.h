/* Strict reads out of a manifest's tree, private to this module: each mistake is added to the problems and
 * the read goes on with the default, so that one pass finds them all. */
#ifndef API_DECODE_H
#define API_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/problems.h"

struct json;
struct label_list;

/* Is node an object (or absent)? With unknown members said, each with the name that was probably meant.
 * False: do not read its members. */
bool decode_object(struct api_problems *problems, const struct json *node, const char *const *known);
/* The array under key, NULL when absent, of the wrong type or too long (which is said). */
const struct json *decode_array(
    struct api_problems *problems, const struct json *object, const char *key, size_t count_max);

/* Each reads object.key into *value, which holds the default: left alone when absent or wrong. True when the
 * field is there and right. */
bool decode_bool(struct api_problems *problems, const struct json *object, const char *key, bool *value);
bool decode_u32(struct api_problems *problems, const struct json *object, const char *key, uint32_t minimum,
    uint32_t maximum, uint32_t *value);
bool decode_duration(struct api_problems *problems, const struct json *object, const char *key,
    int64_t minimum_ms, int64_t maximum_ms, int64_t *value_ms);
/* A quantity of memory as Kubernetes writes it, in whole numbers: "512Mi", "1G", "268435456". */
bool decode_bytes(struct api_problems *problems, const struct json *object, const char *key, uint64_t minimum,
    uint64_t maximum, uint64_t *value);
/* names: ended by NULL; value: the index in it. */
bool decode_enum(struct api_problems *problems, const struct json *object, const char *key,
    const char *const *names, int *value);
/* A new text in *value, which the caller frees; "" and NULs are refused. */
bool decode_text(
    struct api_problems *problems, const struct json *object, const char *key, size_t size_max, char **value);
/* As decode_text; a DNS label. */
bool decode_label_name(
    struct api_problems *problems, const struct json *object, const char *key, size_t size_max, char **value);
/* An object of texts. */
void decode_labels(
    struct api_problems *problems, const struct json *object, const char *key, struct label_list *labels);
/* Says that object.key is missing, with what belongs there. */
__attribute__((format(printf, 4, 5))) void decode_missing(
    struct api_problems *problems, const struct json *object, const char *key, const char *fmt, ...);

#endif
