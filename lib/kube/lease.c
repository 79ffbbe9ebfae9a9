#include "kube/lease.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/thread.h"
#include "kube/election.h"
#include "kube/lease_object.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/verbs.h"

enum { DURATION_MS = 6000, RENEW_DEADLINE_MS = 4000, RETRY_MS = 1000, DURATION_MIN_MS = 2000 };
enum { BODY_BYTES_MAX = 16 * 1024 };

struct kube_lease {
    struct kube_lease_config config; /* its texts are ours */
    struct kube_client *client;
    struct clock *clock;
    struct thread *thread;

    /* Of the thread. */
    struct election election;
    bool is_leading; /* as it was told */
    char *leader;    /* as it was told */
    bool has_problem;
    struct err problem;

    /* Stored with release by the thread before it tells, loaded with acquire by anybody; 0 when not held. */
    int64_t held_until_ms;

    struct mutex lock;
    struct condition changed;
    bool is_stopped GUARDED_BY(&lock);
};

/* ---- what others see ---- */

int64_t kube_lease_held_until_ms(const struct kube_lease *lease)
{
    return __atomic_load_n(&lease->held_until_ms, __ATOMIC_ACQUIRE);
}

bool kube_lease_is_held(const struct kube_lease *lease)
{
    return clock_now_ms(lease->clock) < kube_lease_held_until_ms(lease);
}

/* Tells what changed since it was last called. */
static void refresh(struct kube_lease *lease, const char *why)
{
    const struct kube_lease_config *config = &lease->config;
    int64_t held_until_ms = election_held_until_ms(&lease->election, clock_now_ms(lease->clock));
    __atomic_store_n(&lease->held_until_ms, held_until_ms, __ATOMIC_RELEASE);
    bool leads = held_until_ms > 0;
    bool has_changed = leads != lease->is_leading;
    lease->is_leading = leads;
    if (has_changed && leads)
        config->on_started(config->ctx, lease->election.record.known_version);
    else if (has_changed)
        config->on_stopped(config->ctx, why);
    const char *leader = lease->election.has_record ? lease->election.record.holder : "";
    if (text_equal(leader, lease->leader))
        return;
    free(lease->leader);
    lease->leader = xstrdup(leader);
    if (config->on_leader)
        config->on_leader(config->ctx, leader);
}

static void tell_problem(struct kube_lease *lease, const struct err *problem)
{
    bool is_known =
        problem ? lease->has_problem && text_equal(lease->problem.text, problem->text) : !lease->has_problem;
    if (is_known)
        return;
    lease->has_problem = problem != NULL;
    if (problem)
        lease->problem = *problem;
    if (lease->config.on_problem)
        lease->config.on_problem(lease->config.ctx, problem);
}

/* ---- requests ---- */

static int send_request(struct kube_lease *lease, const struct election_request *request,
    struct election_record *ret_record, struct kube_status *ret_status, struct err *err)
{
    const struct kube_lease_config *config = &lease->config;
    const struct kube_options options = {.timeout_ms = request->timeout_ms};
    const struct kube_target target = {.resource = &KUBE_LEASES,
        .namespace = config->namespace,
        .name = request->step == ELECTION_CREATE ? NULL : config->name};
    _cleanup_(json_freep) struct json *object = NULL;
    _cleanup_(str_done) struct str body = STR_INIT(BODY_BYTES_MAX);
    int result;
    if (request->step != ELECTION_GET)
        lease_object_write(request, config->namespace, config->name, config->version_annotation,
            clock_wall_ms(lease->clock), &body);
    if (request->step == ELECTION_GET)
        result = kube_get(lease->client, &target, &options, &object, ret_status, err);
    else if (request->step == ELECTION_CREATE)
        result = kube_create(lease->client, &target, str_text(&body), &options, &object, ret_status, err);
    else
        result = kube_replace(lease->client, &target, str_text(&body), &options, &object, ret_status, err);
    if (result < 0)
        return -1;
    return lease_object_read(object, config->version_annotation, ret_record, err);
}

static enum election_failure failure_of(const struct kube_status *status)
{
    if (status->reason == KUBE_REASON_NOT_FOUND)
        return ELECTION_MISSING;
    bool is_conflict = status->reason == KUBE_REASON_CONFLICT || status->reason == KUBE_REASON_ALREADY_EXISTS;
    return is_conflict ? ELECTION_CONFLICT : ELECTION_OTHER;
}

static void perform(struct kube_lease *lease, const struct election_request *request)
{
    _cleanup_(kube_status_done) struct kube_status status = {0};
    _cleanup_(election_record_done) struct election_record record = {0};
    struct err err = {0};
    int result = send_request(lease, request, &record, &status, &err);
    /* The deadline may have passed meanwhile: that is told before a new one begins. */
    refresh(lease, "it was not renewed in time");
    int64_t now_ms = clock_now_ms(lease->clock);
    if (result == 0) {
        election_answered_take(&lease->election, now_ms, &record);
        tell_problem(lease, NULL);
        refresh(lease, "another replica holds it");
        return;
    }
    enum election_failure failure = failure_of(&status);
    bool is_usual =
        failure == ELECTION_CONFLICT || (failure == ELECTION_MISSING && request->step != ELECTION_CREATE);
    if (!is_usual)
        tell_problem(lease, &err);
    election_failed(&lease->election, now_ms, failure, status.retry_after_ms);
    refresh(lease, failure == ELECTION_MISSING ? "the Lease was removed" : "it was not renewed in time");
}

/* ---- the thread ---- */

static bool is_stopped(struct kube_lease *lease)
{
    mutex_lock(&lease->lock);
    bool is_stopped = lease->is_stopped;
    mutex_unlock(&lease->lock);
    return is_stopped;
}

static void wait_until(struct kube_lease *lease, int64_t until_ms)
{
    int64_t wait_ms = until_ms - clock_now_ms(lease->clock);
    int64_t deadline_ns = clock_now_ns(clock_system()) + wait_ms * NS_PER_MS;
    mutex_lock(&lease->lock);
    while (!lease->is_stopped && condition_wait_until(&lease->changed, &lease->lock, deadline_ns))
        ;
    mutex_unlock(&lease->lock);
}

static void next_request(struct kube_lease *lease, struct election_request *ret_request)
{
    const struct kube_lease_config *config = &lease->config;
    uint64_t version = config->version ? config->version(config->ctx) : 0;
    election_next(&lease->election, clock_now_ms(lease->clock), version, ret_request);
}

static void compete(struct kube_lease *lease)
{
    struct election_request request;
    while (!is_stopped(lease)) {
        next_request(lease, &request);
        if (request.step == ELECTION_WAIT)
            wait_until(lease, request.until_ms);
        else
            perform(lease, &request);
        refresh(lease, "it was not renewed in time");
    }
}

/* A few requests at most, and nothing is waited for: the others will see that it is not renewed. */
static void resign(struct kube_lease *lease)
{
    int64_t deadline_ms = clock_now_ms(lease->clock) + lease->config.renew_deadline_ms;
    struct election_request request;
    election_resign(&lease->election);
    refresh(lease, "this replica ends");
    next_request(lease, &request);
    while (request.step != ELECTION_WAIT &&
           clock_now_ms(lease->clock) < deadline_ms) { /* two or three requests */
        perform(lease, &request);
        next_request(lease, &request);
    }
}

static void run(void *ctx)
{
    struct kube_lease *lease = ctx;
    compete(lease);
    resign(lease);
}

/* ---- begin and end ---- */

static void lease_done(struct kube_lease *lease)
{
    election_done(&lease->election);
    condition_done(&lease->changed);
    mutex_done(&lease->lock);
    free((void *)(uintptr_t)lease->config.namespace);
    free((void *)(uintptr_t)lease->config.name);
    free((void *)(uintptr_t)lease->config.identity);
    free((void *)(uintptr_t)lease->config.version_annotation);
    free(lease->leader);
    free(lease);
}

static void config_init(struct kube_lease_config *config, const struct kube_lease_config *model)
{
    *config = *model;
    config->namespace = xstrdup(model->namespace);
    config->name = xstrdup(model->name);
    config->identity = xstrdup(model->identity);
    config->version_annotation = model->version_annotation ? xstrdup(model->version_annotation) : NULL;
}

static void times_init(struct election_times *times, const struct kube_lease_config *config)
{
    *times = (struct election_times){.duration_ms = config->duration_ms ? config->duration_ms : DURATION_MS,
        .renew_deadline_ms = config->renew_deadline_ms ? config->renew_deadline_ms : RENEW_DEADLINE_MS,
        .retry_ms = config->retry_ms ? config->retry_ms : RETRY_MS};
}

static int check(const struct kube_lease_config *config, const struct election_times *times, struct err *err)
{
    if (!*config->identity)
        return err_set(err, ERR_INVALID, "a lease needs an identity");
    if (times->retry_ms <= 0 || times->retry_ms >= times->renew_deadline_ms)
        return err_set(
            err, ERR_INVALID, "the lease's retry period must be above 0 and below its renew deadline");
    if (times->duration_ms < DURATION_MIN_MS ||
        times->renew_deadline_ms > times->duration_ms - times->duration_ms / 8)
        return err_set(err, ERR_INVALID,
            "the lease's duration must be at least 2 s, and its renew deadline at most seven eighths of it");
    return 0;
}

int kube_lease_start(struct kube_client *client, struct clock *clock, const struct kube_lease_config *config,
    struct kube_lease **ret_lease, struct err *err)
{
    struct election_times times;
    times_init(&times, config);
    if (check(config, &times, err) < 0)
        return -1;
    struct kube_lease *lease = xcalloc(1, sizeof(*lease));
    config_init(&lease->config, config);
    lease->config.renew_deadline_ms = times.renew_deadline_ms;
    lease->client = client;
    lease->clock = clock;
    struct rng rng;
    election_init(&lease->election, config->identity, &times, rng_seed_from_system(&rng));
    mutex_init(&lease->lock, 340, "kube lease");
    condition_init(&lease->changed);
    /* The thread may call back before this returns, so the caller's pointer is there first. */
    struct kube_lease *former = *ret_lease;
    *ret_lease = lease;
    if (thread_start(&lease->thread, "lease", run, lease, err) < 0) {
        *ret_lease = former;
        lease_done(lease);
        return -1;
    }
    return 0;
}

void kube_lease_free(struct kube_lease *lease)
{
    if (!lease)
        return;
    mutex_lock(&lease->lock);
    lease->is_stopped = true;
    condition_signal(&lease->changed);
    mutex_unlock(&lease->lock);
    thread_join(lease->thread);
    lease_done(lease);
}
