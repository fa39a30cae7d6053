/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sim_link.h - two bounded pipes of bytes between two hosts, which can be cut, fall silent, or
 * change a byte.
 */
#ifndef RESILVER_SIM_SIM_LINK_H
#define RESILVER_SIM_SIM_LINK_H

#include "base/span.h"
#include "chance.h"

#define PIPE_BYTES_MAX (256U * 1024U)

/* The bytes that one host sent and the other has not read yet. */
struct sim_pipe {
    uint8_t *bytes; /* owned: PIPE_BYTES_MAX, a ring */
    size_t capacity_bytes;
    size_t start_bytes;
    size_t count_bytes;
    uint64_t put_bytes;   /* by the writer, since the link is up */
    uint64_t taken_bytes; /* by the reader */
    bool writer_ended;    /* after these bytes comes the end */
    bool reader_ended;    /* writing fails */
    uint64_t flip_at;     /* the put byte of which one bit is changed; UINT64_MAX: none */
    bool has_flipped;
};

struct sim_link {
    struct sim_pipe pipes[2]; /* by the host that writes */
    uint64_t least_ns;        /* that a piece takes */
    uint64_t spread_ns;
    uint64_t chunk_most; /* bytes at once, at most */
    uint64_t cut_at;     /* bytes put by both together, after which the link is cut */
    bool is_cut;
    bool cut_is_clean; /* the ends see a proper end, not an error */
    bool is_silent;    /* nothing goes any more, and nobody is told */
};

void sim_link_init(struct sim_link *link);
void sim_link_done(struct sim_link *link);

/* sim_link_up - a new connection, empty and whole. */
void sim_link_up(struct sim_link *link, size_t capacity_bytes);

/* sim_link_cut - with what is under way delivered or lost. */
void sim_link_cut(struct sim_link *link, struct chance *chance);

/* sim_link_leave - a host closes its end. */
void sim_link_leave(struct sim_link *link, uint32_t host);

/* How many bytes a host may write now, or read. */
size_t sim_link_room(const struct sim_link *link, uint32_t host);
size_t sim_link_waiting(const struct sim_link *link, uint32_t host);

/* sim_link_put - bytes.len_bytes <= room. sim_link_take: fills out, out.len_bytes <= waiting. */
void sim_link_put(struct sim_link *link, uint32_t host, struct const_span bytes,
                  struct chance *chance);
void sim_link_take(struct sim_link *link, uint32_t host, struct span out);

/* sim_link_chunk - how much of most_bytes (> 0) goes at once this time. */
size_t sim_link_chunk(const struct sim_link *link, size_t most_bytes, struct chance *chance);

/* sim_link_has_read_flip - whether a host has read a byte that was changed on the way. */
bool sim_link_has_read_flip(const struct sim_link *link, uint32_t host);

#endif
