#include "actor/clerk.h"

#include "actor/ask.h"
#include "actor/pressure.h"

#include <assert.h>

static enum histrio_result clerk_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)ctx;
    (void)state;
    (void)message;
    return HISTRIO_UNHANDLED; /* nobody knows its reference; guessed ones end here */
}

static const struct histrio_behavior clerk_behavior = {
    .name = "clerk", .receive = clerk_receive, .flags = HISTRIO_TRAP_EXITS};

void clerk_start(struct worker *worker)
{
    struct actor *clerk = registry_take(worker);
    assert(clerk && id_slot(actor_id(clerk)) == 0);
    clerk->behavior = &clerk_behavior;
    clerk->flags = ACTOR_ALIVE | ACTOR_UNMUTABLE | ACTOR_TRAPS;
    clerk->high = UINT32_MAX;
}

struct actor *clerk_of(const struct worker *worker)
{
    return registry_slot(worker, 0);
}

void clerk_finish(const struct ask *ask, const struct histrio_message *outcome)
{
    enum histrio_error error =
        outcome->kind == HISTRIO_ERROR ? (enum histrio_error)outcome->error : HISTRIO_OK;
    ask->done(ask->data, error, outcome->value, outcome->size);
}
