/* The readers of values stay inside of any bytes; what value_validate accepts has a span and, if it has a
 * JSON form, keeps its meaning on the way there and back. */
#include "target.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/value.h"

static void read_everything(struct value value)
{
    int64_t number;
    uint64_t large;
    uint32_t nanoseconds;
    double real;
    const void *bytes;
    const char *text;
    size_t size;
    (void)value_get_int(value, &number); /* only that they stay inside */
    (void)value_get_uint(value, &large);
    (void)value_get_double(value, &real);
    (void)value_get_time(value, &number, &nanoseconds);
    if (value_get_string(value, &text, &size) && !((const uint8_t *)text + size <= value.data + value.size))
        abort();
    if (value_get_bytes(value, &bytes, &size) && !((const uint8_t *)bytes + size <= value.data + value.size))
        abort();
    (void)value_at(value, 3);
    (void)value_find(value, "a");
}

static void check_json_form(const uint8_t *data, size_t size)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    _cleanup_(json_freep) struct json *again = NULL;
    _cleanup_(str_done) struct str bytes = STR_INIT(2 * LIMIT_VALUE_BYTES);
    if (value_to_json(data, size, &tree, NULL) < 0)
        return;
    if (value_from_json(tree, &bytes, NULL) < 0)
        abort();
    if (value_to_json(str_text(&bytes), bytes.size, &again, NULL) < 0 || !json_equal(tree, again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value_iterator iterator = value_iterate(value_of(data, size));
    read_everything(value_of(data, size));
    for (int i = 0; i < 100 && value_next(&iterator); i++)
        read_everything(iterator.item);
    struct err err = {0};
    if (value_validate(data, size, &err) < 0) {
        if (err.kind == ERR_NONE)
            abort();
        return 0;
    }
    if (value_span(value_of(data, size)) != size)
        abort();
    check_json_form(data, size);
    return 0;
}
