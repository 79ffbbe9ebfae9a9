/* node/crash.h: reads the last words of a runtime process, see base/crash.h. */
#pragma once

#include "node_control/life.h"

#include <stddef.h>

/* Reads what a handler wrote, cut or garbled as it may be, into unit, actor and backtrace of *end; other
 * fields are left alone. An empty record leaves all of it "". */
void crash_record_parse(const char *text, size_t size, struct life_end *end);
