/* The blocking form: attempts until one works, fails for good or the time is over. */
#include <assert.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/rng.h"
#include "kube/client_private.h"

enum { RETRIES_MAX = 10, BACKOFF_INITIAL_MS = 100, BACKOFF_MAX_MS = 10 * 1000 };

/* What the caller's thread lends to the client's until is_done. */
struct attempt {
    struct kube_client *client;
    const struct kube_request *request;
    struct kube_credential credential;
    struct kube_stream *stream;
    struct kube_outcome outcome;
    struct condition done;
    bool is_done; /* guarded by the client's lock, as what is above once it is set */
};

static void on_ended(const struct kube_stream_end *end, void *ctx)
{
    struct attempt *attempt = ctx;
    (void)end; /* the outcome says more */
    attempt->outcome = kube_stream_take_outcome(attempt->stream);
    mutex_lock(&attempt->client->lock);
    attempt->is_done = true;
    condition_signal(&attempt->done);
    mutex_unlock(&attempt->client->lock);
}

static void start(void *ctx)
{
    static const struct kube_stream_events events = {.ended = on_ended};
    struct attempt *attempt = ctx;
    attempt->stream =
        kube_stream_start_with(attempt->client, attempt->request, &attempt->credential, &events, attempt);
}

/* Always ends: the request has a timeout. */
static struct kube_outcome run_attempt(
    struct kube_client *client, const struct kube_request *request, struct kube_credential *credential)
{
    struct attempt attempt = {.client = client, .request = request, .credential = *credential};
    *credential = (struct kube_credential){0};
    condition_init(&attempt.done);
    kube_http_post(client->http, start, &attempt);
    mutex_lock(&client->lock);
    while (!attempt.is_done)
        condition_wait(&attempt.done, &client->lock);
    mutex_unlock(&client->lock);
    condition_done(&attempt.done);
    return attempt.outcome;
}

/* A call under way. */
struct call {
    struct kube_client *client;
    const struct kube_request *request;
    int64_t deadline_ms;
    struct backoff backoff;
    struct rng rng;
    unsigned retries;
    bool has_reauthorized;
};

/* How long to wait before the next attempt; -1: there is none. */
static int64_t retry_wait_ms(struct call *call, const struct kube_outcome *outcome)
{
    int code = outcome->answer.code;
    int64_t retry_after_ms = outcome->status.retry_after_ms;
    bool is_get = text_equal(call->request->method, "GET");
    bool is_asked_to = (code == 429 || code >= 500) && retry_after_ms > 0;
    bool is_broken = outcome->err.kind == ERR_UNAVAILABLE && code < 300 && outcome->was_sent;
    if (outcome->err.kind == ERR_NONE)
        return -1;
    if (outcome->was_rejected && !call->has_reauthorized) {
        call->has_reauthorized = true;
        return 0;
    }
    if (call->retries >= RETRIES_MAX || !(is_asked_to || (is_broken && is_get)))
        return -1;
    call->retries++;
    int64_t wait_ms = backoff_next(&call->backoff, clock_now_ms(clock_system()), &call->rng);
    return wait_ms > retry_after_ms ? wait_ms : retry_after_ms;
}

static void tell_attempt(
    struct call *call, const struct kube_outcome *outcome, int64_t throttled_ms, bool will_retry)
{
    const struct kube_client_config *settings = &call->client->settings;
    struct kube_attempt attempt = {.method = call->request->method,
        .code = outcome->answer.code,
        .duration_ms = outcome->duration_ms,
        .throttled_ms = throttled_ms,
        .will_retry = will_retry};
    if (settings->on_attempt)
        settings->on_attempt(&attempt, settings->ctx);
}

/* One attempt within the deadline. *ret_wait_ms as of retry_wait_ms; -1 also when waiting would pass the
 * deadline. */
static int try_once(
    struct call *call, struct kube_outcome *ret_outcome, int64_t *ret_wait_ms, struct err *err)
{
    _cleanup_(kube_credential_done) struct kube_credential credential = {0};
    struct kube_request request = *call->request;
    int64_t throttled_ms;
    if (kube_client_throttle(call->client, call->deadline_ms, &throttled_ms, err) < 0 ||
        kube_auth_get(call->client->auth, &credential, err) < 0)
        return -1;
    int64_t now_ms = clock_now_ms(clock_system());
    request.timeout_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1;
    *ret_outcome = run_attempt(call->client, &request, &credential);
    *ret_wait_ms = retry_wait_ms(call, ret_outcome);
    if (clock_now_ms(clock_system()) + *ret_wait_ms >= call->deadline_ms)
        *ret_wait_ms = -1;
    tell_attempt(call, ret_outcome, throttled_ms, *ret_wait_ms >= 0);
    return 0;
}

static void give_status(struct kube_outcome *outcome, struct kube_status *ret_status)
{
    if (!ret_status || outcome->status.reason == KUBE_REASON_NONE)
        return;
    kube_status_done(ret_status);
    *ret_status = outcome->status;
    outcome->status = (struct kube_status){0};
}

int kube_client_call(struct kube_client *client, const struct kube_request *request,
    struct kube_answer *ret_answer, struct kube_status *ret_status, struct err *err)
{
    assert(!kube_http_is_own_thread(client->http));
    int64_t timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : client->settings.timeout_ms;
    struct call call = {
        .client = client, .request = request, .deadline_ms = clock_now_ms(clock_system()) + timeout_ms};
    backoff_init(&call.backoff, BACKOFF_INITIAL_MS, BACKOFF_MAX_MS, 0);
    (void)rng_seed_from_system(&call.rng); /* nobody repeats it */
    for (;;) {                             /* ends after RETRIES_MAX retries, or at the deadline */
        _cleanup_(kube_outcome_done) struct kube_outcome outcome = {0};
        int64_t wait_ms;
        if (try_once(&call, &outcome, &wait_ms, err) < 0)
            return err_wrap(err, "%s %.100s", request->method, request->path);
        if (wait_ms < 0) {
            give_status(&outcome, ret_status);
            if (outcome.err.kind != ERR_NONE) {
                if (err)
                    *err = outcome.err;
                return -1;
            }
            *ret_answer = outcome.answer;
            outcome.answer = (struct kube_answer){0};
            return 0;
        }
        if (kube_client_sleep(client, clock_now_ms(clock_system()) + wait_ms, err) < 0)
            return err_wrap(err, "%s %.100s", request->method, request->path);
    }
}
