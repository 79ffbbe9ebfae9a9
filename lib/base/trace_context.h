/* base/trace_context.h: the trace that a message belongs to, as W3C Trace Context has it in its header
 * "traceparent". Pure. */
#ifndef BASE_TRACE_CONTEXT_H
#define BASE_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

/* "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" and its NUL; and the same in binary. */
enum { TRACE_CONTEXT_TEXT_BYTES = 56, TRACE_CONTEXT_BYTES = 25 };

/* Bytes as the header has them, so that it may stand anywhere in a message. All zero: no trace. */
struct trace_context {
    uint8_t trace_id[16];
    uint8_t parent_id[8];
    uint8_t flags;
};

_Static_assert(sizeof(struct trace_context) == TRACE_CONTEXT_BYTES, "bytes without gaps");

/* False for NULL and for what the standard has receivers ignore: a wrong form, the version ff, ids of zeros;
 * ret_context is untouched then. Of a later version it is what version 00 has of it. */
bool trace_context_parse(const char *text, struct trace_context *ret_context);

/* Whether receivers may take it: neither id is zero. */
bool trace_context_is_valid(const struct trace_context *context);

#endif
