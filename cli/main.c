/* histrio: the command line. */
#include "cli/cli.h"

#include <signal.h>

int main(int count, char **arguments)
{
    /* A reader that goes away is an error of writing, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    return (int)cli_main(count - 1, arguments + 1, stdout, stderr);
}
