#include <math.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/value_private.h"

static int check(struct value *rest, unsigned depth, struct err *err);

static int check_items(struct value *rest, const struct value_head *head, unsigned depth, struct err *err)
{
    for (size_t i = 0; i < head->count; i++) { /* each round consumes bytes or fails */
        if (head->type == VALUE_MAP) {
            if (value_type(*rest) != VALUE_STRING)
                return err_set(err, ERR_INVALID, "a key of a map must be a string, not %s",
                    value_type_name(value_type(*rest)));
            if (check(rest, depth, err) < 0)
                return -1;
        }
        if (check(rest, depth, err) < 0)
            return -1;
    }
    return 0;
}

static int check_payload(const struct value_head *head, const uint8_t *payload, struct err *err)
{
    if (head->type == VALUE_OTHER)
        return err_set(err, ERR_INVALID, "an extension type other than 1 (time)");
    if (head->type == VALUE_DOUBLE && !isfinite(head->real))
        return err_set(err, ERR_INVALID, "NaN and infinity are not allowed");
    if (head->type == VALUE_STRING && !text_is_utf8((const char *)payload, head->payload_size))
        return err_set(err, ERR_INVALID, "a string is not UTF-8");
    if (head->type == VALUE_TIME) {
        uint32_t nanoseconds =
            (uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 | (uint32_t)payload[2] << 8 | payload[3];
        if (nanoseconds > VALUE_NANOSECONDS_MAX)
            return err_set(err, ERR_INVALID, "a time with more than 999999999 nanoseconds");
    }
    return 0;
}

static int check(struct value *rest, unsigned depth, struct err *err)
{
    struct value_head head;
    if (!value_read_head(*rest, &head))
        return err_set(err, ERR_INVALID, "not msgpack, or cut off");
    bool is_container = head.type == VALUE_ARRAY || head.type == VALUE_MAP;
    if (is_container && depth >= LIMIT_TREE_DEPTH)
        return err_set(err, ERR_LIMIT, "nested more than %d deep", LIMIT_TREE_DEPTH);
    if (check_payload(&head, rest->data + head.head_size, err) < 0)
        return -1;
    size_t used = head.head_size + head.payload_size;
    *rest = value_of(rest->data + used, rest->size - used);
    return is_container ? check_items(rest, &head, depth + 1, err) : 0;
}

int value_validate(const void *data, size_t size, struct err *err)
{
    struct value rest = value_of(data, size);
    if (size > LIMIT_VALUE_BYTES)
        return err_set(err, ERR_LIMIT, "a value of %zu bytes is larger than %d", size, LIMIT_VALUE_BYTES);
    if (check(&rest, 0, err) < 0)
        return -1;
    if (rest.size > 0)
        return err_set(err, ERR_INVALID, "%zu bytes behind the value", rest.size);
    return 0;
}
