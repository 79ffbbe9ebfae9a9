/* drivers/pod_build.h: the Pod of a node, from the manifest. Pure.
 *
 * Three layers, each over the one before: defaults of ours (security, probes, spread), the user's
 * podTemplate, and what must be so (names, labels, the container's image, environment and mounts). */
#pragma once

#include <stdint.h>

#include "api/object_owner.h"

struct json;
struct system_spec;

/* Where things are in the container. */
#define POD_CODE_FOLDER "/app"
#define POD_TLS_FOLDER "/etc/histrio/tls"
#define POD_TERMINATION_LOG "/dev/termination-log"

enum {
    POD_CONTROL_PORT = 7070,
    POD_GATEWAY_PORT = 7071,
    POD_HTTP_PORT = 7072,
    POD_LINK_PORT = 7073,
    /* Raised when Pods must be replaced although no user changed anything. A new version of the operator
     * alone never rolls them. */
    POD_TEMPLATE_REVISION = 1,
};

struct pod_build {
    const struct system_spec *spec;
    struct object_owner owner;
    const char *node; /* name of the Pod */
    uint32_t index;   /* that placement may pin to */
};

/* The whole object, which the caller frees. */
struct json *pod_build(const struct pod_build *build);

/* Of all fields of the spec that Pods are made from, and the revision: other Pods have to be replaced. 16
 * hexadecimal digits into buffer, which holds POD_TEMPLATE_HASH_BYTES. Returns buffer. */
enum { POD_TEMPLATE_HASH_BYTES = 17 };
char *pod_template_hash(const struct system_spec *spec, char *buffer);

/* "bank-histrio-tls"; the caller frees it. */
char *pod_tls_secret_name(const char *system);
