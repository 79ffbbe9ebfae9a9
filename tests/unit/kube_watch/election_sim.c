/* Candidates for one record, by seeds: clocks that run at different rates, requests that are lost, late or
 * applied after their sender gave them up, servers that are away, records that somebody removes, candidates
 * that pause, crash and resign. Never do two lead at one moment; and when the faults are over, one does and
 * goes on to. */
#include "unit/kube_watch/suites.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/vec.h"
#include "kube/election.h"

enum {
    CANDIDATES = 3,
    FAULT_MS = 300 * 1000,
    CALM_MS = 40 * 1000,
    SETTLE_MS = 20 * 1000,
    TICK_MS = 5,
    SEEDS = 60
};

static const struct election_times times = {6000, 4000, 1000};

struct request {
    int from; /* -1: nobody waits for it any more */
    enum election_step step;
    uint64_t version; /* to replace */
    char *holder;
    int64_t duration_ms;
    int64_t transitions;
    uint64_t known_version;
    int64_t applied_at; /* true time; 0 once it was */
    int64_t answer_at;
    bool is_lost;        /* never arrives */
    bool is_answer_lost; /* is applied, and nobody hears of it */
    bool has_worked;
    enum election_failure failure;
    /* What the server had when it was applied. */
    struct election_record answer;
};

struct candidate {
    char name[16];
    struct election election;
    bool is_alive;
    double rate;
    int64_t offset_ms;
    int64_t asleep_until; /* true time; paused or dead */
    int64_t timeout_at;   /* its own time; 0 when no request is open */
    bool has_led;
};

struct sim {
    uint64_t seed;
    struct rng rng;
    int64_t now_ms; /* true */
    struct candidate candidates[CANDIDATES];
    VEC(struct request) requests;
    bool has_faults;
    int64_t away_until; /* the server */
    /* The record. */
    bool exists;
    uint64_t version;
    char *holder;
    int64_t duration_ms;
    int64_t transitions;
    uint64_t known_version;
    /* What came of it. */
    int terms;
    int64_t led_ms;
};

#define sim_assert(sim, condition)                                                                           \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail_msg("%s; replay with: unit_kube_watch %llu", #condition, (unsigned long long)(sim)->seed);  \
    } while (0)

static int64_t own_ms(const struct sim *sim, const struct candidate *candidate)
{
    return candidate->offset_ms + (int64_t)((double)sim->now_ms * candidate->rate);
}

static void be_born(struct sim *sim, struct candidate *candidate)
{
    candidate->is_alive = true;
    candidate->offset_ms = rng_between(&sim->rng, 0, 1000 * 1000);
    candidate->timeout_at = 0;
    election_init(&candidate->election, candidate->name, &times, rng_u64(&sim->rng));
}

static void forget_requests(struct sim *sim, int from)
{
    vec_for_each (request, &sim->requests) {
        if (request->from == from)
            request->from = -1;
    }
}

static void die(struct sim *sim, struct candidate *candidate)
{
    forget_requests(sim, (int)(candidate - sim->candidates));
    election_done(&candidate->election);
    candidate->is_alive = false;
}

static void request_done(struct request *request)
{
    free(request->holder);
    election_record_done(&request->answer);
}

static struct election_record record_now(const struct sim *sim)
{
    return (struct election_record){.version = xasprintf("%llu", (unsigned long long)sim->version),
        .holder = xstrdup(sim->holder),
        .acquired = xstrdup(""),
        .duration_ms = sim->duration_ms,
        .transitions = sim->transitions,
        .known_version = sim->known_version};
}

/* ---- the server ---- */

static void store(struct sim *sim, const struct request *request)
{
    sim_assert(sim, !sim->exists || request->transitions >= sim->transitions);
    sim_assert(sim, !sim->exists || request->known_version >= sim->known_version);
    free(sim->holder);
    sim->holder = xstrdup(request->holder);
    sim->duration_ms = request->duration_ms;
    sim->transitions = request->transitions;
    sim->known_version = request->known_version;
    sim->exists = true;
    sim->version++;
}

static void apply(struct sim *sim, struct request *request)
{
    request->applied_at = 0;
    if (sim->now_ms < sim->away_until) {
        request->failure = ELECTION_OTHER;
        return;
    }
    if (request->step == ELECTION_CREATE ? sim->exists : !sim->exists) {
        request->failure = sim->exists ? ELECTION_CONFLICT : ELECTION_MISSING;
        return;
    }
    if (request->step == ELECTION_REPLACE && request->version != sim->version) {
        request->failure = ELECTION_CONFLICT;
        return;
    }
    if (request->step != ELECTION_GET)
        store(sim, request);
    request->has_worked = true;
    request->answer = record_now(sim);
}

static void answer(struct sim *sim, struct request *request)
{
    struct candidate *candidate = &sim->candidates[request->from];
    request->from = -1;
    candidate->timeout_at = 0;
    int64_t own = own_ms(sim, candidate);
    if (request->has_worked)
        election_answered_take(&candidate->election, own, &request->answer);
    else
        election_failed(&candidate->election, own, request->failure, 0);
}

static bool is_asleep(const struct sim *sim, int i)
{
    return i >= 0 && sim->now_ms < sim->candidates[i].asleep_until;
}

static void run_server(struct sim *sim)
{
    for (size_t i = 0; i < sim->requests.count;) {
        struct request *request = &sim->requests.items[i];
        if (request->applied_at && !request->is_lost && sim->now_ms >= request->applied_at)
            apply(sim, request);
        bool is_heard = request->from >= 0 && !request->is_lost && !request->is_answer_lost;
        if (!request->applied_at && is_heard && sim->now_ms >= request->answer_at &&
            !is_asleep(sim, request->from))
            answer(sim, request);
        bool is_over = request->from < 0 && (request->is_lost || !request->applied_at);
        if (is_over) {
            request_done(request);
            vec_remove_swap(&sim->requests, i);
        } else {
            i++;
        }
    }
}

/* ---- the candidates ---- */

static int64_t delay(struct sim *sim)
{
    if (!sim->has_faults || !rng_one_in(&sim->rng, 8))
        return rng_between(&sim->rng, 1, 60);
    return rng_one_in(&sim->rng, 4) ? rng_between(&sim->rng, 500, 9000) : rng_between(&sim->rng, 60, 1500);
}

static void send(struct sim *sim, int from, const struct election_request *from_election)
{
    struct candidate *candidate = &sim->candidates[from];
    struct request request = {.from = from, .step = from_election->step};
    const struct election_record *record = from_election->record;
    if (record) {
        request.holder = xstrdup(record->holder);
        request.duration_ms = record->duration_ms;
        request.transitions = record->transitions;
        request.known_version = record->known_version;
    }
    if (request.step == ELECTION_REPLACE)
        sim_assert(sim, text_to_u64(record->version, UINT64_MAX, &request.version, NULL) == 0);
    request.applied_at = sim->now_ms + delay(sim);
    request.answer_at = request.applied_at + delay(sim);
    request.is_lost = sim->has_faults && rng_one_in(&sim->rng, 40);
    request.is_answer_lost = sim->has_faults && rng_one_in(&sim->rng, 40);
    candidate->timeout_at = own_ms(sim, candidate) + from_election->timeout_ms;
    vec_push(&sim->requests, request);
}

static void run_candidate(struct sim *sim, int i)
{
    struct candidate *candidate = &sim->candidates[i];
    if (is_asleep(sim, i))
        return;
    if (!candidate->is_alive)
        be_born(sim, candidate);
    int64_t own = own_ms(sim, candidate);
    if (candidate->timeout_at && own >= candidate->timeout_at) {
        forget_requests(sim, i);
        candidate->timeout_at = 0;
        election_failed(&candidate->election, own, ELECTION_OTHER, 0);
    }
    if (candidate->timeout_at)
        return;
    struct election_request request;
    election_next(&candidate->election, own, sim->version, &request);
    if (request.step != ELECTION_WAIT)
        send(sim, i, &request);
    else if (request.until_ms == INT64_MAX) /* it has resigned */
        die(sim, candidate);
}

static void disturb(struct sim *sim)
{
    int i = (int)rng_below(&sim->rng, CANDIDATES);
    struct candidate *candidate = &sim->candidates[i];
    if (is_asleep(sim, i) || !candidate->is_alive)
        return;
    switch (rng_below(&sim->rng, 6)) {
    case 0: candidate->asleep_until = sim->now_ms + rng_between(&sim->rng, 100, 12000); break;
    case 1:
        die(sim, candidate);
        candidate->asleep_until = sim->now_ms + rng_between(&sim->rng, 0, 8000);
        break;
    case 2: election_resign(&candidate->election); break;
    case 3: sim->away_until = sim->now_ms + rng_between(&sim->rng, 100, 15000); break;
    case 4: sim->exists = false; break;
    default: break;
    }
}

static void check(struct sim *sim)
{
    int leaders = 0;
    for (int i = 0; i < CANDIDATES; i++) {
        struct candidate *candidate = &sim->candidates[i];
        bool leads = candidate->is_alive && election_leads(&candidate->election, own_ms(sim, candidate));
        sim->terms += leads && !candidate->has_led;
        candidate->has_led = leads;
        leaders += leads;
    }
    sim_assert(sim, leaders <= 1);
    if (leaders > 0)
        sim->led_ms += TICK_MS;
    else if (!sim->has_faults)
        sim_assert(sim, sim->now_ms < FAULT_MS + SETTLE_MS);
}

void election_sim_run(uint64_t seed, int *ret_terms, int64_t *ret_led_ms)
{
    struct sim sim = {.seed = seed, .has_faults = true, .holder = xstrdup("")};
    rng_seed(&sim.rng, seed);
    for (int i = 0; i < CANDIDATES; i++) {
        (void)snprintf(sim.candidates[i].name, sizeof(sim.candidates[i].name), "c%d", i);
        sim.candidates[i].rate = 0.985 + 0.03 * rng_double(&sim.rng);
        be_born(&sim, &sim.candidates[i]);
    }
    for (sim.now_ms = TICK_MS; sim.now_ms < FAULT_MS + CALM_MS; sim.now_ms += TICK_MS) {
        sim.has_faults = sim.now_ms < FAULT_MS;
        if (sim.has_faults && rng_one_in(&sim.rng, 1000))
            disturb(&sim);
        run_server(&sim);
        for (int i = 0; i < CANDIDATES; i++)
            run_candidate(&sim, i);
        check(&sim);
    }
    *ret_terms = sim.terms;
    *ret_led_ms = sim.led_ms;
    for (int i = 0; i < CANDIDATES; i++) {
        if (sim.candidates[i].is_alive)
            die(&sim, &sim.candidates[i]);
    }
    vec_for_each (request, &sim.requests)
        request_done(request);
    vec_done(&sim.requests);
    free(sim.holder);
}

static void never_do_two_lead(void **state)
{
    (void)state;
    int all_terms = 0;
    int64_t all_led_ms = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int terms = 0;
        int64_t led_ms = 0;
        election_sim_run(seed, &terms, &led_ms);
        all_terms += terms;
        all_led_ms += led_ms;
    }
    print_message("%d terms, somebody led %d%% of the time\n", all_terms,
        (int)(all_led_ms * 100 / SEEDS / (FAULT_MS + CALM_MS)));
    assert_true(all_terms > 3 * SEEDS);
    assert_true(all_led_ms > (int64_t)SEEDS * (FAULT_MS + CALM_MS) / 3);
}

int election_sim_suite(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(never_do_two_lead)};
    return cmocka_run_group_tests_name("election_sim", tests, NULL, NULL);
}
