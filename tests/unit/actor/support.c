#include "support.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/vec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    struct actor_system *system;
    struct histrio_library library;
    struct mutex lock;
    struct condition changed;
    VEC(char *) entries;
    struct str joined;
    unsigned answers;
    bool is_ready;
} support;

struct actor_system *support_system(void)
{
    return support.system;
}

void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = xvasprintf(format, arguments);
    va_end(arguments);
    mutex_lock(&support.lock);
    vec_push(&support.entries, text);
    condition_broadcast(&support.changed);
    mutex_unlock(&support.lock);
}

static unsigned count_locked(const char *text)
{
    unsigned count = 0;
    vec_for_each (entry, &support.entries)
        count += strcmp(*entry, text) == 0;
    return count;
}

unsigned count_notes(const char *text)
{
    mutex_lock(&support.lock);
    unsigned count = count_locked(text);
    mutex_unlock(&support.lock);
    return count;
}

void wait_notes(const char *text, unsigned count)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + 20 * NS_PER_S;
    bool in_time = true;
    unsigned seen = 0;
    size_t looked_at = 0; /* each is looked at once: there may be many thousand */
    mutex_lock(&support.lock);
    while (true) {
        for (; looked_at < support.entries.count; looked_at++)
            seen += strcmp(support.entries.items[looked_at], text) == 0;
        if (seen >= count || !in_time)
            break;
        in_time = condition_wait_until(&support.changed, &support.lock, deadline_ns);
    }
    mutex_unlock(&support.lock);
    if (seen < count)
        fail_msg("waited for %u of \"%s\", have %u; log: %s", count, text, seen, notes(""));
}

void wait_note(const char *text)
{
    wait_notes(text, 1);
}

const char *notes(const char *prefix)
{
    mutex_lock(&support.lock);
    str_clear(&support.joined);
    vec_for_each (entry, &support.entries) {
        if (strncmp(*entry, prefix, strlen(prefix)) != 0)
            continue;
        if (support.joined.size > 0)
            str_append_char(&support.joined, ' ');
        str_append(&support.joined, *entry);
    }
    mutex_unlock(&support.lock);
    return str_text(&support.joined);
}

static void on_exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    note("exit:%s:%s:%s", report->path, report->reason, report->decision);
}

static void on_unit(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    (void)ctx;
    (void)epoch;
    static const char *const names[] = {"starting", "running", "stopping", "failed", "stopped"};
    if (state == UNIT_PRESENT) {
        note("present:%s", unit);
        return;
    }
    note("unit:%s:%s%s%s", unit, names[state], *reason ? ":" : "", reason);
}

static void on_stuck(void *ctx, const char *path, const char *type, uint64_t running_ms)
{
    (void)ctx;
    (void)running_ms;
    note("stuck:%s:%s", path, type);
}

static struct actor_system *start_system(unsigned workers, const struct histrio_behavior *const *behaviors,
    const struct actor_outbound *outbound, const struct actor_hosting *hosting)
{
    if (!support.is_ready) {
        support.is_ready = true;
        mutex_init(&support.lock, 950, "test support");
        condition_init(&support.changed);
        str_init(&support.joined, 1024 * 1024);
        log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR);
    }
    support.library = (struct histrio_library){HISTRIO_ABI_VERSION, "test", behaviors};
    struct actor_system_config config = {.node_uid = TEST_NODE_UID,
        .system = "bank",
        .worker_count = workers,
        .handler_timeout_ms = 100,
        .seed = 1,
        .events = {.exited = on_exited, .unit_changed = on_unit, .stuck = on_stuck}};
    config.hosting = hosting;
    if (outbound)
        config.outbound = *outbound;
    struct err err = {0};
    assert_int_equal(actor_system_new(&config, &support.system, &err), 0);
    assert_int_equal(actor_system_add_library(support.system, &support.library, &err), 0);
    return support.system;
}

struct actor_system *support_start_with(
    unsigned workers, const struct histrio_behavior *const *behaviors, const struct actor_outbound *outbound)
{
    return start_system(workers, behaviors, outbound, NULL);
}

struct actor_system *support_start_hosting(
    unsigned workers, const struct histrio_behavior *const *behaviors, const struct actor_hosting *hosting)
{
    return start_system(workers, behaviors, NULL, hosting);
}

struct actor_system *support_start(unsigned workers, const struct histrio_behavior *const *behaviors)
{
    return support_start_with(workers, behaviors, NULL);
}

void support_stop(void)
{
    actor_system_free(support.system, 10000);
    support.system = NULL;
    vec_for_each (entry, &support.entries)
        free(*entry);
    vec_done(&support.entries);
    str_done(&support.joined);
}

static void start_unit(const struct actor_unit_spec *spec, const char *until)
{
    struct err err = {0};
    unsigned before = count_notes(until);
    if (actor_system_unit_start(support.system, spec, 1, &err) < 0)
        fail_msg("%s", err.text);
    wait_notes(until, before + 1);
}

void support_unit_spec(const struct actor_unit_spec *spec)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "unit:%s:running", spec->name);
    start_unit(spec, text);
}

void support_unit_present(const struct actor_unit_spec *spec)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "present:%s", spec->name);
    start_unit(spec, text);
}

void support_unit(const char *name, const char *behavior)
{
    struct actor_unit_spec spec = {.name = name,
        .root = {.name = name,
            .under = "",
            .behavior = behavior,
            .shutdown_ms = 5000,
            .restarts_max = 3,
            .period_ms = 5000}};
    support_unit_spec(&spec);
}

void support_unit_stop(const char *name)
{
    struct err err = {0};
    assert_int_equal(actor_system_unit_stop(support.system, name, &err), 0);
}

struct waiting_answer {
    struct answer answer;
    bool is_done;
    unsigned times;
};

static void on_answer(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    struct waiting_answer *waiting = ctx;
    mutex_lock(&support.lock);
    waiting->answer.error = error;
    waiting->answer.size = size < sizeof(waiting->answer.value) ? size : sizeof(waiting->answer.value);
    memcpy(waiting->answer.value, value, waiting->answer.size);
    waiting->is_done = true;
    waiting->times++;
    condition_broadcast(&support.changed);
    mutex_unlock(&support.lock);
}

struct answer ask(const char *target, const char *type, const void *value, size_t size, uint32_t timeout_ms)
{
    struct waiting_answer waiting = {0};
    actor_system_ask(support.system, target, type, value, size, timeout_ms, on_answer, &waiting);
    mutex_lock(&support.lock);
    while (!waiting.is_done)
        condition_wait(&support.changed, &support.lock);
    mutex_unlock(&support.lock);
    assert_int_equal(waiting.times, 1);
    return waiting.answer;
}

enum histrio_error ask_error(const char *target, const char *type)
{
    return ask(target, type, NULL, 0, 10000).error;
}

void tell(const char *target, const char *type, const char *text)
{
    (void)actor_system_tell(support.system, target, type, (const uint8_t *)text, strlen(text));
}

const char *value_text(const struct histrio_message *message)
{
    static _Thread_local char text[201];
    (void)snprintf(text, sizeof(text), "%.*s", (int)message->size, (const char *)message->value);
    return text;
}

bool is_type(const struct histrio_message *message, const char *type)
{
    return message->type == histrio_type(type);
}

struct histrio_ref text_ref(const char *name)
{
    return (struct histrio_ref){0, actor_system_name(support.system, name)};
}
