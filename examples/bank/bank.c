/* The bank's behaviors. A deposit goes to a counter; the counter tells its printer, a sibling, and the
 * ledger, which may live on another node. `fail` makes a counter exit with an error, `smash` makes the vandal
 * crash its whole node. */
#include <histrio/actor.h>
#include <histrio/value.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- bank.ledger: the sum of all deposits of all tellers ---- */

struct ledger {
    char currency[8];
    int64_t balance;
    int64_t entries;
    uint32_t record, balance_type;
};

static enum histrio_result ledger_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    struct ledger *ledger = state;
    const char *currency = "EUR";
    size_t currency_size = 3;
    (void)histrio_value_string(
        histrio_value_find(histrio_value_of(arguments, size), "currency"), &currency, &currency_size);
    if (currency_size >= sizeof(ledger->currency)) {
        histrio_fail(ctx, "args.currency: \"%.*s\" is longer than a currency", (int)currency_size, currency);
        return HISTRIO_FAIL;
    }
    snprintf(ledger->currency, sizeof(ledger->currency), "%.*s", (int)currency_size, currency);
    ledger->record = histrio_type("record");
    ledger->balance_type = histrio_type("balance");
    return HISTRIO_CONTINUE;
}

static enum histrio_result ledger_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct ledger *ledger = state;
    if (message->type == ledger->record) {
        int64_t amount;
        if (histrio_argument_int(message, "amount", 0, &amount)) {
            ledger->balance += amount;
            ledger->entries++;
        }
        return HISTRIO_CONTINUE;
    }
    if (message->type == ledger->balance_type) {
        struct histrio_writer *writer = histrio_writer_new();
        histrio_put_map(writer, 3);
        histrio_put_string(writer, "balance");
        histrio_put_int(writer, ledger->balance);
        histrio_put_string(writer, "currency");
        histrio_put_string(writer, ledger->currency);
        histrio_put_string(writer, "entries");
        histrio_put_int(writer, ledger->entries);
        histrio_reply_take(ctx, writer);
        return HISTRIO_CONTINUE;
    }
    return HISTRIO_UNHANDLED;
}

static const struct histrio_behavior ledger = {
    .name = "ledger", .state_size = sizeof(struct ledger), .start = ledger_start, .receive = ledger_receive};

/* ---- bank.counter: takes deposits ---- */

struct counter {
    int64_t total;
    struct histrio_ref printer, ledger;
    uint32_t deposit, total_type, fail, print, record;
};

static enum histrio_result counter_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)arguments;
    (void)size;
    struct counter *counter = state;
    counter->printer = histrio_lookup(ctx, "../printer");
    counter->ledger = histrio_lookup(ctx, "ledger");
    counter->deposit = histrio_type("deposit");
    counter->total_type = histrio_type("total");
    counter->fail = histrio_type("fail");
    counter->print = histrio_type("print");
    counter->record = histrio_type("record");
    return HISTRIO_CONTINUE;
}

static void tell_amount(struct histrio_context *ctx, struct histrio_ref to, uint32_t type, int64_t amount)
{
    struct histrio_writer *writer = histrio_writer_new();
    histrio_put_map(writer, 1);
    histrio_put_string(writer, "amount");
    histrio_put_int(writer, amount);
    /* A deposit counts here; that ledger or printer are away is theirs to notice, and counted as a dead
     * letter. */
    (void)histrio_tell_take(ctx, to, type, writer);
}

static enum histrio_result counter_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct counter *counter = state;
    if (message->type == counter->deposit) {
        int64_t amount;
        if (!histrio_argument_int(message, "amount", 0, &amount) || amount <= 0) {
            histrio_reply_error(ctx, HISTRIO_BAD_ARGUMENT, "amount: give a whole number above 0");
            return HISTRIO_CONTINUE;
        }
        if (__builtin_add_overflow(counter->total, amount, &counter->total)) {
            histrio_fail(ctx, "the total is beyond what a counter can hold");
            return HISTRIO_FAIL;
        }
        tell_amount(ctx, counter->printer, counter->print, amount);
        tell_amount(ctx, counter->ledger, counter->record, amount);
        histrio_reply_int(ctx, counter->total);
        return HISTRIO_CONTINUE;
    }
    if (message->type == counter->total_type) {
        histrio_reply_int(ctx, counter->total);
        return HISTRIO_CONTINUE;
    }
    if (message->type == counter->fail) {
        histrio_fail(ctx, "asked to fail");
        return HISTRIO_FAIL;
    }
    return HISTRIO_UNHANDLED;
}

static const struct histrio_behavior counter = {.name = "counter",
    .state_size = sizeof(struct counter),
    .start = counter_start,
    .receive = counter_receive};

/* ---- bank.printer: logs what its counter took ---- */

struct printer {
    int64_t lines;
};

static enum histrio_result printer_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    struct printer *printer = state;
    if (message->type == histrio_type("lines")) {
        histrio_reply_int(ctx, printer->lines);
        return HISTRIO_CONTINUE;
    }
    int64_t amount;
    if (message->type != histrio_type("print") || !histrio_argument_int(message, "amount", 0, &amount)) {
        return HISTRIO_UNHANDLED;
    }
    printer->lines++;
    histrio_log(ctx, HISTRIO_DEBUG, "deposit of %lld", (long long)amount);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior printer = {
    .name = "printer", .state_size = sizeof(struct printer), .receive = printer_receive};

/* ---- bank.vandal: shows what a crash of a node does ---- */

static enum histrio_result vandal_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    if (message->type == histrio_type("smash")) {
        volatile int *volatile nowhere = NULL; /* volatile twice: compilers drop what they know to crash */
        *nowhere = 1;
    }
    if (message->type == histrio_type("ping")) {
        histrio_reply_string(ctx, "pong");
        return HISTRIO_CONTINUE;
    }
    return HISTRIO_UNHANDLED;
}

static const struct histrio_behavior vandal = {.name = "vandal", .receive = vandal_receive};

HISTRIO_LIBRARY(bank, &ledger, &counter, &printer, &vandal);
