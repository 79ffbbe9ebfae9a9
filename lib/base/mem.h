/* Allocation that never fails: out of memory aborts, with the size on stderr. Therefore every size that an
 * outsider can choose is checked against base/limits.h first. Release with free(). Thread: any. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/banned.h"

__attribute__((malloc, returns_nonnull, warn_unused_result)) void *xmalloc(size_t size);
__attribute__((malloc, returns_nonnull, warn_unused_result)) void *xcalloc(size_t count, size_t size);
__attribute__((returns_nonnull, warn_unused_result)) void *xrealloc(void *pointer, size_t size);
/* count * size, checked for overflow (which aborts: limits come first). */
__attribute__((returns_nonnull, warn_unused_result)) void *xreallocarray(
    void *pointer, size_t count, size_t size);
__attribute__((malloc, returns_nonnull, warn_unused_result)) char *xstrdup(const char *text);
/* At most size bytes of text. */
__attribute__((malloc, returns_nonnull, warn_unused_result)) char *xstrndup(const char *text, size_t size);
/* A copy of size bytes; a size of 0 gives an allocation that may be freed. */
__attribute__((malloc, returns_nonnull, warn_unused_result)) void *xmemdup(const void *data, size_t size);
__attribute__((format(printf, 1, 2), malloc, returns_nonnull, warn_unused_result)) char *xasprintf(
    const char *fmt, ...);
__attribute__((format(printf, 1, 0), malloc, returns_nonnull, warn_unused_result)) char *xvasprintf(
    const char *fmt, va_list args);

#endif
