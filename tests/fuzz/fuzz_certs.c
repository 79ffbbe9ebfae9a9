/* Whatever stands in the Secret of a system: its plan is one that can be performed, and then all is well. The
 * input is a number that says which of the values are the input's, and their text. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "certs/certs.h"

enum { NOW_S = 1800000000, STEPS_MAX = 4 };

/* Made once: a good content, in which the input replaces some values. */
static const struct certs_content *good_content(void)
{
    static struct certs_content content;
    if (!content.authorities && certs_perform(CERTS_CREATE, NULL, "bank", "uid", NOW_S, &content, NULL) < 0)
        abort();
    return &content;
}

/* Step by step until there is nothing to do. */
static void settle(const struct certs_content *first)
{
    struct certs_content present = {.authorities = NULL}, next;
    enum certs_step what = certs_plan(first, "uid", NOW_S).step;
    for (int i = 0; what != CERTS_KEEP; i++) {
        const struct certs_content *from = i == 0 ? first : &present;
        if (i == STEPS_MAX || certs_perform(what, from, "bank", "uid", NOW_S, &next, NULL) < 0)
            abort();
        certs_content_done(&present);
        present = next;
        what = certs_plan(&present, "uid", NOW_S).step;
    }
    certs_content_done(&present);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certs_content content = *good_content();
    char **fields[] = {&content.authorities, &content.authority_keys, &content.node_chain, &content.node_key,
        &content.operator_chain, &content.operator_key};
    if (size == 0)
        return 0;
    _cleanup_(cleanup_free) char *text = xstrndup((const char *)data + 1, size - 1);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (data[0] & 1U << i)
            *fields[i] = text;
    }
    settle(&content);
    return 0;
}
