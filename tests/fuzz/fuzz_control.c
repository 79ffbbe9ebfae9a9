/* What an operator says to a node: what is taken as a unit must pass the checks that the runtime relies on.
 * The first byte chooses between that and what a parent tells its runtime. */
#include "target.h"

#include <stdlib.h>

#include "base/limits.h"
#include "node_control/convert.h"
#include "node_control/unit_spec.h"
#include "wire/arena.h"

static void try_command(const uint8_t *data, size_t size)
{
    struct wire_arena arena;
    struct command command;
    wire_arena_init(&arena, NULL, 0, 4 * (size_t)LIMIT_FRAME_BYTES);
    if (convert_command(data, size, &arena, &command, NULL) == 0 && command.kind == COMMAND_ASSIGN) {
        const struct actor_unit_spec *spec = command.assign.spec;
        if (spec ? unit_spec_check(spec, NULL) < 0 : command.assign.spec_error == NULL)
            abort();
    }
    command_done(&command);
    wire_arena_done(&arena);
}

static void try_life(const uint8_t *data, size_t size)
{
    struct life life;
    if (life_read((const char *)data, size, &life, NULL) == 0)
        life_done(&life);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2)
        try_life(data + 1, size - 1);
    else
        try_command(data + 1, size - 1);
    return 0;
}
