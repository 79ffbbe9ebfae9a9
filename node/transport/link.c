/* One stream with a peer: opening, hellos, ending. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "rpc/client.h"
#include "transport/transport_private.h"

static struct link *link_new(struct transport *transport, struct rpc_stream *stream, enum link_kind kind)
{
    struct link *link = xcalloc(1, sizeof(*link));
    link->transport = transport;
    link->stream = stream;
    link->kind = kind;
    link->opened_ns = transport_now(transport);
    if (kind == LINK_MESSAGES)
        link_encoder_init(&link->encoder);
    list_push_back(&transport->links, &link->node);
    return link;
}

void link_end(struct link *link, enum rpc_code code, const char *text)
{
    struct peer *peer = link->peer;
    if (!link->is_dialled && code != RPC_OK)
        rpc_stream_finish(link->stream, code, text);
    rpc_stream_free(link->stream);
    list_remove(&link->node);
    if (peer)
        peer_link_ended(peer, link);
    if (link->kind == LINK_MESSAGES) {
        link_encoder_done(&link->encoder);
        link_decoder_done(&link->decoder);
    }
    free(link);
}

void link_violated(struct link *link, const char *text)
{
    struct transport *transport = link->transport;
    mutex_lock(&transport->lock);
    transport->counters.protocol_errors++;
    mutex_unlock(&transport->lock);
    link_end(link, RPC_INVALID_ARGUMENT, text);
}

void link_send_take(struct link *link, uint8_t *data, size_t size)
{
    struct err err;
    /* A stream that has ended says so by `closed`; one whose queue is full is far over any credit that was
     * given. */
    (void)rpc_stream_write(link->stream, data, size, &err);
    free(data);
}

/* ---- hellos ---- */

static void send_hello(struct link *link)
{
    size_t size;
    const struct link_hello *hello = &link->transport->hello;
    uint8_t *data = link->kind == LINK_MESSAGES ? link_encode_messages_hello(hello, &size)
                                                : system_encode_hello(hello, &size);
    link_send_take(link, data, size);
}

static bool same_credential(const struct link_hello *ours, const struct link_hello *theirs)
{
    if (ours->credential_size != theirs->credential_size)
        return false;
    uint8_t difference = 0; /* the time must not tell where they differ */
    for (size_t i = 0; i < ours->credential_size; i++)
        difference |= ours->credential[i] ^ theirs->credential[i];
    return difference == 0;
}

/* Why a hello is refused; NULL: it is not. */
static const char *hello_problem(
    const struct transport *transport, const struct link_hello *hello, enum rpc_code *ret_code)
{
    *ret_code = RPC_FAILED_PRECONDITION;
    if (hello->protocol_min > LINK_PROTOCOL || hello->protocol_max < LINK_PROTOCOL)
        return "no common protocol version";
    *ret_code = RPC_UNAUTHENTICATED;
    if (!same_credential(&transport->hello, hello))
        return "wrong credential";
    *ret_code = RPC_FAILED_PRECONDITION;
    if (!text_equal(hello->system, transport->hello.system) ||
        !text_equal(hello->system_uid, transport->hello.system_uid))
        return "another system";
    if (hello->node_uid == 0 || hello->node_uid == transport->config.node_uid)
        return "no node, or this one";
    return NULL;
}

/* The accepting side learns who it is; false: the link is gone. */
static bool find_peer(struct link *link, const struct link_hello *hello)
{
    struct transport *transport = link->transport;
    mutex_lock(&transport->lock);
    struct outbox *outbox = outgoing_find(&transport->outgoing, hello->node_uid);
    bool is_dead = outbox && outbox->is_dead;
    mutex_unlock(&transport->lock);
    if (is_dead)
        link_end(link, RPC_FAILED_PRECONDITION, "that node was declared dead");
    else if (!outbox || !outbox->peer)
        link_end(link, RPC_UNAVAILABLE, "that node is not in the roster yet");
    else if (hello->node_uid > transport->config.node_uid)
        link_end(link, RPC_FAILED_PRECONDITION, "the node with the smaller uid dials");
    else {
        link->peer = outbox->peer;
        return true;
    }
    return false;
}

static void take_hello(struct link *link, const struct link_hello *hello)
{
    struct transport *transport = link->transport;
    enum rpc_code code;
    const char *problem = hello_problem(transport, hello, &code);
    if (!problem && link->is_dialled && hello->node_uid != link->peer->outbox->node_uid)
        problem = "another node has that address now";
    if (problem) {
        mutex_lock(&transport->lock);
        transport->counters.refused_hellos++;
        mutex_unlock(&transport->lock);
        link_end(link, code, problem);
        return;
    }
    if (!link->is_dialled) {
        if (!find_peer(link, hello))
            return;
        struct link *former = link->kind == LINK_MESSAGES ? link->peer->messages : link->peer->system;
        if (former)
            link_end(former, RPC_UNAVAILABLE, "a newer stream replaces this one");
        send_hello(link);
    }
    link->is_up = true;
    peer_link_up(link->peer, link);
}

/* ---- events of the stream ---- */

static void got_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct link *link = ctx;
    struct transport *transport = link->transport;
    struct err err;
    (void)stream; /* the link's */
    struct link_frame frame = {0};
    struct system_frame system = {0};
    bool is_messages = link->kind == LINK_MESSAGES, is_hello;
    wire_arena_reset(&transport->arena);
    int result = is_messages ? link_decode(&link->decoder, data, size, &transport->arena, &frame, &err)
                             : system_decode(data, size, &transport->arena, &system, &err);
    is_hello = is_messages ? frame.kind == LINK_HELLO : system.kind == SYSTEM_HELLO;
    if (result < 0)
        link_violated(link, err.text);
    else if (is_hello == link->is_up)
        link_violated(link, is_hello ? "a second hello" : "no hello");
    else if (is_hello)
        take_hello(link, is_messages ? &frame.hello : &system.hello);
    else if (is_messages)
        messages_received(link, &frame, size);
    else
        system_received(link, &system);
}

static void got_idle(struct rpc_stream *stream, void *ctx)
{
    struct link *link = ctx;
    (void)stream; /* the link's */
    if (link->is_up && link->kind == LINK_MESSAGES)
        messages_flush(link->peer);
}

static void got_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)stream;
    (void)status; /* whatever it was: the dialler tries again */
    link_end(ctx, RPC_OK, "");
}

static void got_half_closed(struct rpc_stream *stream, void *ctx)
{
    (void)stream;
    link_end(ctx, RPC_CANCELLED, "the other side ended it");
}

static const struct rpc_stream_events link_events = {
    .message = got_message,
    .idle = got_idle,
    .half_closed = got_half_closed,
    .closed = got_closed,
};

static void refuse_link(struct rpc_stream *stream, enum rpc_code code, const char *text)
{
    rpc_stream_finish(stream, code, text);
    rpc_stream_free(stream);
}

static void accept_link(struct transport *transport, struct rpc_stream *stream, enum link_kind kind)
{
    if (transport->is_closed) {
        refuse_link(stream, RPC_UNAVAILABLE, "the node stops");
        return;
    }
    if (transport->config.creds && !rpc_stream_peer_has_name(stream, transport->peer_name)) {
        mutex_lock(&transport->lock);
        transport->counters.refused_hellos++;
        mutex_unlock(&transport->lock);
        refuse_link(stream, RPC_PERMISSION_DENIED, "your certificate is not a node's of this system");
        return;
    }
    rpc_stream_listen(stream, &link_events, link_new(transport, stream, kind));
}

void link_accept_messages(struct rpc_stream *stream, void *ctx)
{
    accept_link(ctx, stream, LINK_MESSAGES);
}

void link_accept_system(struct rpc_stream *stream, void *ctx)
{
    accept_link(ctx, stream, LINK_SYSTEM);
}

void link_dial(struct peer *peer, enum link_kind kind)
{
    const char *path = kind == LINK_MESSAGES ? "/histrio.v1.Link/Messages" : "/histrio.v1.Link/System";
    struct rpc_stream *stream = rpc_client_open(peer->client, path, 0, true);
    struct link *link = link_new(peer->transport, stream, kind);
    link->is_dialled = true;
    link->peer = peer;
    if (kind == LINK_MESSAGES)
        peer->messages = link;
    else
        peer->system = link;
    rpc_stream_listen(stream, &link_events, link);
    send_hello(link);
}
