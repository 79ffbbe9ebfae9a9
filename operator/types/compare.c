#include "base/json.h"
#include "base/str.h"
#include "types/digest.h"
#include "types/system.h"

static uint64_t nodes_digest(const struct system_spec *spec)
{
    struct digest digest = {0};
    digest_text(&digest, spec->nodes.image);
    vec_for_each (library, &spec->code.c) {
        digest_text(&digest, library->library);
        digest_text(&digest, library->path);
    }
    digest_u64(&digest, spec->code.has_python);
    vec_for_each (path, &spec->code.python_path)
        digest_text(&digest, *path);
    digest_u64(&digest, spec->code.python_path.count);
    vec_for_each (module, &spec->code.python_preload)
        digest_text(&digest, *module);
    digest_text(&digest, spec->code.python_config_map);
    digest_u64(&digest, spec->code.python_workers);
    digest_u64(&digest, (uint64_t)spec->code.python_handler_timeout_ms);
    digest_u64(&digest, spec->code.python_memory_bytes);
    digest_u64(&digest, spec->code.has_c_workers);
    digest_u64(&digest, spec->code.c_worker_count);
    digest_u64(&digest, (uint64_t)spec->code.c_handler_timeout_ms);
    digest_u64(&digest, spec->code.c_memory_bytes);
    return digest.state;
}

static bool nodes_differ(const struct system_spec *before, const struct system_spec *after)
{
    return nodes_digest(before) != nodes_digest(after) ||
           !json_equal(before->nodes.resources, after->nodes.resources) ||
           !json_equal(before->nodes.pod_template, after->nodes.pod_template);
}

static uint64_t labels_digest(const struct label_list *labels)
{
    struct digest digest = {0};
    vec_for_each (label, labels) {
        digest_text(&digest, label->key);
        digest_text(&digest, label->value);
    }
    return digest.state;
}

static void digest_mailbox(struct digest *digest, const struct mailbox_spec *mailbox)
{
    digest_u64(digest, mailbox->capacity);
    digest_u64(digest, (uint64_t)mailbox->overflow);
    digest_u64(digest, (uint64_t)mailbox->on_restart);
}

/* What of an entry takes effect without a restart. */
static uint64_t entry_live_digest(const struct entry_spec *entry)
{
    struct digest digest = {0};
    digest_u64(&digest, entry->replicas);
    digest_u64(&digest, entry->has_replicas);
    digest_u64(&digest, (uint64_t)entry->keyed.passivate_after_ms);
    digest_u64(&digest, (uint64_t)entry->placement.spread);
    digest_u64(&digest, labels_digest(&entry->placement.kube_node_selector));
    digest_u64(&digest, labels_digest(&entry->placement.pin));
    digest_text(&digest, entry->placement.colocate_with);
    vec_for_each (name, &entry->placement.anti_affinity)
        digest_text(&digest, *name);
    digest_mailbox(&digest, &entry->root.mailbox);
    vec_for_each (child, &entry->children)
        digest_mailbox(&digest, &child->mailbox);
    return digest.state;
}

static unsigned compare_entry(const struct entry_spec *before, const struct entry_spec *after)
{
    struct digest old_digest = {0};
    struct digest new_digest = {0};
    unsigned change = SPEC_CHANGE_NONE;
    if (before->keyed.is_keyed != after->keyed.is_keyed || before->keyed.shards != after->keyed.shards)
        change |= SPEC_CHANGE_REFUSED;
    digest_entry(&old_digest, before);
    digest_entry(&new_digest, after);
    if (old_digest.state != new_digest.state)
        change |= SPEC_CHANGE_RESTARTS_UNITS;
    if (entry_live_digest(before) != entry_live_digest(after))
        change |= SPEC_CHANGE_LIVE;
    return change;
}

static bool live_differs(const struct system_spec *before, const struct system_spec *after)
{
    return before->suspend != after->suspend || before->nodes.replicas != after->nodes.replicas ||
           before->nodes.capacity_units != after->nodes.capacity_units ||
           before->nodes.drain_timeout_ms != after->nodes.drain_timeout_ms ||
           before->nodes.update_max_surge != after->nodes.update_max_surge ||
           before->nodes.update_max_unavailable != after->nodes.update_max_unavailable ||
           before->supervision.intensity.restarts != after->supervision.intensity.restarts ||
           before->supervision.intensity.period_ms != after->supervision.intensity.period_ms ||
           before->supervision.backoff.initial_ms != after->supervision.backoff.initial_ms ||
           before->supervision.backoff.max_ms != after->supervision.backoff.max_ms ||
           before->failure.node_lease_ms != after->failure.node_lease_ms ||
           before->failure.suspend_for_ms != after->failure.suspend_for_ms ||
           before->failure.policy != after->failure.policy;
}

unsigned system_spec_compare(const struct system_spec *before, const struct system_spec *after)
{
    unsigned change = SPEC_CHANGE_NONE;
    size_t known = 0;
    if (!text_equal(before->name, after->name))
        change |= SPEC_CHANGE_REFUSED;
    if (nodes_differ(before, after))
        change |= SPEC_CHANGE_ROLLS_NODES;
    if (live_differs(before, after))
        change |= SPEC_CHANGE_LIVE;
    vec_for_each (entry, &after->entries) {
        const struct entry_spec *old = system_spec_entry(before, entry->root.name);
        known += old != NULL;
        change |= old ? compare_entry(old, entry) : (unsigned)SPEC_CHANGE_LIVE;
    }
    if (known < before->entries.count)
        change |= SPEC_CHANGE_LIVE;
    return change;
}
