#include <msgpack.h>
#include <string.h>

#include "base/str.h"
#include "base/value_private.h"

/* libmsgpack's packer over struct str. */

static int append(void *ctx, const char *data, size_t size)
{
    str_append_bytes(ctx, data, size);
    return 0; /* an overflow is remembered by str */
}

static msgpack_packer packer_of(struct str *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, append);
    return packer;
}

void value_put_nil(struct str *out)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_nil(
        &packer); /* as all packers here: fails only when append does, which it never does */
}

void value_put_bool(struct str *out, bool value)
{
    msgpack_packer packer = packer_of(out);
    (void)(value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer));
}

void value_put_int(struct str *out, int64_t value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_int64(&packer, value);
}

void value_put_uint(struct str *out, uint64_t value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_uint64(&packer, value);
}

void value_put_double(struct str *out, double value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_double(&packer, value);
}

void value_put_string(struct str *out, const char *text)
{
    if (text)
        value_put_string_bytes(out, text, strlen(text));
    else
        value_put_nil(out);
}

void value_put_string_bytes(struct str *out, const char *text, size_t size)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_str(&packer, size);
    str_append_bytes(out, text, size);
}

void value_put_bytes(struct str *out, const void *data, size_t size)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_bin(&packer, size);
    str_append_bytes(out, data, size);
}

void value_put_time(struct str *out, int64_t seconds, uint32_t nanoseconds)
{
    msgpack_packer packer = packer_of(out);
    uint8_t payload[VALUE_TIME_BYTES];
    for (int i = 0; i < 4; i++)
        payload[i] = (uint8_t)(nanoseconds >> (24 - 8 * i));
    for (int i = 0; i < 8; i++)
        payload[4 + i] = (uint8_t)((uint64_t)seconds >> (56 - 8 * i));
    (void)msgpack_pack_ext(&packer, sizeof(payload), VALUE_TIME_EXT);
    str_append_bytes(out, payload, sizeof(payload));
}

void value_put_array(struct str *out, size_t count)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_array(&packer, count);
}

void value_put_map(struct str *out, size_t count)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_map(&packer, count);
}

void value_put_value(struct str *out, struct value value)
{
    str_append_bytes(out, value.data, value_span(value));
}
