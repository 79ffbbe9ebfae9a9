#include "suites.h"

int main(void)
{
    return router_suite() + outgoing_suite() + convert_suite() + nodes_suite() + faults_suite() +
               runtime_suite() !=
           0;
}
