/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make_certs DIRECTORY - write the set of right and wrong certificates of certs.h, for tests that
 * are not in C.
 */
#include <stdio.h>

#include "certs.h"

int main(int argc, char *argv[])
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: make_certs DIRECTORY\n");
        return 2;
    }
    return certs_write_set(argv[1]) ? 0 : 1;
}
