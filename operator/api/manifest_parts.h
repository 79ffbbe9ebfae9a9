/* The parts of manifest.c, private to this module. */
#ifndef API_MANIFEST_PARTS_H
#define API_MANIFEST_PARTS_H

#include "api/manifest.h"
#include "types/system.h"

/* object.intensity and object.backoff, into *intensity and *backoff, which hold the defaults. */
void manifest_decode_intensity(
    struct api_problems *problems, const struct json *object, struct intensity_spec *intensity);
void manifest_decode_backoff(
    struct api_problems *problems, const struct json *object, struct backoff_spec *backoff);
/* spec.actors. */
void manifest_decode_entries(
    struct api_problems *problems, const struct json *spec_node, struct system_spec *spec);
/* What several fields together must make: names, references, libraries. spec_node gives the lines. */
void manifest_check(struct api_problems *problems, const struct json *spec_node,
    const struct api_checks *checks, const struct system_spec *spec);

#endif
