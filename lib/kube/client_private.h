/* kube/client_private.h: shared by client.c (life, limits), stream.c (one attempt) and call.c (attempts until
 * it works). */
#pragma once

#include "base/err.h"
#include "base/map.h"
#include "base/mutex.h"
#include "kube/auth.h"
#include "kube/client.h"
#include "kube/http.h"
#include "kube/status.h"

struct kube_client {
    const struct kube_config *config;
    struct kube_client_config settings; /* whose texts are ours */
    struct kube_http *http;
    struct kube_auth *auth;
    struct mutex lock;
    struct condition stopped; /* wakes those who wait for a retry or the rate limit */
    bool is_stopped GUARDED_BY(&lock);
    double tokens GUARDED_BY(&lock); /* of the rate limit; below 0: taken in advance */
    int64_t tokens_at_ms GUARDED_BY(&lock);
    struct map warnings GUARDED_BY(&lock); /* a set of texts */
};

/* ---- client.c ---- */

/* Waits for the rate limit; *ret_waited_ms is for metrics. ERR_CANCELED, or ERR_TIMEOUT when the deadline
 * comes before its turn (which is then given back). */
int kube_client_throttle(
    struct kube_client *client, int64_t deadline_ms, int64_t *ret_waited_ms, struct err *err);
/* ERR_CANCELED when the client was stopped meanwhile. */
int kube_client_sleep(struct kube_client *client, int64_t until_ms, struct err *err);
void kube_client_warn(struct kube_client *client, const char *const *texts);

/* ---- stream.c ---- */

/* How an attempt ended. err.kind is ERR_NONE when the answer was 2xx and came whole. */
struct kube_outcome {
    struct err err;
    struct kube_status status; /* of a refusal */
    struct kube_answer answer; /* body: also of a refusal */
    int64_t duration_ms;       /* until the head came, or the end without one */
    bool was_sent;             /* the server may have acted upon it */
    bool was_rejected;         /* 401, and fresh credentials may help */
};

void kube_outcome_done(struct kube_outcome *outcome);

/* As kube_stream_start, with the credential (moved) that somebody fetched before, and not told to on_attempt.
 */
struct kube_stream *kube_stream_start_with(struct kube_client *client, const struct kube_request *request,
    struct kube_credential *credential, const struct kube_stream_events *events, void *ctx);
/* In its ended event: all about it, moved. */
struct kube_outcome kube_stream_take_outcome(struct kube_stream *stream);
