/* Whatever yaml_parse accepts, yaml_write and json_write keep. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/yaml.h"

static void check_document(const struct json *document)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_MANIFEST_BYTES);
    _cleanup_(json_freep) struct json *documents = NULL;
    yaml_write(document, &text);
    if (text.overflowed) /* indents and quotes may need more than they came with */
        return;
    if (yaml_parse(NULL, str_text(&text), text.size, &documents, NULL) < 0)
        abort();
    if (json_count(documents) != 1 || !json_equal(document, json_at(documents, 0)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(json_freep) struct json *documents = NULL;
    struct err err = {0};
    if (yaml_parse("fuzz.yaml", (const char *)data, size, &documents, &err) < 0) {
        if (err.kind == ERR_NONE || strncmp(err.text, "fuzz.yaml", 9) != 0)
            abort();
        return 0;
    }
    json_for_each(document, documents)
    {
        check_document(document);
    }
    return 0;
}
