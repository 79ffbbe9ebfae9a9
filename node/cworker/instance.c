#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"
#include "capi/intern.h"
#include "cworker/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- START ---- */

static const char *read_text(struct value start, const char *key, size_t *ret_size)
{
    const char *text = "";
    *ret_size = 0;
    (void)value_get_string(value_find(start, key), &text, ret_size); /* absent: empty */
    return text;
}

static char *copy_text(struct value start, const char *key)
{
    size_t size;
    const char *text = read_text(start, key, &size);
    return xstrndup(text, size);
}

/* Loaded at the first of its actors, from where the node has it. */
static int load(struct cworker *worker, const char *behavior, struct value start, struct err *err)
{
    char *path = copy_text(start, "library");
    const char *dot = strchr(behavior, '.');
    char *name = xstrndup(behavior, dot ? (size_t)(dot - behavior) : 0);
    int result = *path ? libraries_load(&worker->libraries, name, path, err) : 0;
    free(path);
    free(name);
    return result;
}

static const struct library_behavior *find_behavior(
    struct cworker *worker, struct value start, struct err *err)
{
    char *name = copy_text(start, "behavior");
    const struct library_behavior *found = libraries_find(&worker->libraries, name);
    if (!found && load(worker, name, start, err) == 0)
        found = libraries_find(&worker->libraries, name);
    if (!found && err->kind == ERR_NONE)
        err_set(err, ERR_NOT_FOUND, "no behavior \"%s\" in its library", name);
    free(name);
    return found;
}

static struct histrio_ref read_ref(struct value array)
{
    struct histrio_ref ref = {0};
    (void)value_get_uint(value_at(array, 0), &ref.node); /* absent: nobody */
    (void)value_get_uint(value_at(array, 1), &ref.id);
    return ref;
}

struct cactor *instance_new(struct cworker *worker, const struct frame *frame, const uint8_t *payload,
    const uint8_t **ret_arguments, size_t *ret_size, struct err *err)
{
    struct value start = value_of(payload, frame_payload_bytes(frame));
    const struct library_behavior *entry = find_behavior(worker, start, err);
    if (!entry)
        return NULL;
    struct cactor *actor = xcalloc(1, sizeof(*actor));
    size_t size;
    const void *arguments = NULL;
    actor->worker = worker;
    actor->slot = frame->actor;
    actor->self = (struct histrio_ref){frame->ref_node, frame->ref_id};
    actor->parent = read_ref(value_find(start, "parent"));
    actor->entry = entry;
    actor->state = entry->behavior->state_size > 0 ? xcalloc(1, entry->behavior->state_size) : NULL;
    const char *path = read_text(start, "path", &size);
    actor->path = intern(path, size);
    actor->unit = copy_text(start, "unit");
    char *epoch = copy_text(start, "epoch");
    (void)text_to_u64(epoch, UINT64_MAX, &actor->epoch, NULL); /* what the node writes is a number */
    free(epoch);
    (void)value_get_uint(value_find(start, "incarnation"), &actor->incarnation); /* the same */
    *ret_size = 0;
    (void)value_get_bytes(value_find(start, "arguments"), &arguments, ret_size); /* absent: none */
    *ret_arguments = arguments;
    cworker_slot(worker, frame->actor)->actor = actor;
    return actor;
}

void instance_free(struct cactor *actor)
{
    struct cworker *worker = actor->worker;
    for (size_t i = 0; actor->asks > 0 && i < worker->asks.count; i++)
        if (worker->asks.items[i].number != 0 && worker->asks.items[i].actor == actor)
            ask_free(worker, &worker->asks.items[i]);
    if (actor->receive_timeout_ms > 0)
        worker->timeouts--;
    worker->slots.items[actor->slot - 1].actor = NULL;
    vec_done(&actor->taken);
    vec_done(&actor->timers);
    vec_done(&actor->monitors);
    vec_done(&actor->unlinking);
    free(actor->exit_reason);
    free(actor->unit);
    free(actor->state);
    free(actor);
}

/* ---- asks ---- */

enum { ASK_INDEX_BITS = 20, ASKS_MAX = 1 << ASK_INDEX_BITS };

struct ask *ask_new(struct cactor *actor)
{
    struct cworker *worker = actor->worker;
    uint32_t index = worker->free_ask;
    if (index != UINT32_MAX) {
        worker->free_ask = worker->asks.items[index].next_free;
    } else {
        index = (uint32_t)worker->asks.count;
        if (index >= ASKS_MAX)
            return NULL;
        (void)vec_push_new(&worker->asks);
    }
    struct ask *ask = &worker->asks.items[index];
    *ask = (struct ask){.number = ++worker->ask_count << ASK_INDEX_BITS | index, .actor = actor};
    actor->asks++;
    return ask;
}

struct ask *ask_find(struct cworker *worker, uint64_t number)
{
    uint64_t index = number & (ASKS_MAX - 1);
    if (number == 0 || index >= worker->asks.count)
        return NULL;
    struct ask *ask = &worker->asks.items[index];
    return ask->number == number ? ask : NULL;
}

void ask_free(struct cworker *worker, struct ask *ask)
{
    ask->actor->asks--;
    *ask = (struct ask){.next_free = worker->free_ask};
    worker->free_ask = (uint32_t)(ask - worker->asks.items);
}
