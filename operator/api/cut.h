/* How much of a text fits where the API sets a limit. Private to this module. Pure. */
#ifndef API_CUT_H
#define API_CUT_H

#include <stddef.h>

/* The bytes of text to keep: at most size_max, and whole characters of UTF-8. */
size_t cut_size(const char *text, size_t size_max);

#endif
