/* Frames from an operator, honest and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "node_control/convert.h"
#include "node_control/unit_spec.h"
#include "suites.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/control.pb-c.h>

static void pack(const Histrio__V1__OperatorMessage *message, uint8_t **ret_data, size_t *ret_size)
{
    *ret_size = wire_packed_size(message);
    *ret_data = xmalloc(*ret_size + 1);
    wire_pack_into(message, *ret_data);
}

/* Decodes what `message` packs to; the caller ends command and arena. */
static int decode(const Histrio__V1__OperatorMessage *message, struct wire_arena *arena,
    struct command *command, struct err *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    pack(message, &data, &size);
    wire_arena_init(arena, NULL, 0, 4 * LIMIT_FRAME_BYTES);
    int result = convert_command(data, size, arena, command, err);
    free(data);
    return result;
}

/* A unit with a root supervisor and one child, to be changed by each test. */
struct sample {
    Histrio__V1__OperatorMessage message;
    Histrio__V1__Assign assign;
    Histrio__V1__UnitSpec unit;
    Histrio__V1__Child root, child;
    Histrio__V1__Child *children[1];
    Histrio__V1__Supervisor supervisor;
};

static void sample_init(struct sample *sample)
{
    histrio__v1__operator_message__init(&sample->message);
    histrio__v1__assign__init(&sample->assign);
    histrio__v1__unit_spec__init(&sample->unit);
    histrio__v1__child__init(&sample->root);
    histrio__v1__child__init(&sample->child);
    histrio__v1__supervisor__init(&sample->supervisor);
    sample->message.term = 3;
    sample->message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ASSIGN;
    sample->message.assign = &sample->assign;
    sample->assign.unit = &sample->unit;
    sample->assign.epoch = 12;
    sample->assign.node_uid = 5;
    sample->unit.name = (char *)(uintptr_t) "tellers.0";
    sample->unit.generation = -4;
    sample->unit.root = &sample->root;
    sample->unit.children = sample->children;
    sample->unit.n_children = 1;
    sample->children[0] = &sample->child;
    sample->supervisor.strategy = HISTRIO__V1__STRATEGY__STRATEGY_REST_FOR_ONE;
    sample->supervisor.restarts_max = 3;
    sample->supervisor.period_ms = 5000;
    sample->supervisor.backoff_initial_ms = 10;
    sample->supervisor.backoff_max_ms = 20;
    sample->root.supervisor = &sample->supervisor;
    sample->child.name = (char *)(uintptr_t) "counter";
    sample->child.behavior_c = (char *)(uintptr_t) "bank.teller";
    sample->child.shutdown_infinity = true;
}

static void test_assign(void **state)
{
    struct sample sample;
    struct wire_arena arena;
    struct command command;
    (void)state;
    sample_init(&sample);
    assert_int_equal(decode(&sample.message, &arena, &command, NULL), 0);
    assert_int_equal(command.kind, COMMAND_ASSIGN);
    assert_int_equal(command.term, 3);
    assert_int_equal(command.assign.epoch, 12);
    assert_int_equal(command.assign.node_uid, 5);
    assert_int_equal(command.assign.generation, -4);
    assert_string_equal(command.assign.unit, "tellers.0");
    const struct actor_unit_spec *spec = command.assign.spec;
    assert_non_null(spec);
    assert_true(spec->root.is_supervisor);
    assert_int_equal(spec->root.strategy, ACTOR_REST_FOR_ONE);
    assert_int_equal(spec->root.backoff_initial_ms, 10);
    assert_int_equal(spec->root.backoff_max_ms, 20);
    assert_int_equal(spec->child_count, 1);
    assert_string_equal(spec->children[0].behavior, "bank.teller");
    assert_int_equal(spec->children[0].shutdown_ms, ACTOR_SHUTDOWN_INFINITY);
    command_done(&command);
    wire_arena_done(&arena);
}

static void expect_spec_refused(const struct sample *sample, enum refusal refusal, const char *part)
{
    struct wire_arena arena;
    struct command command;
    assert_int_equal(decode(&sample->message, &arena, &command, NULL), 0);
    assert_null(command.assign.spec);
    assert_int_equal(command.assign.spec_refusal, refusal);
    if (!strstr(command.assign.spec_error, part))
        fail_msg("\"%s\" is not in \"%s\"", part, command.assign.spec_error);
    command_done(&command);
    wire_arena_done(&arena);
}

static void test_units_that_are_not_supported(void **state)
{
    struct sample sample;
    (void)state;
    sample_init(&sample);
    sample.unit.shards = 64;
    expect_spec_refused(&sample, REFUSAL_START_FAILED, "keyed");
    sample_init(&sample);
    sample.assign.source_uid = 9;
    expect_spec_refused(&sample, REFUSAL_START_FAILED, "moves");
}

static void test_bad_units(void **state)
{
    struct sample sample;
    (void)state;
    sample_init(&sample);
    sample.unit.root = NULL;
    expect_spec_refused(&sample, REFUSAL_OF_BAD_SPEC, "without a root");
    sample_init(&sample);
    sample.child.under = (char *)(uintptr_t) "nobody";
    expect_spec_refused(&sample, REFUSAL_OF_BAD_SPEC, "no supervisor before it");
    sample_init(&sample);
    sample.unit.name = (char *)(uintptr_t) "../x";
    expect_spec_refused(&sample, REFUSAL_OF_BAD_SPEC, "no name of a unit");
}

static void test_python_children(void **state)
{
    struct sample sample;
    struct wire_arena arena;
    struct command command;
    (void)state;
    sample_init(&sample);
    sample.child.behavior_c = (char *)(uintptr_t) "";
    sample.child.behavior_python = (char *)(uintptr_t) "bank:Teller";
    sample.child.isolation = HISTRIO__V1__ISOLATION__ISOLATION_GROUP;
    assert_int_equal(decode(&sample.message, &arena, &command, NULL), 0);
    const struct actor_unit_spec *spec = command.assign.spec;
    assert_non_null(spec);
    assert_string_equal(spec->children[0].behavior, "bank:Teller");
    assert_false(spec->children[0].is_supervisor);
    assert_int_equal(spec->children[0].isolation, ACTOR_ISOLATION_GROUP);
    command_done(&command);
    wire_arena_done(&arena);
    sample.child.behavior_python = (char *)(uintptr_t) ":Teller";
    expect_spec_refused(&sample, REFUSAL_OF_BAD_SPEC, "\"module:class\"");
    sample.child.behavior_python = (char *)(uintptr_t) "bank:Teller";
    sample.child.isolation = (Histrio__V1__Isolation)9;
    expect_spec_refused(&sample, REFUSAL_OF_BAD_SPEC, "unknown isolation");
    sample_init(&sample);
    sample.child.behavior_python = (char *)(uintptr_t) "bank:Teller";
    expect_spec_refused(&sample, REFUSAL_OF_BAD_SPEC, "two behaviors");
}

static void test_code_in_processes(void **state)
{
    char *paths[] = {(char *)(uintptr_t) "python", (char *)(uintptr_t) "."};
    char *preload[] = {(char *)(uintptr_t) "bank"};
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Configuration configuration = HISTRIO__V1__CONFIGURATION__INIT;
    Histrio__V1__Configuration__Python python = HISTRIO__V1__CONFIGURATION__PYTHON__INIT;
    Histrio__V1__Configuration__Workers c_workers = HISTRIO__V1__CONFIGURATION__WORKERS__INIT;
    struct wire_arena arena;
    struct command command;
    (void)state;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_CONFIGURATION;
    message.configuration = &configuration;
    assert_int_equal(decode(&message, &arena, &command, NULL), 0);
    assert_false(command.configuration.has_python);
    wire_arena_done(&arena);
    configuration.python = &python;
    python.n_paths = 2;
    python.paths = paths;
    python.n_preload = 1;
    python.preload = preload;
    python.workers = 4;
    python.memory_bytes_max = UINT64_C(5000000000);
    assert_int_equal(decode(&message, &arena, &command, NULL), 0);
    assert_true(command.configuration.has_python);
    assert_int_equal(command.configuration.python.path_count, 2);
    assert_string_equal(command.configuration.python.paths[0], "python");
    assert_string_equal(command.configuration.python.preload[0], "bank");
    assert_int_equal(command.configuration.python.workers, 4);
    assert_int_equal(command.configuration.python.memory_bytes_max, UINT64_C(5000000000));
    wire_arena_done(&arena);
    assert_false(command.configuration.has_c_workers);
    configuration.c_workers = &c_workers;
    c_workers.count = 3;
    c_workers.handler_timeout_ms = 5000;
    c_workers.memory_bytes_max = UINT64_C(5000000000);
    assert_int_equal(decode(&message, &arena, &command, NULL), 0);
    assert_true(command.configuration.has_c_workers);
    assert_int_equal(command.configuration.c_workers.count, 3);
    assert_int_equal(command.configuration.c_workers.handler_timeout_ms, 5000);
    assert_int_equal(command.configuration.c_workers.memory_bytes_max, UINT64_C(5000000000));
    wire_arena_done(&arena);
    c_workers.count = 5000;
    assert_int_equal(decode(&message, &arena, &command, NULL), -1);
    wire_arena_done(&arena);
    c_workers.count = 3;
    python.workers = 5000;
    assert_int_equal(decode(&message, &arena, &command, NULL), -1);
    wire_arena_done(&arena);
}

static void test_plain_root_gets_limits(void **state)
{
    struct sample sample;
    struct wire_arena arena;
    struct command command;
    (void)state;
    sample_init(&sample);
    sample.unit.n_children = 0;
    sample.root.supervisor = NULL;
    sample.root.behavior_c = (char *)(uintptr_t) "bank.ledger";
    assert_int_equal(decode(&sample.message, &arena, &command, NULL), 0);
    const struct actor_unit_spec *spec = command.assign.spec;
    assert_non_null(spec);
    assert_false(spec->root.is_supervisor);
    assert_true(spec->root.period_ms > 0);
    command_done(&command);
    wire_arena_done(&arena);
}

static void expect_message_refused(const Histrio__V1__OperatorMessage *message)
{
    struct wire_arena arena;
    struct command command;
    struct err err = {0};
    assert_int_equal(decode(message, &arena, &command, &err), -1);
    assert_true(err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    command_done(&command);
    wire_arena_done(&arena);
}

static void test_messages_without_their_parts(void **state)
{
    struct sample sample;
    Histrio__V1__RosterUpdate roster = HISTRIO__V1__ROSTER_UPDATE__INIT;
    Histrio__V1__Block block = HISTRIO__V1__BLOCK__INIT;
    Histrio__V1__Revoke revoke = HISTRIO__V1__REVOKE__INIT;
    (void)state;
    sample_init(&sample);
    sample.assign.unit = NULL;
    expect_message_refused(&sample.message);
    sample_init(&sample);
    sample.assign.epoch = 0;
    expect_message_refused(&sample.message);
    sample.message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_ROSTER;
    sample.message.roster = &roster;
    expect_message_refused(&sample.message);
    sample.message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_BLOCK;
    sample.message.block = &block;
    expect_message_refused(&sample.message);
    sample.message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_REVOKE;
    sample.message.revoke = &revoke;
    expect_message_refused(&sample.message);
}

static void test_empty_frame_is_an_unknown_command(void **state)
{
    struct wire_arena arena;
    struct command command;
    (void)state;
    wire_arena_init(&arena, NULL, 0, LIMIT_FRAME_BYTES);
    assert_int_equal(convert_command((const uint8_t *)"", 0, &arena, &command, NULL), 0);
    assert_int_equal(command.kind, COMMAND_UNKNOWN);
    command_done(&command);
    wire_arena_done(&arena);
}

/* Random damage must never crash (the sanitizers watch), and what is taken must hold its promises. */
static void test_damaged_frames(void **state)
{
    struct sample sample;
    struct rng rng;
    struct wire_arena arena;
    uint8_t *data = NULL;
    size_t size = 0, taken = 0;
    (void)state;
    rng_seed(&rng, 42);
    sample_init(&sample);
    pack(&sample.message, &data, &size);
    wire_arena_init(&arena, NULL, 0, 4 * LIMIT_FRAME_BYTES);
    for (int i = 0; i < 20000; i++) {
        uint8_t damaged[256];
        struct command command;
        assert_true(size <= sizeof(damaged));
        memcpy(damaged, data, size);
        for (uint64_t flips = 1 + rng_below(&rng, 3); flips > 0; flips--)
            damaged[rng_below(&rng, size)] = (uint8_t)rng_u64(&rng);
        size_t cut = rng_one_in(&rng, 4) ? rng_below(&rng, size) : size;
        if (convert_command(damaged, cut, &arena, &command, NULL) == 0 && command.kind == COMMAND_ASSIGN) {
            const struct actor_unit_spec *spec = command.assign.spec;
            assert_true(spec ? unit_spec_check(spec, NULL) == 0 : command.assign.spec_error != NULL);
            taken++;
        }
        command_done(&command);
        wire_arena_reset(&arena);
    }
    assert_true(taken > 100);
    wire_arena_done(&arena);
    free(data);
}

const struct CMUnitTest convert_tests[] = {
    cmocka_unit_test(test_assign),
    cmocka_unit_test(test_units_that_are_not_supported),
    cmocka_unit_test(test_bad_units),
    cmocka_unit_test(test_python_children),
    cmocka_unit_test(test_code_in_processes),
    cmocka_unit_test(test_plain_root_gets_limits),
    cmocka_unit_test(test_messages_without_their_parts),
    cmocka_unit_test(test_empty_frame_is_an_unknown_command),
    cmocka_unit_test(test_damaged_frames),
};
const size_t convert_test_count = sizeof(convert_tests) / sizeof(convert_tests[0]);
