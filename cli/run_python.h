/* cli/run_python.h: `histrio run app.py`: a program in Python that starts its own node, histrio.local(). */
#pragma once

#include "cli/exit_code.h"

#include <stdbool.h>
#include <stdio.h>

/* Is it a program, and no manifest? By its name. */
bool run_python_is_program(const char *file);

/* Becomes $HISTRIO_PYTHON, or python3, with the program and its arguments (ended by NULL);
 * HISTRIO_NODE_PROGRAM says which node program it starts. Returns only when that cannot be done, after saying
 * why on `errors`. */
enum exit_code run_python(char *const *program, FILE *errors);
