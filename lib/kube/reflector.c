#include "kube/reflector.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/status.h"

enum { BACKOFF_MS = 800, BACKOFF_MAX_MS = 30 * 1000, HEALTHY_MS = 120 * 1000 };
enum { SHORT_WATCH_MS = 1000 };
enum { WATCH_MIN_S = 300, WATCH_MAX_S = 600 };

void reflector_init(struct reflector *reflector, bool can_stream, uint64_t version, uint64_t seed)
{
    *reflector =
        (struct reflector){.can_stream = can_stream, .floor = version, .page_count_max = REFLECTOR_PAGE};
    backoff_init(&reflector->backoff, BACKOFF_MS, BACKOFF_MAX_MS, HEALTHY_MS);
    rng_seed(&reflector->rng, seed);
}

void reflector_done(struct reflector *reflector)
{
    free(reflector->continue_token);
}

static bool is_unbounded_list(const struct reflector *reflector)
{
    return reflector->is_unpaged || !reflector->asks_newest;
}

/* Servers page only what is asked for as the newest; another version comes out of their memory, in one. */
static void next_list(struct reflector *reflector, struct reflector_request *request)
{
    reflector->open = REFLECTOR_LIST;
    request->continue_token = "";
    request->page_count_max = is_unbounded_list(reflector) ? -1 : reflector->page_count_max;
    if (reflector->continue_token) {
        request->continue_token = reflector->continue_token; /* which says the version as well */
        return;
    }
    if (!reflector->asks_newest)
        (void)snprintf(request->version, sizeof(request->version), "%" PRIu64,
            reflector->version > reflector->floor ? reflector->version : reflector->floor);
}

static void next_watch(struct reflector *reflector, struct reflector_request *request)
{
    request->timeout_s = rng_between(&reflector->rng, WATCH_MIN_S, WATCH_MAX_S);
    if (reflector->has_state) {
        reflector->open = REFLECTOR_WATCH;
        (void)snprintf(request->version, sizeof(request->version), "%" PRIu64, reflector->version);
        return;
    }
    reflector->open = REFLECTOR_STREAM;
    uint64_t version = reflector->version > reflector->floor ? reflector->version : reflector->floor;
    if (version > 0 && !reflector->asks_newest)
        (void)snprintf(request->version, sizeof(request->version), "%" PRIu64, version);
}

static int64_t silence_ms(const struct reflector *reflector)
{
    return reflector->open == REFLECTOR_STREAM ? REFLECTOR_FIRST_SILENCE_MS : REFLECTOR_SILENCE_MS;
}

void reflector_next(struct reflector *reflector, int64_t now_ms, struct reflector_request *ret_request)
{
    *ret_request = (struct reflector_request){.step = REFLECTOR_WAIT};
    if (reflector->open != REFLECTOR_WAIT) {
        ret_request->until_ms = reflector->heard_ms + silence_ms(reflector);
        return;
    }
    if (now_ms < reflector->not_before_ms) {
        ret_request->until_ms = reflector->not_before_ms;
        return;
    }
    if (reflector->has_state || (reflector->can_stream && !reflector->lists_once))
        next_watch(reflector, ret_request);
    else
        next_list(reflector, ret_request);
    ret_request->step = reflector->open;
    reflector->is_staging = reflector->open != REFLECTOR_WATCH;
    reflector->opened_ms = now_ms;
    reflector->heard_ms = now_ms;
    reflector->heard = 0;
    memcpy(reflector->asked, ret_request->version, sizeof(reflector->asked));
}

void reflector_heard(struct reflector *reflector, int64_t now_ms)
{
    reflector->heard_ms = now_ms;
}

bool reflector_is_silent(const struct reflector *reflector, int64_t now_ms)
{
    return reflector->open != REFLECTOR_WAIT && now_ms - reflector->heard_ms >= silence_ms(reflector);
}

static void drop_token(struct reflector *reflector)
{
    free(reflector->continue_token);
    reflector->continue_token = NULL;
}

static enum reflector_verdict refuse(enum reflector_outcome outcome, enum reflector_outcome *ret_outcome)
{
    *ret_outcome = outcome;
    return REFLECTOR_BREAK;
}

static enum reflector_verdict commit(
    struct reflector *reflector, uint64_t version, enum reflector_outcome *ret_outcome)
{
    if (version < reflector->version || version < reflector->floor)
        return refuse(REFLECTOR_STALE, ret_outcome);
    reflector->version = version;
    reflector->has_state = true;
    reflector->is_staging = false;
    reflector->asks_newest = false;
    reflector->lists_once = false;
    reflector->is_unpaged = false;
    return REFLECTOR_COMMIT;
}

enum reflector_verdict reflector_page(struct reflector *reflector, uint64_t version,
    const char *continue_token, enum reflector_outcome *ret_outcome)
{
    assert(reflector->open == REFLECTOR_LIST);
    drop_token(reflector);
    if (version == 0)
        return refuse(REFLECTOR_SENSELESS, ret_outcome);
    if (*continue_token) {
        reflector->continue_token = xstrdup(continue_token);
        reflector->open = REFLECTOR_WAIT;
        return REFLECTOR_STAGE;
    }
    enum reflector_verdict verdict = commit(reflector, version, ret_outcome);
    if (verdict == REFLECTOR_COMMIT)
        reflector->open = REFLECTOR_WAIT;
    return verdict;
}

static enum reflector_verdict staged_event(
    struct reflector *reflector, const struct kube_watch_event *event, enum reflector_outcome *ret_outcome)
{
    if (event->type != KUBE_WATCH_BOOKMARK)
        return REFLECTOR_STAGE;
    if (!event->ends_initial)
        return REFLECTOR_IGNORE;
    enum reflector_verdict verdict = commit(reflector, event->version, ret_outcome);
    if (verdict == REFLECTOR_COMMIT)
        reflector->open = REFLECTOR_WATCH;
    return verdict;
}

enum reflector_verdict reflector_event(struct reflector *reflector, const struct kube_watch_event *event,
    uint64_t known_version, enum reflector_outcome *ret_outcome)
{
    assert(reflector->open == REFLECTOR_STREAM || reflector->open == REFLECTOR_WATCH);
    if (event->type == KUBE_WATCH_OTHER)
        return REFLECTOR_IGNORE;
    reflector->heard++;
    if (reflector->is_staging)
        return staged_event(reflector, event, ret_outcome);
    if (event->version > reflector->version) {
        reflector->version = event->version;
        return event->type == KUBE_WATCH_BOOKMARK ? REFLECTOR_MARK : REFLECTOR_APPLY;
    }
    if (event->type == KUBE_WATCH_BOOKMARK || known_version >= event->version ||
        (event->type == KUBE_WATCH_DELETED && known_version == 0))
        return REFLECTOR_IGNORE; /* it is in the copy already */
    return refuse(REFLECTOR_SENSELESS, ret_outcome);
}

static void wait_longer(struct reflector *reflector, int64_t now_ms, int64_t retry_after_ms)
{
    int64_t delay_ms = backoff_next(&reflector->backoff, now_ms, &reflector->rng);
    reflector->not_before_ms = now_ms + (delay_ms > retry_after_ms ? delay_ms : retry_after_ms);
}

/* The version is of no use; true when that is news, so that the next request is another one. */
static bool turn_to_newest(struct reflector *reflector)
{
    bool is_news = !reflector->asks_newest;
    reflector->asks_newest = true;
    return is_news;
}

/* True when the next request may follow at once. */
static bool list_failed(struct reflector *reflector, enum reflector_outcome outcome, bool was_page)
{
    switch (outcome) {
    case REFLECTOR_EXPIRED:
        if (was_page && !reflector->is_unpaged)
            return reflector->is_unpaged = true;
        reflector->is_unpaged = false;
        return turn_to_newest(reflector);
    case REFLECTOR_VERSION_TOO_LARGE:
    case REFLECTOR_STALE: return turn_to_newest(reflector);
    case REFLECTOR_TOO_BIG:
        if (is_unbounded_list(reflector)) {
            reflector->is_unpaged = false;
            return turn_to_newest(reflector);
        }
        if (reflector->page_count_max == 1)
            return false;
        reflector->page_count_max /= 2;
        return true;
    case REFLECTOR_ENDED:
    case REFLECTOR_BROKEN:
    case REFLECTOR_UNREACHABLE:
    case REFLECTOR_SILENT:
    case REFLECTOR_UNSUPPORTED:
    case REFLECTOR_SENSELESS:
    case REFLECTOR_REFUSED: return false;
    }
    return false;
}

static bool stream_failed(struct reflector *reflector, enum reflector_outcome outcome)
{
    switch (outcome) {
    case REFLECTOR_UNSUPPORTED: reflector->can_stream = false; return true;
    case REFLECTOR_EXPIRED:
    case REFLECTOR_VERSION_TOO_LARGE:
    case REFLECTOR_STALE: return turn_to_newest(reflector);
    case REFLECTOR_UNREACHABLE: return false;
    case REFLECTOR_ENDED:
    case REFLECTOR_BROKEN:
    case REFLECTOR_SILENT:
    case REFLECTOR_TOO_BIG:
    case REFLECTOR_SENSELESS:
    case REFLECTOR_REFUSED: reflector->lists_once = true; return false;
    }
    return false;
}

static bool watch_ended(struct reflector *reflector, enum reflector_outcome outcome, int64_t now_ms)
{
    switch (outcome) {
    case REFLECTOR_ENDED:
        if (now_ms - reflector->opened_ms >= SHORT_WATCH_MS)
            return true;
        reflector->has_state = reflector->heard > 0;
        return false;
    case REFLECTOR_BROKEN:
    case REFLECTOR_UNREACHABLE:
    case REFLECTOR_SILENT: return false;
    case REFLECTOR_STALE: reflector->has_state = false; return true;
    case REFLECTOR_VERSION_TOO_LARGE:
        (void)turn_to_newest(reflector); /* the next request waits in any case */
        reflector->has_state = false;
        return false;
    case REFLECTOR_EXPIRED:
    case REFLECTOR_UNSUPPORTED:
    case REFLECTOR_TOO_BIG:
    case REFLECTOR_SENSELESS:
    case REFLECTOR_REFUSED: reflector->has_state = false; return false;
    }
    return false;
}

void reflector_ended(
    struct reflector *reflector, int64_t now_ms, enum reflector_outcome outcome, int64_t retry_after_ms)
{
    enum reflector_step ended = reflector->open;
    assert(ended != REFLECTOR_WAIT);
    bool was_page = reflector->continue_token != NULL;
    bool goes_on;
    drop_token(reflector);
    if (ended == REFLECTOR_LIST)
        goes_on = list_failed(reflector, outcome, was_page);
    else if (ended == REFLECTOR_STREAM)
        goes_on = stream_failed(reflector, outcome);
    else
        goes_on = watch_ended(reflector, outcome, now_ms);
    reflector->open = REFLECTOR_WAIT;
    reflector->is_staging = false;
    if (!goes_on || retry_after_ms > 0)
        wait_longer(reflector, now_ms, retry_after_ms);
}

bool reflector_require(struct reflector *reflector, uint64_t version)
{
    if (version > reflector->floor)
        reflector->floor = version;
    if (reflector->floor <= reflector->version || !reflector->has_state)
        return false;
    if (reflector->open == REFLECTOR_WATCH)
        return true;
    reflector->has_state = false;
    return false;
}

static enum reflector_outcome outcome_of_reason(enum kube_reason reason)
{
    static const struct {
        enum kube_reason reason;
        enum reflector_outcome outcome;
    } outcomes[] = {
        {KUBE_REASON_GONE, REFLECTOR_EXPIRED},
        {KUBE_REASON_EXPIRED, REFLECTOR_EXPIRED},
        {KUBE_REASON_RESOURCE_VERSION_TOO_LARGE, REFLECTOR_VERSION_TOO_LARGE},
        {KUBE_REASON_TOO_MANY_REQUESTS, REFLECTOR_UNREACHABLE},
        {KUBE_REASON_UNAUTHORIZED, REFLECTOR_UNREACHABLE}, /* the next request has fresh credentials */
        {KUBE_REASON_BAD_REQUEST, REFLECTOR_UNSUPPORTED},
        {KUBE_REASON_INVALID, REFLECTOR_UNSUPPORTED},
        {KUBE_REASON_INTERNAL_ERROR, REFLECTOR_BROKEN},
        {KUBE_REASON_SERVICE_UNAVAILABLE, REFLECTOR_BROKEN},
        {KUBE_REASON_SERVER_TIMEOUT, REFLECTOR_BROKEN},
        {KUBE_REASON_TIMEOUT, REFLECTOR_BROKEN},
    };
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        if (outcomes[i].reason == reason)
            return outcomes[i].outcome;
    }
    return REFLECTOR_REFUSED;
}

enum reflector_outcome reflector_outcome_of(
    const struct err *err, const struct kube_status *status, bool has_answer)
{
    if (status && status->reason != KUBE_REASON_NONE)
        return outcome_of_reason(status->reason);
    if (!err)
        return REFLECTOR_ENDED;
    if (err->kind == ERR_LIMIT)
        return REFLECTOR_TOO_BIG;
    if (err->kind == ERR_INVALID)
        return REFLECTOR_SENSELESS;
    if (err->kind == ERR_UNAVAILABLE)
        return has_answer ? REFLECTOR_BROKEN : REFLECTOR_UNREACHABLE;
    return err->kind == ERR_TIMEOUT ? REFLECTOR_BROKEN : REFLECTOR_REFUSED;
}
