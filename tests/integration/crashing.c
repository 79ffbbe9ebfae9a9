/* A library that takes down whatever process loads it. */
#include <stdlib.h>

__attribute__((constructor)) static void crash(void)
{
    abort();
}
