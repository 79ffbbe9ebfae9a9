/* cli/manifest_file.h: a manifest file as `histrio run` needs it: decoded, its libraries found and looked
 * into, its placement tried; all mistakes at once. */
#pragma once

#include "cli/python_code.h"

#include <stdint.h>

struct err;
struct str;
struct system_spec;

struct manifest_file_options {
    const char *node_program; /* looks into libraries; NULL: they are only looked for */
    uint32_t nodes;           /* 0: the manifest's */
    struct python_config_maps config_maps;
};

/* *ret_spec has absolute paths of libraries and modules; unref it. *ret_code_folders: colon separated,
 * absolute; free it. ERR_INVALID: `problems` then has a line for each mistake. */
int manifest_file_load(const char *path, const struct manifest_file_options *options,
    struct system_spec **ret_spec, char **ret_code_folders, struct str *problems, struct err *err);

/* "image, resources": what the manifest has and a local run does not use; "" when there is nothing. Appends.
 */
void manifest_file_ignored(const struct system_spec *spec, struct str *out);
