#include "api/status_json.h"

#include <inttypes.h>

#include "base/epoch.h"
#include "base/json.h"
#include "base/rfc3339.h"
#include "types/status.h"

enum { NODES_MAX = 100, RECENT_EXITS_MAX = 10, UID_BYTES = 17 };

