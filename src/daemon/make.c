/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make.c - wiring: each part gets the tables of those before it.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/stop_signals.h"
#include "daemon/callers.h"
#include "daemon/daemon.h"
#include "disk/format.h"

/* --- VMs ------------------------------------------------------------------------------------- */

static int fill_vm(const struct config_vm *from, struct vm *to, struct error *err)
{
    *to = (struct vm){.id = from->id, .disk_count = from->disk_count};
    (void)snprintf(to->name, sizeof to->name, "%s", from->name);
    to->disks = calloc(from->disk_count, sizeof *to->disks);
    if (to->disks == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the disks of VM '%s'", from->name);
    }
    for (uint32_t i = 0; i < from->disk_count; i++) {
        (void)snprintf(to->disks[i].name, sizeof to->disks[i].name, "%s", from->disks[i].name);
        (void)snprintf(to->disks[i].path, sizeof to->disks[i].path, "%s", from->disks[i].path);
        to->disks[i].format = disk_format_parse(from->disks[i].format);
    }
    return 0;
}

static int make_inventory(struct daemon_parts *parts, struct error *err)
{
    uint32_t count = parts->config->vm_count;
    struct vm *vms = calloc((size_t)count + 1, sizeof *vms);
    int result = vms == NULL ? fail(err, ERR_LIMIT, ENOMEM, "out of memory for %u VMs", count) : 0;

    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = fill_vm(&parts->config->vms[i], &vms[i], err);
    }
    if (result == 0) {
        result = inventory_new_plain(vms, count, &parts->inventory, err);
    }
    for (uint32_t i = 0; vms != NULL && i < count; i++) {
        free(vms[i].disks);
    }
    free(vms);
    return result;
}

/* --- the state directory --------------------------------------------------------------------- */

static int make_state(struct daemon_parts *parts, struct error *err)
{
    const char *directory = parts->config->state_directory;
    char path[PATH_TEXT_MAX];
    struct stat info;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
        return fail(err, ERR_IO, errno, "cannot make the state directory '%s'", directory);
    }
    if (stat(directory, &info) < 0 || !S_ISDIR(info.st_mode)) {
        return fail(err, ERR_IO, errno, "the state directory '%s' is none", directory);
    }
    if ((info.st_mode & 022) != 0) {
        return fail(err, ERR_USAGE, 0,
                    "others may write to the state directory '%s': chmod go-w '%s'", directory,
                    directory);
    }
    if ((size_t)snprintf(path, sizeof path, "%s/state.db", directory) >= sizeof path) {
        return fail(err, ERR_USAGE, 0, "the state directory's path is too long");
    }
    if (store_open(path, &parts->store, err) < 0) {
        return -1;
    }
    return identity_open(directory, parts->config->host_name, &parts->identity, err);
}

/* --- parts ----------------------------------------------------------------------------------- */

static void tell_watchers(void *context, const struct service_change *change)
{
    const struct daemon_parts *parts = context;

    if (parts->control != NULL) {
        control_changed(parts->control, change);
    }
}

static int make_peers(struct daemon_parts *parts, struct error *err)
{
    const struct peers_config config = {
        .env = env_system(),
        .identity = &parts->identity,
        .inventory = parts->inventory,
        .mailbox = parts->mailbox,
        .host_name = parts->config->host_name,
        .advertise_address = parts->config->advertise_address,
        .listen_address = parts->config->listen_address,
    };

    return peers_new(&config, &parts->peers, err);
}

static int make_service(struct daemon_parts *parts, struct error *err)
{
    const struct config *from = parts->config;
    struct service_config config = {
        .env = env_system(),
        .store = parts->store,
        .inventory = parts->inventory,
        .outside = peers_outside(parts->peers),
        .is_replica_enabled = from->listen_address[0] != '\0',
        .max_jobs = from->max_jobs,
        .retry_first_s = from->retry_first_s,
        .rate_bytes_per_s = from->rate_bytes_per_s,
        .session_rate_bytes_per_s = from->session_rate_bytes_per_s,
        .monitoring_interval_s = from->monitoring_interval_s,
        .monitoring_start_minute = from->monitoring_start_minute,
        .changed = tell_watchers,
        .context = parts,
    };

    (void)snprintf(config.host_name, sizeof config.host_name, "%s", from->host_name);
    if (service_new(&config, &parts->service, err) < 0) {
        return -1;
    }
    return peers_begin(parts->peers, parts->service, err);
}

/* Who may connect to the socket. What they may do then is another question. */
static int give_to_group(const char *path, const char *name, struct error *err)
{
    struct group entry;
    struct group *found = NULL;
    char text[16 * KIB];

    if (name[0] == '\0') {
        return 0;
    }
    int errnum = getgrnam_r(name, &entry, text, sizeof text, &found);
    if (errnum != 0 || found == NULL) {
        return fail(err, ERR_USAGE, errnum, "there is no group '%s' (the configuration's group=)",
                    name);
    }
    if (chown(path, (uid_t)-1, found->gr_gid) < 0) {
        return fail(err, ERR_IO, errno, "cannot give '%s' to group '%s'", path, name);
    }
    return 0;
}

static int make_control(struct daemon_parts *parts, int fd, struct error *err)
{
    const struct control_config config = {
        .env = env_system(),
        .service = parts->service,
        .peers = parts->peers,
        .identity = &parts->identity,
        .listen_address = peers_listening_at(parts->peers),
        .advertise_address = parts->config->advertise_address,
        .monitoring_interval_s = parts->config->monitoring_interval_s,
        .monitoring_start_minute = parts->config->monitoring_start_minute,
        .role_of = callers_role_of,
        .context = parts->config,
    };

    if (fd >= 0) {
        return control_new_on(&config, fd, &parts->control, err);
    }
    if (control_new(&config, parts->config->socket_path, &parts->control, err) < 0) {
        return -1;
    }
    return give_to_group(parts->config->socket_path, parts->config->group, err);
}

int daemon_make(const char *config_path, bool is_config_optional, int control_fd,
                struct daemon_parts *parts, struct error *err)
{
    parts->config_path = config_path;
    parts->is_config_optional = is_config_optional;
    parts->stop_fd = stop_signals_take(SFD_NONBLOCK, err);
    if (parts->stop_fd < 0 ||
        config_load(config_path, is_config_optional, &parts->config, err) < 0 ||
        make_state(parts, err) < 0 || make_inventory(parts, err) < 0 ||
        mailbox_new(&parts->mailbox, err) < 0 || make_peers(parts, err) < 0 ||
        make_service(parts, err) < 0) {
        if (control_fd >= 0) {
            (void)close(control_fd); /* nothing was said on it */
        }
        return -1;
    }
    return make_control(parts, control_fd, err);
}

void daemon_unmake(struct daemon_parts *parts)
{
    if (parts->mailbox != NULL) {
        mailbox_shut(parts->mailbox);
    }
    peers_free(parts->peers);
    service_free(parts->service); /* replies to whoever still waits, at the control API */
    control_free(parts->control);
    mailbox_free(parts->mailbox);
    inventory_free(parts->inventory);
    store_close(parts->store);
    config_free(parts->config);
    if (parts->stop_fd >= 0) {
        (void)close(parts->stop_fd); /* a signalfd has nothing to lose */
    }
}
