#include "base/value.h"

#include <string.h>

#include "base/value_private.h"

/* Our own reader: the one of libmsgpack allocates, and takes what value_validate refuses. */

static uint64_t big_endian(const uint8_t *data, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | data[i];
    return number;
}

/* The forms of the first byte from 0xC0 to 0xDF: what it is, bytes of its length or number, and, for lengths,
 * what stands between the length and the payload (the type of an ext). */
static const struct {
    enum value_type type;
    uint8_t number_size;
    uint8_t fixed_payload; /* fixext: the payload's size, with the type byte in front */
} forms[32] = {
    [0x00] = {VALUE_NIL, 0, 0},
    [0x02] = {VALUE_BOOL, 0, 0},
    [0x03] = {VALUE_BOOL, 0, 0},
    [0x04] = {VALUE_BYTES, 1, 0},
    [0x05] = {VALUE_BYTES, 2, 0},
    [0x06] = {VALUE_BYTES, 4, 0},
    [0x07] = {VALUE_OTHER, 1, 0},
    [0x08] = {VALUE_OTHER, 2, 0},
    [0x09] = {VALUE_OTHER, 4, 0},
    [0x0A] = {VALUE_DOUBLE, 4, 0},
    [0x0B] = {VALUE_DOUBLE, 8, 0},
    [0x0C] = {VALUE_INT, 1, 0},
    [0x0D] = {VALUE_INT, 2, 0},
    [0x0E] = {VALUE_INT, 4, 0},
    [0x0F] = {VALUE_INT, 8, 0},
    [0x10] = {VALUE_INT, 1, 0},
    [0x11] = {VALUE_INT, 2, 0},
    [0x12] = {VALUE_INT, 4, 0},
    [0x13] = {VALUE_INT, 8, 0},
    [0x14] = {VALUE_OTHER, 0, 1},
    [0x15] = {VALUE_OTHER, 0, 2},
    [0x16] = {VALUE_OTHER, 0, 4},
    [0x17] = {VALUE_OTHER, 0, 8},
    [0x18] = {VALUE_OTHER, 0, 16},
    [0x19] = {VALUE_STRING, 1, 0},
    [0x1A] = {VALUE_STRING, 2, 0},
    [0x1B] = {VALUE_STRING, 4, 0},
    [0x1C] = {VALUE_ARRAY, 2, 0},
    [0x1D] = {VALUE_ARRAY, 4, 0},
    [0x1E] = {VALUE_MAP, 2, 0},
    [0x1F] = {VALUE_MAP, 4, 0},
};

static double double_of(uint64_t bits, size_t size)
{
    double result;
    if (size == 8) {
        memcpy(&result, &bits, sizeof(result));
        return result;
    }
    uint32_t narrow = (uint32_t)bits;
    float single;
    memcpy(&single, &narrow, sizeof(single));
    return (double)single;
}

/* A first byte that holds a small number or length itself; false when it does not. */
static bool short_head(uint8_t first, struct value_head *head)
{
    head->head_size = 1;
    if (first < 0x80 || first >= 0xE0) {
        head->type = VALUE_INT;
        head->number = (uint64_t)(int64_t)(int8_t)first;
        head->is_negative = first >= 0xE0;
    } else if (first < 0x90) {
        head->type = VALUE_MAP;
        head->count = first & 0x0F;
    } else if (first < 0xA0) {
        head->type = VALUE_ARRAY;
        head->count = first & 0x0F;
    } else if (first < 0xC0) {
        head->type = VALUE_STRING;
        head->payload_size = first & 0x1F;
    } else {
        return false;
    }
    return true;
}

/* A number of number_size bytes behind the first byte of form index. */
static void long_number(unsigned index, uint64_t bits, size_t number_size, struct value_head *head)
{
    head->number = bits;
    if (head->type == VALUE_DOUBLE) {
        head->real = double_of(bits, number_size);
    } else if (index >= 0x10) { /* signed: the sign bit fills what is missing */
        unsigned shift = 64 - 8 * (unsigned)number_size;
        head->number = (uint64_t)((int64_t)(bits << shift) >> shift);
        head->is_negative = (int64_t)head->number < 0;
    }
}

bool value_read_head(struct value value, struct value_head *ret_head)
{
    struct value_head head = {0};
    if (value.size == 0)
        return false;
    uint8_t first = value.data[0];
    if (!short_head(first, &head)) {
        unsigned index = first - 0xC0U;
        size_t number_size = forms[index].number_size;
        if (forms[index].type == VALUE_NONE || value.size < 1 + number_size)
            return false;
        uint64_t bits = big_endian(value.data + 1, number_size);
        head.type = forms[index].type;
        head.head_size = 1 + number_size;
        if (head.type == VALUE_INT || head.type == VALUE_DOUBLE)
            long_number(index, bits, number_size, &head);
        else if (head.type == VALUE_ARRAY || head.type == VALUE_MAP)
            head.count = (size_t)bits;
        else if (head.type == VALUE_BOOL)
            head.number = first & 1;
        else if (head.type != VALUE_NIL)
            head.payload_size = number_size > 0 ? (size_t)bits : forms[index].fixed_payload;
        if (head.type == VALUE_OTHER) {
            if (value.size <= head.head_size)
                return false;
            if ((int8_t)value.data[head.head_size] == VALUE_TIME_EXT && head.payload_size == VALUE_TIME_BYTES)
                head.type = VALUE_TIME;
            head.head_size++;
        }
    }
    if (head.payload_size > value.size - head.head_size)
        return false;
    *ret_head = head;
    return true;
}

static bool head_of_type(struct value value, enum value_type type, struct value_head *ret_head)
{
    return value_read_head(value, ret_head) && ret_head->type == type;
}

enum value_type value_type(struct value value)
{
    struct value_head head;
    return value_read_head(value, &head) ? head.type : VALUE_NONE;
}

const char *value_type_name(enum value_type type)
{
    switch (type) {
    case VALUE_NONE: return "nothing";
    case VALUE_NIL: return "nil";
    case VALUE_BOOL: return "true or false";
    case VALUE_INT: return "an integer";
    case VALUE_DOUBLE: return "a number";
    case VALUE_STRING: return "a string";
    case VALUE_BYTES: return "bytes";
    case VALUE_ARRAY: return "an array";
    case VALUE_MAP: return "a map";
    case VALUE_TIME: return "a time";
    case VALUE_OTHER: return "an unknown extension";
    }
    return "something unknown";
}

/* Without recursion: what is still to be skipped is one number. Each round consumes at least a byte, so that
 * a huge count ends with the bytes. */
size_t value_span(struct value value)
{
    size_t at = 0;
    if (value.size == 0)
        return 0;
    for (uint64_t left = 1; left > 0; left--) {
        struct value_head head;
        if (!value_read_head(value_of(value.data + at, value.size - at), &head))
            return 0;
        at += head.head_size + head.payload_size;
        left += head.type == VALUE_MAP ? 2 * (uint64_t)head.count : head.count;
    }
    return at;
}

bool value_get_bool(struct value value, bool *ret_value)
{
    struct value_head head;
    if (!head_of_type(value, VALUE_BOOL, &head))
        return false;
    *ret_value = head.number != 0;
    return true;
}

bool value_get_int(struct value value, int64_t *ret_value)
{
    struct value_head head;
    if (!head_of_type(value, VALUE_INT, &head) || (!head.is_negative && head.number > INT64_MAX))
        return false;
    *ret_value = (int64_t)head.number;
    return true;
}

bool value_get_uint(struct value value, uint64_t *ret_value)
{
    struct value_head head;
    if (!head_of_type(value, VALUE_INT, &head) || head.is_negative)
        return false;
    *ret_value = head.number;
    return true;
}

bool value_get_double(struct value value, double *ret_value)
{
    struct value_head head;
    if (!value_read_head(value, &head) || (head.type != VALUE_INT && head.type != VALUE_DOUBLE))
        return false;
    if (head.type == VALUE_DOUBLE)
        *ret_value = head.real;
    else
        *ret_value = head.is_negative ? (double)(int64_t)head.number : (double)head.number;
    return true;
}

bool value_get_string(struct value value, const char **ret_text, size_t *ret_size)
{
    struct value_head head;
    if (!head_of_type(value, VALUE_STRING, &head))
        return false;
    *ret_text = (const char *)value.data + head.head_size;
    *ret_size = head.payload_size;
    return true;
}

bool value_get_bytes(struct value value, const void **ret_data, size_t *ret_size)
{
    struct value_head head;
    if (!head_of_type(value, VALUE_BYTES, &head))
        return false;
    *ret_data = value.data + head.head_size;
    *ret_size = head.payload_size;
    return true;
}

bool value_get_time(struct value value, int64_t *ret_seconds, uint32_t *ret_nanoseconds)
{
    struct value_head head;
    if (!head_of_type(value, VALUE_TIME, &head))
        return false;
    const uint8_t *payload = value.data + head.head_size;
    *ret_nanoseconds = (uint32_t)big_endian(payload, 4);
    *ret_seconds = (int64_t)big_endian(payload + 4, 8);
    return true;
}

bool value_is_string(struct value value, const char *text)
{
    const char *found;
    size_t size;
    return value_get_string(value, &found, &size) && strlen(text) == size && memcmp(found, text, size) == 0;
}

size_t value_count(struct value value)
{
    struct value_head head;
    return value_read_head(value, &head) ? head.count : 0;
}

struct value_iterator value_iterate(struct value value)
{
    struct value_head head;
    struct value_iterator iterator = {0};
    if (!value_read_head(value, &head))
        return iterator;
    iterator.rest = value_of(value.data + head.head_size, value.size - head.head_size);
    iterator.left = head.count;
    iterator.is_map = head.type == VALUE_MAP;
    return iterator;
}

/* The next value of rest, which moves behind it; false when it is broken. */
static bool take(struct value *rest, struct value *ret_value)
{
    size_t span = value_span(*rest);
    if (span == 0)
        return false;
    *ret_value = value_of(rest->data, span);
    *rest = value_of(rest->data + span, rest->size - span);
    return true;
}

bool value_next(struct value_iterator *iterator)
{
    if (iterator->left == 0)
        return false;
    iterator->left--;
    if ((!iterator->is_map || take(&iterator->rest, &iterator->key)) &&
        take(&iterator->rest, &iterator->item))
        return true;
    iterator->left = 0;
    return false;
}

struct value value_at(struct value value, size_t index)
{
    struct value_iterator iterator = value_iterate(value);
    while (value_next(&iterator)) {
        if (index-- == 0)
            return iterator.item;
    }
    return (struct value){0};
}

struct value value_find(struct value map, const char *key)
{
    struct value_iterator iterator = value_iterate(map);
    while (iterator.is_map && value_next(&iterator)) {
        if (value_is_string(iterator.key, key))
            return iterator.item;
    }
    return (struct value){0};
}

struct value value_argument(struct value arguments, const char *name, size_t position)
{
    if (value_type(arguments) == VALUE_MAP)
        return value_find(arguments, name);
    return value_at(arguments, position);
}
