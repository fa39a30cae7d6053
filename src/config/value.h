/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * value.h - what a key's value may be. Each fills out, or leaves it and fails with ERR_USAGE and a
 * sentence that has the value and what is allowed; the caller knows file, line and key.
 */
#ifndef RESILVER_CONFIG_VALUE_H
#define RESILVER_CONFIG_VALUE_H

#include "config/config.h"

#define RATE_MIN_BYTES_PER_S (1 * KIB) /* as resilver sync --bwlimit has it */

/* letters, digits and . _ -: it goes into addresses and into what other hosts show */
MUST_CHECK int value_host_name(const char *value, char out[HOST_NAME_MAX_BYTES], struct error *err);

MUST_CHECK int value_path(const char *value, char out[PATH_TEXT_MAX], struct error *err);

/* a path that fits a Unix socket's address */
MUST_CHECK int value_socket(const char *value, char out[PATH_TEXT_MAX], struct error *err);

/* "HOST:PORT"; an empty HOST only where it is not needed */
MUST_CHECK int value_address(const char *value, bool needs_host, char out[HOST_TEXT_MAX + 8],
                             struct error *err);

/* "yes" or "no" */
MUST_CHECK int value_flag(const char *value, bool *out, struct error *err);

/* the name of a file in pam.d: lower-case letters, digits and . _ -, and no . at its beginning;
 * libpam takes the last part of a path, and looks for it in lower case */
MUST_CHECK int value_pam_service(const char *value, char out[PAM_SERVICE_MAX], struct error *err);

/* a login name, for the process to become */
MUST_CHECK int value_user(const char *value, char out[USER_TEXT_MAX], struct error *err);

MUST_CHECK int value_group(const char *value, char out[USER_TEXT_MAX], struct error *err);

/* "alice @backup bob", with blanks or commas between them; nothing: nobody */
MUST_CHECK int value_names(const char *value, struct config_names *out, struct error *err);

/* an amount of bytes a second, 1K at least; 0: no limit */
MUST_CHECK int value_rate(const char *value, uint64_t *out, struct error *err);

/* "90", "90s", "30min", "12h", "2d", from min_s to max_s */
MUST_CHECK int value_duration(const char *value, uint32_t min_s, uint32_t max_s, uint32_t *out,
                              struct error *err);

/* "HH:MM" as minutes since midnight */
MUST_CHECK int value_minute(const char *value, uint32_t *out, struct error *err);

MUST_CHECK int value_vm_name(const char *value, char out[VM_NAME_MAX], struct error *err);
MUST_CHECK int value_vm_id(const char *value, struct uuid *out, struct error *err);
MUST_CHECK int value_disk_name(const char *value, char out[DISK_NAME_MAX], struct error *err);

/* an absolute path, or nbd+unix:///NAME?socket=PATH with one */
MUST_CHECK int value_disk_path(const char *value, char out[PATH_TEXT_MAX], struct error *err);
bool value_is_nbd(const char *path);

MUST_CHECK int value_format(const char *value, char out[CONFIG_FORMAT_MAX], struct error *err);

#endif
