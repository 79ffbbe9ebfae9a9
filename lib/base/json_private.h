/* The inside of struct json, for the json_*.c files only. */
#ifndef BASE_JSON_PRIVATE_H
#define BASE_JSON_PRIVATE_H

#include "base/json.h"
#include "base/map.h"

/* An object with more members than this looks its keys up in a map. */
enum { JSON_INDEX_FROM = 16 };

struct json {
    enum json_type type;
    unsigned line;
    struct json *parent; /* NULL for a root */
    char *key;           /* owned; NULL unless parent is an object */
    union {
        bool truth;
        int64_t number;
        uint64_t large;
        double real;
        struct {
            char *bytes; /* owned, ended by a NUL that size does not count */
            size_t size;
        } text;
        struct {
            struct json **items;
            size_t count;
            size_t capacity;
            struct map *index; /* key -> member; NULL for arrays and small objects */
        } list;
    } as;
};

struct json *json_new(enum json_type type);
/* Appends value under key, which is not there yet. Takes both; key is NULL for arrays. */
void json_append_take(struct json *container, char *key, struct json *value);
/* An integer from its sign and digits; false when it fits neither int64 nor uint64. */
bool json_integer_of(bool is_negative, uint64_t magnitude, struct json **ret_node);

#endif
