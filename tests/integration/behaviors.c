/* Behaviors for the tests of the node program: some work, and some do what a node has to survive or to
 * report. */
#include <histrio/actor.h>
#include <histrio/value.h>

#include <unistd.h>

struct worker {
    uint32_t echo, crash, overflow, fail, hang;
};

static enum histrio_result worker_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    struct worker *worker = state;
    (void)ctx;
    (void)arguments;
    (void)size;
    worker->echo = histrio_type("echo");
    worker->crash = histrio_type("crash");
    worker->overflow = histrio_type("overflow");
    worker->fail = histrio_type("fail");
    worker->hang = histrio_type("hang");
    return HISTRIO_CONTINUE;
}

static volatile int sink;

__attribute__((noinline)) static int overflow(int depth)
{
    volatile char frame[4096];
    frame[depth % 4096] = (char)depth;
    int deeper = depth < 1 << 24 ? overflow(depth + 1) : 0; /* far beyond any stack */
    return deeper + frame[depth % 4096];
}

static enum histrio_result worker_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct worker *worker = state;
    int *volatile nowhere = (int *)(uintptr_t)4096; /* not NULL: sanitizers make something else of that */
    if (message->type == worker->echo) {
        histrio_reply(ctx, message->value, message->size);
        return HISTRIO_CONTINUE;
    }
    if (message->type == worker->crash)
        *nowhere = 1;
    if (message->type == worker->overflow)
        sink = overflow(0);
    while (message->type == worker->hang)
        (void)pause(); /* until the process is killed: that is the point */
    if (message->type == worker->fail) {
        histrio_fail(ctx, "told to fail");
        return HISTRIO_FAIL;
    }
    return HISTRIO_UNHANDLED;
}

static const struct histrio_behavior worker = {
    .name = "worker", .state_size = sizeof(struct worker), .start = worker_start, .receive = worker_receive};

static enum histrio_result broken_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    (void)arguments;
    (void)size;
    histrio_fail(ctx, "this one never starts");
    return HISTRIO_FAIL;
}

static const struct histrio_behavior broken = {
    .name = "broken", .start = broken_start, .receive = worker_receive, .state_size = sizeof(struct worker)};

HISTRIO_LIBRARY(node_behaviors, &worker, &broken);
