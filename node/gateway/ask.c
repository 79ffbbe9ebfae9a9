/* Ask: waits for a route, asks, and answers once. */
#include "base/mem.h"
#include "base/str.h"
#include "gateway/gateway_private.h"
#include "rpc/loop.h"
#include "transport/transport.h"

enum {
    TIMEOUT_DEFAULT_MS = 5000,
    TIMEOUT_MAX_MS = 3600 * 1000,
    NODE_NAME_BYTES = 128,
};

/* From the request to its outcome; outlives the call when the client goes first. */
struct asking {
    struct list_node node; /* in gateway.waiting, while there is no route */
    struct gateway *gateway;
    struct asker *asker;     /* NULL: it does not wait any more */
    struct rpc_timer *timer; /* of the wait for a route, then of the deadline */
    char *actor, *method;
    uint8_t *arguments;
    size_t arguments_size;
    int64_t deadline_ns, route_deadline_ns;
    bool is_out;          /* the runtime has it */
    struct message *word; /* to give it up by, while it is out; NULL: it was given up */
    bool is_traced;
    struct trace_context trace;
    char node_name[NODE_NAME_BYTES];
    /* Written by the runtime's thread before it posts. */
    enum histrio_error error;
    uint8_t *value;
    size_t value_size;
};

static void try_now(struct asking *asking);

static void free_asking(struct asking *asking)
{
    asking->gateway->asking_count--;
    list_remove(&asking->node);
    rpc_timer_free(asking->timer);
    free(asking->actor);
    free(asking->method);
    free(asking->arguments);
    free(asking->value);
    actor_system_word_free(asking->word);
    free(asking);
}

static void respond(struct asking *asking, const struct ask_outcome *outcome)
{
    struct asker *asker = asking->asker;
    asking->asker = NULL;
    if (!asker)
        return;
    asker->asking = NULL;
    asker->done(asker, outcome);
}

/* Ends it; `text` may be NULL. */
static void finish(struct asking *asking, enum histrio_error error, const char *text)
{
    struct ask_outcome outcome = {.error = error, .text = "", .node_name = asking->node_name};
    if (error == HISTRIO_OK) {
        outcome.value = asking->value;
        outcome.value_size = asking->value_size;
    } else {
        outcome.text = text && *text ? text : histrio_error_name(error);
    }
    respond(asking, &outcome);
    free_asking(asking);
}

static int64_t now_of(const struct asking *asking)
{
    return clock_now_ns(asking->gateway->clock);
}

/* ---- the outcome ---- */

/* Whatever it is, it is not asked again: an actor may have answered "Unavailable" itself. */
static void outcome_on_loop(void *ctx)
{
    struct asking *asking = ctx;
    asking->is_out = false;
    if (asking->error != HISTRIO_OK)
        text_make_utf8((char *)asking->value); /* behaviors may say anything */
    finish(asking, asking->error, (const char *)asking->value);
}

static void done(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    struct asking *asking = ctx;
    asking->error = error;
    asking->value = xmalloc(size + 1); /* as a text, should it be one */
    if (size > 0)
        memcpy(asking->value, value, size);
    asking->value[size] = 0;
    asking->value_size = size;
    rpc_loop_post(asking->gateway->config.loop, outcome_on_loop, asking);
}

/* ---- the way there ---- */

/* The runtime answers by the deadline as well, unless the worker that would do so is held by a handler that
 * does not return: the client must not wait for that. The outcome is dropped when it comes. */
static void give_up(struct asking *asking)
{
    struct ask_outcome outcome = {.error = HISTRIO_TIMEOUT,
        .text = histrio_error_name(HISTRIO_TIMEOUT),
        .node_name = asking->node_name};
    respond(asking, &outcome);
}

static void timer_due(void *ctx)
{
    struct asking *asking = ctx;
    if (asking->is_out)
        give_up(asking);
    else
        try_now(asking);
}

/* Until the routes change, or it is too late. */
static void wait_for_route(struct asking *asking)
{
    struct gateway *gateway = asking->gateway;
    if (!list_node_is_linked(&asking->node))
        list_push_back(&gateway->waiting, &asking->node);
    if (!asking->timer)
        asking->timer = rpc_timer_new(gateway->config.loop, timer_due, asking);
    int64_t left_ms = (asking->route_deadline_ns - now_of(asking) + NS_PER_MS - 1) / NS_PER_MS;
    rpc_timer_set(asking->timer, left_ms < 0 ? 0 : (uint64_t)left_ms);
}

static void hand_over(struct asking *asking, uint64_t node_uid, int64_t now_ns)
{
    struct gateway *gateway = asking->gateway;
    list_remove(&asking->node);
    asking->is_out = true;
    (void)transport_node_name(
        gateway->config.transport, node_uid, asking->node_name, sizeof(asking->node_name));
    int64_t left_ms = (asking->deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (left_ms < 1)
        left_ms = 1;
    if (!asking->timer)
        asking->timer = rpc_timer_new(gateway->config.loop, timer_due, asking);
    rpc_timer_set(asking->timer, (uint64_t)left_ms);
    asking->word =
        actor_system_ask_cancelable(gateway->actors, asking->is_traced ? &asking->trace : NULL, asking->actor,
            asking->method, asking->arguments, asking->arguments_size, (uint32_t)left_ms, done, asking);
}

static void try_now(struct asking *asking)
{
    uint64_t node_uid, version;
    int64_t now_ns = now_of(asking);
    bool is_late = now_ns >= asking->route_deadline_ns;
    if (is_late && now_ns >= asking->deadline_ns) {
        finish(asking, HISTRIO_TIMEOUT, "no route to the actor in time");
        return;
    }
    switch (transport_route_of(asking->gateway->config.transport, asking->actor, &node_uid, NULL, &version)) {
    case TRANSPORT_ROUTE_HERE:
    case TRANSPORT_ROUTE_THERE: hand_over(asking, node_uid, now_ns); return;
    case TRANSPORT_ROUTE_UNKNOWN:
        if (version > 0) {
            finish(asking, HISTRIO_NOT_FOUND, "no such unit");
            return;
        }
        break;
    case TRANSPORT_ROUTE_NOWHERE:
    case TRANSPORT_ROUTE_STARTING:
    case TRANSPORT_ROUTE_CUT: break;
    }
    if (is_late)
        finish(asking, HISTRIO_UNAVAILABLE, "the actor's unit is placed nowhere now, or cannot be reached");
    else
        wait_for_route(asking);
}

bool asker_begin(struct gateway *gateway, struct asker *asker, const struct ask_request *request)
{
    const char *problem = gateway_request_problem(request);
    if (problem) {
        asker->done(
            asker, &(struct ask_outcome){.error = HISTRIO_BAD_ARGUMENT, .text = problem, .node_name = ""});
        return true;
    }
    if (gateway->asking_count >= gateway->config.asks_max)
        return false;
    uint32_t timeout_ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_DEFAULT_MS;
    if (timeout_ms > TIMEOUT_MAX_MS)
        timeout_ms = TIMEOUT_MAX_MS;
    uint32_t wait_ms =
        timeout_ms < gateway->config.route_wait_ms ? timeout_ms : gateway->config.route_wait_ms;
    struct asking *asking = xcalloc(1, sizeof(*asking));
    asking->gateway = gateway;
    asking->asker = asker;
    asker->asking = asking;
    asking->actor = xstrdup(request->actor);
    asking->method = xstrdup(request->method);
    asking->arguments = xmemdup(request->arguments, request->arguments_size);
    asking->arguments_size = request->arguments_size;
    asking->is_traced = trace_context_parse(request->trace, &asking->trace);
    asking->deadline_ns = now_of(asking) + (int64_t)timeout_ms * NS_PER_MS;
    asking->route_deadline_ns = now_of(asking) + (int64_t)wait_ms * NS_PER_MS;
    gateway->asking_count++;
    try_now(asking);
    return true;
}

static void answer_call(struct asker *asker, const struct ask_outcome *outcome)
{
    struct gateway_call *call = list_entry(asker, struct gateway_call, asker);
    Histrio__V1__AskResponse response = HISTRIO__V1__ASK_RESPONSE__INIT;
    response.error = (Histrio__V1__Error)outcome->error;
    /* Packing only reads them. */
    response.text = (char *)outcome->text;
    response.value.data = (uint8_t *)outcome->value;
    response.value.len = outcome->value_size;
    response.node_name = (char *)outcome->node_name;
    gateway_answer(call, &response);
}

void ask_start(struct gateway_call *call, const Histrio__V1__AskRequest *request)
{
    struct ask_request ask = {.actor = request->actor,
        .method = request->method,
        .arguments = request->arguments.data,
        .arguments_size = request->arguments.len,
        .timeout_ms = request->timeout_ms,
        .trace = request->trace};
    call->asker.done = answer_call;
    if (!asker_begin(call->gateway, &call->asker, &ask))
        gateway_refuse(call, RPC_RESOURCE_EXHAUSTED, "too many asks are under way");
}

void ask_routes_changed(void *ctx)
{
    struct gateway *gateway = ctx;
    struct list waiting;
    list_init(&waiting);
    list_append_all(&waiting, &gateway->waiting); /* who still waits comes into the list again */
    struct list_node *node;
    while ((node = list_pop_front(&waiting)))
        try_now(list_entry(node, struct asking, node));
}

void asker_forget(struct asker *asker)
{
    struct asking *asking = asker->asking;
    if (!asking)
        return;
    asker->asking = NULL;
    asking->asker = NULL;
    if (!asking->is_out) {
        free_asking(asking);
    } else if (asking->word) { /* its outcome comes soon, and is dropped */
        actor_system_cancel_take(asking->gateway->actors, asking->word);
        asking->word = NULL;
    }
}

void ask_close_all(struct gateway *gateway)
{
    list_for_each_safe (asking, &gateway->waiting, struct asking, node)
        finish(asking, HISTRIO_UNAVAILABLE, "the node stops");
}
