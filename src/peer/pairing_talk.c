/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pairing_talk.c - the asking side is bound to its number by a hash before it sees the other's, and
 * the other side has sent its own before it sees the asking side's: whoever stands in between, with
 * a certificate of his own to either side, must choose his numbers blindly, and so meets the same
 * code on both sides once in a million tries.
 */
#include "peer/pairing_talk.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "peer/codec.h"
#include "peer/stream.h"

/* As large as a fingerprint, and written like one. */
#define NONCE_BYTES FINGERPRINT_BYTES
#define COMMITMENT_LABEL "resilver-pair/1 commitment"
#define CODE_LABEL "resilver-pair/1 code"
#define CODES_COUNT 1000000U

static void json_free(json_t **value)
{
    json_decref(*value);
}

/* --- hashes ---------------------------------------------------------------------------------- */

static int digest(const struct const_span *parts, size_t count, uint8_t out[FINGERPRINT_BYTES],
                  struct error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; is_good && i < count; i++) {
        is_good = EVP_DigestUpdate(context, parts[i].at, parts[i].len_bytes) == 1;
    }
    is_good = is_good && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return is_good ? 0 : fail(err, ERR_LIMIT, 0, "OpenSSL makes no digest for a pairing");
}

static struct const_span text_span(const char *text)
{
    return (struct const_span){(const uint8_t *)text, strlen(text)};
}

static int commit_to(const uint8_t nonce[NONCE_BYTES], const uint8_t asker[FINGERPRINT_BYTES],
                     uint8_t out[FINGERPRINT_BYTES], struct error *err)
{
    const struct const_span parts[] = {
        text_span(COMMITMENT_LABEL), {nonce, NONCE_BYTES}, {asker, FINGERPRINT_BYTES}};

    return digest(parts, ARRAY_COUNT(parts), out, err);
}

/* The two sides in the order asking, asked. */
struct sides {
    const uint8_t *fingerprints[2];
    const uint8_t *nonces[2];
};

static int derive_code(const struct sides *sides, const struct link *link,
                       char out[PAIRING_CODE_DIGITS + 1], struct error *err)
{
    const struct const_span parts[] = {
        text_span(CODE_LABEL),
        {sides->fingerprints[0], FINGERPRINT_BYTES},
        {sides->fingerprints[1], FINGERPRINT_BYTES},
        {sides->nonces[0], NONCE_BYTES},
        {sides->nonces[1], NONCE_BYTES},
        {link->secret, LINK_SECRET_BYTES},
    };
    uint8_t hash[FINGERPRINT_BYTES];
    uint64_t number = 0;

    assert(link->has_secret && link->has_fingerprint);
    if (digest(parts, ARRAY_COUNT(parts), hash, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof number; i++) {
        number = number << 8 | hash[i]; /* of 2^64, so that no code is likelier than another */
    }
    (void)snprintf(out, PAIRING_CODE_DIGITS + 1, "%06u", (unsigned)(number % CODES_COUNT));
    return 0;
}

/* --- messages -------------------------------------------------------------------------------- */

/* Takes message. */
static int send_json(const struct pairings_config *config, struct link *link, json_t *message,
                     uint64_t deadline_ns, struct error *err)
{
    char *text = message == NULL ? NULL : json_dumps(message, JSON_COMPACT);

    json_decref(message);
    if (text == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "this host's name or address is not UTF-8: mend it in the "
                    "configuration");
    }
    int sent = stream_send(link, text_span(text), config->env, deadline_ns, err);
    free(text);
    return sent;
}

/* NULL with err. */
static json_t *receive_json(const struct pairings_config *config, struct link *link,
                            uint64_t deadline_ns, struct error *err)
{
    uint8_t buffer[PAIRING_MESSAGE_MAX] = {0};
    size_t len_bytes = 0;

    if (stream_receive(link, (struct span){buffer, sizeof buffer}, config->env, deadline_ns,
                       &len_bytes, err) < 0) {
        return NULL;
    }
    json_t *root = json_loadb((const char *)buffer, len_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_integer_value(json_object_get(root, "resilver")) != CODEC_VERSION) {
        json_decref(root);
        (void)fail(err, ERR_PEER, 0,
                   "%s: what it says is no pairing of this version: bring both hosts to the same "
                   "version",
                   link->peer);
        return NULL;
    }
    return root;
}

static int take_digits(const json_t *root, const char *name, const struct link *link,
                       uint8_t out[FINGERPRINT_BYTES], struct error *err)
{
    const char *text = json_string_value(json_object_get(root, name));

    if (text == NULL || fingerprint_parse(text, out, NULL) < 0) {
        return fail(err, ERR_PEER, 0, "%s: its pairing message has no good member \"%s\"",
                    link->peer, name);
    }
    return 0;
}

static int say_commitment(const struct pairings_config *config, struct link *link,
                          const uint8_t nonce[NONCE_BYTES], uint64_t deadline_ns, struct error *err)
{
    uint8_t commitment[FINGERPRINT_BYTES];
    char text[FINGERPRINT_TEXT_MAX];

    if (commit_to(nonce, config->identity->fingerprint, commitment, err) < 0) {
        return -1;
    }
    fingerprint_format(commitment, text);
    return send_json(config, link,
                     json_pack("{s:i, s:s}", "resilver", CODEC_VERSION, "commitment", text),
                     deadline_ns, err);
}

static int hear_commitment(const struct pairings_config *config, struct link *link,
                           uint64_t deadline_ns, uint8_t out[FINGERPRINT_BYTES], struct error *err)
{
    CLEANUP(json_free) json_t *root = receive_json(config, link, deadline_ns, err);

    return root == NULL ? -1 : take_digits(root, "commitment", link, out, err);
}

static int say_hello(const struct pairings_config *config, struct link *link,
                     const uint8_t nonce[NONCE_BYTES], uint64_t deadline_ns, struct error *err)
{
    char text[FINGERPRINT_TEXT_MAX];

    fingerprint_format(nonce, text);
    return send_json(config, link,
                     json_pack("{s:i, s:s, s:s, s:s}", "resilver", CODEC_VERSION, "nonce", text,
                               "name", config->host_name, "address", config->advertise_address),
                     deadline_ns, err);
}

static int take_who(const json_t *root, const struct pairings_config *config,
                    const struct link *link, struct pairing_meeting *out, struct error *err)
{
    const char *name = json_string_value(json_object_get(root, "name"));
    const char *address = json_string_value(json_object_get(root, "address"));
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];

    if (name == NULL || !codec_is_name(name, sizeof out->name)) {
        return fail(err, ERR_PEER, 0, "%s: it gives no good name of itself", link->peer);
    }
    if (strcmp(name, config->host_name) == 0) {
        return fail(err, ERR_PEER, 0,
                    "%s: it calls itself '%s', as this host does: give one of them another name "
                    "([host] name in its configuration)",
                    link->peer, name);
    }
    if (address == NULL || strlen(address) >= sizeof out->address ||
        (address[0] != '\0' && address_parse(address, 1, true, host, port, NULL) < 0)) {
        return fail(err, ERR_PEER, 0, "%s: it gives no good address of itself", link->peer);
    }
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    (void)snprintf(out->address, sizeof out->address, "%s", address);
    return 0;
}

static int hear_hello(const struct pairings_config *config, struct link *link, uint64_t deadline_ns,
                      uint8_t nonce[NONCE_BYTES], struct pairing_meeting *out, struct error *err)
{
    CLEANUP(json_free) json_t *root = receive_json(config, link, deadline_ns, err);

    if (root == NULL || take_digits(root, "nonce", link, nonce, err) < 0) {
        return -1;
    }
    return take_who(root, config, link, out, err);
}

/* --- the two roles --------------------------------------------------------------------------- */

static int meet_asking(const struct pairings_config *config, struct link *link,
                       const uint8_t nonce[NONCE_BYTES], uint64_t deadline_ns,
                       struct pairing_meeting *made, struct error *err)
{
    uint8_t theirs[NONCE_BYTES];

    if (say_commitment(config, link, nonce, deadline_ns, err) < 0 ||
        hear_hello(config, link, deadline_ns, theirs, made, err) < 0 ||
        say_hello(config, link, nonce, deadline_ns, err) < 0) {
        return -1;
    }
    const struct sides sides = {.fingerprints = {config->identity->fingerprint, link->fingerprint},
                                .nonces = {nonce, theirs}};
    return derive_code(&sides, link, made->code, err);
}

static int meet_asked(const struct pairings_config *config, struct link *link,
                      const uint8_t nonce[NONCE_BYTES], uint64_t deadline_ns,
                      struct pairing_meeting *made, struct error *err)
{
    uint8_t commitment[FINGERPRINT_BYTES];
    uint8_t expected[FINGERPRINT_BYTES];
    uint8_t theirs[NONCE_BYTES];

    if (hear_commitment(config, link, deadline_ns, commitment, err) < 0 ||
        say_hello(config, link, nonce, deadline_ns, err) < 0 ||
        hear_hello(config, link, deadline_ns, theirs, made, err) < 0 ||
        commit_to(theirs, link->fingerprint, expected, err) < 0) {
        return -1;
    }
    if (CRYPTO_memcmp(commitment, expected, sizeof expected) != 0) {
        return fail(err, ERR_PEER, 0,
                    "%s: its number is not the one that it was bound to: somebody may be in "
                    "between",
                    link->peer);
    }
    const struct sides sides = {.fingerprints = {link->fingerprint, config->identity->fingerprint},
                                .nonces = {theirs, nonce}};
    return derive_code(&sides, link, made->code, err);
}

int pairing_meet(const struct pairings_config *config, struct link *link, bool is_asker,
                 uint64_t deadline_ns, struct pairing_meeting *out, struct error *err)
{
    struct pairing_meeting made = {.code = ""};
    uint8_t nonce[NONCE_BYTES] = {0};

    if (memcmp(link->fingerprint, config->identity->fingerprint, FINGERPRINT_BYTES) == 0) {
        return fail(err, ERR_PEER, 0, "%s: this host itself answers there", link->peer);
    }
    if (env_random(config->env, (struct span){nonce, sizeof nonce}, err) < 0) {
        return -1;
    }
    int met = is_asker ? meet_asking(config, link, nonce, deadline_ns, &made, err)
                       : meet_asked(config, link, nonce, deadline_ns, &made, err);
    if (met < 0) {
        return -1;
    }
    *out = made;
    return 0;
}

int pairing_say(const struct pairings_config *config, struct link *link, bool is_confirmed,
                uint64_t deadline_ns, struct error *err)
{
    return send_json(
        config, link,
        json_pack("{s:i, s:b}", "resilver", CODEC_VERSION, "confirmed", (int)is_confirmed),
        deadline_ns, err);
}

int pairing_hear(const struct pairings_config *config, struct link *link, uint64_t deadline_ns,
                 bool *out_is_confirmed, struct error *err)
{
    CLEANUP(json_free) json_t *root = receive_json(config, link, deadline_ns, err);

    if (root == NULL) {
        return -1;
    }
    const json_t *confirmed = json_object_get(root, "confirmed");
    if (!json_is_boolean(confirmed)) {
        return fail(err, ERR_PEER, 0, "%s: its pairing message has no good member \"confirmed\"",
                    link->peer);
    }
    *out_is_confirmed = json_is_true(confirmed);
    return 0;
}
