/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Authorization header: whatever comes, it is one name and one password, or refused with words
 * that have nothing of it. */
#include <stdlib.h>
#include <string.h>

#include "gateway/credentials.h"

static void check(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static bool is_clean(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct credentials credentials;
    struct error err = {0};
    char *header = malloc(count + 1);

    check(header != NULL);
    if (count > 0) {
        memcpy(header, bytes, count);
    }
    header[count] = '\0';
    memset(&credentials, 'x', sizeof credentials);
    if (credentials_parse(header, &credentials, &err) < 0) {
        check(err.kind == ERR_USAGE && err.message[0] != '\0');
        check(credentials.name[0] == 'x' && credentials.password[PASSWORD_MAX - 1] == 'x');
    } else {
        check(credentials_are_basic(header) && err.message[0] == '\0');
        check(credentials.name[0] != '\0' && credentials.password[0] != '\0');
        check(strlen(credentials.name) < CALLER_NAME_MAX);
        check(strlen(credentials.password) < PASSWORD_MAX);
        check(strchr(credentials.name, ':') == NULL);
        check(is_clean(credentials.name) && is_clean(credentials.password));
    }
    free(header);
    return 0;
}
