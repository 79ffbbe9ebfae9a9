#include "kube/election.h"

#include <assert.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    RELEASED_MS = 1000, /* how long a record lasts that was given up, as client-go writes it */
    LOOK_MAX_MS = 400,  /* between looks: one that is given up is to be taken within a second */
};

void election_record_done(struct election_record *record)
{
    free(record->version);
    free(record->holder);
    free(record->acquired);
    *record = (struct election_record){0};
}

void election_init(
    struct election *election, const char *identity, const struct election_times *times, uint64_t seed)
{
    assert(times->retry_ms > 0);
    assert(times->retry_ms < times->renew_deadline_ms);
    assert(times->renew_deadline_ms <= times->duration_ms - times->duration_ms / 8);
    *election = (struct election){.identity = xstrdup(identity), .times = *times};
    rng_seed(&election->rng, seed);
}

void election_done(struct election *election)
{
    election_record_done(&election->record);
    free(election->identity);
}

static bool is_ours(const struct election *election)
{
    return election->has_record && text_equal(election->record.holder, election->identity);
}

/* When the record may be replaced, for all that we have seen of it. */
static int64_t free_from_ms(const struct election *election)
{
    int64_t duration_ms = election->record.duration_ms;
    bool was_given_up = !*election->record.holder && duration_ms == RELEASED_MS;
    if (is_ours(election) || was_given_up)
        return INT64_MIN;
    if (duration_ms < election->times.duration_ms)
        duration_ms = election->times.duration_ms;
    return election->observed_ms + duration_ms;
}

bool election_leads(const struct election *election, int64_t now_ms)
{
    return now_ms < election->held_until_ms;
}

int64_t election_held_until_ms(const struct election *election, int64_t now_ms)
{
    return election_leads(election, now_ms) ? election->held_until_ms : 0;
}

void election_resign(struct election *election)
{
    election->is_over = true;
    election->held_until_ms = 0;
    election->next_ms = INT64_MIN;
}

/* ---- requests ---- */

static void fill(struct election *election, uint64_t known_version, struct election_request *request)
{
    const struct election_record *record = &election->record;
    bool was_ours = is_ours(election);
    bool names_nobody = election->is_over || !election->has_record;
    election->wanted = (struct election_record){.version = record->version,
        .holder = names_nobody ? (char *)(uintptr_t) "" : election->identity,
        .acquired = record->acquired,
        .duration_ms = election->is_over ? RELEASED_MS : election->times.duration_ms,
        .transitions = record->transitions + (election->has_record && !was_ours),
        .known_version = known_version > record->known_version ? known_version : record->known_version};
    request->record = &election->wanted;
    request->is_acquisition = !was_ours;
}

static enum election_step choose(const struct election *election, int64_t now_ms)
{
    if (!election->is_current)
        return ELECTION_GET;
    if (election->is_over)
        return is_ours(election) ? ELECTION_REPLACE : ELECTION_WAIT;
    if (!election->has_record)
        return ELECTION_CREATE;
    return now_ms >= free_from_ms(election) ? ELECTION_REPLACE : ELECTION_GET;
}

void election_next(
    struct election *election, int64_t now_ms, uint64_t known_version, struct election_request *ret_request)
{
    assert(election->open == ELECTION_WAIT);
    *ret_request = (struct election_request){.step = ELECTION_WAIT};
    if (now_ms < election->next_ms) {
        bool ends_before = election->held_until_ms > now_ms && election->held_until_ms < election->next_ms;
        ret_request->until_ms = ends_before ? election->held_until_ms : election->next_ms;
        return;
    }
    ret_request->step = choose(election, now_ms);
    if (ret_request->step == ELECTION_WAIT) {
        ret_request->until_ms = INT64_MAX;
        return;
    }
    if (ret_request->step != ELECTION_GET)
        fill(election, known_version, ret_request);
    int64_t timeout_ms = election->times.renew_deadline_ms / 2;
    if (election->held_until_ms > now_ms && timeout_ms > election->held_until_ms - now_ms)
        timeout_ms = election->held_until_ms - now_ms;
    ret_request->timeout_ms = timeout_ms;
    election->open = ret_request->step;
    election->sent_ms = now_ms;
}

/* ---- answers ---- */

/* The next look at a record of somebody else: a little apart from the other candidates, and not after it is
 * free. */
static int64_t next_look_ms(struct election *election, int64_t now_ms)
{
    int64_t look_ms = election->times.retry_ms < LOOK_MAX_MS ? election->times.retry_ms : LOOK_MAX_MS;
    int64_t next_ms = now_ms + look_ms + rng_between(&election->rng, 0, look_ms / 5);
    int64_t free_ms = free_from_ms(election);
    return free_ms > now_ms && free_ms < next_ms ? free_ms : next_ms;
}

static void see_take(struct election *election, int64_t now_ms, struct election_record *record)
{
    bool is_same = election->has_record && text_equal(election->record.version, record->version);
    election_record_done(&election->record);
    election->record = *record;
    *record = (struct election_record){0};
    election->has_record = true;
    election->is_current = true;
    if (!is_same)
        election->observed_ms = now_ms;
}

static int64_t after_replace_ms(struct election *election)
{
    election->was_conflict = false;
    if (election->is_over)
        return is_ours(election) ? INT64_MIN : INT64_MAX;
    /* It may have been answered after the deadline that it begins: then the next one will do. */
    election->held_until_ms = election->sent_ms + election->times.renew_deadline_ms;
    return election->sent_ms + election->times.retry_ms;
}

static int64_t after_look_ms(struct election *election, int64_t now_ms)
{
    if (!is_ours(election))
        election->held_until_ms = 0;
    if (election->is_over || now_ms >= free_from_ms(election))
        return INT64_MIN;
    election->was_conflict = false;
    return next_look_ms(election, now_ms);
}

void election_answered_take(struct election *election, int64_t now_ms, struct election_record *record)
{
    enum election_step step = election->open;
    assert(step != ELECTION_WAIT);
    election->open = ELECTION_WAIT;
    see_take(election, now_ms, record);
    election->next_ms =
        step == ELECTION_REPLACE ? after_replace_ms(election) : after_look_ms(election, now_ms);
}

/* There is no record: what we held is no longer ours, and somebody else may make one. */
static int64_t after_missing_ms(struct election *election, enum election_step step)
{
    election->held_until_ms = 0;
    election->has_record = false;
    election->is_current = step == ELECTION_GET;
    return election->is_over ? INT64_MAX : INT64_MIN;
}

void election_failed(
    struct election *election, int64_t now_ms, enum election_failure failure, int64_t retry_after_ms)
{
    enum election_step step = election->open;
    assert(step != ELECTION_WAIT);
    election->open = ELECTION_WAIT;
    election->is_current = false;
    if (failure == ELECTION_MISSING &&
        step != ELECTION_CREATE) { /* nothing can be made in a missing namespace */
        election->next_ms = after_missing_ms(election, step);
        return;
    }
    bool looks_at_once = failure == ELECTION_CONFLICT && !election->was_conflict;
    election->was_conflict = failure == ELECTION_CONFLICT;
    int64_t next_ms = election->sent_ms + election->times.retry_ms;
    if (next_ms < now_ms + retry_after_ms)
        next_ms = now_ms + retry_after_ms;
    election->next_ms = looks_at_once ? now_ms : next_ms;
}
