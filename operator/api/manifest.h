/* Manifest to struct system_spec: strict, complete, all mistakes at once. The tree comes from base/yaml.h or
 * base/json.h. Pure: what needs files goes through struct api_checks.
 *
 * Defaults: nodes.replicas 3, nodes.update {maxSurge 1, maxUnavailable 0, drainTimeout 60s},
 * supervision.intensity {5 in 10s}, supervision.backoff {100ms to 30s}, restart Permanent, supervisor
 * {OneForOne, 3 in 5s}, shutdown 5s (supervisors: Infinity), mailbox {unbounded, Wait, Keep}, isolation Node
 * for C and Shared for Python, code.python.path [.] without a configMap, code.python.workers 1,
 * placement.spread KubeNode, keyed {64 shards, passivateAfter 10m}, state.snapshotEvery 100, state.store
 * None, failure {nodeLease 3s, suspendFor 60s, policy KeepRunning}. */
#ifndef API_MANIFEST_H
#define API_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "api/problems.h"

struct child_spec;
struct entry_spec;
struct err;
struct json;
struct library_spec;
struct system_spec;

/* What the caller can find out with files; each returns 0, or -1 with the mistake (and what to do) in err. A
 * NULL function is not asked. */
struct api_checks {
    int (*library)(void *ctx, const struct library_spec *library, struct err *err);
    /* Only for a library that passed. name is the part after the dot: "teller" of "bank.teller". */
    int (*behavior)(void *ctx, const struct library_spec *library, const char *name, struct err *err);
    void *ctx;
};

/* One document. NULL when there was any mistake; problems then has at least one, sorted. checks may be NULL.
 */
struct system_spec *manifest_decode(
    const struct json *document, const struct api_checks *checks, struct api_problems *problems);

/* The one ActorSystem among the documents of a file (an array, as yaml_parse gives it); exactly one is asked
 * for. */
struct system_spec *manifest_decode_documents(
    const struct json *documents, const struct api_checks *checks, struct api_problems *problems);

#endif
