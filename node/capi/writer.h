/* What is behind struct histrio_writer. */
#ifndef CAPI_WRITER_H
#define CAPI_WRITER_H

#include "base/str.h"

#include <histrio/value.h>

struct histrio_writer {
    struct str out; /* of at most LIMIT_VALUE_BYTES */
};

#endif
