/* Puppets as a library that worker processes load. */
#include "conformance/stage.h"

__attribute__((constructor)) static void join(void)
{
    stage_join();
}

HISTRIO_LIBRARY(conformance, &stage_puppet_behavior);
