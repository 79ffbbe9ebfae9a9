#include "unit/kube_watch/suites.h"

int main(void)
{
    int failed = store_suite();
    failed += workqueue_suite();
    return failed;
}
