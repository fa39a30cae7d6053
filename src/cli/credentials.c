/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/credentials.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST_FOLDER "/etc/resilver/tls"
#define FILE_NAME_ROOM 16 /* "/cert.pem" and its like */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The user's folder; "" if there is none or its name is too long. */
static void user_folder(char out[PATH_TEXT_MAX - FILE_NAME_ROOM])
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int len = 0;

    out[0] = '\0';
    if (is_set(config)) {
        len = snprintf(out, PATH_TEXT_MAX - FILE_NAME_ROOM, "%s/resilver", config);
    } else if (is_set(home)) {
        len = snprintf(out, PATH_TEXT_MAX - FILE_NAME_ROOM, "%s/.config/resilver", home);
    }
    if (len < 0 || len >= PATH_TEXT_MAX - FILE_NAME_ROOM) {
        out[0] = '\0';
    }
}

static bool use_folder(struct credentials *credentials, const char *folder)
{
    char path[PATH_TEXT_MAX];

    (void)snprintf(path, sizeof path, "%s/cert.pem", folder);
    if (folder[0] == '\0' || access(path, F_OK) < 0) {
        return false;
    }
    (void)snprintf(credentials->default_cert, PATH_TEXT_MAX, "%s/cert.pem", folder);
    (void)snprintf(credentials->default_key, PATH_TEXT_MAX, "%s/key.pem", folder);
    (void)snprintf(credentials->default_ca, PATH_TEXT_MAX, "%s/ca.pem", folder);
    credentials->cert = credentials->cert ? credentials->cert : credentials->default_cert;
    credentials->key = credentials->key ? credentials->key : credentials->default_key;
    credentials->ca = credentials->ca ? credentials->ca : credentials->default_ca;
    return true;
}

int credentials_complete(struct credentials *credentials, struct error *err)
{
    char folder[PATH_TEXT_MAX - FILE_NAME_ROOM];

    if (credentials->cert && credentials->key && credentials->ca) {
        return 0;
    }
    user_folder(folder);
    if (use_folder(credentials, folder) || use_folder(credentials, HOST_FOLDER)) {
        return 0;
    }
    return fail(err, ERR_USAGE, 0,
                "TLS needs a certificate, its key and the authority that signed the other side's: "
                "give --cert, --key and --ca, or put cert.pem, key.pem and ca.pem into "
                "~/.config/resilver or " HOST_FOLDER "%s%s%s",
                credentials->cert ? "" : "; --cert is missing",
                credentials->key ? "" : "; --key is missing",
                credentials->ca ? "" : "; --ca is missing");
}
