/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * channel.h - frames in and out of byte buffers: lengths bounded, each frame tagged under a key of
 * its direction once the two HELLOs are exchanged. Does no I/O.
 *
 * A frame: u32 length of the payload, u8 type, 3 zero bytes; the payload; then, but for HELLO, a
 * tag of 16 bytes: GMAC under the sender's frame key with the frame's number in its direction as
 * nonce, over the header and the payload (of DATA: over its head, since the leaf's digest covers
 * the rest).
 */
#ifndef RESILVER_WIRE_CHANNEL_H
#define RESILVER_WIRE_CHANNEL_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"
#include "wire/message.h"

struct channel;

struct frame {
    enum message_type type;
    struct const_span payload; /* borrowed until the next channel_receive or channel_inbox */
};

MUST_CHECK int channel_new(struct channel **out, struct error *err);
void channel_free(struct channel *channel);

/* --- out ------------------------------------------------------------------------------------- */

/*
 * channel_begin, channel_end - write one message: begin gives a writer over room for max_bytes of
 * payload; end makes it a frame. begin fails (a writer that is bad) when that much room is not
 * left: ask channel_room first.
 */
struct writer channel_begin(struct channel *channel, size_t max_bytes);
void channel_end(struct channel *channel, enum message_type type, const struct writer *w);

/* channel_room - the largest payload that channel_begin would take now. */
size_t channel_room(const struct channel *channel);

/* What waits to be sent, and how much of it was sent. */
struct const_span channel_outbox(const struct channel *channel);
void channel_sent(struct channel *channel, size_t len_bytes);

/* --- in -------------------------------------------------------------------------------------- */

/* Where the next bytes go; never empty unless frames wait to be received. */
struct span channel_inbox(struct channel *channel);
void channel_filled(struct channel *channel, size_t len_bytes);

/* channel_has_waiting - whether bytes came that were not received as a frame yet. */
bool channel_has_waiting(const struct channel *channel);

/* channel_discard - forget everything that came. */
void channel_discard(struct channel *channel);

/*
 * channel_receive - the next whole frame: 1 and *out, 0 when there is none yet, -1 and err
 * (ERR_PEER) when the bytes are no frame that this end may get: unknown type, length out of the
 * type's bounds, wrong tag.
 *
 * @from  the peer's role, NONE while it is not known
 */
MUST_CHECK int channel_receive(struct channel *channel, enum session_role from, struct frame *out,
                               struct error *err);

/* --- keys ------------------------------------------------------------------------------------ */

/*
 * channel_set_keys - derive the session's keys (RFC 5869, HKDF with SHA-256) from the link's secret
 * (NULL: none) and both HELLO payloads, the initiator's first, so that a HELLO changed on the way
 * gives different keys. From then on every frame is tagged. digest_key is the key of the digests.
 */
MUST_CHECK int channel_set_keys(struct channel *channel, bool is_initiator,
                                const uint8_t *link_secret, struct const_span initiator_hello,
                                struct const_span responder_hello,
                                uint8_t digest_key[DIGEST_KEY_BYTES], struct error *err);

#endif
