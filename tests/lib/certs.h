/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * certs.h - a factory of certificates for tests: certificate authorities, and certificates with any
 * names, times and purposes, good and bad. Functions return false and print why to standard error
 * when something fails.
 */
#ifndef RESILVER_TESTS_CERTS_H
#define RESILVER_TESTS_CERTS_H

#include <stdbool.h>

struct certs_ca;

struct certs_leaf {
    const char *common_name;
    const char *alt_names; /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const char *usage; /* extended key usage: "serverAuth", "clientAuth", "serverAuth,clientAuth";
                          NULL: none */
    long starts_s;     /* from now; negative: in the past */
    long ends_s;       /* from now */
};

#define CERTS_DAY_S 86400L

/* certs_ca_new - an authority that is valid today. NULL: failed. */
struct certs_ca *certs_ca_new(const char *common_name);
void certs_ca_free(struct certs_ca *ca);

/* certs_write_ca - its certificate as PEM. */
bool certs_write_ca(const struct certs_ca *ca, const char *path);

/* certs_write_leaf - a new key (mode 0600) and its certificate, signed by ca; by itself when ca is
 * NULL. */
bool certs_write_leaf(const struct certs_ca *ca, const struct certs_leaf *leaf,
                      const char *cert_path, const char *key_path);

/*
 * certs_write_set - everything that a matrix of right and wrong certificates needs, into the
 * directory dir. Each NAME stands for NAME.pem and NAME.key:
 *
 *   ca.pem, other-ca.pem         the authority of all that are right, and another one of the same
 * name server                       for localhost, 127.0.0.1 and ::1; also server2, another one of
 * the same kind client                       for client.example host                         for
 * all of these, server and client at once client-cn                    a client's without
 * alternative names, common name client.example server-other-ca, client-other-ca server-other-name
 * for db1.example and 192.0.2.1 server-expired, client-expired, server-future, client-future
 *   server-self-signed, client-self-signed
 *   server-for-clients, client-for-servers     the names are right, the purpose is the other one
 *   garbage.pem                  no PEM at all
 *   client-readable.key          client.key with mode 0644
 *   client-locked.key            client.key under a passphrase
 */
bool certs_write_set(const char *dir);

#endif
