/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.h - /etc/resilver/resilver.conf (INI), then /etc/resilver/resilver.conf.d/NAME.conf in the
 * order of their names: what an operator sets by hand. resilver.conf(5) describes every key.
 *
 *   [host]        name, state-directory, group
 *   [control]     socket, administrators, operators, viewers (user names, or @group)
 *   [replication] listen, advertise, max-jobs, retry-first, rate, rate-per-session,
 *                 monitoring-interval, monitoring-start
 *   [gateway]     wsman, wsman-tls, cimxml, cimxml-tls, certificate, key, users, audit-log, user,
 *                 pam-service, plain-beyond-loopback
 *   [vm NAME]     uuid, disk.NAME = PATH, format.NAME = raw|qcow2|...
 */
#ifndef RESILVER_CONFIG_CONFIG_H
#define RESILVER_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/uuid.h"

#define CONFIG_PATH_DEFAULT "/etc/resilver/resilver.conf"
#define PAM_SERVICE_DEFAULT "resilver-gateway"
#define CONFIG_NAMES_MAX 64U /* user and group names of one kind */
#define CONFIG_FORMAT_MAX 16

struct config_disk {
    char name[DISK_NAME_MAX];
    char path[PATH_TEXT_MAX];
    char format[CONFIG_FORMAT_MAX]; /* a word that disk_format_parse() knows; "": by the file */
};

struct config_vm {
    struct uuid id;
    char name[VM_NAME_MAX];
    uint32_t disk_count;
    struct config_disk *disks; /* owned by the config */
};

struct config_names {
    uint32_t count;
    char names[CONFIG_NAMES_MAX][USER_TEXT_MAX]; /* "alice", "@backup" */
};

/* The management interface, which resilver-gateway reads. */
struct config_gateway {
    char wsman[HOST_TEXT_MAX + 8];     /* default: 127.0.0.1:5985; "": none, as of the next three */
    char wsman_tls[HOST_TEXT_MAX + 8]; /* default: none */
    char cimxml[HOST_TEXT_MAX + 8];    /* default: 127.0.0.1:5988 */
    char cimxml_tls[HOST_TEXT_MAX + 8]; /* default: none */
    char certificate[PATH_TEXT_MAX];    /* PEM; "": none */
    char key[PATH_TEXT_MAX];
    char users[PATH_TEXT_MAX];         /* default: USERS_PATH_DEFAULT */
    char audit_log[PATH_TEXT_MAX];     /* "": to the log alone */
    char pam_service[PAM_SERVICE_MAX]; /* default: PAM_SERVICE_DEFAULT */
    char user[USER_TEXT_MAX];          /* to change to when it is started as root; "": stay */
    bool may_plain_beyond_loopback;
};

struct config {
    char host_name[HOST_NAME_MAX_BYTES];       /* default: the machine's */
    char state_directory[PATH_TEXT_MAX];       /* default: /var/lib/resilver */
    char group[USER_TEXT_MAX];                 /* the socket's group; "": the daemon's own */
    char socket_path[PATH_TEXT_MAX];           /* default: /run/resilver/control.sock */
    char listen_address[HOST_TEXT_MAX + 8];    /* "": this host accepts no replicas */
    char advertise_address[HOST_TEXT_MAX + 8]; /* how peers reach the replication port; default:
                                                  host name and the port of listen_address */
    struct config_names administrators;        /* besides root and the daemon's own user */
    struct config_names operators;
    struct config_names viewers;
    uint32_t max_jobs;         /* JOBS_RUNNING_DEFAULT; 1 .. JOBS_RUNNING_MAX */
    uint32_t retry_first_s;    /* retry-first: RETRY_FIRST_S; 1 .. 3600 */
    uint64_t rate_bytes_per_s; /* of all sessions together; 0: no limit */
    uint64_t session_rate_bytes_per_s;
    uint32_t monitoring_interval_s;
    uint32_t monitoring_start_minute; /* minutes since local midnight; 540 */
    struct config_gateway gateway;
    uint32_t vm_count;
    struct config_vm *vms; /* owned */
};

/*
 * config_load - read path and its drop-ins (path.d/NAME.conf).
 *
 * @is_optional  a path that does not exist is an empty configuration
 * Errors: ERR_USAGE "FILE:LINE: KEY: what is wrong, what is allowed"; a key or section that is not
 * known is one, with the nearest that is; ERR_WRONG_STATE a file that group or others may write to;
 * ERR_IO a file cannot be read; ERR_LIMIT.
 */
MUST_CHECK int config_load(const char *path, bool is_optional, struct config **out,
                           struct error *err);
void config_free(struct config *config);

#endif
