/* The behavior that tests have do things: a method is a deed, its value an argument. */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <histrio/actor.h>

extern const struct histrio_library subject_library; /* "test": subject, failing */

#endif
