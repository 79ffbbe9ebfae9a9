#include "cli/options.h"

#include "base/duration.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

#include <string.h>

struct option_name {
    unsigned flag;
    const char *long_name;
    char short_name; /* 0: none */
    bool has_value;
};

static const struct option_name option_names[] = {
    {OPTION_OUTPUT, "output", 'o', true},
    {OPTION_NODES, "nodes", 0, true},
    {OPTION_DRY_RUN, "dry-run", 0, false},
    {OPTION_DETACH, "detach", 'd', false},
    {OPTION_TIMEOUT, "timeout", 0, true},
    {OPTION_FOLLOW, "follow", 'f', false},
    {OPTION_LINES, "lines", 0, true},
    {OPTION_CLUSTER, "namespace", 'n', true},
    {OPTION_CLUSTER, "context", 0, true},
    {OPTION_CLUSTER, "kubeconfig", 0, true},
    {OPTION_CONFIG_MAP, "config-map", 0, true},
    {OPTION_ALL, "all-namespaces", 'A', false},
};

enum { OPTION_COUNT = sizeof(option_names) / sizeof(option_names[0]) };

static int take_output(const char *value, enum output_form *ret_form, struct err *err)
{
    static const char *const names[] = {"table", "wide", "json", "yaml"};
    for (int i = 0; i < 4; i++) {
        if (text_equal(value, names[i])) {
            *ret_form = (enum output_form)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "--output: must be json, yaml or wide, not \"%.32s\"", value);
}

static void take_place(const char *long_name, const char *value, struct client_place *place)
{
    place->is_cluster = true;
    if (text_equal(long_name, "namespace"))
        place->namespace = value;
    else if (text_equal(long_name, "context"))
        place->context = value;
    else
        place->kubeconfig = value;
}

static int take_value(
    const struct option_name *name, const char *value, struct options *options, struct err *err)
{
    uint64_t number = 0;
    struct err inner = {0};
    switch (name->flag) {
    case OPTION_OUTPUT: return take_output(value, &options->output, err);
    case OPTION_DRY_RUN: options->dry_run = true; return 0;
    case OPTION_DETACH: options->detach = true; return 0;
    case OPTION_FOLLOW: options->follow = true; return 0;
    case OPTION_CLUSTER: take_place(name->long_name, value, &options->place); return 0;
    case OPTION_ALL: options->place.is_cluster = options->place.is_in_all_namespaces = true; return 0;
    case OPTION_CONFIG_MAP:
        if (!strchr(value, '=') || *value == '=' || value[strlen(value) - 1] == '=')
            return err_set(err, ERR_INVALID, "--config-map: must be NAME=FOLDER, not \"%.64s\"", value);
        vec_push(&options->config_maps, value);
        return 0;
    case OPTION_NODES:
        if (text_to_u64(value, LIMIT_NODES, &number, NULL) < 0 || number == 0)
            return err_set(err, ERR_INVALID, "--nodes: must be a number from 1 to %d, not \"%.32s\"",
                LIMIT_NODES, value);
        options->nodes = (uint32_t)number;
        return 0;
    case OPTION_LINES:
        if (text_to_u64(value, 1000 * 1000 * 1000, &options->lines, NULL) < 0)
            return err_set(err, ERR_INVALID, "--lines: must be a whole number, not \"%.32s\"", value);
        return 0;
    default:
        if (duration_parse(value, &options->timeout_ms, &inner) < 0 || options->timeout_ms == 0)
            return err_set(err, ERR_INVALID,
                "--timeout: must be a duration above 0 like 5s or 250ms, not \"%.32s\"", value);
        return 0;
    }
}

static const struct option_name *find_option(const char *argument, unsigned known, const char **ret_value)
{
    *ret_value = NULL;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_name *name = &option_names[i];
        size_t size = strlen(name->long_name);
        if (!(name->flag & known))
            continue;
        if (argument[1] == '-' && strncmp(argument + 2, name->long_name, size) == 0 &&
            (argument[2 + size] == '\0' || argument[2 + size] == '=')) {
            *ret_value = argument[2 + size] ? argument + 2 + size + 1 : NULL;
            return name;
        }
        if (name->short_name && argument[1] == name->short_name && (argument[2] == '\0' || name->has_value)) {
            *ret_value = argument[2] ? argument + 2 : NULL;
            return name;
        }
    }
    return NULL;
}

int options_parse(int argc, char *const *argv, unsigned known, struct options *ret_options, struct err *err)
{
    struct options *options = ret_options;
    bool is_over = false;
    *options = (struct options){.timeout_ms = -1, .lines = UINT64_MAX};
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i], *value;
        if (is_over || argument[0] != '-' || argument[1] == '\0') {
            vec_push(&options->words, argument);
            continue;
        }
        if (text_equal(argument, "--")) {
            is_over = true;
            continue;
        }
        if (text_equal(argument, "-h") || text_equal(argument, "--help")) {
            options->is_help = true;
            continue;
        }
        const struct option_name *name = find_option(argument, known, &value);
        if (!name)
            return err_set(err, ERR_INVALID, "unknown option \"%.64s\"", argument);
        if (!name->has_value && value)
            return err_set(err, ERR_INVALID, "--%s: takes no value", name->long_name);
        if (name->has_value && !value && i + 1 >= argc)
            return err_set(err, ERR_INVALID, "--%s: needs a value", name->long_name);
        if (name->has_value && !value)
            value = argv[++i];
        if (take_value(name, value, options, err) < 0)
            return -1;
    }
    return 0;
}

void options_done(struct options *options)
{
    vec_done(&options->words);
    vec_done(&options->config_maps);
}
