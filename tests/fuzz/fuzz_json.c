/* Whatever json_parse accepts, both styles of json_write keep. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

static void check_style(const struct json *tree, enum json_style style)
{
    _cleanup_(cleanup_free) char *text = json_to_text(tree, style);
    _cleanup_(json_freep) struct json *back = NULL;
    if (json_parse(text, strlen(text), &back, NULL) < 0 || !json_equal(tree, back))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    struct err err = {0};
    if (json_parse((const char *)data, size, &tree, &err) < 0) {
        if (err.kind == ERR_NONE || err.text[0] == '\0')
            abort();
        return 0;
    }
    check_style(tree, JSON_COMPACT);
    check_style(tree, JSON_PRETTY);
    return 0;
}
