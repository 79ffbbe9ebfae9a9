#include "operator_control/control.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/core.h"
#include "operator_control/control_private.h"
#include "rpc/creds.h"
#include "rpc/loop.h"

#include <stdlib.h>

/* What the owner's thread asks of the loop's. */
struct order {
    struct control *control;
    char *node; /* to dial or hang up; NULL: to send */
    char *address;
    uint64_t uid;
    uint8_t *data;
    size_t size;
    bool admits;
    struct rpc_creds *creds;
};

static void order_free(struct order *order)
{
    free(order->node);
    free(order->address);
    free(order->data);
    rpc_creds_unref(order->creds);
    free(order);
}

struct control_event *control_event_new(enum control_event_kind kind, const char *node, uint64_t uid)
{
    struct control_event *event = xcalloc(1, sizeof(*event));
    event->kind = kind;
    event->node = xstrdup(node);
    event->uid = uid;
    wire_arena_init(&event->arena, NULL, 0, CONTROL_MESSAGE_MEMORY_BYTES);
    return event;
}

void control_event_free(struct control_event *event)
{
    if (!event)
        return;
    wire_arena_done(&event->arena);
    free(event->node);
    free(event->text);
    free(event);
}

struct list_node *control_event_link(struct control_event *event)
{
    return &event->link;
}

struct control_event *control_event_of_link(struct list_node *link)
{
    return list_entry(link, struct control_event, link);
}

int64_t control_event_last_echo_ms(const struct control_event *event)
{
    return event->last_echo_ms;
}

void control_gate_set(struct control_gate *gate, int64_t until_ms)
{
    atomic_store_explicit(&gate->until_ms, until_ms, memory_order_relaxed);
}

bool control_gate_is_open(const struct control_gate *gate)
{
    return !gate ||
           clock_now_ms(clock_system()) < atomic_load_explicit(&gate->until_ms, memory_order_relaxed);
}

const char *control_event_node(const struct control_event *event)
{
    return event->node;
}

int control_new(const struct control_config *config, struct control **ret_control, struct err *err)
{
    struct control *control = xcalloc(1, sizeof(*control));
    control->loop = config->loop;
    control->owns_loop = !config->loop;
    if (control->owns_loop && rpc_loop_new("control", &control->loop, err) < 0) {
        free(control);
        return -1;
    }
    control->gate = config->gate;
    control->creds = rpc_creds_ref(config->creds);
    (void)role_name(ROLE_NODE, config->system_uid, control->server_name);
    control->identity = (struct control_identity){
        .system = xstrdup(config->system),
        .system_uid = xstrdup(config->system_uid),
        .credential = xmemdup(config->credential, config->credential_size),
        .credential_size = config->credential_size,
        .software = xstrdup(config->software),
    };
    control->code_folders = xstrdup(config->code_folders);
    control->listener = config->listener;
    control->ctx = config->ctx;
    list_init(&control->sessions);
    *ret_control = control;
    return 0;
}

static struct session *find(struct control *control, const char *node)
{
    for (struct list_node *link = list_first(&control->sessions); link && link != &control->sessions.head;
         link = link->next) {
        if (text_equal(session_node(session_of_link(link)), node))
            return session_of_link(link);
    }
    return NULL;
}

static void run_connect(void *ctx)
{
    struct order *order = ctx;
    struct session *session = find(order->control, order->node);
    if (session)
        session_free(session);
    if (order->address)
        (void)session_new(order->control, order->node, order->address); /* the list of sessions owns it */
    order_free(order);
}

static void run_send(void *ctx)
{
    struct order *order = ctx;
    struct list *sessions = &order->control->sessions;
    for (struct list_node *link = list_first(sessions); link && link != &sessions->head; link = link->next) {
        if (session_send(session_of_link(link), order->uid, order->data, order->size, order->admits))
            break;
    }
    order_free(order);
}

static void run_free(void *ctx)
{
    struct control *control = ctx;
    struct list_node *link;
    while ((link = list_first(&control->sessions)))
        session_free(session_of_link(link));
}

static struct order *order_new(struct control *control)
{
    struct order *order = xcalloc(1, sizeof(*order));
    order->control = control;
    return order;
}

void control_dial(struct control *control, const char *node, const char *address)
{
    struct order *order = order_new(control);
    order->node = xstrdup(node);
    order->address = xstrdup(address);
    rpc_loop_post(control->loop, run_connect, order);
}

void control_hang_up(struct control *control, const char *node)
{
    struct order *order = order_new(control);
    order->node = xstrdup(node);
    rpc_loop_post(control->loop, run_connect, order);
}

/* A hang-up that its caller waits for. */
struct hang_up {
    struct control *control;
    const char *node;
    int64_t last_echo_ms;
};

static void run_hang_up(void *ctx)
{
    struct hang_up *hang_up = ctx;
    struct session *session = find(hang_up->control, hang_up->node);
    if (!session)
        return;
    hang_up->last_echo_ms = session_last_echo_ms(session);
    session_free(session);
}

int64_t control_hang_up_wait(struct control *control, const char *node)
{
    struct hang_up hang_up = {.control = control, .node = node};
    rpc_loop_call(control->loop, run_hang_up, &hang_up);
    return hang_up.last_echo_ms;
}

static void run_set_creds(void *ctx)
{
    struct order *order = ctx;
    struct rpc_creds *former = order->control->creds;
    order->control->creds = order->creds;
    order->creds = former;
    order_free(order);
}

void control_set_creds(struct control *control, struct rpc_creds *creds)
{
    struct order *order = order_new(control);
    order->creds = rpc_creds_ref(creds);
    rpc_loop_post(control->loop, run_set_creds, order);
}

static void run_begin(void *ctx)
{
    struct control *control = ctx;
    struct list *sessions = &control->sessions;
    for (struct list_node *link = list_first(sessions); link && link != &sessions->head; link = link->next)
        session_has_term(session_of_link(link));
}

void control_set_term(struct control *control, uint32_t term)
{
    unsigned former = atomic_exchange_explicit(&control->term, term, memory_order_relaxed);
    if (former == 0 && term != 0)
        rpc_loop_post(control->loop, run_begin, control); /* which control_free() waits for */
}

void control_send(struct control *control, const struct core *core, const struct core_action *action)
{
    struct order *order = order_new(control);
    order->uid = action->uid;
    order->admits = action->kind != CORE_SEND_DEAD; /* which may be for the dead */
    order->data = control_encode_action(core, action, control->code_folders, &order->size);
    if (order->data)
        rpc_loop_post(control->loop, run_send, order);
    else
        order_free(order);
}

void control_free(struct control *control)
{
    if (!control)
        return;
    rpc_loop_call(control->loop, run_free, control);
    if (control->owns_loop)
        rpc_loop_free(control->loop);
    rpc_creds_unref(control->creds);
    free(control->identity.system);
    free(control->identity.system_uid);
    free(control->identity.credential);
    free(control->identity.software);
    free(control->code_folders);
    free(control);
}
