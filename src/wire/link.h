/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link.h - an ordered, reliable stream of bytes to the other end: a socketpair, the standard
 * streams of an ssh command, or TLS 1.3 over TCP. Non-blocking; the loop polls.
 */
#ifndef RESILVER_WIRE_LINK_H
#define RESILVER_WIRE_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/env.h"
#include "base/error.h"
#include "base/span.h"

#define LINK_SECRET_BYTES 32U
#define LINK_POLL_MAX 3U
#define LINK_PROTOCOL_MAX 32 /* the name of an ALPN protocol, and the NUL */

/* Results of link_read and link_write besides a count > 0. */
#define LINK_AGAIN 0     /* nothing now: poll, then call again */
#define LINK_FAILED (-1) /* err is set (ERR_PEER); the link is of no more use */
#define LINK_CLOSED (-2) /* link_read only: the peer closed its direction; err is untouched */

struct link;

struct link_ops {
    const char *name; /* "pair", "stdio", "tls" */
    ssize_t (*read)(struct link *link, struct span into, struct error *err);
    ssize_t (*write)(struct link *link, struct const_span bytes, struct error *err);
    /*
     * What to poll(2): fills fds[0 .. result-1]. want_read and want_write say what the caller would
     * do next; TLS may turn either into the other.
     */
    size_t (*poll_on)(struct link *link, bool want_read, bool want_write,
                      struct pollfd fds[LINK_POLL_MAX]);
    /* Bytes that read would give although no descriptor is readable (inside TLS). */
    bool (*has_buffered)(struct link *link);
    /* No more will be written (a clean end); reading goes on. Best effort. */
    void (*shutdown)(struct link *link);
    void (*close)(struct link *link);
};

/* What every kind of link begins with, as its first member. */
struct link {
    const struct link_ops *ops;
    char peer[ERROR_DISK_MAX]; /* who is at the other end, for messages: "host.example:8490", "ssh
                                  db1" */
    uint32_t patience_s; /* for the peer's first words; 0: HANDSHAKE_TIMEOUT_S (a person may be
                            asked for a password by the command that makes the link) */
    bool is_local;       /* both ends are in this program: saving bytes is never worth anything */
    bool has_secret;     /* TLS: secret is filled */
    uint8_t secret[LINK_SECRET_BYTES];      /* the TLS exporter's (RFC 8446, 7.5), label
                                               "EXPORTER-resilver-session" */
    bool has_fingerprint;                   /* pinned TLS: the next two are filled */
    uint8_t fingerprint[FINGERPRINT_BYTES]; /* SHA-256 of the peer's certificate in DER form; it has
                                               proved to hold the key */
    char protocol[LINK_PROTOCOL_MAX];       /* what both speak, by ALPN (RFC 7301) */
};

MUST_CHECK static inline ssize_t link_read(struct link *link, struct span into, struct error *err)
{
    return link->ops->read(link, into, err);
}

MUST_CHECK static inline ssize_t link_write(struct link *link, struct const_span bytes,
                                            struct error *err)
{
    return link->ops->write(link, bytes, err);
}

static inline void link_close(struct link *link)
{
    if (link != NULL) {
        link->ops->close(link);
    }
}

static inline void link_closep(struct link **link)
{
    link_close(*link);
    *link = NULL;
}

/*
 * link_new_fd - a link over descriptors that exist: both ends of a socketpair give read_fd ==
 * write_fd, a command's pipes two different ones. Takes the descriptors (also on failure) and makes
 * them non-blocking. A write to a link whose peer is gone gives LINK_FAILED and never a signal.
 */
MUST_CHECK int link_new_fd(int read_fd, int write_fd, const char *name, const char *peer,
                           struct link **out, struct error *err);

/* link_new_pair - both ends of a local socketpair with large buffers. */
MUST_CHECK int link_new_pair(struct link **out_a, struct link **out_b, struct error *err);

/*
 * link_new_command - start argv[0] (an ssh client; found by PATH; no shell) with its standard input
 * and output as the link, its standard error ours. The command is ended by its process descriptor
 * when the link closes: first by the end of its input, after HELPER_END_S by SIGTERM, after as long
 * again by SIGKILL. When the command ended by itself, a read or write tells: LINK_CLOSED for status
 * 0, else LINK_FAILED with its status or signal ("ssh db1 ended with status 255").
 */
MUST_CHECK int link_new_command(char *const argv[], const char *peer, struct link **out,
                                struct error *err);

/* --- TLS 1.3, both sides with certificates --------------------------------------------------- */

struct tls_files {
    const char *cert; /* PEM: this side's certificate, then its chain */
    const char *key;  /* PEM: its private key; refused if others can read the file (mode & 077) */
    const char *ca;   /* PEM: who may have signed the peer's certificate */
};

struct tls_context;

/* tls_context_new - read and check the three files once; usable for any number of links, one thread
 * at a time.
 * Errors: ERR_USAGE names the file, what is wrong with it and the cure. */
MUST_CHECK int tls_context_new(const struct tls_files *files, bool is_server,
                               struct tls_context **out, struct error *err);
void tls_context_free(struct tls_context *context);

/*
 * link_connect_tls - connect to host:port (name or numeric address), shake hands, check the
 * server's certificate against ca and host (DNS or IP subject alternative name). Blocks at most
 * HANDSHAKE_TIMEOUT_S.
 * Errors: ERR_PEER says which of: no such host, refused, timed out, not TLS,
 * certificate and why.
 */
MUST_CHECK int link_connect_tls(struct tls_context *context, const char *host, const char *port,
                                const struct env *env, struct link **out, struct error *err);

/*
 * link_accept_tls - the server's half on an accepted TCP socket: demands a client certificate that
 * ca signed. Takes fd, also on failure. Blocks at most HANDSHAKE_TIMEOUT_S in all. `peer` becomes
 * "address:port (certificate name)".
 */
MUST_CHECK int link_accept_tls(struct tls_context *context, int fd, const struct env *env,
                               struct link **out, struct error *err);

/* --- TLS 1.3 between hosts that know one another's certificate ----------------------------------
 */

/*
 * tls_context_new_pinned - no CA and no names: whoever has a certificate and its key comes through
 * the handshake, and the caller looks at link->fingerprint before it reads or writes a byte.
 * Protocols are those that a server takes (a client's list is empty: each connection names its
 * own). May be used by any number of threads at once.
 *
 * @protocols  borrowed for the call
 * Errors: ERR_USAGE as tls_context_new; the dates of our own certificate are not looked at, for
 * nobody else looks at them.
 */
MUST_CHECK int tls_context_new_pinned(const char *cert, const char *key, bool is_server,
                                      const char *const *protocols, size_t protocol_count,
                                      struct tls_context **out, struct error *err);

/*
 * link_connect_pinned - connect to host:port and shake hands before deadline_ns by env's clock.
 *
 * @protocol     what we want to speak there
 * @fingerprint  who must be there; NULL: anybody (a pairing)
 * Errors: ERR_PEER as link_connect_tls; another certificate than the expected one is told with both
 * fingerprints, and that peer has learned nothing of us, not even our certificate.
 */
MUST_CHECK int link_connect_pinned(struct tls_context *context, const char *host, const char *port,
                                   const char *protocol, const uint8_t *fingerprint,
                                   uint64_t deadline_ns, const struct env *env, struct link **out,
                                   struct error *err);

/* link_connect_pinned_on - the same on a socket from tcp_connect(), for callers that must know how
 * far they came. Takes fd, also on failure. */
MUST_CHECK int link_connect_pinned_on(struct tls_context *context, int fd, const char *peer,
                                      const char *protocol, const uint8_t *fingerprint,
                                      uint64_t deadline_ns, const struct env *env,
                                      struct link **out, struct error *err);

/* link_accept_pinned - the server's half on an accepted TCP socket. Takes fd, also on failure. */
MUST_CHECK int link_accept_pinned(struct tls_context *context, int fd, uint64_t deadline_ns,
                                  const struct env *env, struct link **out, struct error *err);

/*
 * link_peer_name - whether the peer's certificate bears this name (a DNS subject alternative name,
 * or the subject's common name where it has none). False for a link that is not TLS.
 */
bool link_peer_has_name(const struct link *link, const char *name);

#endif
