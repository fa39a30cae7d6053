/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replica/peer.h"

void peer_question_done(struct peer_question *question)
{
    relationship_row_done(&question->relationship);
}
