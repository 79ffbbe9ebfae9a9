#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

void base64_encode(const void *data, size_t size, struct str *out)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < size; i += 3) {
        size_t have = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)byte[i] << 16;
        bits |= have > 1 ? (uint32_t)byte[i + 1] << 8 : 0;
        bits |= have > 2 ? byte[i + 2] : 0;
        char text[4] = {
            alphabet[bits >> 18], alphabet[bits >> 12 & 63], alphabet[bits >> 6 & 63], alphabet[bits & 63]};
        memset(text + have + 1, '=', 3 - have);
        str_append_bytes(out, text, sizeof(text));
    }
}

static int digit_of(char letter)
{
    const char *place = letter ? strchr(alphabet, letter) : NULL;
    return place ? (int)(place - alphabet) : -1;
}

int base64_decode(const char *text, size_t size, struct str *out)
{
    if (size % 4 != 0)
        return -1;
    for (size_t i = 0; i < size; i += 4) {
        size_t letters = 4;
        if (i + 4 == size) /* padding stands at the end only */
            letters -= text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            int digit = j < letters ? digit_of(text[i + j]) : 0;
            if (digit < 0)
                return -1;
            bits = bits << 6 | (uint32_t)digit;
        }
        size_t have = letters - 1;
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        if ((have < 3 && bytes[2] != 0) || (have < 2 && bytes[1] != 0))
            return -1;
        str_append_bytes(out, bytes, have);
    }
    return 0;
}
