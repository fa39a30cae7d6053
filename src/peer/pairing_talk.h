/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pairing_talk.h - what the two hosts of a pairing say to one another over their link.
 */
#ifndef RESILVER_PEER_PAIRING_TALK_H
#define RESILVER_PEER_PAIRING_TALK_H

#include "peer/pairing.h"

#define PAIRING_CODE_DIGITS 6

/* What came of the first half: who is there, and the code that people compare. */
struct pairing_meeting {
    char code[PAIRING_CODE_DIGITS + 1];
    char name[HOST_NAME_MAX_BYTES];
    char address[HOST_TEXT_MAX + 8]; /* what it advertises; "": nothing */
};

/* pairing_meet - numbers, names and addresses are exchanged, by deadline_ns. Errors: ERR_PEER, also
 * for a number that is not the one that was bound before. */
MUST_CHECK int pairing_meet(const struct pairings_config *config, struct link *link, bool is_asker,
                            uint64_t deadline_ns, struct pairing_meeting *out, struct error *err);

/* pairing_say - that our side has confirmed, or that it will not. */
MUST_CHECK int pairing_say(const struct pairings_config *config, struct link *link,
                           bool is_confirmed, uint64_t deadline_ns, struct error *err);

/* pairing_hear - the same of the other side. */
MUST_CHECK int pairing_hear(const struct pairings_config *config, struct link *link,
                            uint64_t deadline_ns, bool *out_is_confirmed, struct error *err);

#endif
