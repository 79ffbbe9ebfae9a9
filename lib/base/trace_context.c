#include "base/trace_context.h"

#include <stddef.h>
#include <string.h>

enum { FLAGS_LATER = 0x01 }; /* of a later version only this one means what we know */

/* Upper case is an error. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Moves *text behind `size` bytes in hex and the '-' or the end behind them. */
static bool take_hex(const char **text, uint8_t *ret_bytes, size_t size)
{
    const char *at = *text;
    for (size_t i = 0; i < size; i++, at += 2) {
        int high = digit_of(at[0]), low = high < 0 ? -1 : digit_of(at[1]);
        if (low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (*at != '-' && *at != 0)
        return false;
    *text = *at == '-' ? at + 1 : at;
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

bool trace_context_is_valid(const struct trace_context *context)
{
    return !is_zero(context->trace_id, sizeof(context->trace_id)) &&
           !is_zero(context->parent_id, sizeof(context->parent_id));
}

bool trace_context_parse(const char *text, struct trace_context *ret_context)
{
    const char *at = text;
    uint8_t version;
    struct trace_context context;
    if (!text || !take_hex(&at, &version, 1) || !take_hex(&at, context.trace_id, sizeof(context.trace_id)) ||
        !take_hex(&at, context.parent_id, sizeof(context.parent_id)) || !take_hex(&at, &context.flags, 1))
        return false;
    bool is_longer = at - text > TRACE_CONTEXT_TEXT_BYTES - 1;
    if (version == 0xff || (version == 0 && is_longer) || !trace_context_is_valid(&context))
        return false;
    if (version > 0)
        context.flags &= FLAGS_LATER;
    *ret_context = context;
    return true;
}
