#include "cli/python_code.h"

#include "api/problems.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/system.h"

#include <stdlib.h>
#include <string.h>

static const char *folder_of_config_map(const struct python_config_maps *config_maps, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < config_maps->count; i++)
        if (strncmp(config_maps->items[i], name, size) == 0 && config_maps->items[i][size] == '=')
            return config_maps->items[i] + size + 1;
    return NULL;
}

/* Code folders are told to the nodes in one text, separated by colons. */
static char *real_folder(const char *path, const char *what, unsigned line, struct api_problems *problems)
{
    char *real = realpath(path, NULL);
    if (!real)
        api_problems_add(problems, line, what, "there is no folder \"%.200s\"", path);
    else if (strchr(real, ':'))
        api_problems_add(
            problems, line, what, "\"%.200s\" has \":\" in its name: move it or rename it", real);
    else
        return real;
    free(real);
    return NULL;
}

static void find_config_map(
    struct code_spec *code, const struct python_config_maps *config_maps, struct api_problems *problems)
{
    static const char *const what = "spec.code.python.configMap";
    const char *folder = folder_of_config_map(config_maps, code->python_config_map);
    if (!folder) {
        api_problems_add(problems, code->python_line, what,
            "a local run has no ConfigMaps: say where its files are, with --config-map %s=FOLDER",
            code->python_config_map);
        return;
    }
    char *real = real_folder(folder, what, code->python_line, problems);
    if (!real)
        return;
    vec_push(&code->python_path, NULL);
    memmove(&code->python_path.items[1], &code->python_path.items[0],
        (code->python_path.count - 1) * sizeof(*code->python_path.items));
    code->python_path.items[0] = real;
    free(steal_ptr(&code->python_config_map));
}

void python_code_find(struct system_spec *spec, const char *manifest,
    const struct python_config_maps *config_maps, struct api_problems *problems)
{
    struct code_spec *code = &spec->code;
    _cleanup_(cleanup_free) char *base = file_folder_of(manifest);
    vec_for_each (path, &code->python_path) {
        _cleanup_(cleanup_free) char *joined = **path == '/' ? xstrdup(*path) : file_join(base, *path);
        char *real = real_folder(joined, "spec.code.python.path", code->python_line, problems);
        if (!real)
            continue;
        free(*path);
        *path = real;
    }
    if (code->python_config_map)
        find_config_map(code, config_maps, problems);
}
