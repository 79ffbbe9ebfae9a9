/* Behaviors for test_host_c.py: what goes wrong in C, and what has to work in a worker process. */
#include <histrio/actor.h>
#include <histrio/value.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALLERS = 600 }; /* more than are on their way to a process at once */

struct risky {
    struct histrio_caller callers[CALLERS];
    size_t caller_count;
    int64_t replies, errors;
    int64_t total;
    struct histrio_caller waiting;
    uint64_t monitor;
    int64_t downs, ticks;
};

__attribute__((noinline)) static void scribble(volatile int *nowhere)
{
    *nowhere = 1;
}

static enum histrio_result add(
    struct histrio_context *ctx, struct risky *risky, const struct histrio_message *message)
{
    int64_t amount = 1;
    (void)histrio_argument_int(message, "amount", 0, &amount); /* absent: 1 */
    risky->total += amount;
    histrio_reply_int(ctx, risky->total);
    return HISTRIO_CONTINUE;
}

/* Relays what it is told by the other one to who asked, later. */
static enum histrio_result came(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    struct risky *risky = state;
    (void)data;
    if (outcome->kind == HISTRIO_REPLY)
        histrio_reply_to(ctx, risky->waiting, outcome->value, outcome->size);
    else
        histrio_reply_error_to(
            ctx, risky->waiting, (enum histrio_error)outcome->error, (const char *)outcome->value);
    return HISTRIO_CONTINUE;
}

static enum histrio_result relay(
    struct histrio_context *ctx, struct risky *risky, const struct histrio_message *message)
{
    char name[128] = "";
    const char *text;
    size_t size;
    if (histrio_argument_string(message, "to", 0, &text, &size) && size < sizeof(name))
        memcpy(name, text, size);
    risky->waiting = histrio_caller(ctx);
    (void)histrio_ask_then(ctx, histrio_lookup(ctx, name), histrio_type("pid"), NULL, 0, 5000, came, NULL);
    return HISTRIO_CONTINUE;
}

/* ---- many callers that wait ---- */

static enum histrio_result counted(
    struct histrio_context *ctx, void *state, const struct histrio_message *outcome, void *data)
{
    struct risky *risky = state;
    (void)data;
    risky->replies += outcome->kind == HISTRIO_REPLY;
    risky->errors += outcome->kind == HISTRIO_ERROR && outcome->error == HISTRIO_CRASHED;
    if (risky->replies + risky->errors < CALLERS)
        return HISTRIO_CONTINUE;
    if (risky->replies == CALLERS)
        histrio_reply_to(ctx, risky->waiting,
            (const uint8_t *)"\xa8"
                             "answered",
            9);
    else
        histrio_reply_to(ctx, risky->waiting,
            (const uint8_t *)"\xa7"
                             "crashed",
            8);
    return HISTRIO_CONTINUE;
}

/* Asks "risky" so many times for what it answers later, then tells it something. */
static enum histrio_result crowd(
    struct histrio_context *ctx, struct risky *risky, const struct histrio_message *message)
{
    struct histrio_ref to = histrio_lookup(ctx, "risky");
    char then[32] = "";
    const char *text;
    size_t size;
    if (histrio_argument_string(message, "then", 0, &text, &size) && size < sizeof(then))
        memcpy(then, text, size);
    risky->waiting = histrio_caller(ctx);
    risky->replies = risky->errors = 0;
    for (size_t i = 0; i < CALLERS; i++)
        (void)histrio_ask_then(ctx, to, histrio_type("wait"), NULL, 0, 30000, counted, NULL);
    (void)histrio_tell(ctx, to, histrio_type(then), NULL, 0);
    return HISTRIO_CONTINUE;
}

static void answer_all(struct histrio_context *ctx, struct risky *risky)
{
    for (size_t i = 0; i < risky->caller_count; i++)
        histrio_reply_to(ctx, risky->callers[i], (const uint8_t *)"\xc3", 1);
    risky->caller_count = 0;
}

static enum histrio_result spawn(struct histrio_context *ctx, struct risky *risky)
{
    struct histrio_ref ref;
    struct histrio_spawn_options options = {.name = "child", .monitor = true, .ret_monitor = &risky->monitor};
    enum histrio_error error = histrio_spawn(ctx, "risky", NULL, 0, &options, &ref);
    if (error == HISTRIO_OK)
        histrio_reply_string(ctx, "spawned");
    else
        histrio_reply_error(ctx, error, "not spawned");
    return HISTRIO_CONTINUE;
}

static void nap(struct histrio_context *ctx)
{
    int64_t until_ns = histrio_now_ns(ctx) + INT64_C(500) * 1000 * 1000;
    while (histrio_now_ns(ctx) < until_ns) {
    }
}

static void hog(void)
{
    for (;;) {
        volatile char *memory = malloc(1 << 20);
        for (size_t i = 0; memory && i < 1 << 20; i += 4096)
            memory[i] = 1;
    }
}

static bool do_harm(const char *type)
{
    if (strcmp(type, "smash") == 0)
        scribble((int *)(uintptr_t)4096); /* not NULL: sanitizers make something else of that */
    else if (strcmp(type, "abort") == 0)
        abort();
    else if (strcmp(type, "quit") == 0)
        exit(3);
    else if (strcmp(type, "hog") == 0)
        hog();
    else if (strcmp(type, "spin") == 0)
        for (volatile int turns = 0;; turns = turns + 1) {
        }
    else
        return false;
    return true;
}

static enum histrio_result receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct risky *risky = state;
    const char *type = histrio_type_name(message->type);
    if (message->kind == HISTRIO_DOWN)
        risky->downs++;
    else if (message->kind == HISTRIO_TIMER)
        risky->ticks++;
    else if (strcmp(type, "add") == 0)
        return add(ctx, risky, message);
    else if (strcmp(type, "pid") == 0)
        histrio_reply_int(ctx, getpid());
    else if (strcmp(type, "crowd") == 0)
        return crowd(ctx, risky, message);
    else if (strcmp(type, "wait") == 0 && risky->caller_count < CALLERS)
        risky->callers[risky->caller_count++] = histrio_caller(ctx);
    else if (strcmp(type, "release") == 0)
        answer_all(ctx, risky);
    else if (strcmp(type, "relay") == 0)
        return relay(ctx, risky, message);
    else if (strcmp(type, "spawn") == 0)
        return spawn(ctx, risky);
    else if (strcmp(type, "downs") == 0)
        histrio_reply_int(ctx, risky->downs);
    else if (strcmp(type, "tick") == 0)
        (void)histrio_timer_start(ctx, 5, 5, histrio_type("ticked"));
    else if (strcmp(type, "ticks") == 0)
        histrio_reply_int(ctx, risky->ticks);
    else if (strcmp(type, "nap") == 0)
        nap(ctx);
    else if (strcmp(type, "log") == 0)
        histrio_log(ctx, HISTRIO_WARNING, "a word from C");
    else if (strcmp(type, "fail") == 0) {
        histrio_fail(ctx, "it had to be");
        return HISTRIO_FAIL;
    } else if (!do_harm(type))
        return HISTRIO_UNHANDLED;
    return HISTRIO_CONTINUE;
}

static enum histrio_result crash_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)ctx;
    (void)state;
    (void)arguments;
    (void)size;
    scribble((int *)(uintptr_t)4096);
    return HISTRIO_CONTINUE;
}

/* ---- what survives ---- */

static enum histrio_result snapshot(
    struct histrio_context *ctx, const void *state, struct histrio_writer *writer)
{
    const struct risky *risky = state;
    (void)ctx;
    histrio_put_int(writer, risky->total);
    return HISTRIO_CONTINUE;
}

static enum histrio_result restore(
    struct histrio_context *ctx, void *state, const uint8_t *snapshot, size_t size)
{
    struct risky *risky = state;
    (void)ctx;
    return histrio_value_int(histrio_value_of(snapshot, size), &risky->total) ? HISTRIO_CONTINUE
                                                                              : HISTRIO_FAIL;
}

static const struct histrio_behavior risky = {
    .name = "risky", .state_size = sizeof(struct risky), .receive = receive};
static const struct histrio_behavior saving = {.name = "saving",
    .state_size = sizeof(struct risky),
    .receive = receive,
    .snapshot = snapshot,
    .restore = restore};
static const struct histrio_behavior crashing = {
    .name = "crashing", .state_size = sizeof(struct risky), .start = crash_start, .receive = receive};

HISTRIO_LIBRARY(host_c_behaviors, &risky, &saving, &crashing);
