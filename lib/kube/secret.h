/* kube/secret.h: tokens and keys do not stay in memory that is given back. */
#pragma once

/* As free(), of a text that is overwritten first; NULL is fine. */
void kube_secret_free(char *text);
