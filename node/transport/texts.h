/* transport/texts.h: the names of actors and methods that messages leave with, each once. The runtime numbers
 * them; here a number leads to the text, and to the place that the text has in the name table of a stream.
 * Texts live as long as the table. Guarded by the lock of struct outgoing; the texts themselves may be read
 * by any thread. */
#pragma once

#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct route_unit;

struct text {
    struct route_unit
        *unit;      /* that an actor's name belongs to; NULL: not looked up yet, or of another kind */
    uint32_t index; /* counts up from 0 */
    uint32_t size;
    bool may_leave; /* UTF-8, and not too long: what peers take */
    char text[];
};

struct texts {
    struct map64 by_number[2]; /* of names, of methods; the values belong to by_text */
    struct map by_text;
    uint64_t last_number[2]; /* cache: actors say the same thing to the same one again and again */
    struct text *last[2];
};

enum text_kind { TEXT_NAME, TEXT_METHOD };

void texts_done(struct texts *texts);
/* `number` 0: by the text alone. */
struct text *texts_get(struct texts *texts, enum text_kind kind, uint64_t number, const char *text);
