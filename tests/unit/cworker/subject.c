#include "subject.h"

#include "harness.h"

#include "base/str.h"

#include <histrio/value.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 128 };

struct subject {
    struct histrio_caller caller;
    uint64_t timer, monitor;
};

static const struct histrio_behavior unlisted;

static uint64_t number_of(const char *text)
{
    uint64_t number = 0;
    (void)text_to_u64(text, UINT32_MAX, &number, NULL); /* no number: 0 */
    return number;
}

static void noted_outcome(const struct histrio_message *message)
{
    const char *text = (const char *)message->value;
    size_t size = message->size;
    if (message->kind == HISTRIO_REPLY &&
        !histrio_value_string(histrio_value_of(message->value, message->size), &text, &size))
        size = 0;
    note("outcome:%u:%.*s", message->error, (int)size, text);
}

static enum histrio_result then(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    (void)state;
    note("then:%s", (const char *)data);
    noted_outcome(outcome);
    histrio_reply(ctx, NULL, 0); /* of nothing: ignored */
    return HISTRIO_CONTINUE;
}

/* Never has enough of asking nobody. */
static enum histrio_result ask_again(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    (void)state;
    (void)outcome;
    note("again");
    (void)histrio_ask_then(
        ctx, (struct histrio_ref){0}, histrio_type("question"), NULL, 0, 0, ask_again, data);
    return HISTRIO_CONTINUE;
}

static void who(struct histrio_context *ctx)
{
    note("%s %s %llu %llu self=%llu/%llu parent=%llu/%llu name=%s", histrio_path(ctx), histrio_unit(ctx),
        (unsigned long long)histrio_epoch(ctx), (unsigned long long)histrio_incarnation(ctx),
        (unsigned long long)histrio_self(ctx).node, (unsigned long long)histrio_self(ctx).id,
        (unsigned long long)histrio_parent(ctx).node, (unsigned long long)histrio_parent(ctx).id,
        histrio_ref_name(ctx, histrio_self(ctx)));
}

static void send_text(
    struct histrio_context *ctx, const char *to, const char *type, const char *text, bool ask)
{
    struct histrio_writer *writer = histrio_writer_new();
    histrio_put_string(writer, text);
    if (ask)
        (void)histrio_ask_take(ctx, histrio_lookup(ctx, to), histrio_type(type), writer, 0);
    else
        note("tell:%d", histrio_tell_take(ctx, histrio_lookup(ctx, to), histrio_type(type), writer));
}

static void spawn(struct histrio_context *ctx, const char *behavior, bool options)
{
    uint64_t monitor = 0;
    struct histrio_ref ref = {0};
    struct histrio_spawn_options wanted = {
        .name = "child", .link = true, .monitor = true, .mailbox_capacity = 9, .ret_monitor = &monitor};
    enum histrio_error error =
        histrio_spawn(ctx, behavior, (const uint8_t *)"\xa2hi", 3, options ? &wanted : NULL, &ref);
    note("spawned:%d:%llu:%d", error, (unsigned long long)ref.id, monitor != 0);
}

static bool talk(struct histrio_context *ctx, struct subject *subject, const char *deed, const char *text)
{
    static const uint8_t huge[1];
    if (strcmp(deed, "echo") == 0)
        histrio_reply_string(ctx, text);
    else if (strcmp(deed, "twice") == 0) {
        histrio_reply_string(ctx, "first");
        histrio_reply_string(ctx, "second");
    } else if (strcmp(deed, "error") == 0)
        histrio_reply_error(ctx, HISTRIO_DENIED, text);
    else if (strcmp(deed, "keep") == 0)
        subject->caller = histrio_caller(ctx);
    else if (strcmp(deed, "answer") == 0)
        histrio_reply_to(ctx, subject->caller, (const uint8_t *)"\xa5later", 6);
    else if (strcmp(deed, "tell") == 0)
        send_text(ctx, text, "news", "hello", false);
    else if (strcmp(deed, "ask") == 0)
        send_text(ctx, text, "question", "why", true);
    else if (strcmp(deed, "ask_then") == 0)
        (void)histrio_ask_then(ctx, histrio_lookup(ctx, text), histrio_type("question"), NULL, 0, 250, then,
            (void *)(uintptr_t) "data");
    else if (strcmp(deed, "ask_huge") == 0)
        (void)histrio_ask(ctx, histrio_lookup(ctx, text), 1, huge, SIZE_MAX, 0);
    else if (strcmp(deed, "tell_huge") == 0)
        note("tell:%d", histrio_tell(ctx, histrio_lookup(ctx, text), 1, huge, SIZE_MAX));
    else if (strcmp(deed, "nobody") == 0)
        (void)histrio_ask(ctx, (struct histrio_ref){0}, 1, NULL, 0, 0);
    else if (strcmp(deed, "ask_for_ever") == 0)
        (void)ask_again(ctx, subject, NULL, NULL);
    else if (strcmp(deed, "who") == 0)
        who(ctx);
    else if (strcmp(deed, "log") == 0)
        histrio_log(ctx, HISTRIO_WARNING, "careful: %s", text);
    else
        return false;
    return true;
}

static bool live(struct histrio_context *ctx, struct subject *subject, const char *deed, const char *text)
{
    struct histrio_ref other = {88, number_of(text)};
    if (strcmp(deed, "timer") == 0)
        subject->timer = histrio_timer_start(ctx, 60000, (uint32_t)number_of(text), histrio_type("tick"));
    else if (strcmp(deed, "cancel") == 0)
        note("left:%d", histrio_timer_cancel(ctx, subject->timer) > 0);
    else if (strcmp(deed, "timeout") == 0)
        histrio_receive_timeout(ctx, (uint32_t)number_of(text));
    else if (strcmp(deed, "monitor") == 0)
        subject->monitor = histrio_monitor(ctx, other);
    else if (strcmp(deed, "demonitor") == 0)
        histrio_demonitor(ctx, subject->monitor);
    else if (strcmp(deed, "monitors") == 0)
        for (int i = 0; i < 5000; i++)
            (void)histrio_monitor(ctx, other);
    else if (strcmp(deed, "link") == 0)
        histrio_link(ctx, other);
    else if (strcmp(deed, "unlink") == 0)
        histrio_unlink(ctx, other);
    else if (strcmp(deed, "trap") == 0)
        histrio_trap_exits(ctx, true);
    else if (strcmp(deed, "watch") == 0)
        subject->monitor = histrio_watch(ctx, other);
    else if (strcmp(deed, "exit") == 0)
        histrio_exit(ctx, other, "enough");
    else if (strcmp(deed, "exit_self") == 0)
        histrio_exit(ctx, histrio_self(ctx), text);
    else if (strcmp(deed, "spawn") == 0)
        spawn(ctx, text, true);
    else if (strcmp(deed, "spawn_as") == 0) {
        struct histrio_spawn_options named = {.name = text};
        note("spawned:%d", histrio_spawn(ctx, "subject", NULL, 0, &named, NULL));
    } else if (strcmp(deed, "spawn_plain") == 0)
        spawn(ctx, text, false);
    else if (strcmp(deed, "spawn_unlisted") == 0)
        note("spawned:%d", histrio_spawn_behavior(ctx, &unlisted, NULL, 0, NULL, NULL));
    else
        return false;
    return true;
}

static enum histrio_result do_deed(struct histrio_context *ctx, struct subject *subject,
    const struct histrio_message *message, const char *deed, const char *text)
{
    if (strcmp(deed, "fail") == 0) {
        histrio_fail(ctx, "%s", text);
        return HISTRIO_FAIL;
    }
    if (strcmp(deed, "stop") == 0)
        return HISTRIO_STOP;
    if (strcmp(deed, "look") == 0) {
        while_handling(ctx);
        note("looked:%.*s", (int)message->size - 1, (const char *)message->value + 1);
        return HISTRIO_CONTINUE;
    }
    return talk(ctx, subject, deed, text) || live(ctx, subject, deed, text) ? HISTRIO_CONTINUE
                                                                            : HISTRIO_UNHANDLED;
}

static enum histrio_result receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    char text[TEXT_BYTES] = "";
    const char *found;
    size_t size;
    switch ((enum histrio_kind)message->kind) {
    case HISTRIO_TELL:
    case HISTRIO_ASK: break;
    case HISTRIO_REPLY:
    case HISTRIO_ERROR: noted_outcome(message); return HISTRIO_CONTINUE;
    case HISTRIO_TIMER:
        note("timer:%s:%d", histrio_type_name(message->type), message->reference != 0);
        return HISTRIO_CONTINUE;
    case HISTRIO_EXIT:
        note("exit:%llu:%s", (unsigned long long)message->sender.id, (const char *)message->value);
        return HISTRIO_CONTINUE;
    case HISTRIO_DOWN:
        note("down:%llu:%s", (unsigned long long)message->sender.id, (const char *)message->value);
        return HISTRIO_CONTINUE;
    case HISTRIO_ENDED:
    case HISTRIO_RESTARTED:
        (void)histrio_argument_string(message, "reason", 0, &found, &size);
        note("%s:%.*s", message->kind == HISTRIO_ENDED ? "ended" : "restarted", (int)size, found);
        return HISTRIO_CONTINUE;
    }
    if (histrio_value_string(histrio_value_of(message->value, message->size), &found, &size))
        (void)snprintf(text, sizeof(text), "%.*s", (int)size, found);
    return do_deed(ctx, state, message, histrio_type_name(message->type), text);
}

static enum histrio_result start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)ctx;
    (void)state;
    note("start:%.*s", (int)size - 1, (const char *)arguments + 1);
    return HISTRIO_CONTINUE;
}

static void stop(struct histrio_context *ctx, void *state, const char *reason)
{
    struct histrio_ref ref;
    (void)state;
    note("stop:%s:%d", reason, histrio_spawn(ctx, "subject", NULL, 0, NULL, &ref)); /* not there */
}

static enum histrio_result fail_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    (void)arguments;
    (void)size;
    histrio_fail(ctx, "not today");
    return HISTRIO_FAIL;
}

/* Starts another subject inside of its own start. */
static enum histrio_result spawn_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    (void)arguments;
    (void)size;
    spawn(ctx, "subject", false);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior subject = {.name = "subject",
    .state_size = sizeof(struct subject),
    .start = start,
    .receive = receive,
    .stop = stop};
static const struct histrio_behavior failing = {.name = "failing", .start = fail_start, .receive = receive};
static const struct histrio_behavior spawning = {
    .name = "spawning", .start = spawn_start, .receive = receive};
/* Counts what it handled, and has it kept. The text of "snapshot" is what its snapshots are from then on. */
struct keeping {
    struct subject subject;
    int64_t handled;
    char mode[TEXT_BYTES];
};

static enum histrio_result keep(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct keeping *keeping = state;
    const char *text;
    size_t size;
    keeping->handled++;
    if (strcmp(histrio_type_name(message->type), "snapshot") != 0)
        return receive(ctx, &keeping->subject, message);
    if (histrio_value_string(histrio_value_of(message->value, message->size), &text, &size))
        (void)snprintf(keeping->mode, sizeof(keeping->mode), "%.*s", (int)size, text);
    return HISTRIO_CONTINUE;
}

static enum histrio_result snapshot(
    struct histrio_context *ctx, const void *state, struct histrio_writer *writer)
{
    const struct keeping *keeping = state;
    if (strcmp(keeping->mode, "none") == 0)
        return HISTRIO_UNHANDLED;
    if (strcmp(keeping->mode, "fails") == 0) {
        histrio_fail(ctx, "cannot be written");
        return HISTRIO_FAIL;
    }
    for (size_t i = 0; strcmp(keeping->mode, "huge") == 0 && i < 600 * 1000; i++)
        histrio_put_double(writer, 0.5);
    histrio_put_int(writer, keeping->handled);
    return HISTRIO_CONTINUE;
}

static enum histrio_result restore(
    struct histrio_context *ctx, void *state, const uint8_t *snapshot, size_t size)
{
    struct keeping *keeping = state;
    if (histrio_value_int(histrio_value_of(snapshot, size), &keeping->handled)) {
        note("restored:%lld", (long long)keeping->handled);
        return HISTRIO_CONTINUE;
    }
    histrio_fail(ctx, "cannot be read");
    return HISTRIO_FAIL;
}

static const struct histrio_behavior keeping = {.name = "keeping",
    .state_size = sizeof(struct keeping),
    .start = start,
    .receive = keep,
    .stop = stop,
    .snapshot = snapshot,
    .restore = restore};
static const struct histrio_behavior trapping = {
    .name = "trapping", .receive = receive, .flags = HISTRIO_TRAP_EXITS};
static const struct histrio_behavior unlisted = {.name = "unlisted", .receive = receive};

const struct histrio_library subject_library = {HISTRIO_ABI_VERSION, "test",
    (const struct histrio_behavior *const[]){&subject, &failing, &spawning, &trapping, &keeping, NULL}};
