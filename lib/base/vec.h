/* Type-safe growing arrays:
 *
 *     VEC(char *) names = {0};                        also as a member of a struct
 *     vec_push(&names, xstrdup("a"));
 *     vec_for_each(name, &names) puts(*name);         name is a pointer to the item
 *     vec_done(&names);
 *
 * A zeroed vector is an empty one. Items are read directly: names.items[i], names.count. Pointers to items
 * are valid until the next push or reserve. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A type: two uses are two types, so name it in a struct when it crosses functions. */
#define VEC(type)                                                                                            \
    struct {                                                                                                 \
        type *items;                                                                                         \
        size_t count;                                                                                        \
        size_t capacity;                                                                                     \
    }

/* Room for at least wanted items of item_size; the work behind the macros. */
void *vec_grow(void *items, size_t *capacity, size_t wanted, size_t item_size);

/* Makes room for `wanted` items in all. */
#define vec_reserve(vec, wanted)                                                                             \
    __extension__({                                                                                          \
        __typeof__(vec) vec_ = (vec);                                                                        \
        size_t vec_wanted_ = (wanted);                                                                       \
        if (vec_wanted_ > vec_->capacity)                                                                    \
            vec_->items = vec_grow(vec_->items, &vec_->capacity, vec_wanted_, sizeof(*vec_->items));         \
        (void)0;                                                                                             \
    })

#define vec_push(vec, item)                                                                                  \
    __extension__({                                                                                          \
        __typeof__(vec) vec_p_ = (vec);                                                                      \
        vec_reserve(vec_p_, vec_p_->count + 1);                                                              \
        vec_p_->items[vec_p_->count++] = (item);                                                             \
        (void)0;                                                                                             \
    })

/* A zeroed new item at the end; the value is a pointer to it. */
#define vec_push_new(vec)                                                                                    \
    __extension__({                                                                                          \
        __typeof__(vec) vec_n_ = (vec);                                                                      \
        vec_reserve(vec_n_, vec_n_->count + 1);                                                              \
        memset(&vec_n_->items[vec_n_->count], 0, sizeof(*vec_n_->items));                                    \
        &vec_n_->items[vec_n_->count++];                                                                     \
    })

/* Removes and returns the last item; the vector must not be empty. */
#define vec_pop(vec)                                                                                         \
    __extension__({                                                                                          \
        __typeof__(vec) vec_o_ = (vec);                                                                      \
        assert(vec_o_->count > 0);                                                                           \
        vec_o_->items[--vec_o_->count];                                                                      \
    })

/* Removes the item at index, keeping the order of the others. */
#define vec_remove_at(vec, index)                                                                            \
    __extension__({                                                                                          \
        __typeof__(vec) vec_r_ = (vec);                                                                      \
        size_t vec_index_ = (index);                                                                         \
        assert(vec_index_ < vec_r_->count);                                                                  \
        memmove(&vec_r_->items[vec_index_], &vec_r_->items[vec_index_ + 1],                                  \
            (vec_r_->count - vec_index_ - 1) * sizeof(*vec_r_->items));                                      \
        vec_r_->count--;                                                                                     \
        (void)0;                                                                                             \
    })

/* Removes the item at index by putting the last one in its place. */
#define vec_remove_swap(vec, index)                                                                          \
    __extension__({                                                                                          \
        __typeof__(vec) vec_s_ = (vec);                                                                      \
        size_t vec_index_ = (index);                                                                         \
        assert(vec_index_ < vec_s_->count);                                                                  \
        vec_s_->items[vec_index_] = vec_s_->items[vec_s_->count - 1];                                        \
        vec_s_->count--;                                                                                     \
        (void)0;                                                                                             \
    })

#define vec_insert_at(vec, index, item)                                                                      \
    __extension__({                                                                                          \
        __typeof__(vec) vec_i_ = (vec);                                                                      \
        size_t vec_index_ = (index);                                                                         \
        assert(vec_index_ <= vec_i_->count);                                                                 \
        vec_reserve(vec_i_, vec_i_->count + 1);                                                              \
        memmove(&vec_i_->items[vec_index_ + 1], &vec_i_->items[vec_index_],                                  \
            (vec_i_->count - vec_index_) * sizeof(*vec_i_->items));                                          \
        vec_i_->items[vec_index_] = (item);                                                                  \
        vec_i_->count++;                                                                                     \
        (void)0;                                                                                             \
    })

/* Empties without giving memory back; what the items own is the caller's business. */
#define vec_clear(vec) ((vec)->count = 0)

/* Frees the array, not what the items own; the vector is empty and usable afterwards. */
#define vec_done(vec)                                                                                        \
    __extension__({                                                                                          \
        __typeof__(vec) vec_d_ = (vec);                                                                      \
        free(vec_d_->items);                                                                                 \
        vec_d_->items = NULL;                                                                                \
        vec_d_->count = 0;                                                                                   \
        vec_d_->capacity = 0;                                                                                \
        (void)0;                                                                                             \
    })

/* item is declared as a pointer to each item in turn; vec must not grow or shrink meanwhile. */
#define vec_for_each(item, vec)                                                                              \
    for (__typeof__((vec)->items + 0) item = (vec)->items; item && item != (vec)->items + (vec)->count;      \
         item++)

#define vec_sort(vec, compare)                                                                               \
    __extension__({                                                                                          \
        __typeof__(vec) vec_q_ = (vec);                                                                      \
        if (vec_q_->count > 1)                                                                               \
            qsort(vec_q_->items, vec_q_->count, sizeof(*vec_q_->items), (compare));                          \
        (void)0;                                                                                             \
    })

#endif
