/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * call.h - questions to peers: a thread each, which connects, asks, and brings the answer to the
 * service.
 */
#ifndef RESILVER_PEER_CALL_H
#define RESILVER_PEER_CALL_H

#include "base/env.h"
#include "base/mailbox.h"
#include "replica/service.h"
#include "wire/link.h"

struct calls;

/* calls_new - everything is borrowed. Errors: ERR_LIMIT. */
MUST_CHECK int calls_new(const struct env *env, struct mailbox *mailbox, struct tls_context *client,
                         struct calls **out, struct error *err);

/* calls_begin - whom answers are told. */
void calls_begin(struct calls *calls, struct service *service);

/* calls_ask - struct outside's ask(). Takes what the question owns, also on failure. */
MUST_CHECK int calls_ask(struct calls *calls, uint64_t token, const struct peer_address *peer,
                         struct peer_question *question, uint32_t deadline_s, struct error *err);
void calls_cut(struct calls *calls, const uint8_t fingerprint[FINGERPRINT_BYTES]);
void calls_stop(struct calls *calls);
bool calls_is_idle(const struct calls *calls);
void calls_free(struct calls *calls);

#endif
