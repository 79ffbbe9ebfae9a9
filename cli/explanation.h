/* cli/explanation.h: why a unit is where it is, for people. Pure. */
#pragma once

#include <stdio.h>

struct json;

/* What core_explain() says. */
void explanation_print(const struct json *explanation, FILE *out);

/* What dry_placement_to_json() says: a line a unit. */
void explanation_print_dry(const struct json *dry, const char *system, FILE *out);
