/* Streams in both directions: order, back-pressure, ends. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture_start(&fixture, test_transport(), NULL);
    return 0;
}

static int setup_small_queue(void **state)
{
    static const struct fixture_options options = {.write_queue_bytes_max = 16 * 1024};
    (void)state;
    fixture_start(&fixture, test_transport(), &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static void test_messages_both_ways(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    assert_int_equal(probe_write(client, "ping", 4, NULL), 0);
    struct probe *server = fixture_accept(&fixture);
    probe_wait(server, server->messages == 1);
    assert_string_equal(server->last, "ping");
    assert_int_equal(probe_write(server, "pong", 4, NULL), 0);
    assert_int_equal(probe_write(server, "", 0, NULL), 0);
    probe_wait(client, client->messages == 2);
    assert_int_equal(client->bytes, 4);
    probe_wait(client, client->idle == 1);
    assert_non_null(strstr(server->peer, test_transport() == TRANSPORT_UNIX ? "unix:" : "ipv4:127.0.0.1:"));

    probe_half_close(client);
    probe_wait(server, server->half_closed == 1);
    assert_int_equal(probe_write(server, "late", 4, NULL), 0); /* the other direction is still open */
    probe_finish(server, RPC_FAILED_PRECONDITION, "not in the mood");
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->messages, 3);
    assert_int_equal(client->code, RPC_FAILED_PRECONDITION);
    assert_string_equal(client->text, "not in the mood");
    probe_wait(server, server->closed == 1);
    assert_int_equal(server->code, RPC_FAILED_PRECONDITION);
}

static void test_server_speaks_first(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    assert_int_equal(probe_write(server, "hello", 5, NULL), 0);
    probe_wait(client, client->messages == 1);
    assert_string_equal(client->last, "hello");
}

/* The first messages of either end go together with its header. Many times on one connection: a new one has
 * so much to say of its own that it carries along what was left lying. */
static void test_bursts_at_once(void **state)
{
    (void)state;
    fixture_set_hand_reaction(&fixture, REACT_BURST);
    for (int i = 0; i < 30; i++) {
        struct probe *client = probe_open_burst(&fixture, "/test.Service/Hand", REACT_NOTHING);
        struct probe *server = fixture_accept(&fixture);
        probe_wait(server, server->messages == BURST);
        probe_wait(client, client->messages == BURST * BURST);
        assert_int_equal(probe_read(server, disorder), 0);
        assert_int_equal(probe_read(client, disorder), BURST - 1); /* each burst counts from 0 */
    }
}

static void test_one_question_many_answers(void **state)
{
    (void)state;
    fixture_set_hand_reaction(&fixture, REACT_BURST);
    for (int i = 0; i < 30; i++) {
        struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
        assert_int_equal(probe_write(client, "?", 1, NULL), 0);
        probe_wait(client, client->messages == BURST);
        assert_int_equal(probe_read(client, disorder), 0);
    }
}

static void test_order_is_kept(void **state)
{
    enum { COUNT = 20000 };
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, false, REACT_NOTHING);
    for (uint32_t i = 0; i < COUNT; i++)
        probe_write_number(client, i, 16);
    probe_half_close(client);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_OK);
    assert_string_equal(client->text, "all echoed");
    assert_int_equal(client->messages, COUNT);
    assert_int_equal(client->disorder, 0);
    assert_int_equal(client->last_number, COUNT - 1);
}

static void test_large_messages(void **state)
{
    enum { SIZE = 3 * 1024 * 1024, COUNT = 6 };
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, false, REACT_NOTHING);
    for (uint32_t i = 0; i < COUNT; i++) {
        probe_write_number(client, i, SIZE + i);
        probe_wait(client, client->messages == i + 1);
    }
    assert_int_equal(client->bytes, (size_t)COUNT * SIZE + COUNT * (COUNT - 1) / 2);
    assert_int_equal(client->disorder, 0);
}

/* The reader is paused, so what the writer may hand over is bounded by its queue and gRPC's windows, however
 * often it tries. Once the reader goes on, all that was accepted arrives, and the writer is told that there
 * is room. */
static void check_back_pressure(struct probe *writer, struct probe *reader)
{
    enum { ATTEMPTS = 3000, SIZE = 4096, ACCEPTED_MAX = 2000 };
    uint8_t data[SIZE] = {0};
    struct err err = {0};
    uint32_t accepted = 0;
    uint32_t refused = 0;
    probe_pause(reader, true);
    for (int i = 0; i < ATTEMPTS; i++) {
        memcpy(data, &accepted, sizeof(accepted));
        if (probe_write(writer, data, sizeof(data), &err) == 0) {
            accepted++;
            continue;
        }
        assert_int_equal(err.kind, ERR_BUSY);
        assert_true(probe_queued_bytes(writer) <= 16 * 1024);
        refused++;
    }
    assert_in_range(accepted, 1, ACCEPTED_MAX);
    assert_true(probe_read(reader, messages) <= 1);
    probe_pause(reader, false);
    probe_wait(reader, reader->messages == accepted);
    probe_wait(writer, writer->writable > 0);
    assert_int_equal(probe_read(reader, disorder), 0);
    assert_true(probe_read(writer, writable) <= refused);
}

static void test_back_pressure_of_client(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    check_back_pressure(client, fixture_accept(&fixture));
}

static void test_back_pressure_of_server(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    check_back_pressure(fixture_accept(&fixture), client);
}

static void test_refill_when_writable(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_REFILL);
    struct probe *server = fixture_accept(&fixture);
    probe_fill(client);
    probe_wait(server, server->messages > 2000);
    probe_cancel(client);
    probe_wait(client, client->closed == 1);
}

static void test_paused_end_comes_after_the_message(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_PAUSE);
    struct probe *server = fixture_accept(&fixture);
    assert_int_equal(probe_write(server, "one", 3, NULL), 0);
    assert_int_equal(probe_write(server, "two", 3, NULL), 0);
    probe_finish(server, RPC_OK, "");
    probe_wait(client, client->messages == 1);
    assert_int_equal(probe_read(client, closed), 0);
    probe_pause(client, false);
    probe_wait(client, client->messages == 2);
    probe_pause(client, false);
    probe_wait(client, client->closed == 1);
    assert_string_equal(client->last, "two");
    assert_int_equal(client->code, RPC_OK);
}

static bool was_accepted(void)
{
    mutex_lock(&fixture.lock);
    bool has_any = fixture.accepted_count > 0;
    mutex_unlock(&fixture.lock);
    return has_any;
}

static void test_deadline(void **state)
{
    (void)state;
    /* Connected before, so that the time is not over before the server hears of it. Where it is all the same:
     * with more. */
    struct probe *first = probe_open(&fixture, "/test.Service/Refuse", 0, true, REACT_NOTHING);
    probe_wait(first, first->closed == 1);
    for (uint64_t timeout_ms = 500; !was_accepted() && timeout_ms < 60 * 1000; timeout_ms *= 2) {
        struct probe *client = probe_open(&fixture, "/test.Service/Hand", timeout_ms, false, REACT_NOTHING);
        probe_wait(client, client->closed == 1);
        assert_int_equal(client->code, RPC_DEADLINE_EXCEEDED);
    }
    struct probe *server = fixture_accept(&fixture);
    probe_wait(server, server->closed == 1);
    assert_int_equal(server->code, RPC_CANCELLED);
}

static void test_cancel_by_client(void **state)
{
    struct err err = {0};
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    probe_cancel(client);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_CANCELLED);
    probe_wait(server, server->closed == 1);
    assert_int_equal(server->code, RPC_CANCELLED);
    assert_int_equal(server->half_closed, 0);
    assert_int_equal(probe_write(client, "x", 1, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELED);
    assert_int_equal(probe_write(server, "x", 1, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELED);
}

static void test_cancel_by_server(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    probe_cancel(server);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_CANCELLED);
    probe_wait(server, server->closed == 1);
    assert_int_equal(server->code, RPC_CANCELLED);
}

static void test_cancel_before_anything(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, true, REACT_NOTHING);
        probe_cancel(client);
        probe_wait(client, client->closed == 1);
        assert_int_equal(client->code, RPC_CANCELLED);
    }
}

static void test_free_in_callbacks(void **state)
{
    (void)state;
    fixture_set_hand_reaction(&fixture, REACT_FREE);
    /* All are written before the first can be answered by the end. */
    struct probe *client = probe_open_burst(&fixture, "/test.Service/Hand", REACT_FREE_AT_CLOSE);
    struct probe *server = fixture_accept(&fixture);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->code, RPC_CANCELLED);
    assert_int_equal(probe_read(server, messages), 1);
    assert_int_equal(probe_read(server, closed), 0); /* nothing comes after a free */
}

static void test_another_listener(void **state)
{
    (void)state;
    fixture_set_hand_reaction(&fixture, REACT_HAND_OVER);
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    assert_int_equal(probe_write(client, "one", 3, NULL), 0);
    struct probe *first = fixture_accept(&fixture);
    struct probe *second = fixture_accept(&fixture);
    assert_int_equal(probe_write(client, "two", 3, NULL), 0);
    probe_half_close(client);
    probe_wait(client, client->closed == 1);
    assert_string_equal(client->last, "two"); /* echoed by the second */
    probe_wait(second, second->closed == 1);
    assert_int_equal(probe_read(first, messages), 1);
    assert_int_equal(probe_read(first, half_closed) + probe_read(first, closed), 0);
}

static void test_free_with_everything_under_way(void **state)
{
    uint8_t data[64 * 1024] = {0};
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, false, REACT_NOTHING);
        for (int k = 0; k < i; k++)
            assert_int_equal(probe_write(client, data, sizeof(data), NULL), 0);
        if (i % 2 == 0)
            probe_half_close(client);
        probe_free_stream(client); /* the probe checks that nothing comes after it */
    }
}

static void test_finish_and_free_sends_all(void **state)
{
    (void)state;
    struct probe *client = probe_open(&fixture, "/test.Service/Hand", 0, false, REACT_NOTHING);
    struct probe *server = fixture_accept(&fixture);
    for (uint32_t i = 0; i < 10; i++)
        probe_write_number(server, i, 200 * 1024);
    probe_finish(server, RPC_NOT_FOUND, "gone");
    probe_free_stream(server);
    probe_wait(client, client->closed == 1);
    assert_int_equal(client->messages, 10);
    assert_int_equal(client->disorder, 0);
    assert_int_equal(client->code, RPC_NOT_FOUND);
}

static void test_too_large_to_send(void **state)
{
    struct err err = {0};
    (void)state;
    size_t size = 9 * 1024 * 1024;
    uint8_t *data = xcalloc(1, size);
    struct probe *client = probe_open(&fixture, "/test.Service/Echo", 0, false, REACT_NOTHING);
    assert_int_equal(probe_write(client, data, size, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    free(data);
    assert_int_equal(probe_write(client, "small", 5, NULL), 0); /* the stream lives on */
    probe_wait(client, client->messages == 1);
}

static void test_hundred_streams(void **state)
{
    enum { STREAMS = 100, MESSAGES = 20 };
    struct probe *clients[STREAMS];
    (void)state;
    for (size_t i = 0; i < STREAMS; i++)
        clients[i] = probe_open(&fixture, "/test.Service/Echo", 0, false, REACT_NOTHING);
    for (uint32_t k = 0; k < MESSAGES; k++) {
        for (size_t i = 0; i < STREAMS; i++)
            probe_write_number(clients[i], k, 8 + i);
    }
    for (size_t i = 0; i < STREAMS; i++) {
        probe_half_close(clients[i]);
        probe_wait(clients[i], clients[i]->closed == 1);
        assert_int_equal(clients[i]->messages, MESSAGES);
        assert_int_equal(clients[i]->bytes, MESSAGES * (8 + i));
        assert_int_equal(clients[i]->disorder, 0);
        assert_int_equal(clients[i]->code, RPC_OK);
    }
}

const struct CMUnitTest stream_tests[] = {
    cmocka_unit_test_setup_teardown(test_messages_both_ways, setup, teardown),
    cmocka_unit_test_setup_teardown(test_server_speaks_first, setup, teardown),
    cmocka_unit_test_setup_teardown(test_bursts_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(test_one_question_many_answers, setup, teardown),
    cmocka_unit_test_setup_teardown(test_order_is_kept, setup, teardown),
    cmocka_unit_test_setup_teardown(test_large_messages, setup, teardown),
    cmocka_unit_test_setup_teardown(test_back_pressure_of_client, setup_small_queue, teardown),
    cmocka_unit_test_setup_teardown(test_back_pressure_of_server, setup_small_queue, teardown),
    cmocka_unit_test_setup_teardown(test_refill_when_writable, setup_small_queue, teardown),
    cmocka_unit_test_setup_teardown(test_paused_end_comes_after_the_message, setup, teardown),
    cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
    cmocka_unit_test_setup_teardown(test_cancel_by_client, setup, teardown),
    cmocka_unit_test_setup_teardown(test_cancel_by_server, setup, teardown),
    cmocka_unit_test_setup_teardown(test_cancel_before_anything, setup, teardown),
    cmocka_unit_test_setup_teardown(test_free_in_callbacks, setup, teardown),
    cmocka_unit_test_setup_teardown(test_another_listener, setup, teardown),
    cmocka_unit_test_setup_teardown(test_free_with_everything_under_way, setup, teardown),
    cmocka_unit_test_setup_teardown(test_finish_and_free_sends_all, setup, teardown),
    cmocka_unit_test_setup_teardown(test_too_large_to_send, setup, teardown),
    cmocka_unit_test_setup_teardown(test_hundred_streams, setup, teardown),
};
const size_t stream_test_count = sizeof(stream_tests) / sizeof(stream_tests[0]);
