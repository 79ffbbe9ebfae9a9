/* gateway/gateway_private.h: the gateway and its calls, as the files of this module share them. All of it
 * belongs to the loop's thread, but for what `events_lock` guards. */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/trace_context.h"
#include "gateway/gateway.h"
#include "rpc/server.h"
#include "wire/arena.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdatomic.h>

struct asking;

/* What somebody asks, and what it came to. Texts and values are borrowed for the call. */
struct ask_request {
    const char *actor;
    const char *method;
    const uint8_t *arguments;
    size_t arguments_size;
    uint32_t timeout_ms; /* 0: 5,000 */
    const char *trace;   /* a W3C traceparent; NULL or none that is valid: of no trace */
};

struct ask_outcome {
    enum histrio_error error;
    const char *text; /* of an error; else "" */
    const uint8_t *value;
    size_t value_size;
    const char *node_name; /* where it was sent to; "": nowhere */
};

/* Somebody who waits for an outcome, embedded in whoever it is. */
struct asker {
    struct asking *asking; /* while it waits */
    /* Once, on the loop's thread; also from within asker_begin(). */
    void (*done)(struct asker *asker, const struct ask_outcome *outcome);
};

/* One call of a client, as long as its stream is open. */
struct gateway_call {
    struct list_node node; /* in gateway.calls */
    struct gateway *gateway;
    struct rpc_stream *stream;
    bool has_request;
    struct asker asker; /* of Ask */
    char *watch_path;   /* of Watch: what it watches; NULL: no watch */
    uint64_t lost;      /* of Watch: events since the last that was sent */
};

/* An event on its way to the watchers. */
struct gateway_event {
    struct list_node node;
    uint64_t incarnation, lost;
    int64_t at_ms;
    const char *state;
    char *actor, *reason;
};

struct gateway {
    struct gateway_config config; /* its texts are ours */
    struct clock *clock;
    struct actor_system *actors;
    struct rpc_method methods[4];
    struct list calls;
    struct list waiting;   /* struct asking that wait for a route */
    struct list http_asks; /* struct http_ask under way */
    size_t asking_count;
    struct wire_arena arena; /* of the request that is being read */
    bool is_closed;
    atomic_uint
        watcher_count; /* relaxed: an event too many is dropped later, one too few was in time for nobody */
    struct mutex events_lock;
    struct list events GUARDED_BY(&events_lock);
    size_t event_count GUARDED_BY(&events_lock);
    uint64_t events_lost GUARDED_BY(&events_lock);
    bool is_events_posted GUARDED_BY(&events_lock);
};

/* gateway.c */
/* Sends the one response of a unary call and ends the call. */
void gateway_answer(struct gateway_call *call, const void *message);
/* Ends it with a gRPC status. */
void gateway_refuse(struct gateway_call *call, enum rpc_code code, const char *text);
/* What is wrong with an address and a method (NULL: a List or Watch has none); NULL: nothing. */
const char *gateway_name_problem(const char *actor, const char *method);
/* Of the whole request; NULL: nothing is wrong with it. */
const char *gateway_request_problem(const struct ask_request *request);

enum histrio_error gateway_tell(
    struct gateway *gateway, const struct ask_request *request, const char **ret_text);

/* ask.c */
/* False: there are too many already; done is not called. */
bool asker_begin(struct gateway *gateway, struct asker *asker, const struct ask_request *request);
void ask_start(struct gateway_call *call, const Histrio__V1__AskRequest *request);
void ask_routes_changed(void *gateway); /* for transport_watch() */
void asker_forget(struct asker *asker); /* done is not called any more */
void ask_close_all(struct gateway *gateway);

/* http.c */
void http_close_all(struct gateway *gateway);

/* watch.c */
void watch_start(struct gateway_call *call, const Histrio__V1__WatchRequest *request);
void watch_end(struct gateway_call *call);
void watch_done(struct gateway *gateway);
void list_answer(struct gateway_call *call, const Histrio__V1__ListRequest *request);
