/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd_protocol.h - the server's side of one NBD connection as a step machine: bytes go in, replies
 * and commands come out. It knows no socket, no disk and no clock.
 *
 * Read-only: every command that would change something is refused here, and so is everything that
 * is out of range; what comes out as a command can be carried out as it is.
 *
 * "NBD" in comments is doc/proto.md of github.com/NetworkBlockDevice/nbd, by section.
 */
#ifndef RESILVER_WIRE_NBD_PROTOCOL_H
#define RESILVER_WIRE_NBD_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"
#include "disk/disk.h"

#define NBD_INBOX_BYTES (16 + NBD_OPTION_MAX) /* an option with its header */
#define NBD_HEADER_MAX 28U                    /* in front of data: a chunk's header, an offset */

/* What a client may choose. */
struct nbd_offer {
    const char *name; /* borrowed until the machine is done with */
    uint64_t size_bytes;
};

enum nbd_phase {
    NBD_PHASE_INVALID = 0,
    NBD_PHASE_FLAGS,    /* greeted; the client's flags are awaited */
    NBD_PHASE_OPTIONS,  /* haggling */
    NBD_PHASE_COMMANDS, /* an export was chosen: the transmission phase */
    NBD_PHASE_ENDED     /* the client said goodbye; nothing more is read from it */
};

enum nbd_command_kind {
    NBD_COMMAND_INVALID = 0,
    NBD_COMMAND_READ,  /* answer with headers and data, or with an error */
    NBD_COMMAND_STATUS /* answer with extents, or with an error */
};

/* In range: len_bytes is at least 1 and at most NBD_READ_MAX (STATUS: any), and offset_bytes +
 * len_bytes is at most the export's size. */
struct nbd_command {
    enum nbd_command_kind kind;
    bool is_whole; /* READ: one header in front of all its data, in order, nothing in between */
    bool only_one; /* STATUS: one extent is wanted */
    uint32_t len_bytes;
    uint64_t offset_bytes;
    uint64_t cookie; /* the client's name for it ("handle"), as it came */
};

struct nbd_protocol {
    const struct nbd_offer *offers; /* borrowed until the machine is done with */
    uint32_t offer_count;
    uint32_t export_index; /* which one was chosen; meaningful from NBD_PHASE_COMMANDS on */
    enum nbd_phase phase;
    bool is_fixed;        /* the client said NBD_FLAG_C_FIXED_NEWSTYLE */
    bool no_zeroes;       /* ... NBD_FLAG_C_NO_ZEROES */
    bool is_structured;   /* structured replies were agreed on */
    bool has_context;     /* base:allocation was chosen, for context_index */
    bool is_amid;         /* a command has begun to come, and we wait for the rest of it */
    uint64_t taken_count; /* messages taken so far, refused ones too */
    uint32_t context_index;
    uint32_t skip_bytes;  /* payload of a refused write that is still to come */
    uint64_t skip_cookie; /* of that write */
    size_t inbox_begin;
    size_t inbox_end;
    size_t outbox_sent;
    size_t outbox_used;
    uint8_t inbox[NBD_INBOX_BYTES];
    uint8_t outbox[NBD_OUTBOX_BYTES];
};

/* nbd_protocol_init - in place; the greeting is in the outbox then. Needs no end. An empty name
 * chooses the only offer, if there is but one. */
void nbd_protocol_init(struct nbd_protocol *p, const struct nbd_offer *offers,
                       uint32_t offer_count);

/* nbd_protocol_inbox - where to put bytes from the client; empty: take commands first.
 * nbd_protocol_filled - so many were put there. */
struct span nbd_protocol_inbox(struct nbd_protocol *p);
void nbd_protocol_filled(struct nbd_protocol *p, size_t len_bytes);

/*
 * nbd_protocol_next - go on with what is in the inbox.
 *
 * Returns 1 with a command for the caller; 0 when there is no more to do until bytes came in or
 * replies went out; -1 when the client broke the protocol (ERR_PEER): disconnect it, the machine is
 * of no use any more.
 */
MUST_CHECK int nbd_protocol_next(struct nbd_protocol *p, struct nbd_command *out,
                                 struct error *err);

/* nbd_protocol_outbox - whole replies to be sent, in order; only their beginning may be gone.
 * nbd_protocol_sent - so many bytes of it were. */
struct const_span nbd_protocol_outbox(const struct nbd_protocol *p);
void nbd_protocol_sent(struct nbd_protocol *p, size_t len_bytes);

/* nbd_protocol_has_room - whether the outbox takes one more answer of the two kinds below; if not,
 * it does after it was sent. */
MUST_CHECK bool nbd_protocol_has_room(const struct nbd_protocol *p);

/* nbd_protocol_put_error - end a command with NBD_EIO; offset_bytes, within the command's range, is
 * where. Not for a whole command whose header was sent: nothing but the end of the connection can
 * tell of an error then. */
void nbd_protocol_put_error(struct nbd_protocol *p, const struct nbd_command *command,
                            uint64_t offset_bytes);

/* nbd_protocol_put_status - end a STATUS command with extents as DISK_EXTENTS gives them, which may
 * begin before the command's range; what they do not cover from its start is "data". */
void nbd_protocol_put_status(struct nbd_protocol *p, const struct nbd_command *command,
                             const struct extent *extents, uint32_t count);

/*
 * nbd_protocol_data_header - what goes in front of a READ's data, written into `out`.
 *
 * A whole command has one header, with its whole range. Any other has one for each piece that is
 * sent, in any order; is_last marks the last one, if none failed.
 */
struct const_span nbd_protocol_data_header(const struct nbd_protocol *p,
                                           const struct nbd_command *command, uint64_t offset_bytes,
                                           uint32_t len_bytes, bool is_last,
                                           uint8_t out[NBD_HEADER_MAX]);

#endif
