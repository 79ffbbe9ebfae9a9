#include "actor/deadletter.h"

#include "actor/send.h"
#include "actor/system_private.h"
#include "base/log.h"

static const char *target_text(const struct worker *worker, const struct message *message)
{
    if ((message->target & TARGET_NAME) != 0)
        return intern_text((uint32_t)message->target);
    const struct actor *actor = registry_find(worker, message->target);
    return actor && actor->name ? intern_text(actor->name) : "";
}

void deadletter_tick(struct worker *worker)
{
    if (worker->now_ns - worker->dead_letter_window_ns < DEADLETTER_WINDOW_NS)
        return;
    if (worker->dead_letters_silent > 0)
        log_event(LOG_WARNING, "more dead letters", "count", log_number(worker->dead_letters_silent), NULL);
    worker->dead_letter_window_ns = worker->now_ns;
    worker->dead_letters_logged = 0;
    worker->dead_letters_silent = 0;
}

void deadletter(struct worker *worker, const struct message *message, enum histrio_error why)
{
    COUNT(worker->counters.dead_letters, 1);
    deadletter_tick(worker);
    if (worker->dead_letters_logged >= DEADLETTER_LOGGED_MAX) {
        worker->dead_letters_silent++;
        return;
    }
    worker->dead_letters_logged++;
    const struct actor *sender = registry_find(worker, message->sender);
    log_event(LOG_WARNING, "dead letter", "actor", target_text(worker, message), "type",
        intern_text(message->type), "sender", sender && sender->name ? intern_text(sender->name) : "",
        "reason", histrio_error_name(why), NULL);
}
