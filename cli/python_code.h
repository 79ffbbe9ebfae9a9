/* cli/python_code.h: where a local run finds a manifest's code in Python. */
#pragma once

#include <stddef.h>

struct api_problems;
struct system_spec;

/* "NAME=DIR": what stands in for a ConfigMap. */
struct python_config_maps {
    const char *const *items;
    size_t count;
};

/* Makes the paths of spec.code.python absolute: relative ones are looked up in the manifest's folder; the
 * folder of the ConfigMap takes its place, before them. Says what is missing, and what to do. */
void python_code_find(struct system_spec *spec, const char *manifest,
    const struct python_config_maps *config_maps, struct api_problems *problems);
