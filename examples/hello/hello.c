/* The smallest behavior: hello.greeter counts the greetings that it gave. */
#include <histrio/actor.h>
#include <histrio/value.h>

struct greeter {
    int64_t greetings;
};

static enum histrio_result receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct greeter *greeter = state;
    if (message->type != histrio_type("greet")) {
        return HISTRIO_UNHANDLED;
    }
    histrio_reply_int(ctx, ++greeter->greetings);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior greeter = {
    .name = "greeter", .state_size = sizeof(struct greeter), .receive = receive};
HISTRIO_LIBRARY(hello, &greeter);
