/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peer_fuzz.c - any bytes as a question or an answer of a peer: what is taken holds to its ranges,
 * and comes back the same when it is said again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "peer/codec.h"

static void try_question(struct const_span bytes)
{
    struct peer_question question;
    struct peer_question again;
    struct span text;
    struct error err = {.kind = ERR_NONE};

    if (codec_decode_question(bytes, &question, &err) < 0) {
        assert(err.message[0] != '\0');
        return;
    }
    assert(question.relationship.disk_count <= DISKS_MAX && question.relationship.hop <= 1);
    if (codec_encode_question(&question, &text, &err) == 0) {
        int result = codec_decode_question(span_const(text), &again, &err);
        assert(result == 0 && again.call == question.call);
        assert(again.relationship.disk_count == question.relationship.disk_count);
        assert(strcmp(again.relationship.vm_name, question.relationship.vm_name) == 0);
        free(again.relationship.disks);
        free(text.at);
    }
    free(question.relationship.disks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct const_span bytes = {data, size};
    struct peer_answer answer;
    struct error err = {.kind = ERR_NONE};

    try_question(bytes);
    if (codec_decode_answer(bytes, &answer, &err) == 0) {
        assert(answer.end == PEER_ANSWERED);
        assert(memchr(answer.message, '\0', sizeof answer.message) != NULL);
    } else {
        assert(err.message[0] != '\0');
    }
    return 0;
}
