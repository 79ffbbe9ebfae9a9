/* Read your writes: a cache lags behind what we wrote ourselves, and a decision on what it still shows makes
 * things twice. Whoever writes notes the resourceVersion of the answer here, and acts on that key again only
 * when the cache has come that far. A bookmark is enough, so a write that changed nothing blocks nobody for
 * long.
 *
 * A deletion that ended at once answers without a resourceVersion: it needs a uid precondition instead, which
 * makes the second one harmless. Lock: `kube gate`, held for a look-up. Thread: any. */
#ifndef KUBE_GATE_H
#define KUBE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_gate;

struct kube_gate *kube_gate_new(void);
void kube_gate_free(struct kube_gate *gate);

/* resource names a cache ("pods"), key whatever decisions are made by ("bank/bank"). The highest version
 * counts. */
void kube_gate_wrote(struct kube_gate *gate, const char *resource, const char *key, uint64_t version);
/* True when a cache that has all changes up to cache_version shows all that was noted for (resource, key);
 * the note is then dropped. */
bool kube_gate_is_fresh(
    struct kube_gate *gate, const char *resource, const char *key, uint64_t cache_version);
/* The key is gone: its notes of all resources are dropped. */
void kube_gate_forget(struct kube_gate *gate, const char *key);
size_t kube_gate_count(struct kube_gate *gate);

#endif
