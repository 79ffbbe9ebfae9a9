/* Locals that own something say how it is released:
 *
 *     _cleanup_(str_done) struct str text;              (a pointer to the variable is passed)
 *     _cleanup_(cleanup_free) char *name = NULL;
 *     _cleanup_(cleanup_close) int fd = -1;
 *     _cleanup_(json_freep) struct json *tree = NULL;   (json_freep comes from DEFINE_CLEANUP in json.h)
 *
 * and the last line of success is `*ret_name = steal_ptr(&name);`. Such a variable must be initialised where
 * it is declared. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* Defines functionp(type *pointer), which calls function(*pointer) unless that is NULL; type is a pointer
 * type. */
#define DEFINE_CLEANUP(type, function)                                                                       \
    __attribute__((unused)) static inline void function##p(type *pointer)                                    \
    {                                                                                                        \
        if (*pointer)                                                                                        \
            function(*pointer);                                                                              \
    }

__attribute__((unused)) static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

__attribute__((unused)) static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* a descriptor that was only read, or whose writer already called fsync */
}

/* The value of *pointer, which becomes NULL. */
#define steal_ptr(pointer)                                                                                   \
    __extension__({                                                                                          \
        __typeof__(pointer) steal_from_ = (pointer);                                                         \
        __typeof__(*steal_from_) steal_value_ = *steal_from_;                                                \
        *steal_from_ = NULL;                                                                                 \
        steal_value_;                                                                                        \
    })

/* The value of *fd, which becomes -1. */
__attribute__((unused)) static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#endif
