/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/address.h"
#include "base/nearest.h"
#include "base/number.h"

#define NBD_PREFIX "nbd+unix://"
#define NBD_SOCKET "?socket="
#define SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define BLANKS_AND_COMMAS " \t,"

/* The copy is whole, or an error. */
static int copy_text(const char *value, char *out, size_t size_bytes, struct error *err)
{
    size_t len_bytes = strlen(value);

    if (len_bytes >= size_bytes) {
        return fail(err, ERR_USAGE, 0, "'%.40s...' is too long; %zu bytes are allowed", value,
                    size_bytes - 1);
    }
    memcpy(out, value, len_bytes + 1);
    return 0;
}

/* --- the host and its users ------------------------------------------------------------------ */

int value_host_name(const char *value, char out[HOST_NAME_MAX_BYTES], struct error *err)
{
    if (!address_is_made_of(value, strlen(value), "._-") || value[0] == '.') {
        return fail(err, ERR_USAGE, 0,
                    "'%s' cannot be a host's name; use letters, digits and . _ -, beginning with a "
                    "letter or digit",
                    value);
    }
    return copy_text(value, out, HOST_NAME_MAX_BYTES, err);
}

int value_path(const char *value, char out[PATH_TEXT_MAX], struct error *err)
{
    if (value[0] != '/') {
        return fail(err, ERR_USAGE, 0, "'%s' is not an absolute path; it must begin with /", value);
    }
    return copy_text(value, out, PATH_TEXT_MAX, err);
}

int value_socket(const char *value, char out[PATH_TEXT_MAX], struct error *err)
{
    size_t len_bytes = strlen(value);

    if (len_bytes >= SOCKET_PATH_MAX) {
        return fail(err, ERR_USAGE, 0, "'%.40s...' is too long for a socket; %zu bytes are allowed",
                    value, SOCKET_PATH_MAX - 1);
    }
    if (len_bytes > 0 && value[len_bytes - 1] == '/') {
        return fail(err, ERR_USAGE, 0, "'%s' is a folder; name the socket in it", value);
    }
    return value_path(value, out, err);
}

int value_address(const char *value, bool needs_host, char out[HOST_TEXT_MAX + 8],
                  struct error *err)
{
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];

    if (address_parse(value, 1, needs_host, host, port, err) < 0) {
        return -1;
    }
    return copy_text(value, out, HOST_TEXT_MAX + 8, err);
}

/* What no system has in a login name is most likely a slip: a list where one name goes, a path. */
static int take_user(const char *value, size_t len_bytes, char out[USER_TEXT_MAX],
                     struct error *err)
{
    if (len_bytes >= USER_TEXT_MAX || !address_is_made_of(value, len_bytes, "._-+@\\$")) {
        return fail(err, ERR_USAGE, 0,
                    "'%.*s' cannot be a user's or group's name; use letters, digits and . _ - + @ "
                    "\\ $, %u bytes at most",
                    (int)(len_bytes < USER_TEXT_MAX ? len_bytes : USER_TEXT_MAX), value,
                    USER_TEXT_MAX - 1U);
    }
    memcpy(out, value, len_bytes);
    out[len_bytes] = '\0';
    return 0;
}

int value_group(const char *value, char out[USER_TEXT_MAX], struct error *err)
{
    if (value[0] == '@') {
        return fail(err, ERR_USAGE, 0, "'%s' has an @ too many; a group stands here by its name",
                    value);
    }
    return take_user(value, strlen(value), out, err);
}

int value_user(const char *value, char out[USER_TEXT_MAX], struct error *err)
{
    if (value[0] == '@') {
        return fail(err, ERR_USAGE, 0, "'%s' is a group; a user's name stands here", value);
    }
    return take_user(value, strlen(value), out, err);
}

int value_pam_service(const char *value, char out[PAM_SERVICE_MAX], struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len_bytes = strlen(value);

    if (len_bytes == 0 || value[0] == '.' || value[strspn(value, allowed)] != '\0') {
        return fail(err, ERR_USAGE, 0,
                    "'%s' names no service of PAM: a file in pam.d, by lower-case letters, digits "
                    "and . _ -",
                    value);
    }
    if (len_bytes >= PAM_SERVICE_MAX) {
        return fail(err, ERR_USAGE, 0, "'%s' has more than %d bytes", value, PAM_SERVICE_MAX - 1);
    }
    (void)snprintf(out, PAM_SERVICE_MAX, "%s", value);
    return 0;
}

int value_flag(const char *value, bool *out, struct error *err)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        return fail(err, ERR_USAGE, 0, "'%s' is neither yes nor no", value);
    }
    *out = value[0] == 'y';
    return 0;
}

int value_names(const char *value, struct config_names *out, struct error *err)
{
    struct config_names names = {0};
    const char *at = value + strspn(value, BLANKS_AND_COMMAS);

    while (*at != '\0') {
        size_t len_bytes = strcspn(at, BLANKS_AND_COMMAS);
        if (names.count == CONFIG_NAMES_MAX) {
            return fail(err, ERR_USAGE, 0,
                        "there are more than %u names; name a group, as in @wheel",
                        CONFIG_NAMES_MAX);
        }
        if (len_bytes == 1 && *at == '@') {
            return fail(err, ERR_USAGE, 0, "'@' names no group; write @GROUP without a blank");
        }
        if (take_user(at, len_bytes, names.names[names.count], err) < 0) {
            return -1;
        }
        names.count++;
        at += len_bytes;
        at += strspn(at, BLANKS_AND_COMMAS);
    }
    *out = names;
    return 0;
}

/* --- amounts and times ----------------------------------------------------------------------- */

int value_rate(const char *value, uint64_t *out, struct error *err)
{
    uint64_t rate = 0;

    if (number_parse_size(value, &rate, err) < 0) {
        return -1;
    }
    /* JSON and the state have no larger numbers. */
    if ((rate > 0 && rate < RATE_MIN_BYTES_PER_S) || rate > INT64_MAX) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is no rate in bytes a second; 1K is the least, 0 means no limit", value);
    }
    *out = rate;
    return 0;
}

static uint64_t unit_seconds(const char *unit)
{
    static const struct {
        const char *name;
        uint32_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};

    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].seconds;
        }
    }
    return 0;
}

int value_duration(const char *value, uint32_t min_s, uint32_t max_s, uint32_t *out,
                   struct error *err)
{
    char digits[11] = ""; /* as many as 2^32 has, so that nothing overflows */
    size_t len_bytes = strspn(value, "0123456789");
    const char *unit = value + len_bytes + strspn(value + len_bytes, " ");
    uint64_t number = 0;
    uint64_t seconds = 0;

    if (len_bytes < sizeof digits) {
        memcpy(digits, value, len_bytes);
        if (number_parse_range(digits, "a time", 0, UINT32_MAX, &number, NULL) == 0) {
            seconds = number * unit_seconds(unit);
        }
    }
    if (seconds < min_s || seconds > max_s || seconds == 0) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is not allowed; write %" PRIu32 " to %" PRIu32
                    " seconds, as a number alone or with s, min, h or d behind it",
                    value, min_s, max_s);
    }
    *out = (uint32_t)seconds;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int value_minute(const char *value, uint32_t *out, struct error *err)
{
    bool is_formed = strlen(value) == 5 && is_digit(value[0]) && is_digit(value[1]) &&
                     value[2] == ':' && is_digit(value[3]) && is_digit(value[4]);
    uint32_t hour = is_formed ? (uint32_t)((value[0] - '0') * 10 + (value[1] - '0')) : 24;
    uint32_t minute = is_formed ? (uint32_t)((value[3] - '0') * 10 + (value[4] - '0')) : 60;

    if (hour > 23 || minute > 59) {
        return fail(err, ERR_USAGE, 0, "'%s' is no time of day; write HH:MM, 00:00 to 23:59",
                    value);
    }
    *out = hour * 60 + minute;
    return 0;
}

/* --- VMs and disks --------------------------------------------------------------------------- */

/* The control characters that lines.c lets through are tabs. */
static bool has_slash_or_control(const char *text)
{
    return strpbrk(text, "/\t") != NULL;
}

static bool is_dots(const char *text)
{
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

int value_vm_name(const char *value, char out[VM_NAME_MAX], struct error *err)
{
    struct uuid id;

    if (value[0] == '\0') {
        return fail(err, ERR_USAGE, 0, "the VM has no name; write [vm NAME]");
    }
    if (has_slash_or_control(value) || is_dots(value)) {
        return fail(
            err, ERR_USAGE, 0,
            "'%s' cannot be a VM's name: it may have no slash and no control character, and "
            "not be . or ..",
            value);
    }
    /* Where a VM is named, either will do; a name that could be both would hide another VM. */
    if (uuid_parse(value, &id, NULL) == 0) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' cannot be a VM's name, since it is a UUID; that goes into its key uuid",
                    value);
    }
    return copy_text(value, out, VM_NAME_MAX, err);
}

int value_vm_id(const char *value, struct uuid *out, struct error *err)
{
    struct uuid id;

    if (uuid_parse(value, &id, err) < 0) {
        return -1;
    }
    if (uuid_is_nil(&id)) {
        return fail(err, ERR_USAGE, 0,
                    "the UUID of zeros is nobody's; uuidgen makes one for this VM");
    }
    *out = id;
    return 0;
}

/* It becomes a file's name in a replica's folder: the rule of point_name_is_good(). */
int value_disk_name(const char *value, char out[DISK_NAME_MAX], struct error *err)
{
    if (value[0] == '\0' || has_slash_or_control(value) || is_dots(value)) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' cannot be a disk's name, which is a file's name in the replica: it may "
                    "have no slash and no control character, and not be empty, . or ..",
                    value);
    }
    return copy_text(value, out, DISK_NAME_MAX, err);
}

bool value_is_nbd(const char *path)
{
    return strncmp(path, NBD_PREFIX, strlen(NBD_PREFIX)) == 0;
}

int value_disk_path(const char *value, char out[PATH_TEXT_MAX], struct error *err)
{
    const char *socket = strstr(value, NBD_SOCKET);

    if (!value_is_nbd(value)) {
        return value_path(value, out, err);
    }
    if (value[strlen(NBD_PREFIX)] != '/' || socket == NULL || socket[strlen(NBD_SOCKET)] != '/') {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is not nbd+unix:///NAME?socket=PATH, with an absolute "
                    "PATH",
                    value);
    }
    return copy_text(value, out, PATH_TEXT_MAX, err);
}

int value_format(const char *value, char out[CONFIG_FORMAT_MAX], struct error *err)
{
    /* Those of disk_format_parse(), which this folder does not know; config_test compares. */
    static const char *const formats[] = {"raw", "qcow2", "vhdx", "vmdk", "vdi"};
    const char *nearest = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (strcmp(formats[i], value) == 0) {
            return copy_text(value, out, CONFIG_FORMAT_MAX, err);
        }
        nearest = nearest_pick(value, nearest, formats[i]);
    }
    return fail(err, ERR_USAGE, 0, "'%s' is no format; raw, qcow2, vhdx, vmdk and vdi are%s%s%s",
                value, nearest == NULL ? "" : "; did you mean ", nearest == NULL ? "" : nearest,
                nearest == NULL ? "" : "?");
}
