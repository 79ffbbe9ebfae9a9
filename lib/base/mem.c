#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

static _Noreturn void out_of_memory(size_t size)
{
    (void)fprintf(stderr, "out of memory: %zu bytes asked for\n", size); /* the process ends either way */
    abort();
}

void *xmalloc(size_t size)
{
    void *pointer = malloc(size ? size : 1);
    if (!pointer)
        out_of_memory(size);
    return pointer;
}

void *xcalloc(size_t count, size_t size)
{
    void *pointer = calloc(count ? count : 1, size ? size : 1);
    if (!pointer)
        out_of_memory(count * size);
    return pointer;
}

void *xrealloc(void *pointer, size_t size)
{
    void *moved = realloc(pointer, size ? size : 1);
    if (!moved)
        out_of_memory(size);
    return moved;
}

void *xreallocarray(void *pointer, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        out_of_memory(SIZE_MAX);
    return xrealloc(pointer, total);
}

char *xstrdup(const char *text)
{
    return xmemdup(text, strlen(text) + 1);
}

char *xstrndup(const char *text, size_t size)
{
    size_t used = strnlen(text, size);
    char *copy = xmalloc(used + 1);
    memcpy(copy, text, used);
    copy[used] = '\0';
    return copy;
}

void *xmemdup(const void *data, size_t size)
{
    void *copy = xmalloc(size);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *xvasprintf(const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        out_of_memory(0);
    return text;
}

char *xasprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = xvasprintf(fmt, args);
    va_end(args);
    return text;
}

/* What the smallest block of malloc holds: most vectors that actors have stay at one item. */
enum { VEC_FIRST_BYTES = 24 };

void *vec_grow(void *items, size_t *capacity, size_t wanted, size_t item_size)
{
    size_t first = item_size < VEC_FIRST_BYTES ? VEC_FIRST_BYTES / item_size : 1;
    size_t grown = *capacity ? *capacity * 2 : first;
    if (grown < wanted)
        grown = wanted;
    items = xreallocarray(items, grown, item_size);
    *capacity = grown;
    return items;
}
