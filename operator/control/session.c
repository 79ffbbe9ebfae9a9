/* One node's Control stream: waits until its socket listens, says hello, checks the node's hello, echoes
 * leases, and hands all else to the owner. When the stream ends it begins again, until it is freed.
 *
 * Invariants
 * 1. uid is set between the CONTROL_CONNECTED event and the CONTROL_DISCONNECTED event of the same stream,
 * each told once.
 * 2. A stream is dialled only after a plain connect() to the address worked (probe.h): gRPC itself waits at
 * least 100 ms after a refused connection, which is too long for a node that is about to listen.
 * 3. No echo is given before the owner sent something in this stream: by that it takes the uid for alive.
 * What it says of a uid that it declared dead does not count. A stream that is silent for long is broken.
 * 4. Nothing is dialled before there is a term: nodes refuse a hello with an older one than they know. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "operator_control/control_private.h"
#include "operator_control/probe.h"
#include "rpc/client.h"
#include "rpc/loop.h"

#include <stdlib.h>
#include <string.h>

#define METHOD "/histrio.v1.Control/Session"

enum {
    PROBE_INTERVAL_MS = 4,
    PROBE_INTERVAL_LATER_MS = 50, /* when it has not come up in PROBES_FAST */
    PROBES_FAST = 500,
    PROBE_LOOKS_MAX = 6, /* after 1, 4, 16, ... ms: then nobody answered for more than a second */
    RECONNECT_MS = 20,
    RECONNECT_DOUBLINGS = 5,
    RECONNECT_SILENT_DOUBLINGS = 8,
    REFUSED_RETRY_MS = 1000,
    HELLO_TIMEOUT_MS = 5000,
    HELLO_TIMEOUT_TLS_MS = 25000, /* longer than a handshake may take */
    DIALS_MAX = 64,               /* handshakes at one time, of all systems */
    TURN_MS = 1000,               /* then a dial does not count any more: nobody may be there */
    SILENCE_MAX_MS = 3000,        /* nodes ask for an echo every 200 ms */
};

struct session {
    struct list_node link;
    struct control *control;
    char *node;
    char *address;
    struct rpc_timer *timer; /* to probe or dial again; while connecting: the hello's deadline */
    struct rpc_client *client;
    struct rpc_stream *stream;
    struct probe probe;
    unsigned probes;
    unsigned failures; /* in a row, of streams that never were accepted */
    uint64_t uid;      /* 0: not accepted */
    bool awaits_term;
    bool was_refused;
    bool is_admitted; /* the owner sent something */
    bool is_asking;   /* nonce waits for that */
    uint64_t nonce;
    uint64_t echo_uid; /* who got the last echo; 0: nobody */
    int64_t last_echo_ms;
    /* With a gate and creds. */
    struct list_node waiting; /* in gate->waiting */
    bool has_turn;
    struct rpc_timer *turn_timer;
};

static void begin(void *ctx);

struct session *session_of_link(struct list_node *link)
{
    return list_entry(link, struct session, link);
}

const char *session_node(const struct session *session)
{
    return session->node;
}

static struct list *waiting_of(struct control_gate *gate)
{
    if (!gate->waiting.head.next) /* zeroed */
        list_init(&gate->waiting);
    return &gate->waiting;
}

/* False: it is not its turn to dial; the timer comes when it is. */
static bool take_turn(struct session *session)
{
    struct control_gate *gate = session->control->gate;
    if (!gate || !session->control->creds)
        return true;
    if (gate->dials >= DIALS_MAX) {
        list_push_back(waiting_of(gate), &session->waiting);
        return false;
    }
    gate->dials++;
    session->has_turn = true;
    rpc_timer_set(session->turn_timer, TURN_MS);
    return true;
}

/* It is connected, or was given up, or takes long. */
static void give_turn(void *ctx)
{
    struct session *session = ctx;
    struct control_gate *gate = session->control->gate;
    if (list_node_is_linked(&session->waiting))
        list_remove(&session->waiting);
    if (!session->has_turn)
        return;
    session->has_turn = false;
    rpc_timer_cancel(session->turn_timer);
    gate->dials--;
    struct list_node *next = list_pop_front(waiting_of(gate));
    if (next)
        rpc_timer_set(list_entry(next, struct session, waiting)->timer, 0);
}

static void hang_up(struct session *session)
{
    give_turn(session);
    probe_end(&session->probe);
    rpc_stream_free(session->stream);
    session->stream = NULL;
    rpc_client_free(session->client);
    session->client = NULL;
    if (session->uid) {
        struct control *control = session->control;
        struct control_event *event = control_event_new(CONTROL_DISCONNECTED, session->node, session->uid);
        event->last_echo_ms = session->echo_uid == session->uid ? session->last_echo_ms : 0;
        control->listener(event, control->ctx);
    }
    session->uid = 0;
}

static void again(struct session *session, uint64_t delay_ms)
{
    hang_up(session);
    session->probes = 0;
    rpc_timer_set(session->timer, delay_ms);
}

static void refuse(struct session *session, const char *text)
{
    struct control *control = session->control;
    if (!session->was_refused) {
        struct control_event *event = control_event_new(CONTROL_REFUSED, session->node, 0);
        event->text = xstrdup(text);
        control->listener(event, control->ctx);
    }
    session->was_refused = true; /* told once: it will be refused again and again */
    again(session, REFUSED_RETRY_MS);
}

static void accept_hello(struct session *session, struct control_event *event, uint64_t uid)
{
    struct err err = {0};
    if (control_check_hello(event, &session->control->identity, session->node, &err) < 0) {
        control_event_free(event);
        refuse(session, err.text);
        return;
    }
    give_turn(session);
    rpc_timer_set(session->timer, SILENCE_MAX_MS);
    session->uid = uid;
    session->is_admitted = false;
    session->is_asking = false;
    session->failures = 0;
    session->was_refused = false;
    event->kind = CONTROL_CONNECTED;
    event->uid = uid;
    session->control->listener(event, session->control->ctx);
}

static void write_message(struct session *session, const uint8_t *data, size_t size)
{
    /* A node that does not read 16 MiB of commands is stuck: a new stream begins with everything that
     * matters. */
    if (rpc_stream_write(session->stream, data, size, NULL) < 0)
        rpc_stream_cancel(session->stream);
}

static void echo(struct session *session, uint64_t nonce)
{
    size_t size;
    unsigned term = atomic_load_explicit(&session->control->term, memory_order_relaxed);
    session->nonce = nonce;
    session->is_asking = !session->is_admitted;
    if (session->is_asking || term == 0 || !control_gate_is_open(session->control->gate))
        return;
    _cleanup_(cleanup_free) uint8_t *data = control_encode_echo(term, session->uid, nonce, &size);
    write_message(session, data, size);
    session->echo_uid = session->uid;
    session->last_echo_ms = clock_now_ms(clock_system());
}

int64_t session_last_echo_ms(const struct session *session)
{
    return session->last_echo_ms;
}

/* First a hello, or a refusal of ours; then the same uid all the time. */
static int check_order(
    const struct session *session, const struct control_incoming *incoming, struct err *err)
{
    if (!incoming->node_uid || (!session->uid && !incoming->is_hello && !incoming->is_refused))
        return err_set(err, ERR_INVALID, "node \"%s\" did not say hello", session->node);
    if (session->uid && incoming->node_uid != session->uid)
        return err_set(err, ERR_INVALID, "node \"%s\" changed its uid", session->node);
    return 0;
}

static void on_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct session *session = ctx;
    struct control_incoming incoming;
    struct err err = {0};
    struct control_event *event = control_event_new(CONTROL_MESSAGE, session->node, session->uid);
    (void)stream; /* the session has one */
    if (control_decode(data, size, event, &incoming, &err) < 0 || check_order(session, &incoming, &err) < 0) {
        control_event_free(event);
        refuse(session, err.text);
    } else if (incoming.is_refused) {
        session->control->listener(
            event, session->control->ctx); /* the core raises the term; the stream's end follows */
    } else if (!session->uid) {
        accept_hello(session, event, incoming.node_uid);
    } else if (incoming.is_lease) {
        control_event_free(event);
        rpc_timer_set(session->timer, SILENCE_MAX_MS);
        echo(session, incoming.nonce);
    } else {
        session->control->listener(event, session->control->ctx);
    }
}

/* Sockets were probed, so there somebody listens. Pods may be away for long. */
static uint64_t reconnect_delay_ms(struct session *session, unsigned doublings_max)
{
    if (session->uid || text_starts_with(session->address, "unix:"))
        return RECONNECT_MS;
    unsigned doublings = session->failures < doublings_max ? session->failures++ : doublings_max;
    return (uint64_t)RECONNECT_MS << doublings;
}

static void on_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct session *session = ctx;
    (void)stream;
    if (status->code == RPC_UNAUTHENTICATED || status->code == RPC_PERMISSION_DENIED ||
        status->code == RPC_FAILED_PRECONDITION)
        refuse(session, status->text);
    else
        again(session, reconnect_delay_ms(session, RECONNECT_DOUBLINGS));
}

static const struct rpc_stream_events events = {.message = on_message, .closed = on_closed};

static void dial(struct session *session)
{
    struct rpc_client_config config = {.address = session->address,
        .creds = session->control->creds,
        .server_name = session->control->server_name};
    struct err err = {0};
    size_t size;
    unsigned term = atomic_load_explicit(&session->control->term, memory_order_relaxed);
    if (!take_turn(session))
        return;
    if (rpc_client_new(session->control->loop, &config, &session->client, &err) < 0) {
        refuse(session, err.text);
        return;
    }
    session->stream = rpc_client_open(session->client, METHOD, 0, false);
    rpc_stream_listen(session->stream, &events, session);
    _cleanup_(cleanup_free) uint8_t *data = control_encode_hello(&session->control->identity, term, &size);
    write_message(session, data, size);
    rpc_timer_set(session->timer, session->control->creds ? HELLO_TIMEOUT_TLS_MS : HELLO_TIMEOUT_MS);
}

/* A pod that starts listens soon; one that does not answer at all may be away for long. */
static uint64_t probe_delay_ms(struct session *session, enum probe_verdict verdict)
{
    if (text_starts_with(session->address, "unix:"))
        return ++session->probes < PROBES_FAST ? PROBE_INTERVAL_MS : PROBE_INTERVAL_LATER_MS;
    session->probes = 0;
    return reconnect_delay_ms(
        session, verdict == PROBE_REFUSED ? RECONNECT_DOUBLINGS : RECONNECT_SILENT_DOUBLINGS);
}

/* Longer and longer, as whoever is there answers at once. */
static void probe(struct session *session)
{
    enum probe_verdict verdict = probe_look(&session->probe, session->address);
    if (verdict == PROBE_LISTENS) {
        session->probes = 0;
        dial(session);
    } else if (verdict == PROBE_PENDING && session->probes < PROBE_LOOKS_MAX) {
        rpc_timer_set(session->timer, 1ULL << 2 * session->probes++);
    } else {
        probe_end(&session->probe);
        rpc_timer_set(session->timer, probe_delay_ms(session, verdict));
    }
}

/* The timer: nothing is connected, and it is time to try; or a hello or a lease request is overdue. */
static void begin(void *ctx)
{
    struct session *session = ctx;
    session->awaits_term = atomic_load_explicit(&session->control->term, memory_order_relaxed) == 0;
    if (session->awaits_term)
        return;
    if (session->stream)
        again(session, RECONNECT_MS);
    else
        probe(session);
}

void session_has_term(struct session *session)
{
    if (session->awaits_term)
        begin(session);
}

struct session *session_new(struct control *control, const char *node, const char *address)
{
    struct session *session = xcalloc(1, sizeof(*session));
    session->control = control;
    session->node = xstrdup(node);
    session->address = xstrdup(address);
    session->timer = rpc_timer_new(control->loop, begin, session);
    session->turn_timer = rpc_timer_new(control->loop, give_turn, session);
    list_push_back(&control->sessions, &session->link);
    begin(session);
    return session;
}

void session_free(struct session *session)
{
    hang_up(session);
    rpc_timer_free(session->timer);
    rpc_timer_free(session->turn_timer);
    list_remove(&session->link);
    free(session->node);
    free(session->address);
    free(session);
}

bool session_send(struct session *session, uint64_t uid, const uint8_t *data, size_t size, bool admits)
{
    if (!session->uid || session->uid != uid)
        return false;
    if (control_gate_is_open(session->control->gate))
        write_message(session, data, size); /* else as if it got lost */
    session->is_admitted = session->is_admitted || admits;
    if (session->is_admitted && session->is_asking)
        echo(session, session->nonce);
    return true;
}
