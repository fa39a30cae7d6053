/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_link_init(struct sim_link *link)
{
    *link = (struct sim_link){0};
    for (uint32_t i = 0; i < 2; i++) {
        link->pipes[i].bytes = malloc(PIPE_BYTES_MAX);
        if (link->pipes[i].bytes == NULL) {
            fputs("sim: out of memory\n", stderr);
            exit(2);
        }
    }
}

void sim_link_done(struct sim_link *link)
{
    for (uint32_t i = 0; i < 2; i++) {
        free(link->pipes[i].bytes);
        link->pipes[i].bytes = NULL;
    }
}

void sim_link_up(struct sim_link *link, size_t capacity_bytes)
{
    assert(capacity_bytes > 0 && capacity_bytes <= PIPE_BYTES_MAX);
    for (uint32_t i = 0; i < 2; i++) {
        link->pipes[i] = (struct sim_pipe){
            .bytes = link->pipes[i].bytes, .capacity_bytes = capacity_bytes, .flip_at = UINT64_MAX};
    }
    link->cut_at = UINT64_MAX;
    link->is_cut = false;
    link->cut_is_clean = false;
    link->is_silent = false;
}

void sim_link_cut(struct sim_link *link, struct chance *chance)
{
    link->is_cut = true;
    link->cut_is_clean = chance_one_in(chance, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_pipe *pipe = &link->pipes[i];
        pipe->writer_ended = true;
        pipe->reader_ended = true;
        if (pipe->count_bytes > 0 && chance_one_in(chance, 2)) {
            pipe->count_bytes = (size_t)chance_below(chance, pipe->count_bytes);
        }
    }
}

void sim_link_leave(struct sim_link *link, uint32_t host)
{
    link->pipes[host].writer_ended = true;
    link->pipes[1 - host].reader_ended = true;
    link->pipes[1 - host].count_bytes = 0;
}

size_t sim_link_room(const struct sim_link *link, uint32_t host)
{
    const struct sim_pipe *pipe = &link->pipes[host];

    return link->is_silent ? 0 : pipe->capacity_bytes - pipe->count_bytes;
}

size_t sim_link_waiting(const struct sim_link *link, uint32_t host)
{
    return link->is_silent ? 0 : link->pipes[1 - host].count_bytes;
}

void sim_link_put(struct sim_link *link, uint32_t host, struct const_span bytes,
                  struct chance *chance)
{
    struct sim_pipe *pipe = &link->pipes[host];

    assert(bytes.len_bytes <= sim_link_room(link, host));
    for (size_t done = 0; done < bytes.len_bytes;) {
        size_t at = (pipe->start_bytes + pipe->count_bytes) % pipe->capacity_bytes;
        size_t run = pipe->capacity_bytes - at;
        run = run < bytes.len_bytes - done ? run : bytes.len_bytes - done;
        memcpy(pipe->bytes + at, bytes.at + done, run);
        if (pipe->flip_at >= pipe->put_bytes && pipe->flip_at < pipe->put_bytes + run) {
            uint8_t *byte = &pipe->bytes[at + (size_t)(pipe->flip_at - pipe->put_bytes)];
            *byte = (uint8_t)(*byte ^ 1U << chance_below(chance, 8));
            pipe->has_flipped = true;
        }
        pipe->count_bytes += run;
        pipe->put_bytes += run;
        done += run;
    }
    if (!link->is_cut && link->pipes[0].put_bytes + link->pipes[1].put_bytes >= link->cut_at) {
        sim_link_cut(link, chance);
    }
}

void sim_link_take(struct sim_link *link, uint32_t host, struct span out)
{
    struct sim_pipe *pipe = &link->pipes[1 - host];

    assert(out.len_bytes <= pipe->count_bytes);
    for (size_t done = 0; done < out.len_bytes;) {
        size_t run = pipe->capacity_bytes - pipe->start_bytes;
        run = run < out.len_bytes - done ? run : out.len_bytes - done;
        memcpy(out.at + done, pipe->bytes + pipe->start_bytes, run);
        pipe->start_bytes = (pipe->start_bytes + run) % pipe->capacity_bytes;
        done += run;
    }
    pipe->count_bytes -= out.len_bytes;
    pipe->taken_bytes += out.len_bytes;
}

size_t sim_link_chunk(const struct sim_link *link, size_t most_bytes, struct chance *chance)
{
    uint64_t most = most_bytes < link->chunk_most ? most_bytes : link->chunk_most;

    return chance_one_in(chance, 3) ? (size_t)chance_spread(chance, 1, most) : (size_t)most;
}

bool sim_link_has_read_flip(const struct sim_link *link, uint32_t host)
{
    const struct sim_pipe *pipe = &link->pipes[1 - host];

    return pipe->has_flipped && pipe->taken_bytes > pipe->flip_at;
}
