/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * helper.h - another program that works for us for a while: a server on a Unix socket that is
 * watched and ended (helper_start, helper_end), or one command (helper_run).
 *
 * No shell is involved. The child gets its arguments, our environment (with two settings
 * for glibc's allocator), /dev/null as input and no other descriptor of ours. What it says on
 * stderr is kept, as far as the end of it goes, so that an error of ours can give its reason.
 *
 * A helper dies with its owner: it gets SIGTERM when the *thread* that called helper_start or
 * helper_run ends in any way, kill -9 included. That is what the kernel offers (PR_SET_PDEATHSIG
 * watches the creating thread, not its process), and it fits: one thread owns a disk (disk.h), and
 * the thread that opens one must stay until it has closed it. Should a thread break this rule its
 * requests fail with ENOTCONN, so the mistake is loud and harmless. SIGTERM and not SIGKILL, so
 * that QEMU still closes an image in good order.
 *
 * The program must not ignore SIGCHLD, nor wait for children that it did not make.
 */
#ifndef RESILVER_DISK_HELPER_H
#define RESILVER_DISK_HELPER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"

struct helper;

/*
 * helper_start - start a server and wait until its socket accepts.
 *
 * @argv         program (looked for in PATH) and arguments, ended by NULL
 * @socket_path  the Unix socket that it will listen on
 * @reason       NULL, or where its last words go when it fails, "" if it gave none: the message has
 *               no room for long ones
 *
 * Errors: ERR_IO with errnum ENOENT: there is no such program;
 *         ERR_IO  it ended, or did not listen within HELPER_START_S: the message ends with the
 *                 reason that it gave;
 *         ERR_LIMIT no memory, processes or descriptors.
 */
MUST_CHECK int helper_start(char *const argv[], const char *socket_path,
                            char reason[HELPER_REASON_BYTES], struct helper **out,
                            struct error *err);

/* helper_is_running - false once it has ended, by itself or killed. Never blocks. */
bool helper_is_running(struct helper *helper);

/* helper_process_id - for messages and tests; signals go through the helper's own descriptor. */
int helper_process_id(const struct helper *helper);

/*
 * helper_reason - the end of what it has said on stderr so far, in one line; "" if nothing.
 * Borrowed until the next call on this helper.
 */
const char *helper_reason(struct helper *helper);

/*
 * helper_end - SIGTERM, SIGKILL if it is still there after HELPER_END_S, reap, free. NULL is fine.
 */
void helper_end(struct helper *helper);
void helper_endp(struct helper **helper);

/* What one command did. */
struct helper_result {
    int exit_status;                  /* 0 to 255, or 128 + the signal that ended it */
    char *output;                     /* owned; its stdout, NUL-ended */
    size_t output_bytes;              /* without the NUL */
    char reason[HELPER_REASON_BYTES]; /* the end of its stderr, in one line */
};

/*
 * helper_run - run one command to its end. An exit status other than 0 is not an error here.
 *
 * @timeout_s  it is killed when it takes longer
 * @out        filled on return 0; its user calls helper_result_done
 *
 * Errors: as helper_start; ERR_IO it took too long; ERR_LIMIT more than HELPER_OUTPUT_MAX of
 * output.
 */
MUST_CHECK int helper_run(char *const argv[], unsigned timeout_s, struct helper_result *out,
                          struct error *err);

void helper_result_done(struct helper_result *result);

#endif
