/* Base64 of RFC 4648 with padding. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

struct str;

/* Bytes of the text for size bytes of data. */
size_t base64_size(size_t size);
void base64_encode(const void *data, size_t size, struct str *out);
/* Strict: padding present, no blanks, unused bits zero. -1 otherwise; out may then hold a part. */
int base64_decode(const char *text, size_t size, struct str *out);

#endif
