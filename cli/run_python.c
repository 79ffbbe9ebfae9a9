#include "cli/run_python.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool run_python_is_program(const char *file)
{
    size_t size = strlen(file);
    return size > 3 && text_equal(file + size - 3, ".py");
}

enum exit_code run_python(char *const *program, FILE *errors)
{
    _cleanup_(cleanup_free) char *node_program = run_node_program();
    const char *given = getenv("HISTRIO_PYTHON");
    const char *interpreter = given && *given ? given : "python3";
    VEC(const char *) arguments = {0};
    if (access(program[0], R_OK) < 0) {
        (void)fprintf(errors, "histrio: \"%.160s\": %s\n", program[0], strerror(errno));
        return CLI_NOT_FOUND;
    }
    vec_push(&arguments, interpreter);
    vec_push(&arguments, "-m");
    vec_push(&arguments, "histrio");
    vec_push(&arguments, "run");
    for (; *program; program++)
        vec_push(&arguments, *program);
    vec_push(&arguments, NULL);
    (void)setenv("HISTRIO_NODE_PROGRAM", node_program, 0); /* with such a name only memory could fail */
    (void)execvp(interpreter, (char *const *)(uintptr_t)arguments.items); /* which changes none of them */
    (void)fprintf(errors,
        "histrio: cannot start \"%.160s\": %s: install Python 3.11 or newer, or set HISTRIO_PYTHON\n",
        interpreter, strerror(errno));
    vec_done(&arguments);
    return CLI_FAILED;
}
