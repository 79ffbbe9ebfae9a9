/* gateway/private.h: what the files of the gateway share. Everything on the loop's thread unless said. */
#pragma once

#include "base/list.h"
#include "base/mutex.h"
#include "gateway/gateway.h"
#include "rpc/server.h"
#include "rpc/stream.h"

#include <protobuf-c/protobuf-c.h>
#include <stdatomic.h>

struct err;
struct wire_arena;

enum { GATEWAY_METHODS = 4, GATEWAY_EVENTS_MAX = 10000 };

struct gateway {
    struct gateway_config config; /* with texts of our own */
    struct actor_system *actors;
    struct rpc_method methods[GATEWAY_METHODS];
    struct list asks;    /* struct ask, all */
    struct list waiting; /* struct ask, for a route */
    size_t ask_count;
    bool is_closed;
    _Atomic bool retry_posted;

    struct list watches; /* struct watch */
    _Atomic size_t watch_count;
    struct mutex events_lock;
    struct list events GUARDED_BY(&events_lock); /* struct watch_event, for the loop */
    size_t event_count GUARDED_BY(&events_lock);
    uint64_t events_lost GUARDED_BY(&events_lock);
    bool events_posted GUARDED_BY(&events_lock);
};

/* ---- unary calls (call.c) ---- */

/* Takes one request. The handler owns `stream` from then on: it answers with call_respond() or call_refuse(),
 * or listens to it and does that later. `request` is valid during the call. */
typedef void (*call_handler)(
    struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessage *request);

/* For rpc_method.open of a method: waits for the request, decodes it as `type`, and calls the handler. */
void call_accept(struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessageDescriptor *type,
    call_handler handler);

/* Both end the call and free the stream. */
void call_respond(struct rpc_stream *stream, const void *response);
void call_refuse(struct rpc_stream *stream, enum rpc_code code, const char *text);

/* False: the credential is wrong, and the call has been refused. */
bool call_check_credential(
    struct gateway *gateway, struct rpc_stream *stream, const ProtobufCBinaryData *credential);

/* NULL when `actor` and `method` can be names of an actor and a message, else what is wrong. */
const char *call_check_names(const char *actor, const char *method);

/* ---- the methods ---- */

void ask_open(struct rpc_stream *stream, void *gateway);
/* Ends all asks with UNAVAILABLE; those that the runtime holds stay until it has ended them. */
void ask_close_all(struct gateway *gateway);
/* Routes changed. Any thread. */
void ask_routes_changed(void *gateway);

void tell_open(struct rpc_stream *stream, void *gateway);
void list_open(struct rpc_stream *stream, void *gateway);

void watch_open(struct rpc_stream *stream, void *gateway);
void watch_close_all(struct gateway *gateway);
/* Events that were not delivered. */
void watch_discard_events(struct gateway *gateway);
