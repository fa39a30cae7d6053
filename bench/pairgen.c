/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pairgen - makes a pair of disk images, source and target, that differ in a known way: the same
 * bytes for the same case, size and seed, on every machine.
 *
 * Every leaf's content follows from (seed, number of the leaf) alone: 10 % are zeros, 30 % compress
 * well, 60 % are random. That is why a target that some tool has made equal to the source can be
 * brought back to its old state without a copy: --restore writes only what differs, made anew.
 * And why all cases but `sparse` and `packed` share one source: restoring turns the pair of one
 * case into that of another.
 *
 * Zeros are written as bytes in the dense cases, so that nobody gains by holes; in `sparse` what is
 * not data is a hole, on either side.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/number.h"
#include "base/span.h"

/* A chunk is written with one call, and is the grain of data and holes in `sparse`. */
#define CHUNK_BYTES MIB
#define LEAVES_PER_CHUNK 16U
#define WORDS_COMMON 32U /* different words in a leaf that compresses well */

enum pair_case {
    CASE_INVALID = 0,
    CASE_SAME,   /* nothing differs */
    CASE_S1,     /* 1 % of the leaves, scattered */
    CASE_S10,    /* 10 % */
    CASE_S1G4,   /* one 4 KiB page in each of 1 % of the leaves */
    CASE_DIFF,   /* every leaf */
    CASE_EMPTY,  /* the target is one hole */
    CASE_SPARSE, /* scattered 1 MiB extents of data; some on one side only; 1 % of the others */
    CASE_PACKED  /* the data of `sparse` without the holes between */
};

static const char *const case_names[] = {
    [CASE_SAME] = "same",     [CASE_S1] = "s1",         [CASE_S10] = "s10",
    [CASE_S1G4] = "s1g4",     [CASE_DIFF] = "diff",     [CASE_EMPTY] = "empty",
    [CASE_SPARSE] = "sparse", [CASE_PACKED] = "packed",
};

/* What a pseudo-random number is drawn for: each purpose is a sequence of its own. */
enum purpose {
    FOR_CLASS = 1,   /* what kind of content the leaf has */
    FOR_DATA,        /* the leaf's bytes */
    FOR_OTHER_CLASS, /* the same of the target's version of a leaf that differs */
    FOR_OTHER_DATA,
    FOR_DIFFERENCE, /* whether the leaf differs */
    FOR_PAGE,       /* which of its pages does */
    FOR_EXTENT,     /* whether there is data in this chunk of a sparse disk */
    FOR_SIDE        /* and on which side */
};

struct pair {
    enum pair_case kind;
    uint64_t seed;
    uint64_t size_bytes;
    uint64_t data_bytes; /* sparse and packed: about this much of the size is data */
    bool is_restore;
    const char *source_path; /* borrowed from argv; NULL: not written */
    const char *target_path;
};

/* Counted while the pair is made; printed at the end. */
struct tally {
    uint64_t different_leaves;
    uint64_t different_pages; /* s1g4: 4 KiB pages that differ */
    uint64_t data_bytes;      /* of the source */
    uint64_t chunks_packed;
};

struct output {
    int fd; /* owned; -1: not written */
    const char *path;
};

static uint64_t mix64(uint64_t x)
{
    /* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static uint64_t draw(const struct pair *pair, enum purpose purpose, uint64_t index)
{
    return mix64(mix64(mix64(pair->seed) ^ (uint64_t)purpose) ^ index);
}

/* xoshiro256++ 1.0 (Blackman, Vigna 2019): two multiplications short of the speed of a copy. */
struct generator {
    uint64_t s[4];
};

static struct generator generator_new(uint64_t seed)
{
    struct generator g;
    for (size_t i = 0; i < ARRAY_COUNT(g.s); i++) {
        g.s[i] = mix64(seed + i);
    }
    return g;
}

static inline uint64_t rotate_left(uint64_t x, unsigned int by)
{
    return (x << by) | (x >> (64U - by));
}

static inline uint64_t generator_next(struct generator *g)
{
    uint64_t result = rotate_left(g->s[0] + g->s[3], 23) + g->s[0];
    uint64_t t = g->s[1] << 17;

    g->s[2] ^= g->s[0];
    g->s[3] ^= g->s[1];
    g->s[1] ^= g->s[2];
    g->s[0] ^= g->s[3];
    g->s[2] ^= t;
    g->s[3] = rotate_left(g->s[3], 45);
    return result;
}

static void fill_random(struct span to, uint64_t seed)
{
    struct generator g = generator_new(seed);
    for (size_t at = 0; at < to.len_bytes; at += sizeof(uint64_t)) {
        uint64_t word = htole64(generator_next(&g));
        memcpy(to.at + at, &word, sizeof word);
    }
}

static void fill_compressible(struct span to, uint64_t seed)
{
    struct generator g = generator_new(seed);
    uint64_t words[WORDS_COMMON];
    for (size_t i = 0; i < WORDS_COMMON; i++) {
        words[i] = generator_next(&g);
    }
    for (size_t at = 0; at < to.len_bytes; at += sizeof(uint64_t)) {
        uint64_t word = htole64(words[generator_next(&g) % WORDS_COMMON]);
        memcpy(to.at + at, &word, sizeof word);
    }
}

/* Fills by class, 0..9: 0 zeros, 1..3 compressible, else random. */
static void fill_by_class(struct span to, uint64_t class, uint64_t seed)
{
    if (class == 0) {
        memset(to.at, 0, to.len_bytes);
    } else if (class <= 3) {
        fill_compressible(to, seed);
    } else {
        fill_random(to, seed);
    }
}

static void leaf_fill_source(const struct pair *pair, uint64_t leaf, struct span to)
{
    fill_by_class(to, draw(pair, FOR_CLASS, leaf) % 10, draw(pair, FOR_DATA, leaf));
}

/* The target's version of a leaf that differs as a whole: never equal to the source's. */
static void leaf_fill_other(const struct pair *pair, uint64_t leaf, struct span to)
{
    uint64_t class = draw(pair, FOR_OTHER_CLASS, leaf) % 10;
    if (class == 0 && draw(pair, FOR_CLASS, leaf) % 10 == 0) {
        class = 9; /* both would be zeros */
    }
    fill_by_class(to, class, draw(pair, FOR_OTHER_DATA, leaf));
}

static bool leaf_is_different(const struct pair *pair, uint64_t leaf)
{
    uint64_t chance = draw(pair, FOR_DIFFERENCE, leaf) % 100;
    switch (pair->kind) {
    case CASE_S1:
    case CASE_S1G4:
    case CASE_SPARSE:
    case CASE_PACKED:
        return chance == 0;
    case CASE_S10:
        return chance < 10;
    case CASE_DIFF:
        return true;
    case CASE_INVALID:
    case CASE_SAME:
    case CASE_EMPTY:
        return false;
    }
    return false;
}

/* Which side has data in a chunk of a sparse disk. */
enum chunk_kind { CHUNK_HOLE = 0, CHUNK_BOTH, CHUNK_SOURCE_ONLY, CHUNK_TARGET_ONLY };

static bool pair_is_sparse(const struct pair *pair)
{
    return pair->kind == CASE_SPARSE || pair->kind == CASE_PACKED;
}

static enum chunk_kind chunk_kind(const struct pair *pair, uint64_t chunk)
{
    if (pair->kind == CASE_EMPTY) {
        return CHUNK_SOURCE_ONLY;
    }
    if (!pair_is_sparse(pair)) {
        return CHUNK_BOTH;
    }
    uint64_t chunks = pair->size_bytes / CHUNK_BYTES;
    uint64_t with_data = pair->data_bytes / CHUNK_BYTES;
    if (with_data < chunks && draw(pair, FOR_EXTENT, chunk) >= UINT64_MAX / chunks * with_data) {
        return CHUNK_HOLE;
    }
    uint64_t side = draw(pair, FOR_SIDE, chunk) % 512;
    return side == 0 ? CHUNK_SOURCE_ONLY : side == 1 ? CHUNK_TARGET_ONLY : CHUNK_BOTH;
}

MUST_CHECK static int output_write(const struct output *out, struct const_span data,
                                   uint64_t offset_bytes, struct error *err)
{
    size_t done = 0;
    while (done < data.len_bytes) {
        ssize_t n =
            pwrite(out->fd, data.at + done, data.len_bytes - done, (off_t)(offset_bytes + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail(err, ERR_IO, n < 0 ? errno : ENOSPC, "cannot write to '%s'", out->path);
        }
        done += (size_t)n;
    }
    return 0;
}

MUST_CHECK static int output_punch(const struct output *out, uint64_t offset_bytes,
                                   uint64_t len_bytes, struct error *err)
{
    if (fallocate(out->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset_bytes,
                  (off_t)len_bytes) != 0) {
        return fail(err, ERR_IO, errno, "cannot make a hole in '%s'; use a file system that can",
                    out->path);
    }
    return 0;
}

/* Puts the target's version of `leaf` over the source's in `data`; returns how much of it changed,
 * as a span, empty if nothing does. */
static struct span leaf_make_different(const struct pair *pair, uint64_t leaf, struct span data,
                                       struct tally *tally)
{
    if (!leaf_is_different(pair, leaf)) {
        return (struct span){0};
    }
    tally->different_leaves++;
    if (pair->kind != CASE_S1G4) {
        leaf_fill_other(pair, leaf, data);
        return data;
    }
    tally->different_pages++;
    uint64_t page = draw(pair, FOR_PAGE, leaf) % PAGES_PER_LEAF;
    struct span changed = {data.at + page * PAGE_BYTES, PAGE_BYTES};
    fill_random(changed, draw(pair, FOR_OTHER_DATA, leaf));
    return changed;
}

/* One chunk that has data on both sides; `offset_bytes` is where it lies in the files. */
MUST_CHECK static int write_shared_chunk(const struct pair *pair, uint64_t chunk,
                                         struct span buffer, uint64_t offset_bytes,
                                         const struct output *source, const struct output *target,
                                         struct tally *tally, struct error *err)
{
    struct span leaves[LEAVES_PER_CHUNK];
    uint64_t leaf_count = buffer.len_bytes / LEAF_BYTES;

    for (uint64_t i = 0; i < leaf_count; i++) {
        leaves[i] = (struct span){buffer.at + i * LEAF_BYTES, LEAF_BYTES};
        if (!pair->is_restore) {
            leaf_fill_source(pair, chunk * LEAVES_PER_CHUNK + i, leaves[i]);
        }
    }
    if (source->fd >= 0 && output_write(source, span_const(buffer), offset_bytes, err) < 0) {
        return -1;
    }
    for (uint64_t i = 0; i < leaf_count; i++) {
        struct span changed =
            leaf_make_different(pair, chunk * LEAVES_PER_CHUNK + i, leaves[i], tally);
        if (!pair->is_restore || changed.len_bytes == 0) {
            continue;
        }
        uint64_t at = offset_bytes + (uint64_t)(changed.at - buffer.at);
        if (output_write(target, span_const(changed), at, err) < 0) {
            return -1;
        }
    }
    if (target->fd >= 0 && !pair->is_restore) {
        return output_write(target, span_const(buffer), offset_bytes, err);
    }
    return 0;
}

/* One chunk that has data on one side only: `full` gets the data, `hollow` has a hole. */
MUST_CHECK static int write_lone_chunk(const struct pair *pair, uint64_t chunk, struct span buffer,
                                       uint64_t offset_bytes, const struct output *full,
                                       const struct output *hollow, struct tally *tally,
                                       struct error *err)
{
    uint64_t leaf_count = buffer.len_bytes / LEAF_BYTES;

    tally->different_leaves += leaf_count;
    if (full->fd >= 0) {
        for (uint64_t i = 0; i < leaf_count; i++) {
            struct span leaf = {buffer.at + i * LEAF_BYTES, LEAF_BYTES};
            /* Random, whatever its class: every leaf of a lone chunk really differs. */
            fill_random(leaf, draw(pair, FOR_DATA, chunk * LEAVES_PER_CHUNK + i));
        }
        if (output_write(full, span_const(buffer), offset_bytes, err) < 0) {
            return -1;
        }
    }
    if (hollow->fd >= 0 && pair->is_restore) {
        return output_punch(hollow, offset_bytes, buffer.len_bytes, err);
    }
    return 0;
}

/* The chunks of `empty`: the source's are like everyone's, the target's were cut off already. */
MUST_CHECK static int write_empty_chunk(const struct pair *pair, uint64_t chunk, struct span buffer,
                                        uint64_t offset_bytes, const struct output *source,
                                        struct tally *tally, struct error *err)
{
    for (uint64_t i = 0; i < buffer.len_bytes / LEAF_BYTES; i++) {
        uint64_t leaf = chunk * LEAVES_PER_CHUNK + i;
        tally->different_leaves += draw(pair, FOR_CLASS, leaf) % 10 != 0;
        if (source->fd >= 0) {
            leaf_fill_source(pair, leaf, (struct span){buffer.at + i * LEAF_BYTES, LEAF_BYTES});
        }
    }
    return source->fd >= 0 ? output_write(source, span_const(buffer), offset_bytes, err) : 0;
}

MUST_CHECK static int write_chunk(const struct pair *pair, uint64_t chunk, struct span buffer,
                                  const struct output *source, const struct output *target,
                                  struct tally *tally, struct error *err)
{
    enum chunk_kind kind = chunk_kind(pair, chunk);
    if (kind == CHUNK_HOLE) {
        return 0;
    }
    uint64_t place = pair->kind == CASE_PACKED ? tally->chunks_packed : chunk;
    uint64_t offset_bytes = place * CHUNK_BYTES;
    uint64_t left_bytes = pair->size_bytes - chunk * CHUNK_BYTES;
    if (left_bytes < buffer.len_bytes) {
        buffer.len_bytes = (size_t)left_bytes;
    }
    tally->chunks_packed++;
    tally->data_bytes += kind == CHUNK_TARGET_ONLY ? 0 : buffer.len_bytes;
    if (pair->kind == CASE_EMPTY) {
        return write_empty_chunk(pair, chunk, buffer, offset_bytes, source, tally, err);
    }
    switch (kind) {
    case CHUNK_BOTH:
        return write_shared_chunk(pair, chunk, buffer, offset_bytes, source, target, tally, err);
    case CHUNK_SOURCE_ONLY:
        return write_lone_chunk(pair, chunk, buffer, offset_bytes, source, target, tally, err);
    case CHUNK_TARGET_ONLY:
        return write_lone_chunk(pair, chunk, buffer, offset_bytes, target, source, tally, err);
    case CHUNK_HOLE:
        break;
    }
    return 0;
}

static void output_done(struct output *out)
{
    if (out->fd >= 0) {
        (void)close(out->fd); /* what matters was asked of fdatasync */
        out->fd = -1;
    }
}

/* Opens for writing; a new file unless it is restored. `path` may be NULL: then nothing is opened.
 */
MUST_CHECK static int output_open(const char *path, bool is_restore, struct output *out,
                                  struct error *err)
{
    if (path == NULL) {
        return 0;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC | (is_restore ? 0 : O_CREAT | O_TRUNC), 0644);
    if (fd < 0) {
        return fail(err, ERR_IO, errno, "cannot open '%s' for writing", path);
    }
    *out = (struct output){.fd = fd, .path = path};
    return 0;
}

MUST_CHECK static int output_finish(const struct output *out, uint64_t size_bytes,
                                    struct error *err)
{
    if (out->fd < 0) {
        return 0;
    }
    if (ftruncate(out->fd, (off_t)size_bytes) != 0) {
        return fail(err, ERR_IO, errno, "cannot make '%s' %llu bytes large", out->path,
                    (unsigned long long)size_bytes);
    }
    if (fdatasync(out->fd) != 0) {
        return fail(err, ERR_IO, errno, "cannot write '%s' to its disk", out->path);
    }
    return 0;
}

MUST_CHECK static int write_all(const struct pair *pair, const struct output *source,
                                const struct output *target, struct tally *tally, struct error *err)
{
    struct span buffer = {aligned_alloc(PAGE_BYTES, CHUNK_BYTES), CHUNK_BYTES};
    if (buffer.at == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "no memory for a buffer of 1 MiB");
    }
    int result = 0;
    if (pair->is_restore && pair->kind == CASE_EMPTY && ftruncate(target->fd, 0) != 0) {
        result = fail(err, ERR_IO, errno, "cannot empty '%s'", target->path);
    }
    uint64_t chunks = (pair->size_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (uint64_t chunk = 0; result == 0 && chunk < chunks; chunk++) {
        result = write_chunk(pair, chunk, buffer, source, target, tally, err);
    }
    free(buffer.at);
    uint64_t size_bytes =
        pair->kind == CASE_PACKED ? tally->chunks_packed * CHUNK_BYTES : pair->size_bytes;
    if (result < 0 || output_finish(source, size_bytes, err) < 0) {
        return -1;
    }
    return output_finish(target, size_bytes, err);
}

static void print_tally(const struct pair *pair, const struct tally *tally)
{
    uint64_t size_bytes =
        pair->kind == CASE_PACKED ? tally->chunks_packed * CHUNK_BYTES : pair->size_bytes;
    printf("{\"case\":\"%s\",\"seed\":%llu,\"size_bytes\":%llu,\"source_data_bytes\":%llu,"
           "\"different_bytes\":%llu,\"different_pages\":%llu}\n",
           case_names[pair->kind], (unsigned long long)pair->seed, (unsigned long long)size_bytes,
           (unsigned long long)tally->data_bytes,
           (unsigned long long)(tally->different_leaves * LEAF_BYTES),
           (unsigned long long)tally->different_pages);
}

MUST_CHECK static int pair_make(const struct pair *pair, struct error *err)
{
    struct output source = {.fd = -1};
    struct output target = {.fd = -1};
    struct tally tally = {0};

    int result = output_open(pair->source_path, false, &source, err);
    if (result == 0) {
        result = output_open(pair->target_path, pair->is_restore, &target, err);
    }
    if (result == 0) {
        result = write_all(pair, &source, &target, &tally, err);
    }
    output_done(&source);
    output_done(&target);
    if (result == 0) {
        print_tally(pair, &tally);
    }
    return result;
}

MUST_CHECK static int parse_case(const char *text, enum pair_case *out, struct error *err)
{
    for (size_t i = CASE_SAME; i < ARRAY_COUNT(case_names); i++) {
        if (strcmp(text, case_names[i]) == 0) {
            *out = (enum pair_case)i;
            return 0;
        }
    }
    return fail(err, ERR_USAGE, 0,
                "there is no case '%s'; there are same, s1, s10, s1g4, diff, empty, sparse, packed",
                text);
}

static const struct option options[] = {
    {"case", required_argument, NULL, 'c'},   {"size", required_argument, NULL, 's'},
    {"data", required_argument, NULL, 'd'},   {"seed", required_argument, NULL, 'n'},
    {"source", required_argument, NULL, 'S'}, {"target", required_argument, NULL, 'T'},
    {"restore", no_argument, NULL, 'r'},      {NULL, 0, NULL, 0},
};

MUST_CHECK static int parse_option(struct pair *pair, int option, struct error *err)
{
    switch (option) {
    case 'c':
        return parse_case(optarg, &pair->kind, err);
    case 's':
        return number_parse_size(optarg, &pair->size_bytes, err);
    case 'd':
        return number_parse_size(optarg, &pair->data_bytes, err);
    case 'n':
        return number_parse_range(optarg, "the seed", 0, UINT64_MAX, &pair->seed, err);
    case 'S':
        pair->source_path = optarg;
        return 0;
    case 'T':
        pair->target_path = optarg;
        return 0;
    case 'r':
        pair->is_restore = true;
        return 0;
    default:
        return fail(err, ERR_USAGE, 0, "unknown option");
    }
}

MUST_CHECK static int parse_arguments(int argc, char **argv, struct pair *pair, struct error *err)
{
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (parse_option(pair, option, err) < 0) {
            return -1;
        }
    }
    if (optind != argc || pair->kind == CASE_INVALID || pair->size_bytes == 0) {
        return fail(err, ERR_USAGE, 0,
                    "usage: pairgen --case=CASE --size=SIZE [--data=SIZE] [--seed=N] "
                    "[--source=PATH] [--target=PATH] [--restore]");
    }
    if (pair->size_bytes % LEAF_BYTES != 0 || pair->size_bytes > DISK_SIZE_MAX) {
        return fail(err, ERR_USAGE, 0, "--size must be a multiple of 64 KiB, and at most 1 EiB");
    }
    if (pair_is_sparse(pair) &&
        (pair->size_bytes % CHUNK_BYTES != 0 || pair->data_bytes < CHUNK_BYTES)) {
        return fail(err, ERR_USAGE, 0,
                    "sparse and packed need --size as a multiple of 1 MiB, and --data");
    }
    if (pair->is_restore && (pair->target_path == NULL || pair->source_path != NULL)) {
        return fail(err, ERR_USAGE, 0, "--restore needs --target and writes nothing else");
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct pair pair = {.seed = 1};
    struct error err = {0};

    if (parse_arguments(argc, argv, &pair, &err) < 0 || pair_make(&pair, &err) < 0) {
        (void)fprintf(stderr, "pairgen: %s\n", err.message);
        return err.kind == ERR_USAGE ? 2 : 1;
    }
    return 0;
}
