/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * limits.h - everything that a peer, a user or a file can make larger, and every size that bounds
 * memory, in one place, with the reason. Changing a number that goes over the wire (marked WIRE)
 * needs a new protocol version.
 */
#ifndef RESILVER_BASE_LIMITS_H
#define RESILVER_BASE_LIMITS_H

#define KIB 1024ULL
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)
#define TIB (1024ULL * GIB)

/* --- text ------------------------------------------------------------------------------------ */
#define ERROR_MESSAGE_MAX 640 /* a sentence with a path in it */
#define ERROR_DISK_MAX 256    /* a disk's name as its user wrote it, cut if longer */
#define PATH_TEXT_MAX 4096    /* Linux PATH_MAX; WIRE: a path or export name in OPEN */

/* --- geometry (DESIGN: leaf and node are the two sizes of digest), WIRE ---------------------- */
#define PAGE_BYTES (4 * KIB)
#define LEAF_BYTES (64 * KIB)
#define PAGES_PER_LEAF 16U
#define LEAVES_PER_NODE 32U
#define NODE_BYTES (LEAVES_PER_NODE * LEAF_BYTES) /* 2 MiB */

/* disks of one session: QEMU's virtio-blk users have fewer; keeps tables small */
#define DISKS_MAX 64U

/* bytes; keeps node and leaf numbers of all disks together far from 2^64 */
#define DISK_SIZE_MAX (1ULL << 60)

/* --- reading --------------------------------------------------------------------------------- */
/* one read: four leaves; stays in the second-level cache while it is hashed */
#define READ_BYTES (256 * KIB)

#define SCAN_NODES_MAX 8U  /* nodes being read at once */
#define SCAN_READS_MAX 32U /* reads in flight from a device: 8 MiB, enough for 1.5 GB/s at 5 ms */

/* reads in flight while the page cache answers: more would only spoil the CPU cache */
#define SCAN_READS_CACHED 2U

#define EXTENTS_MAX 256U /* extents asked for in one request */

/* --- the session's windows ------------------------------------------------------------------- */
/* WIRE: nodes that the target may report beyond DONE: 4 GiB of disk, 1.1 MiB of digests */
#define WINDOW_NODES_MAX 2048U

#define NODES_PER_FRAME_MAX 64U  /* WIRE: node digests in one NODES message */
#define WANTS_PER_FRAME_MAX 256U /* WIRE: nodes or leaves named in one WANT message */
#define DONE_EVERY_NODES 64U     /* a DONE message at least this often */

/* --- frames, WIRE ---------------------------------------------------------------------------- */
#define FRAME_HEADER_BYTES 8U
#define FRAME_TAG_BYTES 16U

/* bounds every message; OPEN with 64 long paths is the largest */
#define FRAME_PAYLOAD_MAX (72 * KIB * 4)

#define PROTOCOL_VERSION 1U
#define OUTBOX_HIGH_BYTES (2 * MIB) /* above this the session reads no more data to ship */
#define OUTBOX_MAX_BYTES (16 * MIB) /* hard end of what waits for the link */

/* --- the target's stage ---------------------------------------------------------------------- */
#define STAGE_BATCH_LEAVES 128U /* 8 MiB written, flushed, verified and recorded together */
#define STAGE_BATCHES 3U        /* one filling, one being written, one being verified */

/* a batch is written out after this many nodes even if not full (2 GiB compared) */
#define STAGE_BATCH_NODES 1024U

/* DESIGN P5: at most this much is sent again after an interruption */
#define CHECKPOINT_BYTES (64 * MIB)

/* a checkpoint after this many nodes (512 MiB) when nothing is being written */
#define CHECKPOINT_NODES 256U
#define CHECKPOINTS_MAX                                                                            \
    256U /* and no more of these in one run: a large disk's are farther apart                      \
          */

#define CHECKPOINT_RECORD_MAX (16 * KIB)

/* --- points and logs ------------------------------------------------------------------------- */
/* a disk's name in a replica: Linux NAME_MAX and the NUL */
#define DISK_NAME_MAX 256

/* earlier points that a replica keeps: what Hyper-V's RecoveryHistory allows */
#define REPLICA_HISTORY_MAX 24U

/* sessions that one proof may have been computed over: an often interrupted run begins anew then */
#define PROOF_SEGMENTS_MAX 16U

#define POINT_RECORD_MAX (32 * KIB) /* 64 disks with long names */
#define META_MAX (320 * KIB)        /* 64 disks with long paths */

/* pages of a leaf map in memory: 512 KiB, which cover 1.3 GiB of disk; a point in the past has a
 * map for each of up to 24 logs */
#define LEAF_MAP_PAGES 128U

/* entries of one group of a log: more than a batch of the stage has; its index fits two pages */
#define LOG_GROUP_ENTRIES_MAX 200U

/* a log's medium: below ext4's largest file, 16 TiB less a block */
#define LOG_MEDIUM_MAX (15 * TIB)

/* What should be free before a point is staged: with less it would stop half received, and take the
 * last byte from whoever else writes there. Of a small file system, that share of it: what it holds
 * is small, too. */
#define ROOM_RESERVE_BYTES (64 * MIB)
#define ROOM_RESERVE_SHARE 64U

#define LOG_DISK_PARTS_MAX 128U /* requests to the disks below: four times the session's reads */
#define LOG_DISK_GROUPS_MAX 4U  /* one filling, the others waiting for their writes or indexes */
#define LOG_DISK_BOUNCES_MAX 8U /* leaves read in part, or written with padding: rare */

/* staged leaves that one answer about extents looks at: it does not hold up the loop for long */
#define LOG_DISK_EXTENT_LEAVES 4096U

/* --- time ------------------------------------------------------------------------------------ */
/* from accept or connect to both HELLOs; a stalled peer holds a slot no longer */
#define HANDSHAKE_TIMEOUT_S 10U

/* nothing at all from the peer for this long while it owes something: it is gone */
#define PEER_SILENT_S 30U

#define HELPER_START_S 10U     /* qemu-nbd until its socket answers */
#define HELPER_END_S 5U        /* after SIGTERM, before SIGKILL */
#define HELPER_RUN_S 120U      /* one qemu-img command; shrinking a large image takes longest */
#define LISTEN_SESSIONS_MAX 8U /* sessions of one `resilver serve --listen` at a time */

/* --- command line ---------------------------------------------------------------------------- */
#define HOST_TEXT_MAX 256     /* a host name: DNS allows 253 characters */
#define USER_TEXT_MAX 128     /* a login name, with a domain */
#define PORT_TEXT_MAX 6       /* "65535" */
#define EXPORT_NAME_MAX 128   /* the name of an export of `resilver serve` */
#define EXPORTS_MAX 256U      /* exports of one `resilver serve` */
#define ALLOW_MAX 64U         /* certificate names that one `resilver serve` lets in */
#define COMMAND_WORDS_MAX 64U /* words of --ssh */

/* --- the NBD exports that we serve ------------------------------------------------------------ */
/* NBD proto.md "Conventions": no string may be longer */
#define NBD_STRING_MAX 4096U

/* data of one option: a name and a few queries, each of the longest kind; more is an attack */
#define NBD_OPTION_MAX (16 * KIB)

/* one read, as we announce it; also the longest write whose payload is taken to be thrown away.
 * NBD proto.md "Block size constraints": less than this is never an attack */
#define NBD_READ_MAX (32 * MIB)

#define NBD_EXPORTS_MAX DISKS_MAX   /* exports of one server: the disks of a VM */
#define NBD_CLIENTS_MAX 16U         /* at one server: four tools with four connections each */
#define NBD_CLIENT_COMMANDS_MAX 64U /* of one client at once: what nbdcopy sends */
#define NBD_CLIENT_PIECES 16U       /* reads of READ_BYTES at once for one client: 4 MiB */
#define NBD_OUTBOX_BYTES (20 * KIB) /* replies without data; a list of all exports fits */
#define NBD_SOCKET_BACKLOG 16       /* connections that wait to be accepted */
#define NBD_FAREWELL_S 1U           /* for what is under way when the server is told to stop */

/* --- the service -------------------------------------------------------------------------------
 */
#define MAILBOX_MAX 256U /* pieces of work that wait for one thread; more callers wait for room */

#define VM_NAME_MAX 256         /* a VM's name: what libvirt and Hyper-V take, and the NUL */
#define VMS_MAX 4096U           /* VMs known to one host, its own and those replicated to it */
#define HOST_NAME_MAX_BYTES 256 /* a paired host's name */
#define HOSTS_MAX 256U          /* paired hosts */
#define AUTHORIZATIONS_MAX 256U
#define TRUST_GROUP_MAX 64
#define CALLER_NAME_MAX 128             /* who asked: a login name, a host, a gateway's user */
#define RELATIONSHIPS_MAX (2 * VMS_MAX) /* two hops at most */
#define JOBS_OPEN_MAX 1024U     /* jobs that have not ended: a stuck client is refused (32778) */
#define JOBS_RUNNING_DEFAULT 3U /* Msvm_ReplicationService's MaximumActiveTransfers */
#define JOBS_RUNNING_MAX 64U
#define JOB_REPORT_MAX (64 * KIB) /* JSON: counters and proofs of 64 disks */
#define SERVICE_STOP_S                                                                             \
    8U /* a stop lets what is under way end so long; systemd's own limit is longer */
#define JOB_KEPT_S 300U   /* TimeBeforeRemoval: an ended job is among the present ones so long */
#define EVENTS_MAX 10000U /* kept in the state; older ones go */
#define START_AHEAD_MAX_S (7U * 24U * 3600U) /* reference: a start at most 7 days ahead */
#define RESYNC_CHECK_S 5U                    /* Resynchronize: until the peer must have answered */
#define RETRY_FIRST_S 60U /* then 2, 4, 8, 10 times as long, and 30 times from then on */
#define MONITORING_INTERVAL_MIN_S 3600U
#define MONITORING_INTERVAL_MAX_S 604800U
#define MONITORING_INTERVAL_DEFAULT_S 43200U

/* --- the configuration -------------------------------------------------------------------------
 */
#define CONFIG_LINE_MAX (8 * KIB) /* a path, twice over */
#define CONFIG_FILES_MAX 1025U    /* resilver.conf and its drop-ins */

/* --- between daemons ---------------------------------------------------------------------------
 */
#define FINGERPRINT_BYTES 32U   /* SHA-256 over a certificate's DER form */
#define FINGERPRINT_TEXT_MAX 65 /* in hex */
#define PEER_CERTIFICATE_MAX                                                                       \
    (16 * KIB) /* what a peer shows of itself: one certificate, self-signed */
#define CERTIFICATE_TEXT_MAX (16 * KIB) /* our own, DER in base64: shorter than its PEM file */
#define PEER_MESSAGE_MAX (64 * KIB)     /* one question or answer between daemons: 64 disks */
#define PEER_CONNECTIONS_MAX 64U        /* at the replication port, of all peers */
#define PEER_CONNECTIONS_EACH 16U       /* of one address */
#define PAIRING_WAIT_S 300U             /* a pairing window is open so long */
#define PAIRINGS_MAX 8U
#define PAIRING_MESSAGE_MAX (4 * KIB) /* a name, an address, a number */
#define PEER_CALLS_MAX                                                                             \
    64U /* questions to peers at once, a thread each: every paired host, in turn */

/* --- the control API ---------------------------------------------------------------------------
 */
#define CONTROL_BODY_MAX (64 * KIB) /* of one request */
#define CONTROL_CONNECTIONS_MAX 256U
#define CONTROL_WATCHERS_MAX 64U /* streams of events */

/* the changes that wait for a watcher: every open job and relationship of a large host once, and
 * the events of some minutes. One that falls behind further is cut: it would have to look at
 * everything again anyway */
#define CONTROL_WATCH_CHANGES_MAX 4096U
#define CONTROL_WATCH_EVENTS_MAX 256U
#define CONTROL_WATCH_PIECE_BYTES (16 * KIB) /* of a stream, handed over at once */
#define CONTROL_HEARTBEAT_S 15U              /* a comment on every stream, so often */
#define CONTROL_IDLE_S 60U /* a connection on which nothing moves is closed after so long */

#define CONTROL_CONNECTION_BYTES (32 * KIB) /* request line and headers of one connection */
#define CONTROL_DISCARD_MAX (1 * MIB) /* of a body that is too long, read before it is said so */
#define CONTROL_MEMBERS_MAX 16U       /* that one object of a request may have */
#define CONTROL_LIST_MAX 10000U       /* ?limit= of events and statistics */
#define CONTROL_JOBS_MAX 2048U        /* ?limit= of jobs, all open ones among them: 64 KiB each */
#define CONTROL_LIST_DEFAULT 100U     /* without ?limit= */

/* --- the control API's client ------------------------------------------------------------------
 */
#define CLIENT_ANSWER_MAX (256 * MIB) /* VMS_MAX VMs with all their disks, and room */
#define CLIENT_EVENT_MAX (4 * MIB)    /* one object of a stream: a job with 64 disks takes 64 KiB */
#define CLIENT_PATH_MAX 2048U         /* a call's path: two encoded names of 256 bytes */
#define CLIENT_CALL_S 15U             /* until a call is answered; the daemon gives up after 5 */

/* --- the management interface ------------------------------------------------------------------
 */
#define XML_DEPTH_MAX 64U           /* elements within elements; an embedded EPR is at 12 */
#define XML_ELEMENTS_MAX 20000U     /* of one document: a Put of the largest instance has 200 */
#define XML_ATTRIBUTES_MAX 64U      /* of one element, namespace declarations among them */
#define XML_NAME_MAX 1024U          /* a name with its namespace's URI */
#define XML_TEXT_MAX (64 * KIB)     /* directly in one element, or in one attribute */
#define XML_DOCUMENT_MAX (1 * MIB)  /* twice what HTTP lets in: bounds what expat holds */
#define CIM_REQUEST_BYTES (8 * MIB) /* what one request may build, its answer's text aside */
#define CIM_LIST_BYTES (128 * MIB)  /* what one enumeration may build: VMS_MAX VMs */
#define CIM_INSTANCES_MAX 65536U    /* of one answer */
#define CIM_KEYS_MAX 16U            /* of a path */
#define CIM_NEST_MAX 4U         /* instances within instances, paths within paths: ours have 2 */
#define CIM_EMBEDDED_MAX 2U     /* texts with instances within such texts, in XML */
#define CIM_TEXT_MAX (64 * KIB) /* one text of a request */
#define CIM_ARRAY_MAX 1024U     /* items of one array of a request */
#define WQL_TEXT_MAX (8 * KIB)
#define WQL_STEPS_MAX 256U /* names, values and operators of one WHERE */
#define CALLER_VMS_MAX 64U /* VMs for which one user has a role of his own */
#define USERS_MAX 256U     /* in the users' file */

#define HTTP_BODY_MAX (512 * KIB)  /* of one request: DSP0226's largest common envelope, thrice */
#define HTTP_ANSWER_MAX (64 * MIB) /* of one answer */
#define HTTP_CONNECTIONS_MAX 3000U /* of one listener; the slow among them are closed soon */
#define HTTP_CONNECTIONS_MIN 8U    /* of one listener; without descriptors for them: no start */
#define HTTP_DESCRIPTORS_KEPT                                                                      \
    80U /* from connections: files, listeners, and what the workers ask the service through */
#define HTTP_CONNECTION_BYTES (16 * KIB) /* request line and headers */
#define HTTP_REQUEST_S                                                                             \
    10U                               /* from the connection or the end of the last answer's use   \
                                         until a request is whole */
#define HTTP_IDLE_S 60U               /* a connection that had an answer, and asks nothing */
#define HTTP_WRITE_S 60U              /* until an answer has gone out */
#define HTTP_WORKERS 8U               /* requests at work at a time */
#define HTTP_PARKED_EACH 32U          /* requests of one user that wait for something to happen */
#define HTTP_QUEUE_MAX 512U           /* that wait for a worker; more are 503 */
#define HTTP_BODIES_BYTES (256 * MIB) /* of all requests that are there at a time; more are 503 */
#define HTTP_DISCARD_MAX (1 * MIB)    /* of a body that is refused, read before it is said so */
#define HTTP_LISTENERS_MAX 4U
#define HTTP_CERTIFICATES_MAX 16U /* of the chain that a TLS listener shows */

#define AUTH_CACHE_MAX                                                                             \
    256U /* credentials that were right, so that the hash is not computed for                      \
            every request */
#define AUTH_CACHE_S 60U
#define PASSWORD_MAX 512       /* what crypt(3) takes, and the NUL */
#define AUTH_TRACKED_MAX 1024U /* names, and addresses, of which wrong passwords are remembered */
#define AUTH_TRIES_MAX 10U     /* wrong passwords for a name or from an address in a minute */

#define CONTEXTS_MAX 256U              /* enumerations and subscriptions that are open */
#define CONTEXTS_EACH 32U              /* of one user */
#define CONTEXTS_BYTES (256 * MIB)     /* that they may hold together before no more is opened */
#define CONTEXTS_EACH_BYTES (64 * MIB) /* those of one user */
#define CONTEXT_IDLE_S 600U            /* until an enumeration that nobody pulls is forgotten */
#define PAM_SERVICE_MAX 64             /* the name of a file in pam.d */
#define PAM_CHECK_S 10U                /* until PAM has said whether a password is right */
#define PAM_QUESTION_MAX (1 * KIB)     /* name, password and address: fits any pipe whole */
#define PAM_ANSWER_MAX 512U            /* what the process that asks PAM says of it */

#define CONTEXTS_MAX 256U        /* enumerations and subscriptions that are open */
#define CONTEXTS_EACH 32U        /* of one user */
#define CONTEXT_IDLE_S 600U      /* until an enumeration that nobody pulls is forgotten */
#define CONTEXT_EVENTS_MAX 1024U /* that wait in a subscription; the oldest go, and it is said */
#define WATCH_TURN_MS 200    /* how long the end of the gateway may wait for the watching thread */
#define WATCH_PAUSE_MIN_S 1U /* until the service is watched again, then twice as long */
#define WATCH_PAUSE_MAX_S 30U
#define ENVELOPE_MIN 8192U            /* DSP0226 R6.2-4 */
#define WSMAN_WAIT_S 60U              /* a pull of events without OperationTimeout waits so long */
#define WSMAN_WAIT_MAX_S 300U         /* the longest: else its context seems forgotten */
#define WSMAN_REPLAYS_MAX 128U        /* answers to methods that are kept for who asks again */
#define WSMAN_REPLAY_BYTES (64 * KIB) /* of one such answer */
#define WSMAN_REPLAY_S 60U            /* and so long */

/* --- NBD servers and helper processes -------------------------------------------------------- */
#define NBD_COMMANDS_MAX 8U           /* in flight: one connection is fastest with these two */
#define NBD_COMMAND_BYTES (256 * KIB) /* one read or write; QEMU takes at most 32 MiB */
#define NBD_ZERO_BYTES (32 * MIB)     /* one write-zeroes */
#define NBD_STATUS_BYTES (2 * GIB)    /* one block-status: the length field has 32 bits */
#define HELPER_REASON_BYTES 1024U     /* the last words of a helper process, for our error */
#define HELPER_OUTPUT_MAX (1 * MIB)   /* what qemu-img says of one image, as JSON */
#define IMAGE_CHAIN_MAX 64U           /* layers of an image: more is a loop or unusably slow */

#endif
