/* An intrusive doubly linked list: the node is a member of the object, so linking allocates nothing and an
 * object leaves its list without a search. The list does not own its objects. Thread: whatever guards the
 * list.
 *
 *     struct timer { struct list_node node; ... };
 *     list_push_back(&timers, &timer->node);
 *     list_for_each_safe(timer, &timers, struct timer, node) ...
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *previous; /* NULL when in no list */
    struct list_node *next;
};

struct list {
    struct list_node head; /* head.next is the first, head.previous the last; both are &head when empty */
};

static inline void list_init(struct list *list)
{
    list->head.previous = &list->head;
    list->head.next = &list->head;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

/* A zeroed node and a removed node are in no list. */
static inline bool list_node_is_linked(const struct list_node *node)
{
    return node->previous != NULL;
}

static inline void list_insert_after(struct list_node *place, struct list_node *node)
{
    node->previous = place;
    node->next = place->next;
    place->next->previous = node;
    place->next = node;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_after(&list->head, node);
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
    list_insert_after(list->head.previous, node);
}

/* Does nothing for a node that is in no list. */
static inline void list_remove(struct list_node *node)
{
    if (!list_node_is_linked(node))
        return;
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->previous = NULL;
    node->next = NULL;
}

static inline struct list_node *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

static inline struct list_node *list_last(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.previous;
}

static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list_first(list);
    if (node)
        list_remove(node);
    return node;
}

/* Appends everything of from to list; from is empty afterwards. */
static inline void list_append_all(struct list *list, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->head.next->previous = list->head.previous;
    list->head.previous->next = from->head.next;
    from->head.previous->next = &list->head;
    list->head.previous = from->head.previous;
    list_init(from);
}

/* The object that has node as its member; node is not NULL. */
#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The first object, or NULL. */
#define list_first_entry(list, type, member)                                                                 \
    (list_is_empty(list) ? NULL : list_entry((list)->head.next, type, member))

#define list_for_each(entry, list, type, member)                                                             \
    for (type *entry = list_entry((list)->head.next, type, member); &entry->member != &(list)->head;         \
         entry = list_entry(entry->member.next, type, member))

/* As list_for_each, and the body may remove (and free) entry, but no other. */
#define list_for_each_safe(entry, list, type, member)                                                        \
    for (type *entry = list_entry((list)->head.next, type, member),                                          \
              *entry##_next = list_entry(entry->member.next, type, member);                                  \
         &entry->member != &(list)->head;                                                                    \
         entry = entry##_next, entry##_next = list_entry(entry->member.next, type, member))

#endif
