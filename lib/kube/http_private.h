/* kube/http_private.h: shared by http.c (the thread), http_call.c (one request) and http_tls.c (whom to
 * trust). */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/mutex.h"
#include "base/str.h"
#include "kube/http.h"

struct thread;

struct kube_http_post {
    void (*function)(void *ctx);
    void *ctx;
};

struct kube_http_posts {
    struct kube_http_post *items;
    size_t count;
    size_t capacity;
};

struct kube_http {
    CURLM *multi;
    struct thread *thread;
    _Atomic(pthread_t) self; /* set once, by the thread */
    struct mutex lock;
    struct kube_http_posts posts GUARDED_BY(&lock);
    bool has_waker GUARDED_BY(&lock); /* a post has woken the thread, or is about to */

    /* Owned by the thread. */
    struct kube_http_posts running;
    struct list timers;  /* by at_ms */
    struct list calls;   /* known to curl */
    struct list begun;   /* not yet known to curl: it takes none inside of its callbacks */
    struct list doomed;  /* canceled, still known to curl */
    uint64_t generation; /* connections of an earlier one are not used any more */
    bool is_stopped;
    bool is_ending;
};

/* ---- http_call.c; all on the thread ---- */

struct kube_http_call {
    struct kube_http *http;
    struct list_node node; /* of calls, begun or doomed */
    const struct kube_http_events *events;
    void *ctx;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    struct kube_http_tls *tls;
    char *authorities; /* what curl borrows while it works */
    char *body;
    size_t body_size;
    size_t body_sent;
    size_t bytes_max;
    size_t bytes;
    struct err failure; /* found by ourselves; wins over curl's */
    bool has_head;
    bool is_canceled;
    char curl_text[CURL_ERROR_SIZE];
};

/* Gives it to curl, or fails with call->failure. */
void kube_http_call_add(struct kube_http_call *call);
/* curl is done with it: end is told, the call is freed. */
void kube_http_call_end(struct kube_http_call *call, CURLcode code);
void kube_http_call_free(struct kube_http_call *call);

/* ---- http_tls.c ---- */

/* Sets the options of a connection. What curl borrows is kept in call. */
void kube_http_tls_apply(struct kube_http_call *call);
