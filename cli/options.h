/* cli/options.h: the arguments behind a verb. Options may stand anywhere; "--" ends them; "--name=value"
 * works as well as
 * "--name value". Pure. */
#pragma once

#include "base/vec.h"
#include "cli/client.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

enum output_form { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML };

/* Which options a verb knows. */
enum option_flag {
    OPTION_OUTPUT = 1 << 0,     /* -o json|yaml|wide */
    OPTION_NODES = 1 << 1,      /* --nodes N */
    OPTION_DRY_RUN = 1 << 2,    /* --dry-run */
    OPTION_DETACH = 1 << 3,     /* --detach */
    OPTION_TIMEOUT = 1 << 4,    /* --timeout 5s */
    OPTION_FOLLOW = 1 << 5,     /* -f */
    OPTION_LINES = 1 << 6,      /* --lines N */
    OPTION_CLUSTER = 1 << 7,    /* -n NAMESPACE, --context NAME, --kubeconfig FILE */
    OPTION_ALL = 1 << 8,        /* -A: all namespaces */
    OPTION_CONFIG_MAP = 1 << 9, /* --config-map NAME=FOLDER, as often as needed */
};

struct options {
    struct client_place place;     /* borrowed from argv; a cluster as soon as one option of it was given */
    VEC(const char *) words;       /* what is no option; borrowed from argv */
    VEC(const char *) config_maps; /* NAME=FOLDER; borrowed from argv */
    enum output_form output;
    uint32_t nodes; /* 0: not given */
    bool dry_run, detach, follow;
    bool is_help;       /* -h or --help was there */
    int64_t timeout_ms; /* -1: not given */
    uint64_t lines;     /* UINT64_MAX: not given */
};

/* ERR_INVALID: says which argument is wrong, and how it should be. Fill *ret_options in both cases. */
int options_parse(int argc, char *const *argv, unsigned known, struct options *ret_options, struct err *err);
void options_done(struct options *options);
