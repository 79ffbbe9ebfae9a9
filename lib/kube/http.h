/* HTTP to API servers: one thread, one curl_multi, HTTP/2 where the server speaks it. The only file that
 * knows libcurl is http.c (and its private parts); nothing here knows Kubernetes.
 *
 * A kube_http is a thread (named by its creator: "kube", "lease") and the connections that it runs. Requests
 * share connections as far as HTTP/2 allows; what must not wait behind others (the lease) gets a kube_http of
 * its own.
 *
 * Thread: "own thread" below is the thread of the kube_http: inside of a posted function, a timer or an
 * event. Events come on it, one at a time, and must not block. */
#ifndef KUBE_HTTP_H
#define KUBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/list.h"

struct err;
struct kube_http;
struct kube_http_call;

int kube_http_new(const char *thread_name, struct kube_http **ret_http, struct err *err);
/* Any thread, more than once. Open calls end with ERR_CANCELED, and so does each later one. Timers are
 * dropped; posted functions still run until kube_http_free. */
void kube_http_stop(struct kube_http *http);
/* Stops, waits for the thread and frees. NULL is fine. Any thread but its own. */
void kube_http_free(struct kube_http *http);
DEFINE_CLEANUP(struct kube_http *, kube_http_free)

/* Any thread: function(ctx) runs on the own thread, in the order of the posts. Each one that was posted
 * before kube_http_free runs. */
void kube_http_post(struct kube_http *http, void (*function)(void *ctx), void *ctx);
bool kube_http_is_own_thread(const struct kube_http *http);

/* ---- timers: own thread ---- */

/* Embedded in whoever waits; zeroed at first. */
struct kube_http_timer {
    struct list_node node; /* private */
    int64_t at_ms;
    void (*function)(void *ctx);
    void *ctx;
};

/* function(ctx) runs once, at_ms of the monotonic clock (clock_now_ms(clock_system())) or soon after. Setting
 * a timer that is set moves it. */
void kube_http_timer_set(struct kube_http *http, struct kube_http_timer *timer, int64_t at_ms,
    void (*function)(void *ctx), void *ctx);
/* Does nothing when it is not set. */
void kube_http_timer_cancel(struct kube_http_timer *timer);

/* ---- requests: own thread ---- */

/* Whom to trust and who we are. Counted: requests and connections of them hold it. Texts are PEM. */
struct kube_http_tls {
    char *authorities; /* NULL: those of the system */
    char *certificate; /* NULL: no client certificate; with its chain */
    char *key;
    char *server_name;   /* asked for and checked in place of the URL's host; NULL: the host */
    bool is_insecure;    /* nothing is checked */
    unsigned references; /* atomic; private */
};

/* Copies the texts, each may be NULL; 1 reference. ERR_INVALID when a text holds no PEM block, ERR_NOT_FOUND
 * when the system has no certificate authorities. */
int kube_http_tls_new(const struct kube_http_tls *model, struct kube_http_tls **ret_tls, struct err *err);
struct kube_http_tls *kube_http_tls_ref(struct kube_http_tls *tls);
void kube_http_tls_unref(struct kube_http_tls *tls);
DEFINE_CLEANUP(struct kube_http_tls *, kube_http_tls_unref)

struct kube_http_request {
    const char *method;         /* "GET", "POST", ... */
    const char *url;            /* whole and escaped */
    const char *const *headers; /* "Name: value", ended by NULL; NULL for none */
    const void *body;           /* copied; sent at most once: no connection repeats it */
    size_t body_size;
    struct kube_http_tls *tls; /* a reference is taken; NULL for http:// */
    const char *proxy;         /* "http://host:port"; NULL: what the environment says */
    int64_t timeout_ms;        /* for all of it; 0: none, for streams. Connecting has 5 s in any case. */
    size_t bytes_max;          /* of the answer; 0: no limit, for streams that look at each piece */
};

/* The answer's head; valid during the event. */
struct kube_http_head {
    int code;
    const char *content_type;    /* "" when it said none */
    int64_t retry_after_ms;      /* 0 when it said none */
    const char *const *warnings; /* texts of Warning headers, without code and agent; ended by NULL */
};

struct kube_http_events {
    void (*head)(const struct kube_http_head *head, void *ctx); /* at most once, before data and end */
    void (*data)(const char *data, size_t size, void *ctx);
    /* Once and last, the call is gone. err is NULL when the answer came whole, whatever its code; otherwise
     * ERR_UNAVAILABLE (no connection, or it broke), ERR_TIMEOUT, ERR_LIMIT, ERR_DENIED (TLS: who the server
     * says it is cannot be checked, or it refuses our certificate), ERR_CANCELED (kube_http_stop) or
     * ERR_INVALID (the URL). was_sent: the server may have acted on the request. */
    void (*end)(const struct err *err, bool was_sent, void *ctx);
};

/* The handle is for kube_http_cancel and lives until end. Never calls an event before it returns. */
struct kube_http_call *kube_http_start(struct kube_http *http, const struct kube_http_request *request,
    const struct kube_http_events *events, void *ctx);
/* No further event, the call is gone. Allowed in its own events, end aside. */
void kube_http_cancel(struct kube_http_call *call);

/* Later calls use new connections: a connection was silent for too long. Open calls are left alone. A timeout
 * does so by itself. */
void kube_http_renew(struct kube_http *http);

#endif
