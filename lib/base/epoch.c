#include "base/epoch.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

char *epoch_format(uint64_t epoch, char *buffer)
{
    (void)snprintf(buffer, EPOCH_TEXT_BYTES, "%u.%u", epoch_term(epoch), epoch_counter(epoch));
    return buffer;
}

int epoch_parse(const char *text, uint64_t *ret_epoch, struct err *err)
{
    char term_text[EPOCH_TEXT_BYTES];
    const char *point = strchr(text, '.');
    uint64_t term;
    uint64_t counter;
    if (!point || point == text || (size_t)(point - text) >= sizeof(term_text))
        return err_set(err, ERR_INVALID, "'%.64s' is not an epoch of the form TERM.COUNTER", text);
    memcpy(term_text, text, (size_t)(point - text));
    term_text[point - text] = '\0';
    if (text_to_u64(term_text, UINT32_MAX, &term, NULL) < 0 ||
        text_to_u64(point + 1, UINT32_MAX, &counter, NULL) < 0)
        return err_set(err, ERR_INVALID, "'%.64s' is not an epoch of the form TERM.COUNTER", text);
    *ret_epoch = epoch_make((uint32_t)term, (uint32_t)counter);
    return 0;
}
