#include "cli/manifest_file.h"

#include "api/manifest.h"
#include "api/problems.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "capi/library_probe.h"
#include "placement/dry.h"
#include "types/system.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where libraries are looked for, and what was found in them. */
struct library_finder {
    const char *node_program;
    VEC(char *) folders;
    struct map paths;  /* path as written -> absolute path */
    struct map probes; /* the same -> struct library_probe */
};

static void add_folder(struct library_finder *finder, const char *folder, size_t size)
{
    _cleanup_(cleanup_free) char *name = xstrndup(folder, size);
    char *real = realpath(name, NULL);
    if (real)
        vec_push(&finder->folders, real);
}

/* The manifest's folder; those of $HISTRIO_LIBRARY_PATH; the examples of the build tree that the node program
 * is in. */
static void finder_init(struct library_finder *finder, const char *manifest, const char *node_program)
{
    _cleanup_(cleanup_free) char *folder = file_folder_of(manifest);
    const char *more = getenv("HISTRIO_LIBRARY_PATH");
    *finder = (struct library_finder){.node_program = node_program};
    add_folder(finder, folder, strlen(folder));
    while (more && *more) {
        size_t size = strcspn(more, ":");
        if (size > 0)
            add_folder(finder, more, size);
        more += size + (more[size] == ':');
    }
    if (node_program) {
        _cleanup_(cleanup_free) char *program_folder = file_folder_of(node_program);
        _cleanup_(cleanup_free) char *examples = file_join(program_folder, "../examples");
        add_folder(finder, examples, strlen(examples));
    }
}

static void free_probe(void *probe)
{
    library_probe_done(probe);
    free(probe);
}

static void finder_done(struct library_finder *finder)
{
    vec_for_each (folder, &finder->folders)
        free(*folder);
    vec_done(&finder->folders);
    map_done(&finder->paths, free);
    map_done(&finder->probes, free_probe);
}

static char *find_file(const struct library_finder *finder, const char *path)
{
    vec_for_each (folder, &finder->folders) {
        _cleanup_(cleanup_free) char *name = file_join(*folder, path);
        char *real = realpath(name, NULL);
        struct stat status;
        if (real && stat(real, &status) == 0 && S_ISREG(status.st_mode))
            return real;
        free(real);
        if (path[0] == '/')
            break; /* the same everywhere */
    }
    return NULL;
}

static int check_library(void *ctx, const struct library_spec *library, struct err *err)
{
    struct library_finder *finder = ctx;
    struct library_probe probe = {0};
    if (map_has(&finder->paths, library->path))
        return 0;
    char *path = find_file(finder, library->path);
    if (!path)
        return err_set(err, ERR_NOT_FOUND,
            "library file \"%.100s\" is missing: build it, or put its folder into HISTRIO_LIBRARY_PATH",
            library->path);
    if (strchr(path, ':')) {
        free(path);
        return err_set(err, ERR_INVALID,
            "library file \"%.100s\" is in a folder with \":\" in its name: move it", library->path);
    }
    free(map_put(&finder->paths, library->path, path));
    if (!finder->node_program)
        return 0;
    if (library_probe(finder->node_program, library->library, path, LIBRARY_PROBE_TIMEOUT_MS, &probe, err) <
        0)
        return -1;
    map_put(&finder->probes, library->path, xmemdup(&probe, sizeof(probe)));
    return 0;
}

static int check_behavior(void *ctx, const struct library_spec *library, const char *name, struct err *err)
{
    struct library_finder *finder = ctx;
    const struct library_probe *probe = map_get(&finder->probes, library->path);
    _cleanup_(str_done) struct str known = STR_INIT(160);
    _cleanup_(cleanup_free) char *full = xasprintf("%s.%s", library->library, name);
    if (!probe || library_probe_has(probe, full))
        return 0;
    vec_for_each (behavior, &probe->behaviors)
        str_appendf(&known, "%s%s", known.size ? ", " : "", *behavior);
    return err_set(err, ERR_NOT_FOUND, "library \"%.63s\" has no behavior \"%.63s\": it has %s",
        library->library, name, known.size ? str_text(&known) : "none");
}

static void use_found_paths(struct system_spec *spec, const struct library_finder *finder)
{
    vec_for_each (library, &spec->code.c) {
        const char *path = map_get(&finder->paths, library->path);
        if (!path)
            continue;
        char *copy = xstrdup(path);
        free(library->path);
        library->path = copy;
    }
}

static void append_folder(struct str *folders, struct map *seen, const char *folder)
{
    if (map_has(seen, folder))
        return;
    map_put(seen, folder, seen); /* only the key is kept */
    str_appendf(folders, "%s%s", folders->size ? ":" : "", folder);
}

/* The folders of the code in use: nodes load from nowhere else. */
static char *code_folders(const struct system_spec *spec, const struct library_finder *finder)
{
    struct str folders = STR_INIT(64 * 1024);
    struct map seen = {0};
    vec_for_each (library, &spec->code.c) {
        _cleanup_(cleanup_free) char *folder = file_folder_of(library->path);
        append_folder(&folders, &seen, folder);
    }
    vec_for_each (path, &spec->code.python_path)
        append_folder(&folders, &seen, *path);
    map_done(&seen, NULL);
    /* A node asks for at least one. */
    if (folders.size == 0)
        str_append(&folders, finder->folders.count > 0 ? finder->folders.items[0] : "/");
    return str_steal(&folders);
}

static void check_placement(struct system_spec *spec, struct api_problems *problems)
{
    struct dry_placement dry = {0};
    placement_dry(spec, spec->nodes.replicas, 0, &dry);
    for (size_t i = 0; i < dry.rows.count; i++) {
        const struct placement_explanation *row = &dry.rows.items[i];
        const struct entry_spec *entry = dry.units.units.items[i].entry;
        /* One line for each entry: its replicas have the same trouble. */
        if (row->chosen ||
            (i > 0 && dry.units.units.items[i - 1].entry == entry && !dry.rows.items[i - 1].chosen))
            continue;
        _cleanup_(cleanup_free) char *path = xasprintf("spec.actors[%zu].placement", entry->index);
        api_problems_add(problems, entry->placement.line ? entry->placement.line : entry->line, path,
            "unit \"%s\" fits on none of %u nodes: %s; change placement or raise nodes.replicas", row->unit,
            spec->nodes.replicas, row->reason);
    }
    dry_placement_done(&dry);
}

/* Text that yaml_parse_file gives already begins with the file's name. */
static struct system_spec *decode(const char *path, const struct manifest_file_options *options,
    struct library_finder *finder, struct api_problems *problems, struct err *err)
{
    _cleanup_(json_freep) struct json *documents = NULL;
    struct api_checks checks = {check_library, check_behavior, finder};
    if (yaml_parse_file(path, &documents, err) < 0)
        return NULL;
    struct system_spec *spec = manifest_decode_documents(documents, &checks, problems);
    if (!spec)
        return NULL;
    if (options->nodes)
        spec->nodes.replicas = options->nodes;
    check_placement(spec, problems);
    python_code_find(spec, path, &options->config_maps, problems);
    if (problems->items.count > 0) {
        system_spec_unref(spec);
        return NULL;
    }
    use_found_paths(spec, finder);
    return spec;
}

int manifest_file_load(const char *path, const struct manifest_file_options *options,
    struct system_spec **ret_spec, char **ret_code_folders, struct str *problems, struct err *err)
{
    struct library_finder finder;
    struct api_problems list;
    struct err read_err = {0};
    finder_init(&finder, path, options->node_program);
    api_problems_init(&list, path);
    struct system_spec *spec = decode(path, options, &finder, &list, &read_err);
    if (spec) {
        *ret_code_folders = code_folders(spec, &finder);
        *ret_spec = spec;
    } else if (read_err.kind != ERR_NONE) {
        str_appendf(problems, "%s\n", read_err.text);
        (void)err_set(err, read_err.kind, "%s", read_err.text); /* reported below */
    } else {
        api_problems_sort(&list);
        api_problems_print(&list, problems);
        (void)err_set(err, ERR_INVALID, "manifest \"%s\" has mistakes", path); /* reported below */
    }
    api_problems_done(&list);
    finder_done(&finder);
    return spec ? 0 : -1;
}

static void add_ignored(struct str *out, bool is_there, const char *what)
{
    if (is_there)
        str_appendf(out, "%s%s", out->size ? ", " : "", what);
}

void manifest_file_ignored(const struct system_spec *spec, struct str *out)
{
    add_ignored(out, spec->nodes.image != NULL, "nodes.image");
    add_ignored(out, spec->nodes.resources != NULL, "nodes.resources");
    add_ignored(out, spec->nodes.pod_template != NULL, "nodes.podTemplate");
    add_ignored(out, spec->state.secret_name != NULL, "state.secretRef");
}
