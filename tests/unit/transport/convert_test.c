/* Frames there and back, and frames that nobody of ours sends. */
#include "suites.h"
#include "support.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "transport/convert.h"
#include "transport/outgoing.h"
#include "transport/router.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/link.pb-c.h>

struct pair {
    struct link_encoder encoder;
    struct link_decoder decoder;
    struct wire_arena arena;
    struct router router;
    struct texts texts;
};

static void pair_start(struct pair *pair)
{
    memset(pair, 0, sizeof(*pair));
    link_encoder_init(&pair->encoder);
    wire_arena_init(&pair->arena, NULL, 0, 64 * 1024 * 1024);
    router_init(&pair->router, 1);
}

static void pair_stop(struct pair *pair)
{
    link_encoder_done(&pair->encoder);
    link_decoder_done(&pair->decoder);
    wire_arena_done(&pair->arena);
    router_done(&pair->router);
    texts_done(&pair->texts);
}

static void carry(struct pair *pair, const struct batch *batch, const struct link_extra *extra,
    struct link_frame *ret_frame)
{
    struct err err;
    size_t size = link_encode_batch(&pair->encoder, batch, 0, extra);
    uint8_t *data = malloc(size);
    assert_non_null(data);
    link_encode_finish(&pair->encoder, data);
    wire_arena_reset(&pair->arena);
    if (link_decode(&pair->decoder, data, size, &pair->arena, ret_frame, &err) < 0)
        fail_msg("%s", err.text);
    free(data); /* what was decoded is in the arena */
}

static struct row random_row(struct pair *pair, struct rng *rng, uint8_t *value)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "u%d/x%d", (int)rng_below(rng, 3), (int)rng_below(rng, 40));
    struct row row = {.kind = (uint8_t)rng_below(rng, 4), .size = (uint32_t)rng_below(rng, 100)};
    rng_one_in(rng, 10) ? (row.size = 0) : 0;
    bool is_answer = row.kind >= ROW_REPLY;
    if (is_answer || rng_one_in(rng, 4))
        row.target_id = rng_u64(rng) | 1;
    else {
        row.target = texts_get(&pair->texts, TEXT_NAME, 0, name);
        row.unit = router_add(&pair->router, (char[]){'u', name[1], 0});
    }
    if (!is_answer)
        row.type = texts_get(&pair->texts, TEXT_METHOD, 0, rng_one_in(rng, 2) ? "deposit" : "balance");
    if (row.kind != ROW_TELL)
        row.ask = rng_u64(rng) | 1;
    if (row.kind == ROW_ASK) {
        row.deadline_ns = (int64_t)(1 + rng_below(rng, 5000)) * NS_PER_MS;
        row.sender_id = 1;
    }
    if (row.kind == ROW_ERROR_REPLY && row.size == 0)
        row.size = 1;
    if (rng_one_in(rng, 2))
        row.sender_id = rng_u64(rng) | 1;
    if (rng_one_in(rng, 3)) {
        row.sender_unit = router_add(&pair->router, "own");
        row.sender_unit->text = texts_get(&pair->texts, TEXT_NAME, 0, "own");
    }
    if (rng_one_in(rng, 5))
        row.incarnation = (uint32_t)rng_below(rng, 9);
    if (!is_answer && rng_one_in(rng, 3))
        memset(&row.trace, 1 + (int)rng_below(rng, 255), sizeof(row.trace));
    for (uint32_t i = 0; i < row.size; i++)
        value[i] = (uint8_t)rng_u64(rng);
    return row;
}

static void assert_same(const struct row *row, const struct batch *batch, const struct link_row *out)
{
    assert_int_equal(out->kind, row->kind);
    assert_int_equal(out->target_id, row->target_id);
    assert_int_equal(out->sender_id, row->sender_id);
    assert_int_equal(out->ask, row->ask);
    assert_int_equal(out->incarnation, row->incarnation);
    assert_int_equal(out->remaining_ms, row->kind == ROW_ASK ? row->deadline_ns / NS_PER_MS : 0);
    assert_int_equal(out->size, row->size);
    assert_int_equal(!out->target, !row->target);
    if (row->target) {
        assert_string_equal(out->target->text, row->target->text);
        assert_string_equal(out->target->unit->name, row->unit->name);
        assert_int_equal(out->target->unit->target_epoch, 7);
    }
    if (row->type)
        assert_string_equal(out->type->text, row->type->text);
    assert_int_equal(!out->sender_unit, !row->sender_unit);
    if (row->sender_unit)
        assert_int_equal(out->sender_unit->own_epoch, 9);
    assert_int_equal(out->trace != NULL, trace_context_is_valid(&row->trace));
    if (out->trace)
        assert_memory_equal(out->trace, &row->trace, sizeof(row->trace));
    if (row->size > 0)
        assert_memory_equal(out->value, batch->data + row->offset, row->size);
}

static void test_batches_there_and_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct pair pair;
        struct rng rng;
        pair_start(&pair);
        rng_seed(&rng, seed);
        uint64_t sequence = 1;
        for (int frame_number = 0; frame_number < 5; frame_number++) {
            struct batch *batch = batch_new();
            batch->first = sequence;
            uint8_t value[100];
            size_t count = rng_below(&rng, BATCH_ROWS_MAX) + 1;
            for (size_t i = 0; i < count; i++) {
                struct row row = random_row(&pair, &rng, value);
                (void)batch_append(batch, &row, value);
            }
            for (int i = 0; i < 3; i++)
                vec_push(&batch->targets,
                    ((struct batch_unit){router_add(&pair.router, (char[]){'u', (char)('0' + i), 0}), 7, 0}));
            vec_push(&batch->senders, ((struct batch_unit){router_add(&pair.router, "own"), 9, 0}));
            struct link_extra extra = {seed, seed * 3, seed * 5};
            struct link_frame frame;
            carry(&pair, batch, &extra, &frame);
            assert_int_equal(frame.kind, LINK_BATCH);
            assert_int_equal(frame.sequence, sequence);
            assert_int_equal(frame.row_count, count);
            assert_memory_equal(&frame.extra, &extra, sizeof(extra));
            for (size_t i = 0; i < count; i++)
                assert_same(&batch->rows[i], batch, &frame.rows[i]);
            sequence += count;
            batch_free(batch);
        }
        pair_stop(&pair);
    }
}

static void test_other_frames(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair);
    struct err err;
    struct link_frame frame;
    uint64_t rows[] = {3, 4, 900};
    struct link_bounce bounce = {rows, 3, false, "ledger", 77, 5};
    struct link_extra extra = {.acknowledge = 2};
    size_t size;
    uint8_t *data = link_encode_bounce(&bounce, &extra, &size);
    assert_int_equal(link_decode(&pair.decoder, data, size, &pair.arena, &frame, &err), 0);
    assert_int_equal(frame.kind, LINK_BOUNCE);
    assert_int_equal(frame.bounce.count, 3);
    assert_memory_equal(frame.bounce.sequences, rows, sizeof(rows));
    assert_string_equal(frame.bounce.unit, "ledger");
    assert_int_equal(frame.bounce.epoch, 77);
    assert_int_equal(frame.extra.acknowledge, 2);
    free(data);

    struct actor_signal signal = {.kind = SIGNAL_EXIT,
        .from_name = "a/b",
        .from = {5, 6},
        .to_name = "c/d",
        .to = {0, 12345},
        .reason = "boom",
        .by_link = true};
    struct pending_signal *pending = outgoing_copy_signal(&signal);
    pending->sequence = 3;
    pending->after = 44;
    pending->from_epoch = 8;
    data = system_encode_signal(pending, 2, &size);
    struct system_frame system;
    assert_int_equal(system_decode(data, size, &pair.arena, &system, &err), 0);
    assert_int_equal(system.kind, SYSTEM_SIGNAL);
    assert_int_equal(system.sequence, 3);
    assert_int_equal(system.acknowledge, 2);
    assert_int_equal(system.after, 44);
    assert_string_equal(system.from_unit, "a");
    assert_int_equal(system.from_epoch, 8);
    assert_int_equal(system.signal.kind, SIGNAL_EXIT);
    assert_string_equal(system.signal.to_name, "c/d");
    assert_int_equal(system.signal.to.id, 0); /* numbers of names stay at home */
    assert_string_equal(system.signal.reason, "boom");
    assert_true(system.signal.by_link);
    free(data);
    free(pending);
    pair_stop(&pair);
}

static void test_cancels(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair);
    struct err err;
    size_t size;
    struct system_frame system;
    struct actor_signal signal = {
        .kind = SIGNAL_CANCEL, .from = {5, 6}, .to_name = "c/d", .to = {0, 12345}, .ask = 77};
    struct pending_signal *pending = outgoing_copy_signal(&signal);
    pending->after = 44;
    uint8_t *data = system_encode_cancel(pending, 2, &size);
    assert_int_equal(system_decode(data, size, &pair.arena, &system, &err), 0);
    assert_int_equal(system.kind, SYSTEM_CANCEL);
    assert_int_equal(system.sequence, 0);
    assert_int_equal(system.acknowledge, 2);
    assert_int_equal(system.after, 44);
    assert_int_equal(system.signal.kind, SIGNAL_CANCEL);
    assert_int_equal(system.signal.ask, 77);
    assert_int_equal(system.signal.from.id, 6);
    assert_string_equal(system.signal.to_name, "c/d");
    assert_int_equal(system.signal.to.id, 0);
    /* What a node that knows no cancels makes of it: a body of a number that nobody has given out yet. */
    size_t at = 0;
    while (data[at] != (8 << 3 | 2) && at < size)
        at++;
    assert_true(at < size);
    data[at] = 15 << 3 | 2;
    assert_int_equal(system_decode(data, size, &pair.arena, &system, &err), 0);
    assert_int_equal(system.kind, SYSTEM_NOTHING);
    assert_int_equal(system.acknowledge, 2);
    free(data);
    free(pending);
    for (unsigned i = 0; i < 3; i++) { /* of no ask, of nobody, to nobody */
        struct actor_signal broken = {
            .kind = SIGNAL_CANCEL, .from = {5, i != 1 ? 6 : 0}, .to = {i != 2 ? 7 : 0, 8}, .ask = i != 0};
        pending = outgoing_copy_signal(&broken);
        data = system_encode_cancel(pending, 0, &size);
        assert_int_equal(system_decode(data, size, &pair.arena, &system, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        free(data);
        free(pending);
    }
    pair_stop(&pair);
}

/* ---- hostile ---- */

static int decode(struct link_decoder *decoder, Histrio__V1__Batch *batch)
{
    Histrio__V1__MessagesFrame message = HISTRIO__V1__MESSAGES_FRAME__INIT;
    message.body_case = HISTRIO__V1__MESSAGES_FRAME__BODY_BATCH;
    message.batch = batch;
    struct err err = {0};
    struct wire_arena arena;
    struct link_frame frame;
    size_t size;
    uint8_t *data;
    wire_arena_init(&arena, NULL, 0, 1024 * 1024);
    assert_int_equal(wire_pack(&message, 1024 * 1024, &data, &size, &err), 0);
    int result = link_decode(decoder, data, size, &arena, &frame, &err);
    assert_true(result == 0 || err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    wire_arena_done(&arena);
    free(data);
    return result;
}

/* A frame that is right; each test breaks one thing of it. */
struct sample {
    Histrio__V1__Batch batch;
    Histrio__V1__Name names[2], *name_pointers[2];
    uint32_t target[2], type[2], kind[2], size[2], remaining_ms[2], sender_unit[2];
    uint64_t ask[2], sender_id[2], target_id[2];
};

static void sample_init(struct sample *sample)
{
    memset(sample, 0, sizeof(*sample));
    histrio__v1__batch__init(&sample->batch);
    static char *texts[] = {"ledger/x", "note"};
    for (uint32_t i = 0; i < 2; i++) {
        histrio__v1__name__init(&sample->names[i]);
        sample->names[i].id = i + 1;
        sample->names[i].text = texts[i];
        sample->name_pointers[i] = &sample->names[i];
        sample->target[i] = 1;
        sample->type[i] = 2;
        sample->kind[i] = ROW_ASK;
        sample->size[i] = 3;
        sample->ask[i] = i + 1;
        sample->sender_id[i] = 9;
    }
    Histrio__V1__Batch *batch = &sample->batch;
    batch->sequence = 1;
    batch->names = sample->name_pointers;
    batch->target = sample->target;
    batch->type = sample->type;
    batch->kind = sample->kind;
    batch->size = sample->size;
    batch->ask = sample->ask;
    batch->sender_id = sample->sender_id;
    batch->sender_unit = sample->sender_unit;
    batch->target_id = sample->target_id;
    batch->n_names = batch->n_target = batch->n_type = batch->n_kind = batch->n_size = batch->n_ask =
        batch->n_sender_id = 2;
    batch->data.data = (uint8_t *)"abcdef";
    batch->data.len = 6;
}

#define REFUSED(change)                                                                                      \
    do {                                                                                                     \
        struct sample sample;                                                                                \
        struct link_decoder decoder = {0};                                                                   \
        sample_init(&sample);                                                                                \
        change;                                                                                              \
        assert_int_equal(decode(&decoder, &sample.batch), -1);                                               \
        link_decoder_done(&decoder);                                                                         \
    } while (0)

static void test_hostile_frames(void **state)
{
    (void)state;
    struct sample right;
    struct link_decoder fresh = {0};
    sample_init(&right);
    assert_int_equal(decode(&fresh, &right.batch), 0);
    right.batch.n_names = 0;
    assert_int_equal(decode(&fresh, &right.batch), -1); /* the same sequence again */
    right.batch.sequence = 3;
    assert_int_equal(decode(&fresh, &right.batch), 0);
    link_decoder_done(&fresh);

    REFUSED(sample.batch.n_type = 1);   /* columns of different lengths */
    REFUSED(sample.batch.data.len = 5); /* payloads that end behind the data */
    REFUSED(sample.batch.data.len = 0);
    REFUSED(sample.size[0] = UINT32_MAX);
    REFUSED(sample.size[1] = 4);
    REFUSED(sample.target[1] = 3); /* a name that was never said */
    REFUSED(sample.type[0] = 0);
    REFUSED(sample.kind[1] = 4);
    REFUSED(sample.ask[0] = 0);          /* an ask without a number */
    REFUSED(sample.kind[0] = ROW_TELL);  /* a tell with one */
    REFUSED(sample.kind[0] = ROW_REPLY); /* a reply to a name */
    REFUSED(sample.sender_id[0] = 0);
    REFUSED(sample.target[0] = 0);                                    /* no target */
    REFUSED((sample.batch.n_target_id = 2, sample.target_id[0] = 5)); /* two targets */
    REFUSED(sample.names[1].id = 3);                                  /* a gap */
    REFUSED(sample.names[1].text = "");
    REFUSED(sample.batch.sequence = 0);
    REFUSED(sample.batch.sequence = UINT64_MAX);
    REFUSED((sample.batch.n_sender_unit = 2, sample.sender_unit[1] = 77));
}

static void test_random_bytes(void **state)
{
    (void)state;
    struct sample sample;
    sample_init(&sample);
    Histrio__V1__MessagesFrame message = HISTRIO__V1__MESSAGES_FRAME__INIT;
    message.body_case = HISTRIO__V1__MESSAGES_FRAME__BODY_BATCH;
    message.batch = &sample.batch;
    struct err err;
    uint8_t *data;
    size_t size;
    assert_int_equal(wire_pack(&message, 4096, &data, &size, &err), 0);
    struct rng rng;
    rng_seed(&rng, 4);
    struct wire_arena arena;
    wire_arena_init(&arena, NULL, 0, 1024 * 1024);
    int refused = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, data, size);
        for (uint64_t flips = rng_below(&rng, 4) + 1; flips > 0; flips--)
            copy[rng_below(&rng, size)] = (uint8_t)rng_u64(&rng);
        struct link_decoder decoder = {0};
        struct link_frame frame;
        struct system_frame system;
        wire_arena_reset(&arena);
        refused += link_decode(&decoder, copy, size, &arena, &frame, &err) < 0;
        (void)system_decode(copy, size, &arena, &system, &err); /* stays inside, whatever it says */
        link_decoder_done(&decoder);
        free(copy);
    }
    assert_in_range(refused, 1000, 19999);
    wire_arena_done(&arena);
    free(data);
}

int convert_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_there_and_back),
        cmocka_unit_test(test_other_frames),
        cmocka_unit_test(test_cancels),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
