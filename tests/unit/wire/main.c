#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <grpc/health/v1/health.pb-c.h>
#include <histrio/v1/link.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/rng.h"
#include "wire/arena.h"
#include "wire/wire.h"

static void test_arena_aligns_and_keeps_apart(void **state)
{
    enum { COUNT = 2000 };
    uint8_t first[1000];
    struct wire_arena arena;
    uint8_t *pieces[COUNT];
    (void)state;
    wire_arena_init(&arena, first + 1, sizeof(first) - 1, 1024 * 1024);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t size = i % 97;
            pieces[i] = wire_arena_alloc(&arena, size);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)(i & 0xff), size);
        }
        for (size_t i = 0; i < COUNT; i++) {
            for (size_t k = 0; k < i % 97; k++)
                assert_int_equal(pieces[i][k], i & 0xff);
        }
        wire_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    wire_arena_done(&arena);
    assert_non_null(wire_arena_alloc(&arena, 10)); /* usable again */
    wire_arena_done(&arena);
}

static void test_arena_limit(void **state)
{
    struct wire_arena arena;
    size_t taken = 0;
    (void)state;
    wire_arena_init(&arena, NULL, 0, 10 * 1000);
    assert_null(wire_arena_alloc(&arena, SIZE_MAX));
    assert_null(wire_arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(wire_arena_alloc(&arena, 10 * 1000 + 1));
    assert_true(arena.exhausted);
    wire_arena_reset(&arena);
    assert_false(arena.exhausted);
    while (wire_arena_alloc(&arena, 100))
        taken += 100;
    assert_true(arena.exhausted);
    assert_in_range(taken, 8000, 10 * 1000);
    assert_in_range(arena.used_bytes, taken, 10 * 1000);
    wire_arena_reset(&arena);
    assert_non_null(wire_arena_alloc(&arena, 5000));
    wire_arena_done(&arena);
}

/* A batch as transport sends it. */
static uint8_t *pack_batch(size_t rows, size_t *ret_size)
{
    Histrio__V1__MessagesFrame frame = HISTRIO__V1__MESSAGES_FRAME__INIT;
    Histrio__V1__Batch batch = HISTRIO__V1__BATCH__INIT;
    Histrio__V1__Name name = HISTRIO__V1__NAME__INIT;
    Histrio__V1__Name nameless = HISTRIO__V1__NAME__INIT;
    Histrio__V1__Name *names[] = {&name, &nameless};
    uint32_t *targets = calloc(rows, sizeof(*targets));
    uint64_t *asks = calloc(rows, sizeof(*asks));
    uint8_t payload[100];
    uint8_t *data;
    struct err err = {0};
    memset(payload, 7, sizeof(payload));
    for (size_t i = 0; i < rows; i++) {
        targets[i] = (uint32_t)i;
        asks[i] = UINT64_MAX - i;
    }
    name.id = 1;
    name.text = (char *)(uintptr_t) "tellers.0/counter";
    batch.n_names = 2;
    batch.names = names;
    batch.n_target = rows;
    batch.target = targets;
    batch.n_ask = rows;
    batch.ask = asks;
    batch.data.data = payload;
    batch.data.len = sizeof(payload);
    frame.body_case = HISTRIO__V1__MESSAGES_FRAME__BODY_BATCH;
    frame.batch = &batch;
    assert_int_equal(wire_pack(&frame, LIMIT_FRAME_BYTES, &data, ret_size, &err), 0);
    free(targets);
    free(asks);
    return data;
}

static void test_round_trip(void **state)
{
    enum { ROWS = 500 };
    uint8_t first[2048];
    struct wire_arena arena;
    ProtobufCMessage *message;
    struct err err = {0};
    size_t size;
    (void)state;
    uint8_t *data = pack_batch(ROWS, &size);
    wire_arena_init(&arena, first, sizeof(first), 1024 * 1024);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(wire_unpack(&histrio__v1__messages_frame__descriptor, data, size, LIMIT_FRAME_BYTES,
                             &arena, &message, &err),
            0);
        const Histrio__V1__MessagesFrame *frame = (const Histrio__V1__MessagesFrame *)message;
        assert_int_equal(frame->body_case, HISTRIO__V1__MESSAGES_FRAME__BODY_BATCH);
        assert_int_equal(frame->batch->n_target, ROWS);
        assert_int_equal(frame->batch->n_ask, ROWS);
        for (uint32_t i = 0; i < ROWS; i++) {
            assert_int_equal(frame->batch->target[i], i);
            assert_int_equal(frame->batch->ask[i], UINT64_MAX - i);
        }
        assert_string_equal(frame->batch->names[0]->text, "tellers.0/counter");
        assert_int_equal(frame->batch->data.len, 100);
        assert_string_equal(frame->batch->names[1]->text, ""); /* missing, not NULL */
        wire_arena_reset(&arena);
    }
    wire_arena_done(&arena);
    free(data);
}

static void check_refused(
    const ProtobufCMessageDescriptor *type, const void *data, size_t size, size_t memory, enum err_kind kind)
{
    struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    struct err err = {0};
    wire_arena_init(&arena, NULL, 0, memory);
    assert_int_equal(wire_unpack(type, data, size, LIMIT_FRAME_BYTES, &arena, &message, &err), -1);
    assert_int_equal(err.kind, kind);
    assert_null(message);
    wire_arena_done(&arena);
}

static void test_refused(void **state)
{
    const ProtobufCMessageDescriptor *request = &grpc__health__v1__health_check_request__descriptor;
    size_t size;
    (void)state;
    uint8_t *data = pack_batch(100, &size);
    check_refused(&histrio__v1__messages_frame__descriptor, data, size - 1, 1024 * 1024, ERR_INVALID);
    check_refused(&histrio__v1__messages_frame__descriptor, data, size, 1024, ERR_LIMIT);
    free(data);
    check_refused(request, "\xff\xff\xff", 3, 4096, ERR_INVALID);
    check_refused(request,
        "\x0a\x05"
        "ab",
        4, 4096, ERR_INVALID);                                        /* shorter than it says */
    check_refused(request, "\x0a\x02\xc3\x28", 4, 4096, ERR_INVALID); /* not UTF-8 */
    uint8_t *large = calloc(1, LIMIT_FRAME_BYTES + 1);
    check_refused(request, large, LIMIT_FRAME_BYTES + 1, 4096, ERR_LIMIT);
    free(large);
    struct err err = {0};
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    assert_int_equal(wire_pack(&response, 1, &data, &size, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_bad_string_deep_inside(void **state)
{
    /* MessagesFrame.batch (2) { names (2) { text (2) } }, and hello (1) beside it in the same oneof. */
    static const char good[] = "\x12\x06\x12\x04\x12\x02\xc3\xa9";
    static const char bad[] = "\x12\x06\x12\x04\x12\x02\xc3\xc3";
    struct wire_arena arena;
    ProtobufCMessage *message;
    struct err err = {0};
    (void)state;
    wire_arena_init(&arena, NULL, 0, 64 * 1024);
    assert_int_equal(wire_unpack(&histrio__v1__messages_frame__descriptor, (const uint8_t *)good, 8, 100,
                         &arena, &message, &err),
        0);
    wire_arena_reset(&arena);
    assert_int_equal(wire_unpack(&histrio__v1__messages_frame__descriptor, (const uint8_t *)bad, 8, 100,
                         &arena, &message, &err),
        -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "text"));
    wire_arena_done(&arena);
}

/* Two bytes of input for an element of about fifty: the arena says no long before the machine does. */
static void test_amplification(void **state)
{
    enum { NAMES = 1000 * 1000 };
    uint8_t header[] = {0x12, 0x80, 0x89, 0x7a}; /* batch of 2,000,000 bytes */
    uint8_t *data = calloc(1, sizeof(header) + 2 * NAMES);
    (void)state;
    memcpy(data, header, sizeof(header));
    for (size_t i = 0; i < NAMES; i++)
        data[sizeof(header) + 2 * i] = 0x12; /* an empty name */
    check_refused(&histrio__v1__messages_frame__descriptor, data, sizeof(header) + 2 * NAMES,
        4 * (size_t)LIMIT_FRAME_BYTES, ERR_LIMIT);
    free(data);
}

/* Changed bytes are taken or refused, but never crash (under the sanitizers) or leave the arena unusable. */
static void test_changed_bytes(void **state)
{
    struct wire_arena arena;
    struct rng rng;
    size_t size;
    (void)state;
    uint8_t *data = pack_batch(20, &size);
    uint8_t *copy = malloc(size);
    rng_seed(&rng, 11);
    wire_arena_init(&arena, NULL, 0, 1024 * 1024);
    for (int i = 0; i < 20000; i++) {
        ProtobufCMessage *message;
        struct err err = {0};
        memcpy(copy, data, size);
        for (uint64_t k = 1 + rng_below(&rng, 4); k > 0; k--)
            copy[rng_below(&rng, size)] = (uint8_t)rng_u64(&rng);
        size_t cut = rng_one_in(&rng, 4) ? (size_t)rng_below(&rng, size) : size;
        int result = wire_unpack(
            &histrio__v1__messages_frame__descriptor, copy, cut, LIMIT_FRAME_BYTES, &arena, &message, &err);
        if (result == 0)
            assert_true(wire_packed_size(message) <= 2 * size + 64); /* walks everything */
        else
            assert_true(err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
        wire_arena_reset(&arena);
    }
    wire_arena_done(&arena);
    free(copy);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_aligns_and_keeps_apart),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bad_string_deep_inside),
        cmocka_unit_test(test_amplification),
        cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
