/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk.h - the one seam between everything and the bytes of a disk: an asynchronous operations
 * table.
 *
 * A disk is a row of size_bytes bytes. Requests are submitted, go on their own, and come back
 * through disk_reap(); up to DISK_REQUESTS_MAX may be in flight, and they may complete in any
 * order. Overlapping requests of which one writes must not be in flight together: their order is
 * not defined. One thread owns a disk.
 *
 * Drivers: file.c (plain files and block devices), nbd.c (an NBD export on a Unix socket), image.c
 * (qcow2, vhdx, ... : an NBD export by a helper process that it owns), and the simulator's.
 */
#ifndef RESILVER_DISK_DISK_H
#define RESILVER_DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/span.h"

#define DISK_REQUESTS_MAX 512U  /* in flight at one disk; the session's own pools are smaller */
#define DISK_BUFFER_ALIGN 4096U /* data.at of every read and write is aligned to this */
#define DISK_IDENTITY_BYTES 32U

enum disk_op {
    DISK_INVALID = 0,
    DISK_READ,        /* fill data with the bytes at offset_bytes */
    DISK_READ_MEDIUM, /* the same, but from the medium and never from the page cache (after a
                         DISK_FLUSH): for verifying */
    DISK_WRITE,  /* put data at offset_bytes; durable only after a later DISK_FLUSH completed */
    DISK_ZERO,   /* make len_bytes bytes at offset_bytes read as zeros, freeing their space where
                    possible */
    DISK_FLUSH,  /* every write and zero completed before this was submitted is on stable storage */
    DISK_EXTENTS /* what is known of [offset_bytes, offset_bytes + len_bytes) without reading it */
};

/*
 * A run of bytes of one kind. zero: this side's storage says that it reads as zeros (a hole, an
 * unwritten extent). Not zero: nothing is known, it must be read.
 */
struct extent {
    uint64_t offset_bytes;
    uint64_t len_bytes;
    bool zero;
};

/*
 * One request. The caller owns it and everything it points to; from disk_submit() until disk_reap()
 * gives it back it must not be touched.
 *
 * offset_bytes + length never exceeds the disk's size. For READ, READ_MEDIUM and WRITE: the offset
 * is a multiple of 4096, data.at is aligned to DISK_BUFFER_ALIGN, data.len_bytes is 1 .. 1 MiB and
 * either a multiple of 4096 or ends at the disk's end. ZERO and EXTENTS use len_bytes (> 0, any
 * alignment of its end, offset a multiple of 4096).
 */
struct disk_request {
    enum disk_op op;
    uint16_t disk_index; /* which disk of its session; the driver ignores it */
    uint16_t owner;      /* caller's tag: which part of the session it belongs to */
    uint32_t slot;       /* caller's tag; the driver ignores it */
    uint64_t offset_bytes;
    uint64_t len_bytes;     /* ZERO and EXTENTS */
    struct span data;       /* READ, READ_MEDIUM, WRITE; borrowed */
    struct extent *extents; /* EXTENTS: room for EXTENTS_MAX; borrowed */

    /* set by the driver on completion */
    int errnum;  /* 0, or the errno with which it failed; short reads and writes are the driver's
                    affair */
    bool cached; /* READ: it came from the page cache, so reading far ahead buys nothing */
    uint32_t extent_count; /* EXTENTS: at least 1; ascending, without gaps, starting at
                              offset_bytes, ending at or before its end: the caller asks again from
                              where the last one ends */
    /* the driver's own */
    struct disk_request *next;
    uint64_t driver_value;
    int driver_result;
};

struct disk;

struct disk_ops {
    const char *name; /* "file", "block", "nbd", "qcow2", ...: for people */

    /* Takes the request; never fails: whatever is wrong comes back with the request. */
    void (*submit)(struct disk *disk, struct disk_request *request);

    /*
     * The next completed request, or NULL if none has completed yet. Never blocks for the device.
     * May do the work of one queued request here (a read that the page cache answers), so that the
     * bytes are fresh in the processor's cache when the caller looks at them.
     */
    struct disk_request *(*reap)(struct disk *disk);

    /*
     * What to poll(2) for while requests are in flight: a descriptor and its POLL* events. Polling
     * readiness means that reap may have something. Hands everything submitted to the kernel first.
     */
    void (*poll_on)(struct disk *disk, int *fd, short *events);

    /*
     * A fingerprint of this disk's present content, as far as it can be had without reading: equal
     * fingerprints mean that nothing wrote in between. all zeros: no such evidence can be had
     * (block devices, NBD, a file written to within the last two seconds). With stamp set (only for
     * a disk opened for writing with no write in flight), the disk is first marked so that any
     * later write by anybody changes the fingerprint, however soon it comes.
     */
    int (*identity)(struct disk *disk, bool stamp, uint8_t identity[DISK_IDENTITY_BYTES],
                    struct error *err);

    /*
     * The present fingerprint, however fresh: two that differ prove a change in between, two that
     * are equal prove little. all zeros, or NULL for a driver: not to be had.
     */
    int (*fingerprint)(struct disk *disk, uint8_t identity[DISK_IDENTITY_BYTES], struct error *err);

    /* Ends everything, releases locks and helpers; requests in flight are cancelled or waited for,
     * never left behind. */
    void (*close)(struct disk *disk);
};

/* What every driver begins with (as its first member, so that a struct disk * is the driver's own
 * pointer). */
struct disk {
    const struct disk_ops *ops;
    uint64_t size_bytes;
    uint32_t block_bytes; /* the medium's logical sector: 512 or 4096, 1 for NBD; for messages, not
                             for alignment */
    bool is_writable;
    char name[ERROR_DISK_MAX]; /* as the user named it, for messages */
};

static inline void disk_submit(struct disk *disk, struct disk_request *request)
{
    disk->ops->submit(disk, request);
}

MUST_CHECK static inline struct disk_request *disk_reap(struct disk *disk)
{
    return disk->ops->reap(disk);
}

static inline void disk_poll_on(struct disk *disk, int *fd, short *events)
{
    disk->ops->poll_on(disk, fd, events);
}

MUST_CHECK static inline int disk_identity(struct disk *disk, bool stamp,
                                           uint8_t identity[DISK_IDENTITY_BYTES], struct error *err)
{
    return disk->ops->identity(disk, stamp, identity, err);
}

MUST_CHECK static inline int disk_fingerprint(struct disk *disk,
                                              uint8_t identity[DISK_IDENTITY_BYTES],
                                              struct error *err)
{
    if (disk->ops->fingerprint == NULL) {
        memset(identity, 0, DISK_IDENTITY_BYTES);
        return 0;
    }
    return disk->ops->fingerprint(disk, identity, err);
}

/* disk_close - NULL is fine. */
static inline void disk_close(struct disk *disk)
{
    if (disk != NULL) {
        disk->ops->close(disk);
    }
}

static inline void disk_closep(struct disk **disk)
{
    disk_close(*disk);
    *disk = NULL;
}

/* --- opening --------------------------------------------------------------------------------- */

enum disk_format {
    DISK_FORMAT_INVALID = 0,
    DISK_FORMAT_RAW,
    DISK_FORMAT_QCOW2,
    DISK_FORMAT_VHDX,
    DISK_FORMAT_VMDK,
    DISK_FORMAT_VDI
};

/* disk_format_parse - "raw", "qcow2", "vhdx", "vmdk", "vdi"; INVALID for anything else. */
enum disk_format disk_format_parse(const char *text);
const char *disk_format_name(enum disk_format format);

struct disk_open_options {
    const char *path; /* a file, a block device, or "nbd+unix:///NAME?socket=PATH"; borrowed for the
                         call */
    enum disk_format format; /* INVALID: by the file's name (.qcow2 .vhdx .vmdk .vdi, anything else
                                raw), and a raw file whose first bytes say qcow2, vhdx, vmdk or vdi
                                is refused, not guessed */
    bool write;              /* false: a source, or a compare; nothing is ever written */
    bool create; /* with write: make the file if it is missing (format too), make it larger if it is
                    smaller than size_bytes */
    bool shrink; /* with create: cut it if it is larger than size_bytes */
    uint64_t size_bytes; /* with create: the size it must have */
};

/*
 * disk_open - open a path with the driver that fits it.
 *
 * Takes QEMU's lock bytes (docs: QEMU's permission locks, byte 100+n in use, 200+n not shared):
 * refuses a disk that some QEMU has open for writing (or, for a target, for reading too), and holds
 * byte 201 so that no QEMU can start writing to it while we are at work. A target that is a block
 * device is opened exclusively, so a mounted one is refused.
 *
 * Errors (each names the path, the cause and the cure; nothing was changed unless create says so):
 *   ERR_IO     missing, unreadable, a directory, a helper that does not start
 *   ERR_WRONG_STATE  in use by a VM or mounted; needs create, needs shrink
 *   ERR_USAGE  not a disk, format not named or wrong
 *   ERR_LIMIT  no memory, no space, no descriptors
 */
MUST_CHECK int disk_open(const struct disk_open_options *options, struct disk **out,
                         struct error *err);

/* The drivers' own openers, for disk_open (open.c) and for tests. Same contract. */
MUST_CHECK int disk_open_file(const struct disk_open_options *options, struct disk **out,
                              struct error *err);
MUST_CHECK int disk_open_nbd(const char *uri, const char *name, bool write, struct disk **out,
                             struct error *err);
MUST_CHECK int disk_open_image(const struct disk_open_options *options, enum disk_format format,
                               struct disk **out, struct error *err);

#endif
