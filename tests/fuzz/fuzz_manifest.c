/* Whatever bytes a manifest has: it makes a spec that can be placed dry, or at least one mistake with a text.
 */
#include "target.h"

#include <stdlib.h>

#include "api/manifest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"
#include "placement/dry.h"
#include "types/system.h"
#include "types/unit.h"

enum { UNITS_MAX = 200, NODES_MAX = 8 };

static void check_spec(struct system_spec *spec)
{
    struct dry_placement placement;
    if (system_spec_compare(spec, spec) != SPEC_CHANGE_NONE)
        abort();
    if (units_count(spec) > UNITS_MAX)
        return; /* right, but slow */
    placement_dry(spec, spec->nodes.replicas < NODES_MAX ? spec->nodes.replicas : NODES_MAX, 0, &placement);
    if (placement.impossible > units_count(spec))
        abort();
    json_free(dry_placement_to_json(&placement));
    dry_placement_done(&placement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *documents = NULL;
    struct api_problems problems;
    struct str out = STR_INIT(1024 * 1024);
    if (yaml_parse(NULL, (const char *)data, size, &documents, NULL) < 0)
        return 0;
    api_problems_init(&problems, "fuzz.yaml");
    struct system_spec *spec = manifest_decode_documents(documents, NULL, &problems);
    api_problems_print(&problems, &out);
    if ((spec == NULL) != (problems.items.count > 0) || (problems.items.count > 0 && out.size == 0))
        abort();
    if (spec)
        check_spec(spec);
    system_spec_unref(spec);
    api_problems_done(&problems);
    json_free(documents);
    str_done(&out);
    return 0;
}
