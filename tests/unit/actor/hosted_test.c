/* Hosted actors as the runtime sees them: messages that are kept, answered later, or put back for the next
 * incarnation; pauses; exits that go to the behavior; ends that are free. What hosts them here is the test.
 */
#include "support.h"

#include "actor/hosted.h"
#include "actor/supervisor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "suites.h"
#include "supervision_test.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum { KEPT_MAX = 16, LARGE = 1000, HUNDRED_S_MS = 100 * 1000 };

/* All but the lock's and `woken` belong to worker 0. */
static struct {
    struct mutex lock;
    struct condition changed;
    bool is_woken;
    void (*operation)(struct worker *worker);
    bool is_ready;
    uint64_t id;
    struct message *kept[KEPT_MAX];
    size_t kept_count;
    bool pauses; /* from its start on */
    bool is_quiet;
    unsigned limit;
    const char *name; /* of whom ask_and_cancel() asks */
} host;

static enum histrio_result hosted_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    const struct actor_child_spec *spec = (const void *)arguments;
    assert_int_equal(size, sizeof(*spec));
    host.id = histrio_self(ctx).id;
    if (host.pauses)
        hosted_pause(ctx, true);
    size_t kept_size;
    const uint8_t *kept = hosted_kept(ctx, &kept_size);
    if (kept)
        note("kept:%.*s", (int)kept_size, (const char *)kept);
    if (!host.is_quiet)
        note("start:%s", spec->behavior);
    return HISTRIO_CONTINUE;
}

static enum histrio_result hosted_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    note("got:%s", histrio_type_name(message->type));
    host.kept[host.kept_count++] = hosted_message(ctx, message);
    if (host.kept_count == host.limit)
        hosted_pause(ctx, true);
    return HOSTED_TAKEN;
}

static void hosted_stop(struct histrio_context *ctx, void *state, const char *reason)
{
    (void)ctx;
    (void)state;
    note("stop:%s", reason);
}

static const struct histrio_behavior hosted = {
    .name = "hosted", .state_size = 8, .start = hosted_start, .receive = hosted_receive, .stop = hosted_stop};

static void host_exit(void *ctx, struct histrio_context *actor, void *state, const char *reason)
{
    (void)ctx;
    (void)actor;
    (void)state;
    note("exit:%s", reason);
}

static void host_cancel(
    void *ctx, struct histrio_context *actor, void *state, struct histrio_ref asker, uint64_t ask)
{
    (void)ctx;
    (void)state;
    for (size_t i = 0; i < host.kept_count; i++)
        if (hosted_is_ask(actor, host.kept[i], asker, ask))
            note("cancel:%s", histrio_type_name(host.kept[i]->type));
}

static bool host_poll(void *ctx, struct worker *worker, bool is_idle)
{
    (void)ctx;
    (void)is_idle;
    mutex_lock(&host.lock);
    void (*operation)(struct worker * worker) = host.operation;
    host.operation = NULL;
    mutex_unlock(&host.lock);
    if (operation)
        operation(worker);
    return operation != NULL;
}

static void host_wake(void *ctx)
{
    (void)ctx;
    mutex_lock(&host.lock);
    host.is_woken = true;
    condition_broadcast(&host.changed);
    mutex_unlock(&host.lock);
}

static void host_wait(void *ctx, struct worker *worker, int64_t timeout_ns)
{
    (void)ctx;
    (void)worker;
    int64_t now_ns = clock_now_ns(clock_system());
    int64_t until_ns = timeout_ns < 10 * NS_PER_S ? now_ns + timeout_ns : now_ns + 10 * NS_PER_S;
    bool in_time = true;
    mutex_lock(&host.lock);
    while (in_time && !host.is_woken)
        in_time = condition_wait_until(&host.changed, &host.lock, until_ns);
    host.is_woken = false;
    mutex_unlock(&host.lock);
}

static void host_stop(void *ctx, struct worker *worker)
{
    (void)ctx;
    for (size_t i = 0; i < host.kept_count; i++)
        hosted_forget(worker, host.kept[i]);
    host.kept_count = 0;
}

static const struct actor_hosting hosting = {.behavior = &hosted,
    .exit = host_exit,
    .cancel = host_cancel,
    .poll = host_poll,
    .wait = host_wait,
    .wake = host_wake,
    .stop = host_stop};

/* Runs it on worker 0, as if something had come from a process. */
static void run(void (*operation)(struct worker *worker))
{
    mutex_lock(&host.lock);
    host.operation = operation;
    host.is_woken = true;
    condition_broadcast(&host.changed);
    mutex_unlock(&host.lock);
}

static enum histrio_result plain_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (is_type(message, "exit")) {
        histrio_exit(ctx, text_ref("unit/one"), value_text(message));
        return HISTRIO_CONTINUE;
    }
    if (is_type(message, "ask")) {
        uint32_t timeout_ms = strcmp(value_text(message), "brief") == 0 ? 300 : 5 * HUNDRED_S_MS;
        (void)histrio_ask(ctx, text_ref("unit/one"), histrio_type(value_text(message)), NULL, 0, timeout_ms);
        return HISTRIO_CONTINUE;
    }
    if (message->kind == HISTRIO_ERROR)
        note("outcome:%s", histrio_error_name((enum histrio_error)message->error));
    if (message->kind == HISTRIO_REPLY || message->kind == HISTRIO_ERROR)
        return HISTRIO_CONTINUE;
    if (is_type(message, "work")) {
        note("worked");
        return HISTRIO_CONTINUE;
    }
    if (!is_type(message, "send"))
        return HISTRIO_UNHANDLED;
    (void)histrio_tell(ctx, text_ref("unit/one"), histrio_type(value_text(message)), NULL, 0);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior plain = {.name = "plain", .receive = plain_receive};
static const struct histrio_behavior *const behaviors[] = {&plain, NULL};

static enum actor_restart child_restart; /* of unit/one */
static uint32_t child_capacity;
/* Short where it is killed since it does not end; else more than any machine needs. */
static uint32_t child_shutdown_ms = 200;

static void start_unit(uint32_t restarts_max)
{
    const struct actor_child_spec children[] = {
        {.name = "one",
            .under = "",
            .behavior = "module:One",
            .shutdown_ms = child_shutdown_ms,
            .restart = child_restart,
            .mailbox_capacity = child_capacity},
        {.name = "two", .under = "", .behavior = "test.plain", .shutdown_ms = 200},
    };
    struct actor_unit_spec spec = {.name = "unit",
        .root = {.name = "unit",
            .is_supervisor = true,
            .restarts_max = restarts_max,
            .period_ms = 60000,
            .shutdown_ms = ACTOR_SHUTDOWN_INFINITY},
        .children = children,
        .child_count = 2};
    support_unit_present(&spec);
}

static void start(unsigned limit, bool pauses, uint32_t restarts_max)
{
    if (!host.is_ready) {
        host.is_ready = true;
        mutex_init(&host.lock, 940, "test host");
        condition_init(&host.changed);
    }
    host.limit = limit;
    host.pauses = pauses;
    host.kept_count = 0;
    support_start_hosting(2, behaviors, &hosting);
    start_unit(restarts_max);
}

static void reply_first(struct worker *worker)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    static const uint8_t seven[] = {7};
    struct message *message = host.kept[0];
    memmove(host.kept, host.kept + 1, --host.kept_count * sizeof(host.kept[0]));
    /* In hundreds of seconds: it may take long until the test comes here. */
    unsigned remaining = (hosted_remaining_ms(worker, message) + HUNDRED_S_MS / 2) / HUNDRED_S_MS;
    note("remaining:%s:%u", histrio_type_name(message->type), remaining);
    hosted_reply(&ctx, message, seven, sizeof(seven), NULL);
}

static void done(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    note("%s:%s:%d:%.*s", (const char *)ctx, histrio_error_name(error), size == 1 ? value[0] : -1,
        size == 1 ? 0 : (int)size, (const char *)value);
}

static void ask_later(const char *type)
{
    actor_system_ask(support_system(), "unit/one", type, (const uint8_t *)"\xc0", 1, 10 * HUNDRED_S_MS, done,
        (void *)(uintptr_t)type);
}

static void kept_messages_are_answered_later(void **state)
{
    (void)state;
    start(KEPT_MAX, false, 3);
    ask_later("first");
    wait_note("got:first");
    tell("unit/two", "send", "plain");
    wait_note("got:plain");
    run(reply_first);
    wait_note("first:OK:7:");
    run(reply_first); /* of the tell: nothing is told to anybody */
    wait_note("remaining:plain:0");
    tell("unit/two", "send", "last");
    wait_note("got:last");
    assert_string_equal(notes("remaining"), "remaining:first:10 remaining:plain:0");
    support_stop(); /* with one message kept, which leaks unless stop forgets it */
}

static uint64_t kept_bytes(void)
{
    struct actor_counters counters;
    actor_system_counters(support_system(), &counters);
    return counters.kept_bytes;
}

static void keep(struct worker *worker)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    assert_true(hosted_keep(&ctx, (const uint8_t *)"old", 3, LARGE));
    uint64_t bytes = kept_bytes();
    assert_true(hosted_keep(&ctx, (const uint8_t *)"new", 3, bytes)); /* in place of the other */
    assert_false(hosted_keep(&ctx, (const uint8_t *)"late", 4, bytes));
    assert_int_equal(kept_bytes(), bytes);
    note("keeps");
}

static void end_it(struct worker *worker)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    hosted_end(&ctx, "crashed", false);
}

/* What an incarnation kept is there for the next, and goes with the name. */
static void what_is_kept_survives_a_restart(void **state)
{
    (void)state;
    start(KEPT_MAX, false, 3);
    assert_int_equal(count_notes("kept:"), 0);
    run(keep);
    wait_note("keeps");
    run(end_it);
    wait_note("kept:new");
    run(end_it);
    wait_notes("kept:new", 2);
    support_unit_stop("unit");
    wait_note("unit:unit:stopped:shutdown");
    assert_int_equal(kept_bytes(), 0);
    start_unit(3);
    assert_int_equal(count_notes("kept:new"), 2);
    support_stop(); /* what the last one kept leaks unless it is freed with its slot */
}

static void deadlines_come_along(void **state)
{
    static const char *const units[] = {"other0", "other1", "other2"}; /* on more than one worker */
    (void)state;
    start(KEPT_MAX, false, 3);
    for (size_t i = 0; i < 3; i++) {
        char expected[64];
        support_unit(units[i], "test.plain");
        tell(units[i], "ask", units[i]);
        (void)snprintf(expected, sizeof(expected), "got:%s", units[i]);
        wait_note(expected);
        run(reply_first);
        (void)snprintf(expected, sizeof(expected), "remaining:%s:5", units[i]);
        wait_note(expected);
    }
    const struct actor_envelope envelope = {.kind = ENVELOPE_ASK,
        .target_name = "unit/one",
        .sender = {0x9999, UINT64_C(1) << 32},
        .type = "remote",
        .ask = 77,
        .remaining_ms = 7 * HUNDRED_S_MS,
        .value = (const uint8_t *)"\xc0",
        .size = 1};
    assert_int_equal(actor_system_deliver(support_system(), &envelope, NULL), HISTRIO_OK);
    wait_note("got:remote");
    run(reply_first);
    wait_note("remaining:remote:7");
    support_stop();
}

/* ---- asks that nobody waits for any more ---- */

static void unpause(struct worker *worker);

static const struct histrio_ref far_asker = {0x9999, UINT64_C(1) << 32};

static void ask_from_far(const char *type, uint64_t ask)
{
    const struct actor_envelope envelope = {.kind = ENVELOPE_ASK,
        .target_name = "unit/one",
        .sender = far_asker,
        .type = type,
        .ask = ask,
        .remaining_ms = 7 * HUNDRED_S_MS,
        .value = (const uint8_t *)"\xc0",
        .size = 1};
    assert_int_equal(actor_system_deliver(support_system(), &envelope, NULL), HISTRIO_OK);
}

static void cancel_from_far(struct histrio_ref asker, uint64_t ask)
{
    const struct actor_signal signal = {
        .kind = SIGNAL_CANCEL, .from = asker, .to_name = "unit/one", .ask = ask};
    actor_system_signal(support_system(), &signal);
}

static void a_cancel_from_another_node_finds_its_ask(void **state)
{
    (void)state;
    start(2, false, 3);
    ask_from_far("begun", 77);
    ask_from_far("other", 78);
    wait_note("got:other"); /* it is paused now */
    ask_from_far("queued", 79);
    ask_from_far("last", 80);
    cancel_from_far((struct histrio_ref){0x9999, 5}, 79); /* these mean other asks */
    cancel_from_far((struct histrio_ref){0x9998, far_asker.id}, 79);
    cancel_from_far(far_asker, 81);
    cancel_from_far(far_asker, 79);
    cancel_from_far(far_asker, 77);
    wait_note("cancel:begun");
    host.limit = KEPT_MAX;
    run(unpause);
    wait_note("got:last");
    assert_int_equal(count_notes("got:queued"), 0);
    assert_string_equal(notes("cancel"), "cancel:begun");
    const struct actor_signal nobody = {
        .kind = SIGNAL_CANCEL, .from = far_asker, .to_name = "unit/nobody", .ask = 77};
    actor_system_signal(support_system(), &nobody);
    support_stop();
}

static void ask_and_cancel(struct worker *worker)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    uint64_t ask =
        hosted_ask(&ctx, text_ref(host.name), histrio_type("work"), NULL, 0, 10000, NULL, NULL, NULL);
    assert_true(hosted_cancel_ask(&ctx, ask));
    assert_false(hosted_cancel_ask(&ctx, ask));
    note("cancelled");
}

/* Of actors in C as well: what they have not begun. */
static void a_cancel_follows_its_ask_to_any_worker(void **state)
{
    static const char *const units[] = {"other0", "other1", "other2"}; /* on more than one worker */
    (void)state;
    start(KEPT_MAX, false, 3);
    tell("unit/two", "send", "begins");
    wait_note("got:begins");
    for (unsigned i = 0; i < 3; i++) {
        char got[64];
        support_unit(units[i], "test.plain");
        host.name = units[i];
        run(ask_and_cancel);
        wait_notes("cancelled", i + 1);
        tell(units[i], "send", units[i]); /* behind both, wherever it is */
        (void)snprintf(got, sizeof(got), "got:%s", units[i]);
        wait_note(got);
    }
    assert_int_equal(count_notes("worked"), 0);
    support_stop();
}

static void an_ask_whose_time_is_over_is_cancelled(void **state)
{
    (void)state;
    start(1, false, 3);
    unsigned asks = 0; /* of an actor in C; on a busy machine its time may be over before it comes */
    do {
        assert_true(asks < 50);
        tell("unit/two", "ask", "brief");
        wait_notes("outcome:Timeout", ++asks);
    } while (count_notes("got:brief") == 0);
    wait_note("cancel:brief"); /* it is paused */
    tell("unit/two", "ask", "brief");
    wait_notes("outcome:Timeout", asks + 1);
    host.limit = KEPT_MAX;
    run(unpause);
    ask_from_far("last", 80);
    wait_note("got:last");
    assert_int_equal(count_notes("got:brief"), 1);
    support_stop();
}

static void a_mailbox_without_its_asks_lets_senders_go_on(void **state)
{
    (void)state;
    child_capacity = 1;
    start(KEPT_MAX, true, 3); /* nothing is taken out of it by turns */
    child_capacity = 0;
    ask_from_far("queued", 79);
    tell("unit/two", "ask", "brief"); /* and it is muted until there is room */
    tell("unit/two", "work", "");
    assert_int_equal(ask_error("other", "sync"), HISTRIO_NOT_FOUND);
    cancel_from_far(far_asker, 79);
    wait_note("worked");
    support_stop();
}

static void unpause(struct worker *worker)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    hosted_pause(&ctx, false);
    hosted_started(&ctx);
}

static void on_row(void *ctx, const struct actor_info *info)
{
    (void)ctx;
    note("row:%s:%s:%s", info->path, info->behavior, info->state);
}

static void a_paused_actor_gets_no_turns(void **state)
{
    (void)state;
    start(2, true, 3);
    actor_system_list(support_system(), "unit/one", on_row, NULL);
    assert_string_equal(notes("row"), "row:unit/one:module:One:Starting");
    tell("unit/two", "send", "a");
    tell("unit/two", "send", "b");
    tell("unit/two", "send", "c");
    assert_int_equal(ask_error("unit/two", "unknown"), HISTRIO_BAD_ARGUMENT); /* all are sent */
    assert_string_equal(notes("got"), "");
    run(unpause);
    wait_note("got:b");
    assert_string_equal(notes("got"), "got:a got:b");
    actor_system_list(support_system(), "unit/one", on_row, NULL);
    assert_int_equal(count_notes("row:unit/one:module:One:Running"), 1);
    run(unpause);
    wait_note("got:c");
    support_stop();
}

static void crash_charged(struct worker *worker);

static void fail_to_start(struct worker *worker)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    hosted_end(&ctx, "start failed", false);
}

static void a_unit_runs_when_its_hosted_actors_do(void **state)
{
    (void)state;
    start(KEPT_MAX, true, 3);
    assert_int_equal(ask_error("unit/two", "unknown"), HISTRIO_BAD_ARGUMENT); /* it is present */
    run(fail_to_start);
    wait_notes("start:module:One", 2);
    assert_int_equal(count_notes("unit:unit:running"), 0);
    run(unpause);
    wait_note("unit:unit:running");
    ask_later("first");
    wait_note("got:first");
    run(crash_charged);
    wait_notes("start:module:One", 3);
    run(unpause);
    ask_later("second");
    wait_note("got:second");
    assert_int_equal(count_notes("unit:unit:running"), 1); /* a later restart is no news of the unit */
    support_stop();
}

static void a_unit_that_never_ran_fails(void **state)
{
    (void)state;
    start(KEPT_MAX, true, 1);
    run(fail_to_start);
    wait_notes("start:module:One", 2);
    run(fail_to_start);
    wait_note("unit:unit:failed:too many restarts: unit/one: start failed");
    assert_int_equal(count_notes("unit:unit:running"), 0);
    support_stop();
}

/* Nobody waits for one that is not started again. */
static void a_temporary_actor_holds_nothing_up(void **state)
{
    (void)state;
    child_restart = ACTOR_TEMPORARY;
    start(KEPT_MAX, true, 1);
    child_restart = ACTOR_PERMANENT;
    assert_int_equal(count_notes("unit:unit:running"), 0);
    run(fail_to_start);
    wait_note("unit:unit:running");
    support_stop();
}

static void crash(struct worker *worker, bool is_free)
{
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    hosted_lost(&ctx, host.kept[0], "crashed in it");
    hosted_put_back(&ctx, host.kept + 1, host.kept_count - 1);
    host.kept_count = 0;
    hosted_end(&ctx, "SIGSEGV", is_free);
}

static void crash_charged(struct worker *worker)
{
    crash(worker, false);
}

static void crash_free(struct worker *worker)
{
    crash(worker, true);
}

static void messages_that_were_not_begun_survive(void **state)
{
    (void)state;
    start(3, false, 3);
    ask_later("first");
    ask_later("second");
    wait_note("got:second");
    tell("unit/two", "send", "third");
    wait_note("got:third");
    ask_later("fourth");
    run(crash_charged);
    wait_note("first:Crashed:-1:crashed in it");
    wait_note("got:fourth"); /* behind what came back */
    assert_string_equal(notes("got"), "got:first got:second got:third got:second got:third got:fourth");
    wait_note("exit:unit/one:SIGSEGV:Restart");
    assert_string_equal(notes("stop:"), "stop:SIGSEGV");
    support_stop();
}

static void free_ends_do_not_count(void **state)
{
    (void)state;
    start(KEPT_MAX, false, 1);
    for (unsigned i = 0; i < 4; i++) {
        ask_later("x");
        wait_notes("got:x", i + 1);
        run(i < 3 ? crash_free : crash_charged);
        wait_notes("start:module:One", i + 2);
    }
    ask_later("x");
    wait_notes("got:x", 5);
    run(crash_charged);
    wait_note("unit:unit:failed:too many restarts: unit/one: SIGSEGV");
    support_stop();
}

static void end_stopped(struct worker *worker)
{
    struct histrio_context ctx;
    if (hosted_enter(worker, host.id, &ctx))
        hosted_end(&ctx, "shutdown", false);
}

static void exits_go_to_the_behavior(void **state)
{
    (void)state;
    child_shutdown_ms = 60000;
    start(KEPT_MAX, false, 3);
    child_shutdown_ms = 200;
    tell("unit/two", "exit", "normal");
    tell("unit/two", "exit", "why");
    wait_note("exit:why");
    assert_string_equal(notes("exit"), "exit:why");
    tell("unit/two", "exit", "kill");
    wait_note("exit:unit/one:killed:Restart");
    wait_notes("start:module:One", 2);
    struct err err;
    assert_int_equal(actor_system_unit_stop(support_system(), "unit", &err), 0);
    wait_note("exit:shutdown");
    run(end_stopped);
    wait_note("unit:unit:stopped:shutdown");
    assert_int_equal(count_notes("exit:unit/one:shutdown:Shutdown"), 1);
    support_stop();
}

static void a_hosted_actor_that_does_not_end_is_killed(void **state)
{
    (void)state;
    start(KEPT_MAX, false, 3);
    struct err err;
    assert_int_equal(actor_system_unit_stop(support_system(), "unit", &err), 0);
    wait_note("unit:unit:stopped:shutdown");
    assert_int_equal(count_notes("exit:unit/one:killed:Shutdown"), 1);
    assert_int_equal(count_notes("stop:killed"), 1);
    support_stop();
}

/* What is allocated, but for what is behind one: its mailbox, the host's state of it. */
static size_t bytes_in_use(const struct worker *worker)
{
    const struct slab *slab = &worker->slab;
    struct mallinfo2 heap = mallinfo2(); /* sanitizers have a heap of their own: there only the rest counts */
    return heap.uordblks + heap.hblkhd + worker->slot_end * sizeof(struct actor) +
           slab->chunks.count * SLAB_CHUNK_BYTES - (size_t)(slab->fresh_end - slab->fresh);
}

static void spawn_many(struct histrio_context *ctx, unsigned count)
{
    static unsigned number;
    while (count-- > 0) {
        char name[64];
        struct err err;
        struct histrio_ref supervisor, root;
        (void)snprintf(name, sizeof(name), "unit/one/idle-%u", ++number);
        struct actor_unit_spec tree = {
            .name = name, .root = {.name = name, .behavior = "module:Idle", .period_ms = 5000}};
        assert_int_equal(supervisor_spawn(ctx, &tree, &supervisor, &root, &err), 0);
    }
}

static void count_memory(struct worker *worker)
{
    enum { COUNT = 4000, BYTES_MAX = 2200 };
    struct histrio_context ctx;
    assert_true(hosted_enter(worker, host.id, &ctx));
    host.is_quiet = true;
    spawn_many(&ctx, 100);
    size_t before = bytes_in_use(worker);
    spawn_many(&ctx, COUNT);
    size_t each = (bytes_in_use(worker) - before) / COUNT;
    host.is_quiet = false;
    note("small:%s", each <= BYTES_MAX ? "yes" : "no");
    if (each > BYTES_MAX)
        print_error("%zu bytes for each idle actor\n", each);
}

static void an_idle_actor_is_small(void **state)
{
    (void)state;
    start(KEPT_MAX, false, 3);
    run(count_memory);
    wait_note("small:yes");
    support_stop();
}

static void without_a_host_python_is_refused(void **state)
{
    (void)state;
    support_start(1, behaviors);
    struct actor_unit_spec spec = {
        .name = "p", .root = {.name = "p", .behavior = "bank:Teller", .period_ms = 1}};
    struct err err = {0};
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "hosts no actors outside"));
    support_stop();
}

static void look_for_attachments(struct worker *worker)
{
    note("takes:%d", hosted_takes_attachments(worker, (struct histrio_ref){worker->node_uid, host.id}));
}

static void actors_in_c_are_hosted_with_an_isolation(void **state)
{
    (void)state;
    start(KEPT_MAX, false, 3);
    struct actor_unit_spec spec = {.name = "c",
        .root = {
            .name = "c", .behavior = "test.plain", .period_ms = 1, .isolation = ACTOR_ISOLATION_PROCESS}};
    struct err err = {0};
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), 0);
    wait_note("start:test.plain");
    run(look_for_attachments);
    wait_note("takes:0");
    spec.name = spec.root.name = "e";
    spec.root.behavior = "module:One";
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), 0);
    wait_notes("start:module:One", 2); /* behind the one of the unit */
    run(look_for_attachments);
    wait_note("takes:1");
    spec.name = spec.root.name = "d";
    spec.root.behavior = "test.nobody"; /* the process would not find it either */
    assert_int_equal(actor_system_unit_start(support_system(), &spec, 1, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no behavior \"test.nobody\" in any loaded library"));
    support_stop();
}

const struct CMUnitTest hosted_tests[] = {
    cmocka_unit_test(kept_messages_are_answered_later),
    cmocka_unit_test(deadlines_come_along),
    cmocka_unit_test(a_cancel_from_another_node_finds_its_ask),
    cmocka_unit_test(a_cancel_follows_its_ask_to_any_worker),
    cmocka_unit_test(an_ask_whose_time_is_over_is_cancelled),
    cmocka_unit_test(a_mailbox_without_its_asks_lets_senders_go_on),
    cmocka_unit_test(what_is_kept_survives_a_restart),
    cmocka_unit_test(a_paused_actor_gets_no_turns),
    cmocka_unit_test(a_unit_runs_when_its_hosted_actors_do),
    cmocka_unit_test(a_unit_that_never_ran_fails),
    cmocka_unit_test(a_temporary_actor_holds_nothing_up),
    cmocka_unit_test(messages_that_were_not_begun_survive),
    cmocka_unit_test(free_ends_do_not_count),
    cmocka_unit_test(exits_go_to_the_behavior),
    cmocka_unit_test(a_hosted_actor_that_does_not_end_is_killed),
    cmocka_unit_test(actors_in_c_are_hosted_with_an_isolation),
    cmocka_unit_test(an_idle_actor_is_small),
    cmocka_unit_test(without_a_host_python_is_refused),
};
const size_t hosted_test_count = sizeof(hosted_tests) / sizeof(hosted_tests[0]);
