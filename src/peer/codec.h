/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec.h - questions and answers between daemons as JSON (PEER.md), without I/O.
 */
#ifndef RESILVER_PEER_CODEC_H
#define RESILVER_PEER_CODEC_H

#include "base/span.h"
#include "replica/peer.h"

#define CODEC_VERSION 1

/* A message as JSON text, which is the caller's to free(). Errors: ERR_USAGE it holds what cannot
 * be said (text that is not UTF-8, a number out of range); ERR_LIMIT longer than PEER_MESSAGE_MAX.
 */
MUST_CHECK int codec_encode_question(const struct peer_question *question, struct span *out,
                                     struct error *err);
MUST_CHECK int codec_encode_answer(const struct peer_answer *answer, struct span *out,
                                   struct error *err);

/* What a peer sent. Members that are not known are passed over; one that is missing, or out of its
 * range, is ERR_PEER. *out is untouched then. peer_question_done() frees what a question owns; an
 * answer's end is PEER_ANSWERED. */
MUST_CHECK int codec_decode_question(struct const_span bytes, struct peer_question *out,
                                     struct error *err);
MUST_CHECK int codec_decode_answer(struct const_span bytes, struct peer_answer *out,
                                   struct error *err);

/* codec_is_name - a name of a host or VM: not empty, shorter than size_bytes, without control
 * characters. */
bool codec_is_name(const char *text, size_t size_bytes);

#endif
