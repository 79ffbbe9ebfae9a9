#include "api/manifest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml.h"
#include "sim/core/world.h"

#include <stdio.h>

static const char *const manifest =
    "apiVersion: histrio.dev/v1alpha1\n"
    "kind: ActorSystem\n"
    "metadata: {name: sim}\n"
    "spec:\n"
    "  suspend: %s\n"
    "  nodes: {replicas: %u, capacity: {units: 40}, update: {maxSurge: %u, maxUnavailable: %u, "
    "drainTimeout: %s}}\n"
    "  code: {c: [{library: l, path: l.so}]}\n"
    "  supervision: {intensity: {restarts: 5, period: 4s}, backoff: {initial: 100ms, "
    "max: %s}}\n"
    "  failure: {nodeLease: 1s}\n"
    "  actors:\n"
    "    - {name: ledger, behavior: {c: l.ledger}, args: {version: %u}}\n"
    "    - {name: bad, behavior: {c: l.bad}}\n"
    "    - {name: odd, behavior: {c: l.odd}}\n"
    "    - name: tellers\n"
    "      replicas: %u\n"
    "      placement: {spread: KubeNode, antiAffinity: [%s]}\n"
    "      children: [{name: counter, behavior: {c: l.counter}}]\n"
    "    - name: friend\n"
    "      behavior: {c: l.friend}\n"
    "      placement: {colocateWith: ledger}\n";

struct system_spec *sim_spec(const struct world *world)
{
    char *text =
        xasprintf(manifest, world->spec_suspend ? "true" : "false", world->spec_nodes, world->spec_surge,
            world->spec_unavailable, world->is_gentle ? "8s" : "2s", world->seed % 2 ? "5s" : "300ms",
            world->spec_version, world->spec_replicas, world->spec_apart ? "friend" : "");
    struct json *documents = NULL;
    struct api_problems problems;
    api_problems_init(&problems, "sim");
    if (yaml_parse("sim", text, strlen(text), &documents, NULL) < 0)
        abort();
    struct system_spec *spec = manifest_decode_documents(documents, NULL, &problems);
    if (!spec) {
        struct str out = STR_INIT(10000);
        api_problems_print(&problems, &out);
        (void)fputs(str_text(&out), stderr);
        abort();
    }
    spec->generation = world->generation;
    api_problems_done(&problems);
    json_free(documents);
    free(text);
    return spec;
}
