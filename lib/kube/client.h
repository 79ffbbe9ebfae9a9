/* A connection to one API server: requests with credentials, limits and retries, as a blocking call from any
 * thread or as a stream of events on the client's thread. Typed verbs are in verbs.h, lists in list.h.
 *
 *     struct kube_client_config settings = {.config = config, .thread_name = "kube", .user_agent = "a/1"};
 *     if (kube_client_new(&settings, &client, err) < 0) ...
 *
 * A client has one thread (http.h) and its own connections; the lease gets a client of its own. */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/str.h"

struct clock;
struct err;
struct kube_client;
struct kube_config;
struct kube_http;
struct kube_status;

/* One attempt, as it ended: for metrics. */
struct kube_attempt {
    const char *method;
    int code;             /* 0: no answer */
    int64_t duration_ms;  /* of a stream: until its head came */
    int64_t throttled_ms; /* how long the client's own rate limit held it back before */
    bool will_retry;
};

struct kube_client_config {
    const struct kube_config *config; /* outlives the client */
    const char *thread_name;          /* at most 15 bytes */
    const char *user_agent;           /* "histrio-operator/0.1.0 (linux/amd64) kubernetes/unknown" */
    double requests_per_s; /* of blocking calls; 0: no limit of ours, the server's fairness decides */
    unsigned burst;        /* at least 1 when there is a rate */
    int64_t timeout_ms;    /* of a blocking call with all its retries; 0: 30 s */
    struct clock *clock;   /* for the age of credentials; NULL: the system's */
    /* A text of a Warning header, once each text (the first 256). Any thread; may log. NULL: ignored. */
    void (*on_warning)(const char *text, void *ctx);
    /* After each attempt. Any thread; must not block. NULL: ignored. */
    void (*on_attempt)(const struct kube_attempt *attempt, void *ctx);
    void *ctx;
};

/* What the operator takes: as KubeRay, 20 times what client-go begins with. */
#define KUBE_REQUESTS_PER_S 100.0
#define KUBE_BURST 200u

/* Connects to nothing yet. Texts are copied. */
int kube_client_new(
    const struct kube_client_config *config, struct kube_client **ret_client, struct err *err);
/* Any thread, more than once: open and later calls and streams end with ERR_CANCELED, also those that wait
 * for a retry. */
void kube_client_stop(struct kube_client *client);
/* Stops first. No blocking call is under way any more. Not on the client's thread. NULL is fine. */
void kube_client_free(struct kube_client *client);
DEFINE_CLEANUP(struct kube_client *, kube_client_free)

/* For posts, timers and kube_http_renew. */
struct kube_http *kube_client_http(struct kube_client *client);
/* The namespace of the configuration. */
const char *kube_client_namespace(const struct kube_client *client);

/* ---- one request ---- */

#define KUBE_ACCEPT_JSON "application/json"
#define KUBE_ACCEPT_METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define KUBE_ACCEPT_METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#define KUBE_CONTENT_JSON "application/json"
#define KUBE_CONTENT_MERGE_PATCH "application/merge-patch+json"
#define KUBE_CONTENT_APPLY "application/apply-patch+yaml" /* JSON is YAML */

struct kube_request {
    const char *method;
    const char *path;         /* with the query, escaped: path.h */
    const char *accept;       /* NULL: KUBE_ACCEPT_JSON */
    const char *content_type; /* NULL: KUBE_CONTENT_JSON, when there is a body */
    const void *body;
    size_t body_size;
    int64_t timeout_ms;      /* call: with all retries, 0: the client's; stream: of all of it, 0: none */
    size_t answer_bytes_max; /* 0: LIMIT_JSON_BYTES; not for streams with a data function */
};

/* An answer of 2xx. */
struct kube_answer {
    int code;
    char *content_type;
    struct str body;
};

void kube_answer_done(struct kube_answer *answer);

/* Sends the request and waits. Retried: 429 and 5xx that say Retry-After, for any method, at most 10 times;
 * GET also when the connection broke; 401 once, with fresh credentials. All within the timeout.
 *
 * -1 with err; when the API server refused, *ret_status (may be NULL) is filled as well and is the caller's
 * to release: `_cleanup_(kube_status_done) struct kube_status status = {0};`. After ERR_TIMEOUT and
 * ERR_UNAVAILABLE the request may have been done. Blocks: any thread but the client's. */
int kube_client_call(struct kube_client *client, const struct kube_request *request,
    struct kube_answer *ret_answer, struct kube_status *ret_status, struct err *err);

/* ---- streams: on the client's thread ---- */

struct kube_stream;

struct kube_stream_end {
    const struct err *err;            /* NULL: an answer of 2xx came to its end */
    const struct kube_status *status; /* the API server refused; NULL: it did not, or there was no answer */
    int code;                         /* 0: no answer */
    const char *body;                 /* of an answer of 2xx without a data function; ends with a NUL */
    size_t body_size;
    int64_t duration_ms;
};

struct kube_stream_events {
    void (*opened)(void *ctx); /* the head of a 2xx answer came; may be NULL */
    /* NULL: the body is collected and given to ended, which makes the stream an asynchronous call. */
    void (*data)(const char *data, size_t size, void *ctx);
    /* Once and last: the stream is gone. */
    void (*ended)(const struct kube_stream_end *end, void *ctx);
};

/* One attempt: no retries and no rate limit, the caller has its own backoff. After a 401 the next request has
 * fresh credentials. No event comes before it returns, and each failure is an event. With a plugin for
 * credentials, the thread may wait for it here. Own thread of kube_client_http. */
struct kube_stream *kube_stream_start(struct kube_client *client, const struct kube_request *request,
    const struct kube_stream_events *events, void *ctx);
/* No further event; the stream is gone. Allowed in its own events, ended aside. */
void kube_stream_cancel(struct kube_stream *stream);

#endif
