#include "node_control/exits.h"

#include "base/mem.h"
#include "node_control/ranks.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *text)
{
    return text ? xstrndup(text, EXIT_REASON_BYTES) : xstrdup("");
}

static void entry_done(struct exit_entry *entry)
{
    free(entry->actor);
    free(entry->unit);
    free(entry->reason);
    free(entry->decision);
    free(entry->cause);
}

void exits_init(struct exits *exits)
{
    memset(exits, 0, sizeof(*exits));
    mutex_init(&exits->lock, RANK_NODE_CONTROL_EXITS, "node_control.exits");
}

void exits_done(struct exits *exits)
{
    mutex_lock(&exits->lock);
    for (size_t i = 0; i < exits->count; i++)
        entry_done(&exits->ring[(exits->first + i) % EXITS_MAX]);
    mutex_unlock(&exits->lock);
    mutex_done(&exits->lock);
}

bool exits_add(struct exits *exits, const struct actor_exit_report *report)
{
    struct exit_entry dropped = {0};
    struct exit_entry entry = {.actor = copy(report->path),
        .unit = copy(report->unit),
        .reason = copy(report->reason),
        .decision = copy(report->decision),
        .cause = copy(report->cause),
        .epoch = report->epoch,
        .incarnation = report->incarnation,
        .at_wall_ms = report->at_wall_ms};
    mutex_lock(&exits->lock);
    bool was_empty = exits->count == 0 && exits->lost == 0;
    if (exits->count == EXITS_MAX) {
        dropped = exits->ring[exits->first];
        exits->first = (exits->first + 1) % EXITS_MAX;
        exits->count--;
        exits->lost++;
    }
    exits->ring[(exits->first + exits->count) % EXITS_MAX] = entry;
    exits->count++;
    mutex_unlock(&exits->lock);
    entry_done(&dropped);
    return was_empty;
}

bool exits_take(struct exits *exits, struct exit_batch *ret_batch)
{
    struct exit_batch batch = {0};
    vec_reserve(&batch.entries, EXITS_PER_BATCH);
    mutex_lock(&exits->lock);
    while (exits->count > 0 && batch.entries.count < EXITS_PER_BATCH) {
        batch.entries.items[batch.entries.count++] = exits->ring[exits->first];
        exits->first = (exits->first + 1) % EXITS_MAX;
        exits->count--;
    }
    batch.lost = exits->lost;
    exits->lost = 0;
    mutex_unlock(&exits->lock);
    if (batch.entries.count == 0 && batch.lost == 0) {
        exit_batch_done(&batch);
        return false;
    }
    *ret_batch = batch;
    return true;
}

void exits_add_lost(struct exits *exits, const struct exit_batch *batch)
{
    mutex_lock(&exits->lock);
    exits->lost += batch->lost + batch->entries.count;
    mutex_unlock(&exits->lock);
}

void exit_batch_done(struct exit_batch *batch)
{
    vec_for_each (entry, &batch->entries)
        entry_done(entry);
    vec_done(&batch->entries);
}
