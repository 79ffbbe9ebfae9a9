/* A follower against a server with faults, by seeds. During the faults: versions never go back, and no
 * request follows a failed one at once for ever. After them: the store equals the server, and so does what
 * the changes told. */
#include "unit/kube_watch/suites.h"

#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "kube/follower.h"
#include "unit/kube_watch/api_model.h"
#include "unit/kube_watch/thing.h"

enum { STEPS = 400, CALM_STEPS = 200, SEEDS = 400 };

struct sim {
    uint64_t seed;
    struct rng rng;
    struct api_model model;
    struct kube_store *store;
    struct kube_follower *follower;
    struct map mirror; /* key -> object, from on_change alone */
    int64_t now_ms;
    uint64_t version;
    int burst; /* requests without time in between */
    bool is_open;
    bool is_silent; /* the open connection is dead */
    bool disturbs;  /* lines come twice or out of order */
    enum reflector_step step;
    struct model_answer answer;
    struct model_object objects[MODEL_NAMES]; /* of the server at the end */
};

#define sim_assert(sim, condition)                                                                           \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail_msg("%s; replay with: unit_kube_watch %llu", #condition, (unsigned long long)(sim)->seed);  \
    } while (0)

static void note_change(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    struct sim *sim = ctx;
    char key[KUBE_KEY_BYTES];
    kube_object_key(new_object ? new_object : old_object, key);
    sim_assert(sim, map_get(&sim->mirror, key) == old_object);
    sim_assert(sim, !is_initial || !old_object);
    if (new_object)
        (void)map_put(&sim->mirror, key, (void *)(uintptr_t)new_object); /* it returns old_object */
    else
        (void)map_remove(&sim->mirror, key); /* as above */
}

static void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.seed = seed, .now_ms = 1000};
    rng_seed(&sim->rng, seed);
    api_model_init(&sim->model, seed + 1, !rng_one_in(&sim->rng, 3));
    sim->model.has_faults = true;
    sim->model.lies = rng_one_in(&sim->rng, 2);
    sim->disturbs = rng_one_in(&sim->rng, 2);
    for (uint64_t i = rng_below(&sim->rng, 30); i > 0; i--)
        api_model_write(&sim->model);
    sim->store = kube_store_new(thing_indexes, 2);
    const struct kube_follower_config config = {.store = sim->store,
        .decode = thing_decode,
        .release = thing_release,
        .on_change = note_change,
        .ctx = sim,
        .can_stream = rng_one_in(&sim->rng, 2),
        .seed = seed};
    sim->follower = kube_follower_new(&config);
}

static void sim_done(struct sim *sim)
{
    kube_follower_free(sim->follower);
    kube_store_free(sim->store);
    map_done(&sim->mirror, NULL);
    api_model_done(&sim->model);
    assert_int_equal(thing_count(), 0);
}

static void close_request(struct sim *sim)
{
    model_answer_done(&sim->answer);
    sim->is_open = false;
}

static void end_request(struct sim *sim, const struct kube_follower_end *end)
{
    kube_follower_ended(sim->follower, sim->now_ms, end);
    close_request(sim);
}

static void end_with(struct sim *sim, enum err_kind kind, bool has_answer)
{
    struct err err = {0};
    (void)err_set(&err, kind, "a fault of kind %d", (int)kind);
    end_request(sim, &(struct kube_follower_end){.err = &err, .has_answer = has_answer});
}

static void end_refused(struct sim *sim, int code, int64_t retry_after_ms)
{
    struct err err = {0};
    struct kube_status status = {0};
    kube_status_from_answer(code, "busy", 4, retry_after_ms, &status);
    (void)kube_status_error(&status, &err);
    end_request(sim, &(struct kube_follower_end){.err = &err, .status = &status, .has_answer = true});
    kube_status_done(&status);
}

/* Lines twice, or one before its turn. */
static void disturb_lines(struct sim *sim)
{
    struct str *text = &sim->answer.text;
    char *end = text->size > 0 ? memchr(text->data, '\n', text->size) : NULL;
    if (!end)
        return;
    size_t first_size = (size_t)(end + 1 - text->data);
    _cleanup_(cleanup_free) char *first = xstrndup(text->data, first_size);
    _cleanup_(cleanup_free) char *rest = xstrdup(end + 1);
    bool is_twice = rng_one_in(&sim->rng, 2);
    str_clear(text);
    if (is_twice)
        str_append(text, first);
    str_append(text, rest);
    str_append(text, first);
}

/* Gives what there is to the follower in pieces; at most size bytes. */
static bool give_text(struct sim *sim, size_t size)
{
    const char *data = str_text(&sim->answer.text);
    while (size > 0) {
        size_t part = 1 + rng_below(&sim->rng, size);
        if (!kube_follower_data(sim->follower, sim->now_ms, data, part))
            return false;
        data += part;
        size -= part;
    }
    str_clear(&sim->answer.text);
    return true;
}

static void go_on_watching(struct sim *sim)
{
    struct model_answer *answer = &sim->answer;
    bool has_faults = sim->model.has_faults;
    if (sim->is_silent)
        return;
    if (rng_one_in(&sim->rng, 4))
        api_model_bookmark(&sim->model, answer);
    else
        api_model_events(&sim->model, answer);
    if (has_faults && rng_one_in(&sim->rng, 20))
        api_model_error_line(&answer->text, rng_one_in(&sim->rng, 2) ? 410 : 500, "Whatever");
    if (has_faults && sim->disturbs && rng_one_in(&sim->rng, 15))
        disturb_lines(sim);
    if (has_faults && rng_one_in(&sim->rng, 100))
        str_append(&answer->text, "{\"type\":3}\n");
    size_t size = answer->text.size;
    bool is_cut = has_faults && rng_one_in(&sim->rng, 12);
    if (is_cut)
        size = rng_below(&sim->rng, size + 1);
    if (!give_text(sim, size))
        close_request(sim);
    else if (is_cut)
        end_with(sim, ERR_UNAVAILABLE, true);
    else if (has_faults && rng_one_in(&sim->rng, 15))
        end_request(sim, &(struct kube_follower_end){.has_answer = true});
    else
        sim->is_silent = has_faults && rng_one_in(&sim->rng, 30);
}

static void answer_list(struct sim *sim)
{
    if (sim->model.has_faults && rng_one_in(&sim->rng, 10)) {
        end_with(sim, rng_one_in(&sim->rng, 2) ? ERR_LIMIT : ERR_TIMEOUT, true);
        return;
    }
    const struct str *text = &sim->answer.text;
    end_request(sim,
        &(struct kube_follower_end){.has_answer = true, .page = str_text(text), .page_size = text->size});
}

static void begin_request(struct sim *sim, const struct reflector_request *request)
{
    sim->step = request->step;
    sim->is_open = true;
    sim->is_silent = false;
    sim->burst++;
    sim_assert(sim, sim->burst < 25);
    api_model_answer(&sim->model, request, &sim->answer);
    if (sim->model.has_faults && rng_one_in(&sim->rng, 10))
        end_with(sim, ERR_UNAVAILABLE, false);
    else if (sim->model.has_faults && rng_one_in(&sim->rng, 10))
        end_refused(sim, rng_one_in(&sim->rng, 2) ? 429 : 503, rng_one_in(&sim->rng, 2) ? 3000 : 0);
    else if (sim->answer.is_refused)
        end_request(sim, &(struct kube_follower_end){
                             .err = &sim->answer.err, .status = &sim->answer.status, .has_answer = true});
}

static void pass_time(struct sim *sim, int64_t until_ms)
{
    int64_t step_ms = rng_between(&sim->rng, 0, 3000);
    if (sim->is_silent && rng_one_in(&sim->rng, 3))
        step_ms = 30000;
    if (!sim->is_open && sim->now_ms + step_ms > until_ms)
        step_ms = until_ms - sim->now_ms;
    if (step_ms > 0)
        sim->burst = 0;
    sim->now_ms += step_ms;
}

static void change_server(struct sim *sim)
{
    struct api_model *model = &sim->model;
    if (model->has_faults && rng_one_in(&sim->rng, 2))
        api_model_write(model);
    if (model->cached < api_model_version(model))
        model->cached += rng_below(&sim->rng, api_model_version(model) - model->cached + 1);
    if (!model->has_faults)
        model->cached = api_model_version(model);
    if (model->has_faults && rng_one_in(&sim->rng, 25))
        model->compacted = rng_below(&sim->rng, api_model_version(model) + 1);
    /* Another server behind the same address, whose cache lags more. */
    if (model->has_faults && rng_one_in(&sim->rng, 25))
        model->cached = 1 + rng_below(&sim->rng, model->cached);
    if (model->has_faults && rng_one_in(&sim->rng, 50) &&
        kube_follower_require(sim->follower, sim->now_ms, api_model_version(model)))
        close_request(sim);
}

/* The store is what the server had at the store's version, and so is what the changes told. */
static void expect_equal(struct sim *sim)
{
    struct model_object objects[MODEL_NAMES];
    api_model_state(&sim->model, kube_store_version(sim->store), objects);
    size_t count = 0;
    for (int name = 0; name < MODEL_NAMES; name++) {
        char key[24];
        char uid[24];
        char color[24];
        (void)snprintf(key, sizeof(key), "x/n%d", name);
        (void)snprintf(uid, sizeof(uid), "u%u", objects[name].uid);
        (void)snprintf(color, sizeof(color), "c%u", objects[name].color);
        const struct kube_object *object = kube_store_peek(sim->store, key);
        sim_assert(sim, (object != NULL) == (objects[name].version > 0));
        sim_assert(sim, map_get(&sim->mirror, key) == object);
        if (!object)
            continue;
        count++;
        sim_assert(sim, object->resource_version == objects[name].version);
        sim_assert(sim, strcmp(object->uid, uid) == 0);
        sim_assert(sim, strcmp(thing_color(object), color) == 0);
    }
    sim_assert(sim, kube_store_count(sim->store) == count);
    sim_assert(sim, map_count(&sim->mirror) == count);
}

static void step(struct sim *sim)
{
    change_server(sim);
    if (sim->is_open && sim->answer.next > sim->model.cached && sim->step != REFLECTOR_LIST)
        sim->is_silent = true; /* the lagging server has nothing to say */
    if (sim->is_open && sim->step == REFLECTOR_LIST)
        answer_list(sim);
    else if (sim->is_open)
        go_on_watching(sim);
    if (sim->is_open && kube_follower_gives_up(sim->follower, sim->now_ms))
        close_request(sim);
    struct reflector_request request;
    kube_follower_next(sim->follower, sim->now_ms, &request);
    if (request.step == REFLECTOR_WAIT)
        pass_time(sim, request.until_ms);
    else
        begin_request(sim, &request);
    uint64_t version = kube_store_version(sim->store);
    sim_assert(sim, version >= sim->version);
    sim->version = version;
    if (!sim->disturbs && kube_follower_has_synced(sim->follower))
        expect_equal(sim);
}

void follower_sim_run(uint64_t seed, struct kube_follower_counts *ret_counts)
{
    struct sim sim;
    sim_init(&sim, seed);
    for (int i = 0; i < STEPS; i++)
        step(&sim);
    sim.model.has_faults = false;
    sim.model.lies = false;
    for (int i = 0; i < CALM_STEPS || (sim.is_open && sim.is_silent); i++) /* a silent watch is given up */
        step(&sim);
    sim_assert(&sim, kube_follower_has_synced(sim.follower));
    expect_equal(&sim);
    /* The last change may be of another resource, and then only a bookmark brings its version. */
    api_model_state(&sim.model, api_model_version(&sim.model), sim.objects);
    for (int name = 0; name < MODEL_NAMES; name++)
        sim_assert(&sim, sim.objects[name].version <= kube_store_version(sim.store));
    kube_follower_counts(sim.follower, ret_counts);
    if (sim.is_open)
        close_request(&sim);
    sim_done(&sim);
}

static void any_faults_end_in_the_servers_state(void **state)
{
    (void)state;
    struct kube_follower_counts all = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct kube_follower_counts counts;
        follower_sim_run(seed, &counts);
        all.lists += counts.lists;
        all.watches += counts.watches;
        all.events += counts.events;
        all.bookmarks += counts.bookmarks;
        all.failures += counts.failures;
        all.silences += counts.silences;
    }
    print_message("%llu lists, %llu watches, %llu events, %llu bookmarks, %llu failures, %llu silences\n",
        (unsigned long long)all.lists, (unsigned long long)all.watches, (unsigned long long)all.events,
        (unsigned long long)all.bookmarks, (unsigned long long)all.failures,
        (unsigned long long)all.silences);
    /* Everything did happen. */
    assert_true(all.lists > SEEDS);
    assert_true(all.events > SEEDS);
    assert_true(all.bookmarks > SEEDS);
    assert_true(all.failures > SEEDS);
    assert_true(all.silences > 0);
}

int follower_sim_suite(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_faults_end_in_the_servers_state)};
    return cmocka_run_group_tests_name("follower_sim", tests, NULL, NULL);
}
