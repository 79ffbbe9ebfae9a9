/* What monitors that last tell beside the end: that an incarnation ended, and that another was started. */
#include "actor/link.h"
#include "actor/send.h"
#include "actor/system_private.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/value.h"

#include <stdlib.h>

/* ---- their value ---- */

/* Behaviors may say anything; values are UTF-8 of some length. */
static void put_text(struct str *out, const char *text, size_t size)
{
    char *copy = xstrndup(text, text_cut(text, size < LIMIT_CAUSE_BYTES ? size : LIMIT_CAUSE_BYTES));
    text_make_utf8(copy);
    value_put_string(out, copy);
    free(copy);
}

static void deliver(struct worker *worker, struct actor *actor, const struct link_news *news)
{
    struct str value = STR_INIT(2 * LIMIT_CAUSE_BYTES + 256);
    size_t line = strcspn(news->text, "\n");
    const char *stack = news->text + line + (news->text[line] == '\n');
    value_put_map(&value, 3);
    value_put_string(&value, "incarnation");
    value_put_uint(&value, news->incarnation);
    value_put_string(&value, "reason");
    put_text(&value, news->text, line);
    value_put_string(&value, "traceback");
    put_text(&value, stack, strlen(stack));
    send_notice_value(worker, actor, news->kind, news->monitor, news->from, value.data, value.size);
    str_done(&value);
}

bool link_news_arrived(struct worker *worker, uint64_t id, const struct link_news *news)
{
    struct actor *actor = registry_find(worker, id);
    if (actor && actor->ties && (actor->flags & ACTOR_ALIVE) != 0) {
        vec_for_each (peer, &actor->ties->watching) {
            if (peer->monitor != news->monitor)
                continue;
            peer->ref = news->from;
            deliver(worker, actor, news);
            return true;
        }
    }
    return false;
}

void link_news_came(struct worker *worker, uint64_t id, const struct link_news *news)
{
    if (!link_news_arrived(worker, id, news))
        link_withdraw(worker, NULL, id,
            (struct link_peer){.ref = news->from, .node = news->from.node, .monitor = news->monitor});
}

/* ---- to a watcher, wherever it is ---- */

struct news_job {
    struct link_news news;
    char text[];
};

static void news_job(struct worker *worker, struct message *message)
{
    struct news_job *job = xmemdup(message->data, message->size); /* the payload starts at an odd address */
    job->news.text = job->text;
    link_news_came(worker, message->target, &job->news);
    free(job);
}

static void send_news_job(struct worker *worker, uint64_t watcher, const struct link_news *news)
{
    size_t size = strlen(news->text) + 1;
    struct message *message = message_new(worker, sizeof(struct news_job) + size);
    message->target = watcher;
    memcpy(message->data, news, sizeof(*news));
    memcpy(message->data + sizeof(struct news_job), news->text, size);
    send_job(worker, id_worker(watcher), message, news_job);
}

bool link_tell_news(struct worker *worker, const struct actor *actor, struct histrio_ref watcher,
    const struct link_news *news)
{
    if (watcher.node == worker->node_uid) {
        if (id_worker(watcher.id) >= worker->worker_count)
            return false;
        if (id_worker(watcher.id) == worker->number)
            return link_news_arrived(worker, watcher.id, news);
        send_news_job(worker, watcher.id, news);
        return true;
    }
    return link_send_news(worker, actor, watcher, news);
}

void link_restarted(struct worker *worker, struct actor *actor)
{
    struct actor_ties *ties = actor->ties;
    if (!ties || !ties->cause)
        return;
    struct link_news news = {.kind = HISTRIO_RESTARTED,
        .incarnation = names_incarnation(&worker->system->names, actor->name),
        .from = {worker->node_uid, actor_id(actor)},
        .text = ties->cause};
    size_t kept = 0;
    vec_for_each (peer, &ties->watchers) {
        news.monitor = peer->monitor;
        bool lasts = (peer->monitor & MONITOR_LASTS) != 0; /* the others are of this incarnation */
        if (lasts && !link_tell_news(worker, actor, peer->ref, &news))
            continue;
        if (peer->ref.node != worker->node_uid)
            link_mark_remote(worker, actor);
        ties->watchers.items[kept++] = *peer;
    }
    ties->watchers.count = kept;
    free(ties->cause);
    ties->cause = NULL;
}
