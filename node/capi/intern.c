#include "capi/intern.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/mutex.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { CHUNK_BITS = 10, CHUNK_TEXTS = 1 << CHUNK_BITS, CHUNK_COUNT = INTERN_MAX >> CHUNK_BITS };

static pthread_once_t intern_once = PTHREAD_ONCE_INIT;
static struct mutex intern_lock;
static struct map intern_numbers GUARDED_BY(&intern_lock);
static uint32_t intern_from_outside GUARDED_BY(&intern_lock);
static const char **_Atomic intern_chunks[CHUNK_COUNT];
/* Numbers below it have their text: stored with release after the text, loaded with acquire before it. */
static _Atomic uint32_t intern_end;

static void intern_start(void)
{
    mutex_init(&intern_lock, 900, "intern");
    atomic_store_explicit(&intern_end, 1, memory_order_release);
}

static uint32_t intern_get(const char *text, size_t size)
{
    return (uint32_t)(uintptr_t)map_get_bytes(&intern_numbers, text, size);
}

static uint32_t intern_add(const char *text, size_t size)
{
    uint32_t number = atomic_load_explicit(&intern_end, memory_order_relaxed);
    if (number >= INTERN_MAX)
        return 0;
    const char **chunk = atomic_load_explicit(&intern_chunks[number >> CHUNK_BITS], memory_order_relaxed);
    if (!chunk) {
        chunk = xcalloc(CHUNK_TEXTS, sizeof(*chunk));
        atomic_store_explicit(&intern_chunks[number >> CHUNK_BITS], chunk, memory_order_release);
    }
    char *copy = xstrndup(text, size);
    chunk[number & (CHUNK_TEXTS - 1)] = copy;
    (void)map_put(&intern_numbers, copy, (void *)(uintptr_t)number); /* new key: there is no former value */
    atomic_store_explicit(&intern_end, number + 1, memory_order_release);
    return number;
}

static uint32_t intern_checked(const char *text, size_t size, bool is_outside)
{
    if (size == 0 || memchr(text, 0, size))
        return 0;
    (void)pthread_once(&intern_once, intern_start);
    mutex_lock(&intern_lock);
    uint32_t number = intern_get(text, size);
    if (number == 0 && (!is_outside || intern_from_outside < INTERN_OUTSIDE_MAX)) {
        number = intern_add(text, size);
        intern_from_outside += is_outside;
    }
    mutex_unlock(&intern_lock);
    return number;
}

uint32_t intern(const char *text, size_t size)
{
    return intern_checked(text, size, false);
}

uint32_t intern_outside(const char *text, size_t size)
{
    return intern_checked(text, size, true);
}

uint32_t intern_find(const char *text, size_t size)
{
    if (size == 0)
        return 0;
    (void)pthread_once(&intern_once, intern_start);
    mutex_lock(&intern_lock);
    uint32_t number = intern_get(text, size);
    mutex_unlock(&intern_lock);
    return number;
}

const char *intern_text(uint32_t number)
{
    if (number == 0 || number >= atomic_load_explicit(&intern_end, memory_order_acquire))
        return "";
    const char **chunk = atomic_load_explicit(&intern_chunks[number >> CHUNK_BITS], memory_order_acquire);
    return chunk[number & (CHUNK_TEXTS - 1)];
}
