/* Tell and List: answered at once from what this node knows. */
#include "base/mem.h"
#include "base/vec.h"
#include "gateway/private.h"
#include "transport/transport.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdlib.h>

static void tell_answer(struct rpc_stream *stream, enum histrio_error error, const char *text)
{
    Histrio__V1__TellResponse response = HISTRIO__V1__TELL_RESPONSE__INIT;
    response.error = (Histrio__V1__Error)error;
    response.text = (char *)(uintptr_t)text;
    call_respond(stream, &response);
}

static void tell_request(struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessage *message)
{
    const Histrio__V1__TellRequest *request = (const Histrio__V1__TellRequest *)message;
    if (!call_check_credential(gateway, stream, &request->credential))
        return;
    const char *wrong = call_check_names(request->actor, request->method);
    if (wrong) {
        call_refuse(stream, RPC_INVALID_ARGUMENT, wrong);
        return;
    }
    uint64_t version = 0;
    switch (transport_route_of(gateway->config.transport, request->actor, NULL, NULL, &version)) {
    case TRANSPORT_ROUTE_UNKNOWN:
        tell_answer(stream, version == 0 ? HISTRIO_UNAVAILABLE : HISTRIO_NOT_FOUND,
            version == 0 ? "this node has no routes yet" : "no such unit in this system");
        return;
    case TRANSPORT_ROUTE_NOWHERE:
    case TRANSPORT_ROUTE_STARTING:
        tell_answer(stream, HISTRIO_UNAVAILABLE, "the actor's unit is placed nowhere now");
        return;
    case TRANSPORT_ROUTE_HERE:
    case TRANSPORT_ROUTE_THERE:
    case TRANSPORT_ROUTE_CUT: break;
    }
    enum histrio_error error = actor_system_tell(
        gateway->actors, request->actor, request->method, request->arguments.data, request->arguments.len);
    tell_answer(stream, error, error == HISTRIO_OK ? "" : histrio_error_name(error));
}

void tell_open(struct rpc_stream *stream, void *gateway)
{
    call_accept(gateway, stream, &histrio__v1__tell_request__descriptor, tell_request);
}

struct rows {
    Histrio__V1__ListedActor **items;
    size_t count;
    size_t capacity;
};

static void list_row(void *ctx, const struct actor_info *info)
{
    struct rows *rows = ctx;
    Histrio__V1__ListedActor *row = xcalloc(1, sizeof(*row));
    histrio__v1__listed_actor__init(row);
    row->actor = xstrdup(info->path);
    row->incarnation = info->incarnation;
    row->state = xstrdup(info->state);
    row->epoch = info->epoch;
    row->mailbox_depth = info->mailbox_depth;
    vec_push(rows, row);
}

static void list_request(struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessage *message)
{
    const Histrio__V1__ListRequest *request = (const Histrio__V1__ListRequest *)message;
    if (!call_check_credential(gateway, stream, &request->credential))
        return;
    struct rows rows = {0};
    actor_system_list(gateway->actors, request->path, list_row, &rows);
    Histrio__V1__ListResponse response = HISTRIO__V1__LIST_RESPONSE__INIT;
    response.actors = rows.items;
    response.n_actors = rows.count;
    call_respond(stream, &response);
    for (size_t i = 0; i < rows.count; i++) {
        free(rows.items[i]->actor);
        free(rows.items[i]->state);
        free(rows.items[i]);
    }
    vec_done(&rows);
}

void list_open(struct rpc_stream *stream, void *gateway)
{
    call_accept(gateway, stream, &histrio__v1__list_request__descriptor, list_request);
}
