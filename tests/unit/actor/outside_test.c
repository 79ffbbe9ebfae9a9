/* What crosses the node's border: envelopes and signals, with a fake transport that the test writes. */
#include "support.h"

#include "suites.h"

#include <stdio.h>
#include <string.h>

enum { PEER_UID = 0x9999 };

static enum histrio_error fake_answer; /* what the transport says; set while no actor sends */

static enum histrio_error fake_send(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure)
{
    (void)ctx;
    static const char *const kinds[] = {"tell", "ask", "reply", "error"};
    if (envelope->kind == ENVELOPE_ASK)
        assert_true(envelope->remaining_ms > 0 && envelope->sender.id != 0);
    note("out:%s:%s:%s:%.*s", kinds[envelope->kind], envelope->target_name ? envelope->target_name : "-",
        envelope->type ? envelope->type : "", (int)envelope->size, (const char *)envelope->value);
    *ret_pressure = envelope->target_name && strcmp(envelope->target_name, "far/full") == 0;
    return fake_answer;
}

static enum histrio_error fake_signal(void *ctx, const struct actor_signal *signal, uint64_t *ret_node)
{
    (void)ctx;
    note("signal:%d:%s:%s", signal->kind, signal->to_name ? signal->to_name : "-",
        signal->reason ? signal->reason : "");
    *ret_node = PEER_UID;
    return fake_answer;
}

static const struct actor_outbound fake = {.send = fake_send, .signal = fake_signal};

/* Does what its messages say to far/away, which no actor of this node is. */
static enum histrio_result near_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    const char *text = value_text(message);
    struct histrio_ref far = histrio_lookup(ctx, "far/away");
    if (message->kind == HISTRIO_EXIT && strcmp(text, "shutdown") == 0)
        return HISTRIO_STOP;
    if (message->kind == HISTRIO_DOWN || message->kind == HISTRIO_EXIT)
        note("%s:%s:%llx", message->kind == HISTRIO_DOWN ? "DOWN" : "EXIT", text,
            (unsigned long long)message->sender.node);
    else if (message->kind == HISTRIO_REPLY || message->kind == HISTRIO_ERROR)
        note("outcome:%u:%s", message->error, text);
    else if (is_type(message, "trap"))
        histrio_trap_exits(ctx, true);
    else if (is_type(message, "tell"))
        note("tell:%d", histrio_tell(ctx, far, histrio_type("hello"), (const uint8_t *)"x", 1));
    else if (is_type(message, "ask"))
        note("number:%llu",
            (unsigned long long)histrio_ask(ctx, far, histrio_type("sum"), (const uint8_t *)"q", 1, 10000));
    else if (is_type(message, "flood"))
        histrio_tell(ctx, histrio_lookup(ctx, "far/full"), histrio_type("n"), NULL, 0);
    else if (is_type(message, "monitor"))
        histrio_monitor(ctx, far);
    else if (is_type(message, "link"))
        histrio_link(ctx, far);
    else if (is_type(message, "end"))
        return HISTRIO_STOP;
    else if (is_type(message, "echo")) {
        note("from:%llx", (unsigned long long)message->sender.node);
        histrio_reply(ctx, message->value, message->size);
    } else if (message->kind == HISTRIO_TELL)
        note("in:%s", text);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior near = {.name = "near", .receive = near_receive};
static const struct histrio_behavior *const behaviors[] = {&near, NULL};

static void start(unsigned workers)
{
    fake_answer = HISTRIO_OK;
    support_start_with(workers, behaviors, &fake);
    support_unit("near", "test.near");
}

static uint64_t noted_number(const char *prefix)
{
    unsigned long long number = 0;
    const char *text = strrchr(notes(prefix), ':');
    assert_non_null(text);
    assert_int_equal(sscanf(text + 1, "%llu", &number), 1);
    return number;
}

static void messages_go_out(void **state)
{
    (void)state;
    start(2);
    tell("near", "tell", "");
    wait_note("out:tell:far/away:hello:x");
    wait_note("tell:0");
    tell("near", "ask", "");
    wait_note("out:ask:far/away:sum:q");
    assert_int_equal(ask_error("near", "sync"), HISTRIO_OK);
    struct actor_envelope reply = {.kind = ENVELOPE_REPLY,
        .target_name = "near", /* a transport may also have the reference */
        .sender = {PEER_UID, 5},
        .type = "",
        .ask = noted_number("number"),
        .value = (const uint8_t *)"42",
        .size = 2};
    assert_int_equal(actor_system_deliver(support_system(), &reply, NULL), HISTRIO_OK);
    wait_note("outcome:0:42");
    assert_int_equal(actor_system_deliver(support_system(), &reply, NULL), HISTRIO_OK); /* twice: too late */
    assert_int_equal(ask_error("near", "sync"), HISTRIO_OK);
    assert_int_equal(count_notes("outcome:0:42"), 1);
    fake_answer = HISTRIO_UNAVAILABLE;
    tell("near", "ask", "");
    wait_note("outcome:2:the actor cannot be reached now");
    tell("near", "tell", "");
    wait_note("tell:2");
    support_stop();
}

static void messages_come_in(void **state)
{
    (void)state;
    start(2);
    struct actor_envelope envelope = {.kind = ENVELOPE_TELL,
        .target_name = "near",
        .sender = {PEER_UID, 5},
        .type = "word",
        .value = (const uint8_t *)"hi",
        .size = 2};
    bool pressure = true;
    assert_int_equal(actor_system_deliver(support_system(), &envelope, &pressure), HISTRIO_OK);
    assert_false(pressure);
    wait_note("in:hi");
    envelope.target_name = NULL;
    envelope.target = (struct histrio_ref){0, actor_system_name(support_system(), "near")};
    envelope.type = NULL;
    envelope.type_id = histrio_type("echo");
    envelope.kind = ENVELOPE_ASK;
    envelope.ask = 77;
    assert_int_equal(actor_system_deliver(support_system(), &envelope, NULL), HISTRIO_OK);
    wait_note("out:reply:-::hi");
    wait_note("from:9999");
    envelope.target_name = "nobody";
    assert_int_equal(actor_system_deliver(support_system(), &envelope, NULL), HISTRIO_NOT_FOUND);
    wait_note("out:error:-::no such actor");
    envelope.target_name = NULL;
    envelope.target = (struct histrio_ref){TEST_NODE_UID, UINT64_C(0x7fffffff00000033)}; /* made up */
    assert_int_equal(actor_system_deliver(support_system(), &envelope, NULL), HISTRIO_OK);
    wait_notes("out:error:-::no such actor", 2);
    envelope.target = (struct histrio_ref){TEST_NODE_UID, UINT64_MAX};
    assert_int_equal(actor_system_deliver(support_system(), &envelope, NULL), HISTRIO_NOT_FOUND);
    support_stop();
}

static void a_full_route_mutes_its_sender(void **state)
{
    (void)state;
    start(2);
    tell("near", "flood", "");
    wait_note("out:tell:far/full:n:");
    tell("near", "word", "held back");
    assert_int_equal(ask("near", "sync", NULL, 0, 30).error, HISTRIO_TIMEOUT);
    assert_string_equal(notes("in:"), "");
    actor_system_pressure_lifted(support_system());
    wait_note("in:held back");
    support_stop();
}

static void remote_links_end_with_the_node(void **state)
{
    (void)state;
    start(2);
    tell("near", "trap", "");
    tell("near", "monitor", "");
    tell("near", "monitor", "");
    tell("near", "link", "");
    wait_note("signal:0:far/away:");
    assert_int_equal(count_notes("signal:3:far/away:"), 2);
    actor_system_node_dead(support_system(), 0x8888); /* another one */
    actor_system_node_dead(support_system(), PEER_UID);
    wait_notes("DOWN:noconnection:0", 2);
    wait_note("EXIT:noconnection:0");
    actor_system_node_dead(support_system(), PEER_UID);
    assert_int_equal(ask_error("near", "sync"), HISTRIO_OK);
    assert_int_equal(count_notes("DOWN:noconnection:0"), 2);
    assert_int_equal(count_notes("EXIT:noconnection:0"), 1);
    fake_answer = HISTRIO_NOT_FOUND;
    tell("near", "monitor", "");
    wait_note("DOWN:noproc:0");
    tell("near", "link", "");
    wait_note("EXIT:noproc:0");
    support_stop();
}

static void remote_signals_come_in(void **state)
{
    (void)state;
    start(2);
    tell("near", "trap", "");
    assert_int_equal(ask_error("near", "sync"), HISTRIO_OK);
    struct actor_signal signal = {.kind = SIGNAL_MONITOR,
        .from_name = "far/away",
        .from = {PEER_UID, 5},
        .to_name = "near",
        .monitor = 9};
    actor_system_signal(support_system(), &signal);
    signal.kind = SIGNAL_LINK;
    actor_system_signal(support_system(), &signal);
    signal.kind = SIGNAL_EXIT;
    signal.reason = "boom";
    signal.by_link = true;
    actor_system_signal(support_system(), &signal);
    wait_note("EXIT:boom:9999");
    actor_system_signal(support_system(), &signal); /* the link is gone */
    signal.by_link = false;
    actor_system_signal(support_system(), &signal); /* an exit signal needs none */
    wait_notes("EXIT:boom:9999", 2);
    tell("near", "link", "");
    wait_note("signal:0:far/away:");
    signal.by_link = true;
    actor_system_signal(support_system(), &signal); /* of our link to a name */
    wait_notes("EXIT:boom:9999", 3);
    signal.kind = SIGNAL_MONITOR;
    signal.to_name = "nobody";
    actor_system_signal(support_system(), &signal);
    wait_note("signal:6:-:noproc");
    signal.kind = SIGNAL_LINK;
    actor_system_signal(support_system(), &signal);
    wait_note("signal:5:-:noproc");
    tell("near", "end", "");
    wait_note("signal:6:-:normal");
    support_stop();
}

const struct CMUnitTest outside_tests[] = {
    cmocka_unit_test(messages_go_out),
    cmocka_unit_test(messages_come_in),
    cmocka_unit_test(a_full_route_mutes_its_sender),
    cmocka_unit_test(remote_links_end_with_the_node),
    cmocka_unit_test(remote_signals_come_in),
};
const size_t outside_test_count = sizeof(outside_tests) / sizeof(outside_tests[0]);
