/* Behaviors for test_run.py: one that is well, one that fails at its start, and one that crashes its node
 * there. */
#include <histrio/actor.h>
#include <histrio/value.h>

#include <stdint.h>

static enum histrio_result receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    (void)message;
    histrio_reply_int(ctx, 1);
    return HISTRIO_CONTINUE;
}

static enum histrio_result fail_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)state;
    (void)arguments;
    (void)size;
    histrio_fail(ctx, "this one never starts");
    return HISTRIO_FAIL;
}

static enum histrio_result crash_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    int *volatile nowhere = (int *)(uintptr_t)4096; /* not NULL: sanitizers make something else of that */
    (void)ctx;
    (void)state;
    (void)arguments;
    (void)size;
    *nowhere = 1;
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior well = {.name = "well", .receive = receive};
static const struct histrio_behavior failing = {.name = "failing", .start = fail_start, .receive = receive};
static const struct histrio_behavior crashing = {
    .name = "crashing", .start = crash_start, .receive = receive};

HISTRIO_LIBRARY(run_behaviors, &well, &failing, &crashing);
