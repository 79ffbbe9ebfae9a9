/* For reason.c: traces of processes for behaviors in C, which no Python wrote. */
#ifndef HOST_REASON_PRIVATE_H
#define HOST_REASON_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

/* The lines of the last backtrace; NULL: it is none of C. */
char *reason_frames_of_c(char *trace);
/* "libbank.so in receive+0x1c", the first frame that is nobody else's; false: there is none. */
bool reason_place_of_c(const char *trace, char *ret_place, size_t size);

#endif
