#include "kube/secret.h"

#include <stdlib.h>
#include <string.h>

void kube_secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
