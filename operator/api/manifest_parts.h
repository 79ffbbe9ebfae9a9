/* The parts of manifest.c, private to this module. */
#ifndef API_MANIFEST_PARTS_H
#define API_MANIFEST_PARTS_H

#include "api/manifest.h"

/* spec.actors. */
void manifest_decode_entries(
    struct api_problems *problems, const struct json *spec_node, struct system_spec *spec);
/* What several fields together must make: names, references, libraries. spec_node gives the lines. */
void manifest_check(struct api_problems *problems, const struct json *spec_node,
    const struct api_checks *checks, const struct system_spec *spec);

#endif
