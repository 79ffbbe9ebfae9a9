#include "transport/texts.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

void texts_done(struct texts *texts)
{
    map64_done(&texts->by_number[TEXT_NAME], NULL);
    map64_done(&texts->by_number[TEXT_METHOD], NULL);
    map_done(&texts->by_text, free);
}

static struct text *by_text(struct texts *texts, const char *text)
{
    struct text *found = map_get(&texts->by_text, text);
    if (found)
        return found;
    size_t size = strlen(text);
    found = xcalloc(1, sizeof(*found) + size + 1);
    found->index = (uint32_t)map_count(&texts->by_text);
    found->size = (uint32_t)size;
    found->may_leave = size > 0 && size <= LIMIT_ADDRESS_BYTES && text_is_utf8(text, size);
    memcpy(found->text, text, size + 1);
    (void)map_put(&texts->by_text, text, found); /* it was not there */
    return found;
}

struct text *texts_get(struct texts *texts, enum text_kind kind, uint64_t number, const char *text)
{
    if (number == 0)
        return by_text(texts, text);
    if (texts->last_number[kind] == number)
        return texts->last[kind];
    struct text *found = map64_get(&texts->by_number[kind], number);
    if (!found) {
        found = by_text(texts, text);
        (void)map64_put(&texts->by_number[kind], number, found); /* it was not there */
    }
    texts->last_number[kind] = number;
    texts->last[kind] = found;
    return found;
}
