/* histrio: the command line; as "kubectl-histrio", the plugin of kubectl. */
#include "cli/cli.h"

#include "base/str.h"

#include <signal.h>
#include <string.h>

int main(int count, char **arguments)
{
    /* A reader that goes away is an error of writing, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    const char *slash = count > 0 ? strrchr(arguments[0], '/') : NULL;
    const char *name = slash ? slash + 1 : count > 0 ? arguments[0] : "";
    bool is_plugin = text_starts_with(name, "kubectl-");
    return (int)cli_main(is_plugin, count > 0 ? count - 1 : 0, arguments + 1, stdout, stderr);
}
