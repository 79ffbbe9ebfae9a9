/* Texts with numbers: method names and actor names of the whole process. A text gets the same number wherever
 * it is asked for, and keeps it while the process runs; equal texts are equal numbers, so that handlers
 * compare integers. Numbers count up from 1; 0 is no text. The table is the one global of this module:
 * histrio_type() has no context, and a library may ask before any system exists.
 *
 * Thread: any. Looking up by text takes a lock, by number does not (and is safe in a signal handler). */
#ifndef CAPI_INTERN_H
#define CAPI_INTERN_H

#include <stddef.h>
#include <stdint.h>

enum {
    INTERN_MAX = 4 * 1024 * 1024,    /* texts; a full table answers 0 */
    INTERN_OUTSIDE_MAX = 256 * 1024, /* of these, new ones that clients and other nodes may add */
};

/* The number of text, given out now if need be; 0 for an empty text or a full table. */
uint32_t intern(const char *text, size_t size);
/* The same for a text that somebody outside of the process chose: 0 as well when such texts were too many. */
uint32_t intern_outside(const char *text, size_t size);
/* The number of text, 0 when it has none. */
uint32_t intern_find(const char *text, size_t size);
/* The text, ended by a NUL; "" for a number that was not given out. Lives for ever. */
const char *intern_text(uint32_t number);

#endif
