/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/number.h"
#include "config/value.h"

#define MONITORING_START_DEFAULT (9U * 60U) /* 09:00, as Hyper-V's MonitoringStartTime */
#define RETRY_FIRST_MAX_S 3600U

/* --- [host] ---------------------------------------------------------------------------------- */

static int take_name(struct config *config, const char *value, struct error *err)
{
    return value_host_name(value, config->host_name, err);
}

static int take_state_directory(struct config *config, const char *value, struct error *err)
{
    return value_path(value, config->state_directory, err);
}

static int take_group(struct config *config, const char *value, struct error *err)
{
    return value_group(value, config->group, err);
}

/* --- [control] ------------------------------------------------------------------------------- */

static int take_socket(struct config *config, const char *value, struct error *err)
{
    return value_socket(value, config->socket_path, err);
}

static int take_administrators(struct config *config, const char *value, struct error *err)
{
    return value_names(value, &config->administrators, err);
}

static int take_operators(struct config *config, const char *value, struct error *err)
{
    return value_names(value, &config->operators, err);
}

static int take_viewers(struct config *config, const char *value, struct error *err)
{
    return value_names(value, &config->viewers, err);
}

/* --- [replication] --------------------------------------------------------------------------- */

static int take_listen(struct config *config, const char *value, struct error *err)
{
    /* Nothing takes back what a file before this one said. */
    if (value[0] == '\0') {
        config->listen_address[0] = '\0';
        return 0;
    }
    return value_address(value, false, config->listen_address, err);
}

static int take_advertise(struct config *config, const char *value, struct error *err)
{
    return value_address(value, true, config->advertise_address, err);
}

static int take_max_jobs(struct config *config, const char *value, struct error *err)
{
    uint64_t count = 0;

    if (number_parse_range(value, "the number of jobs at once", 1, JOBS_RUNNING_MAX, &count, err) <
        0) {
        return -1;
    }
    config->max_jobs = (uint32_t)count;
    return 0;
}

static int take_retry_first(struct config *config, const char *value, struct error *err)
{
    return value_duration(value, 1, RETRY_FIRST_MAX_S, &config->retry_first_s, err);
}

static int take_rate(struct config *config, const char *value, struct error *err)
{
    return value_rate(value, &config->rate_bytes_per_s, err);
}

static int take_rate_per_session(struct config *config, const char *value, struct error *err)
{
    return value_rate(value, &config->session_rate_bytes_per_s, err);
}

static int take_monitoring_interval(struct config *config, const char *value, struct error *err)
{
    return value_duration(value, MONITORING_INTERVAL_MIN_S, MONITORING_INTERVAL_MAX_S,
                          &config->monitoring_interval_s, err);
}

static int take_monitoring_start(struct config *config, const char *value, struct error *err)
{
    return value_minute(value, &config->monitoring_start_minute, err);
}

/* --- all of them ----------------------------------------------------------------------------- */

static const struct config_key keys[] = {
    {"host", "name", take_name},
    {"host", "state-directory", take_state_directory},
    {"host", "group", take_group},
    {"control", "socket", take_socket},
    {"control", "administrators", take_administrators},
    {"control", "operators", take_operators},
    {"control", "viewers", take_viewers},
    {"replication", "listen", take_listen},
    {"replication", "advertise", take_advertise},
    {"replication", "max-jobs", take_max_jobs},
    {"replication", "retry-first", take_retry_first},
    {"replication", "rate", take_rate},
    {"replication", "rate-per-session", take_rate_per_session},
    {"replication", "monitoring-interval", take_monitoring_interval},
    {"replication", "monitoring-start", take_monitoring_start},
};

/* Of all sections; NULL after the last. */
static const struct config_key *key_at(size_t index)
{
    if (index < ARRAY_COUNT(keys)) {
        return &keys[index];
    }
    index -= ARRAY_COUNT(keys);
    return index < keys_gateway_count ? &keys_gateway[index] : NULL;
}

int keys_defaults(struct config *config, struct error *err)
{
    char name[HOST_NAME_MAX_BYTES] = "";

    *config = (struct config){
        .state_directory = "/var/lib/resilver",
        .socket_path = "/run/resilver/control.sock",
        .max_jobs = JOBS_RUNNING_DEFAULT,
        .retry_first_s = RETRY_FIRST_S,
        .monitoring_interval_s = MONITORING_INTERVAL_DEFAULT_S,
        .monitoring_start_minute = MONITORING_START_DEFAULT,
    };
    keys_gateway_defaults(&config->gateway);
    /* Where it cuts the name it need not end it. */
    if (gethostname(name, sizeof name - 1) < 0) {
        return fail(err, ERR_IO, errno, "this machine's name cannot be had");
    }
    /* A name that cannot be used is no error until no file gives another. */
    if (value_host_name(name, config->host_name, NULL) < 0) {
        config->host_name[0] = '\0';
    }
    return 0;
}

const struct config_key *keys_find(const char *section, const char *name, const char **out_nearest)
{
    const struct config_key *key = NULL;

    *out_nearest = NULL;
    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        if (strcmp(key->section, section) != 0) {
            continue;
        }
        if (strcmp(key->name, name) == 0) {
            return key;
        }
        *out_nearest = nearest_pick(name, *out_nearest, key->name);
    }
    return NULL;
}

const char *keys_elsewhere(const char *name)
{
    const struct config_key *key = NULL;

    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        if (strcmp(key->name, name) == 0) {
            return key->section;
        }
    }
    return NULL;
}

const char *keys_section(const char *name, const char **out_nearest)
{
    const struct config_key *key = NULL;

    *out_nearest = nearest_pick(name, NULL, "vm");
    for (size_t i = 0; (key = key_at(i)) != NULL; i++) {
        if (strcmp(key->section, name) == 0) {
            return key->section;
        }
        *out_nearest = nearest_pick(name, *out_nearest, key->section);
    }
    return NULL;
}
