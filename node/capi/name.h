/* Names of actors, as both implementations of histrio/actor.h read them. Pure, but for the table of texts.
 */
#ifndef CAPI_NAME_H
#define CAPI_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Printable and without blanks: keys of keyed actors are percent-encoded. */
bool name_is_valid(const char *name, size_t size);

/* The number of the text that `name` stands for to the actor `own` ("" for an unnamed one): "../printer" and
 * "./child" are resolved. 0: it is not well-formed. */
uint32_t name_lookup(const char *own, const char *name);

#endif
