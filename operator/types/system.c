#include "types/system.h"

#include <stdatomic.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

const char *const child_restart_names[] = {"Permanent", "Transient", "Temporary", NULL};
const char *const child_strategy_names[] = {"OneForOne", "OneForAll", "RestForOne", NULL};
const char *const child_isolation_names[] = {"Node", "Shared", "Group", "Process", NULL};
const char *const mailbox_overflow_names[] = {"Wait", "Fail", "DropOldest", "DropNewest", NULL};
const char *const mailbox_on_restart_names[] = {"Keep", "Drop", NULL};
const char *const spread_kind_names[] = {"KubeNode", "Zone", "Pack", NULL};
const char *const store_kind_names[] = {"None", "SQLite", "PostgreSQL", NULL};
const char *const failure_policy_names[] = {"KeepRunning", "LeaderOnly", NULL};

struct system_spec *system_spec_new(void)
{
    struct system_spec *spec = xcalloc(1, sizeof(*spec));
    atomic_init(&spec->reference_count, 1);
    return spec;
}

struct system_spec *system_spec_ref(struct system_spec *spec)
{
    atomic_fetch_add_explicit(&spec->reference_count, 1, memory_order_relaxed);
    return spec;
}

static void child_spec_done(struct child_spec *child)
{
    free(child->name);
    free(child->under);
    free(child->behavior_c);
    free(child->behavior_python);
    free(child->arguments);
}

static void entry_spec_done(struct entry_spec *entry)
{
    child_spec_done(&entry->root);
    vec_for_each (child, &entry->children)
        child_spec_done(child);
    vec_done(&entry->children);
    label_list_done(&entry->placement.kube_node_selector);
    label_list_done(&entry->placement.pin);
    free(entry->placement.colocate_with);
    vec_for_each (name, &entry->placement.anti_affinity)
        free(*name);
    vec_done(&entry->placement.anti_affinity);
}

static void code_spec_done(struct code_spec *code)
{
    vec_for_each (library, &code->c) {
        free(library->library);
        free(library->path);
    }
    vec_done(&code->c);
    vec_for_each (path, &code->python_path)
        free(*path);
    vec_done(&code->python_path);
    vec_for_each (module, &code->python_preload)
        free(*module);
    vec_done(&code->python_preload);
    free(code->python_config_map);
}

void system_spec_unref(struct system_spec *spec)
{
    /* Release pairs with acquire of the last one, which frees what all others have read. */
    if (!spec || atomic_fetch_sub_explicit(&spec->reference_count, 1, memory_order_acq_rel) > 1)
        return;
    free(spec->name);
    free(spec->namespace);
    free(spec->nodes.image);
    json_free(spec->nodes.resources);
    json_free(spec->nodes.pod_template);
    code_spec_done(&spec->code);
    vec_for_each (entry, &spec->entries)
        entry_spec_done(entry);
    vec_done(&spec->entries);
    free(spec->state.secret_name);
    free(spec);
}

const struct entry_spec *system_spec_entry(const struct system_spec *spec, const char *name)
{
    vec_for_each (entry, &spec->entries)
        if (text_equal(entry->root.name, name))
            return entry;
    return NULL;
}
