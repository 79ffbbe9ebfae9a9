/* What processes were given and have not ended. */
#include "base/limits.h"
#include "base/mem.h"
#include "host/private.h"

#include <stdio.h>

enum { INDEX_BITS = 20, DELIVERIES_MAX = 1 << INDEX_BITS };

struct delivery *delivery_new(
    struct proxy *proxy, enum frame_kind kind, struct message *message, uint32_t method)
{
    struct process *process = proxy->process;
    uint32_t index = process->free_delivery;
    if (index == DELIVERY_NONE) {
        if (process->deliveries.count >= DELIVERIES_MAX)
            return NULL;
        index = (uint32_t)process->deliveries.count;
        (void)vec_push_new(&process->deliveries);
    } else {
        process->free_delivery = process->deliveries.items[index].next;
    }
    struct delivery *delivery = &process->deliveries.items[index];
    *delivery = (struct delivery){.number = ++process->delivery_count << INDEX_BITS | index,
        .message = message,
        .proxy = proxy,
        .kind = (uint8_t)kind,
        .method = method,
        .next = DELIVERY_NONE,
        .previous = proxy->last};
    if (proxy->last == DELIVERY_NONE)
        proxy->first = index;
    else
        process->deliveries.items[proxy->last].next = index;
    proxy->last = index;
    proxy->open++;
    HOST_COUNT(process->host->counters.deliveries, 1);
    HOST_COUNT(process->host->counters.open, 1);
    return delivery;
}

struct delivery *delivery_find(struct process *process, uint64_t number)
{
    uint64_t index = number & (DELIVERIES_MAX - 1);
    if (number == 0 || index >= process->deliveries.count)
        return NULL;
    struct delivery *delivery = &process->deliveries.items[index];
    return delivery->number == number ? delivery : NULL;
}

void delivery_free(struct process *process, struct delivery *delivery)
{
    struct proxy *proxy = delivery->proxy;
    uint32_t index = (uint32_t)(delivery - process->deliveries.items);
    if (delivery->previous == DELIVERY_NONE)
        proxy->first = delivery->next;
    else
        process->deliveries.items[delivery->previous].next = delivery->next;
    if (delivery->next == DELIVERY_NONE)
        proxy->last = delivery->previous;
    else
        process->deliveries.items[delivery->next].previous = delivery->previous;
    proxy->open--;
    proxy->taken -= delivery->is_taken;
    *delivery = (struct delivery){.next = process->free_delivery};
    process->free_delivery = index;
    HOST_COUNT(process->host->counters.open, (uint32_t)-1);
}

uint64_t delivery_of_ask(
    const struct histrio_context *ctx, const struct proxy *proxy, struct histrio_ref asker, uint64_t ask)
{
    for (uint32_t index = proxy->first; index != DELIVERY_NONE;) {
        const struct delivery *delivery = &proxy->process->deliveries.items[index];
        if (delivery->message && hosted_is_ask(ctx, delivery->message, asker, ask))
            return delivery->number;
        index = delivery->next;
    }
    return 0;
}

/* ---- all of one actor ---- */

/* Actors get the reason as the first line, and the stack; clients one line for people. */
static void lose(struct histrio_context *ctx, struct delivery *delivery, const char *reason,
    const char *stack, bool is_over)
{
    char text[REASON_BYTES + LIMIT_MESSAGE_TYPE_BYTES + LIMIT_ADDRESS_BYTES + STACK_BYTES];
    struct message *message = delivery->message;
    delivery->message = NULL;
    if (!message)
        return;
    if (is_over && message->kind == HISTRIO_TELL) {
        hosted_forget(ctx->worker, message); /* it was handled */
        return;
    }
    const char *how = is_over ? "it was executed, its answer is lost" : "maybe executed";
    const char *path = histrio_path(ctx), *method = histrio_type_name(delivery->method);
    if (hosted_is_of_client(message))
        (void)snprintf(text, sizeof(text), "%s crashed in \"%s\": %s; %s", path, method, reason, how);
    else
        (void)snprintf(
            text, sizeof(text), "%s\n%s crashed in \"%s\"; %s\n%s", reason, path, method, how, stack);
    hosted_lost(ctx, message, text);
}

const struct proxy *deliveries_mark(struct process *process, const struct page_view *page)
{
    const struct proxy *culprit = NULL;
    uint64_t slot = page->executing & ~PAGE_ACTOR;
    if ((page->executing & PAGE_ACTOR) != 0 && slot > 0 && slot <= process->slots.count)
        culprit = process->slots.items[slot - 1];
    for (size_t i = 0; i < PAGE_ENTRIES; i++) {
        struct delivery *delivery = delivery_find(process, page->entries[i] & ~PAGE_OVER);
        if (!delivery)
            continue;
        bool is_over = (page->entries[i] & PAGE_OVER) != 0;
        if (is_over)
            delivery->entry = PAGE_IS_OVER; /* its place on the stack may still be there as well */
        else if (delivery->entry == PAGE_NOT_BEGUN)
            delivery->entry = PAGE_BEGUN;
    }
    for (size_t i = 0; i < PAGE_ENTRIES && !culprit; i++) {
        const struct delivery *delivery = delivery_find(process, page->entries[i] & ~PAGE_OVER);
        if (delivery && delivery->entry == PAGE_BEGUN)
            culprit = delivery->proxy;
    }
    return culprit;
}

unsigned deliveries_settle(
    struct histrio_context *ctx, struct proxy *proxy, const char *reason, const char *stack)
{
    struct process *process = proxy->process;
    VEC(struct message *) back = {0};
    unsigned begun = 0;
    while (proxy->first != DELIVERY_NONE) {
        struct delivery *delivery = &process->deliveries.items[proxy->first];
        enum page_entry entry = (enum page_entry)delivery->entry;
        begun += entry == PAGE_BEGUN && !delivery->is_taken;
        /* Of a process that was not listened to any more nothing is known: its page may be ahead of what we
         * read. */
        if (entry != PAGE_NOT_BEGUN || delivery->is_taken || process->is_hostile)
            lose(ctx, delivery, reason, stack, entry == PAGE_IS_OVER);
        else if (delivery->message)
            vec_push(&back, delivery->message);
        delivery_free(process, delivery);
    }
    hosted_put_back(ctx, back.items, back.count);
    vec_done(&back);
    return begun;
}

void deliveries_lose(struct histrio_context *ctx, struct proxy *proxy, const char *reason)
{
    struct process *process = proxy->process;
    while (proxy->first != DELIVERY_NONE) {
        struct delivery *delivery = &process->deliveries.items[proxy->first];
        lose(ctx, delivery, reason, "", false);
        delivery_free(process, delivery);
    }
}

void deliveries_forget(struct host *host, struct proxy *proxy)
{
    struct process *process = proxy->process;
    while (proxy->first != DELIVERY_NONE) {
        struct delivery *delivery = &process->deliveries.items[proxy->first];
        if (delivery->message)
            hosted_forget(host->worker, delivery->message);
        delivery_free(process, delivery);
    }
}
