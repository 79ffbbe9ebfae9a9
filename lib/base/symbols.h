/* base/symbols.h: names for the frames of a backtrace that the C library could not name: functions that a
 * library keeps to itself, from the symbol table of its file. After a crash, in the parent; reads files, and
 * believes nothing in them. */
#pragma once

#include <stddef.h>

/* Copies `backtrace` into `out` (at most out_size bytes with the NUL), where each line of the form
 * "file(+0xOFFSET)[...]" becomes "file(function+0xREST)[...]" if the file knows the function. Other lines
 * stay. */
void symbols_name_frames(const char *backtrace, char *out, size_t out_size);
