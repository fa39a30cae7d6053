/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_config.c - look at the daemon's configuration without the daemon: whether it is good, and
 * what holds in the end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/settings.h"
#include "config/config.h"

enum { OPTION_JSON = OPTIONS_FIRST_ID, OPTION_HELP };

static int config_run(int argc, char **argv);
static int check_run(int argc, char **argv);
static int show_run(int argc, char **argv);

static const struct option_row config_options[] = {
    {OPTION_JSON, "json", 0, NULL, "print one JSON object as the result"},
    {OPTION_HELP, "help", 'h', NULL, "show this"},
};

#define NOTES                                                                                      \
    "FILE is " CONFIG_PATH_DEFAULT " if it is not given. Its drop-ins, FILE.d/NAME.conf, count.\n"

static const struct command cmd_config_check = {
    .name = "config check",
    .run = check_run,
    .summary = "find what is wrong with the daemon's configuration",
    .synopsis = (const char *const[]){"[--json] [FILE]", NULL},
    .options = config_options,
    .option_count = ARRAY_COUNT(config_options),
    .notes = NOTES,
};

static const struct command cmd_config_show = {
    .name = "config show",
    .run = show_run,
    .summary = "show what holds, with the defaults and all drop-ins",
    .synopsis = (const char *const[]){"[--json] [FILE]", NULL},
    .options = config_options,
    .option_count = ARRAY_COUNT(config_options),
    .notes = NOTES "What is shown is a configuration again.\n",
};

static const struct command *const verbs[] = {&cmd_config_check, &cmd_config_show};

const struct command cmd_config = {
    .name = "config",
    .run = config_run,
    .summary = "check or show the daemon's configuration",
    .synopsis = (const char *const[]){"VERB [options] [FILE]", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
    .notes = "The man page resilver.conf(5) has all keys.\n",
};

static int config_run(int argc, char **argv)
{
    return command_run_verb(&cmd_config, argc, argv);
}

/* --- the command line ------------------------------------------------------------------------ */

struct config_args {
    const char *path; /* borrowed from argv */
    bool json;
};

/* Returns 1 when help was asked for. */
static int read_args(int argc, char **argv, struct config_args *out, struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t count = 0;
    int id = 0;

    options_init(&options, argc, argv, config_options, ARRAY_COUNT(config_options));
    while ((id = options_next(&options, &value, err)) != OPTIONS_END) {
        if (id < 0) {
            return -1;
        }
        if (id == OPTION_HELP) {
            return 1;
        }
        out->json = true;
    }
    char **paths = options_operands(&options, &count);
    if (count > 1) {
        return fail(err, ERR_USAGE, 0, "'%s' is one too many; resilver %s takes one file", paths[1],
                    argv[0]);
    }
    out->path = count == 1 ? paths[0] : CONFIG_PATH_DEFAULT;
    return 0;
}

/* Tells, or shows, a good configuration. */
typedef void config_teller(const struct config_args *args, const struct config *config);

static int run_verb(const struct command *verb, int argc, char **argv, config_teller *tell)
{
    struct config_args args = {.json = false};
    struct config *config = NULL;
    struct error err = {0};
    bool json = settings_ask_for_json(argc, argv);
    int result = read_args(argc, argv, &args, &err);

    if (result > 0) {
        command_print_help(verb, stdout);
        return command_finish(COMMAND_DONE);
    }
    if (result < 0 || config_load(args.path, false, &config, &err) < 0) {
        return command_fail(&err, json);
    }
    tell(&args, config);
    config_free(config);
    return command_finish(COMMAND_DONE);
}

/* --- JSON ------------------------------------------------------------------------------------ */

/* Whatever lacked memory is NULL; json_out_put says so where it is put. */
static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_out_text(text);
}

/* value, taken over, at the list's end. */
static bool append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

/* What is complete; else NULL. */
static json_t *whole(json_t *value, bool is_complete)
{
    if (!is_complete) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static json_t *json_names(const struct config_names *names)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; is_complete && i < names->count; i++) {
        is_complete = append(list, json_out_text(names->names[i]));
    }
    return whole(list, is_complete);
}

static const char *minute_text(uint32_t minute, char out[8])
{
    (void)snprintf(out, 8, "%02u:%02u", minute / 60 % 24, minute % 60);
    return out;
}

static json_t *json_host(const struct config *config)
{
    json_t *host = json_object();

    return whole(
        host, json_out_put(host, "name", json_out_text(config->host_name)) &&
                  json_out_put(host, "state_directory", json_out_text(config->state_directory)) &&
                  json_out_put(host, "group", text_or_null(config->group)));
}

static json_t *json_control(const struct config *config)
{
    json_t *control = json_object();

    return whole(control,
                 json_out_put(control, "socket", json_out_text(config->socket_path)) &&
                     json_out_put(control, "administrators", json_names(&config->administrators)) &&
                     json_out_put(control, "operators", json_names(&config->operators)) &&
                     json_out_put(control, "viewers", json_names(&config->viewers)));
}

static json_t *json_replication(const struct config *config)
{
    json_t *all = json_object();
    char minute[8];

    return whole(
        all, json_out_put(all, "listen", text_or_null(config->listen_address)) &&
                 json_out_put(all, "advertise", text_or_null(config->advertise_address)) &&
                 json_out_put(all, "max_jobs", json_integer(config->max_jobs)) &&
                 json_out_put(all, "retry_first_s", json_integer(config->retry_first_s)) &&
                 json_out_put(all, "rate_bytes_per_s", json_out_amount(config->rate_bytes_per_s)) &&
                 json_out_put(all, "session_rate_bytes_per_s",
                              json_out_amount(config->session_rate_bytes_per_s)) &&
                 json_out_put(all, "monitoring_interval_s",
                              json_integer(config->monitoring_interval_s)) &&
                 json_out_put(all, "monitoring_start",
                              json_string(minute_text(config->monitoring_start_minute, minute))));
}

static json_t *json_gateway(const struct config *config)
{
    const struct config_gateway *gateway = &config->gateway;
    json_t *all = json_object();

    return whole(all, json_out_put(all, "wsman", text_or_null(gateway->wsman)) &&
                          json_out_put(all, "wsman_tls", text_or_null(gateway->wsman_tls)) &&
                          json_out_put(all, "cimxml", text_or_null(gateway->cimxml)) &&
                          json_out_put(all, "cimxml_tls", text_or_null(gateway->cimxml_tls)) &&
                          json_out_put(all, "certificate", text_or_null(gateway->certificate)) &&
                          json_out_put(all, "key", text_or_null(gateway->key)) &&
                          json_out_put(all, "users", json_out_text(gateway->users)) &&
                          json_out_put(all, "audit_log", text_or_null(gateway->audit_log)) &&
                          json_out_put(all, "user", text_or_null(gateway->user)) &&
                          json_out_put(all, "pam_service", json_string(gateway->pam_service)) &&
                          json_out_put(all, "plain_beyond_loopback",
                                       json_boolean(gateway->may_plain_beyond_loopback)));
}

static json_t *json_disk(const struct config_disk *disk)
{
    json_t *object = json_object();

    return whole(object, json_out_put(object, "name", json_out_text(disk->name)) &&
                             json_out_put(object, "path", json_out_text(disk->path)) &&
                             json_out_put(object, "format", text_or_null(disk->format)));
}

static json_t *json_vm(const struct config_vm *vm)
{
    json_t *object = json_object();
    json_t *disks = json_array();
    char id[UUID_TEXT_MAX];

    uuid_format(&vm->id, id);
    bool is_complete = json_out_put(object, "id", json_string(id)) &&
                       json_out_put(object, "name", json_out_text(vm->name));
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        is_complete = append(disks, json_disk(&vm->disks[i])) && is_complete;
    }
    is_complete = json_out_put(object, "disks", disks) && is_complete;
    return whole(object, is_complete);
}

static json_t *json_vms(const struct config *config)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; is_complete && i < config->vm_count; i++) {
        is_complete = append(list, json_vm(&config->vms[i]));
    }
    return whole(list, is_complete);
}

static uint64_t count_disks(const struct config *config)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < config->vm_count; i++) {
        count += config->vms[i].disk_count;
    }
    return count;
}

/* {"schema", "result", key: value}; both are taken over. */
static void print_json(const char *key, json_t *value)
{
    json_t *root = json_object();
    bool is_complete = json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
                       json_out_put(root, "result", json_string("done"));

    is_complete = json_out_put(root, key, value) && is_complete;
    json_out_print(stdout, root, is_complete);
}

/* --- check ----------------------------------------------------------------------------------- */

static void check_tell(const struct config_args *args, const struct config *config)
{
    char path[PATH_TEXT_MAX];
    uint64_t disks = count_disks(config);

    if (args->json) {
        json_t *object = json_object();
        bool is_complete = json_out_put(object, "path", json_out_text(args->path)) &&
                           json_out_put(object, "vms", json_integer(config->vm_count)) &&
                           json_out_put(object, "disks", json_out_amount(disks));
        print_json("checked", whole(object, is_complete));
        return;
    }
    (void)human_name(args->path, 0, path, sizeof path);
    (void)printf("%s: good; %" PRIu32 " %s, %" PRIu64 " %s\n", path, config->vm_count,
                 config->vm_count == 1 ? "VM" : "VMs", disks, disks == 1 ? "disk" : "disks");
}

static int check_run(int argc, char **argv)
{
    return run_verb(&cmd_config_check, argc, argv, check_tell);
}

/* --- show ------------------------------------------------------------------------------------ */

static void show_names(const char *key, const struct config_names *names)
{
    (void)printf("%s =", key);
    for (uint32_t i = 0; i < names->count; i++) {
        (void)printf(" %s", names->names[i]);
    }
    (void)printf("\n");
}

static void show_if_set(const char *key, const char *text)
{
    if (text[0] != '\0') {
        (void)printf("%s = %s\n", key, text);
    }
}

static void show_replication(const struct config *config)
{
    char minute[8];

    (void)printf("\n[replication]\n");
    show_if_set("listen", config->listen_address);
    show_if_set("advertise", config->advertise_address);
    (void)printf("max-jobs = %" PRIu32 "\n", config->max_jobs);
    (void)printf("retry-first = %" PRIu32 "\n", config->retry_first_s);
    (void)printf("rate = %" PRIu64 "\n", config->rate_bytes_per_s);
    (void)printf("rate-per-session = %" PRIu64 "\n", config->session_rate_bytes_per_s);
    (void)printf("monitoring-interval = %" PRIu32 "\n", config->monitoring_interval_s);
    (void)printf("monitoring-start = %s\n", minute_text(config->monitoring_start_minute, minute));
}

static void show_gateway(const struct config_gateway *gateway)
{
    /* An empty address is said: there is one otherwise. */
    (void)printf("\n[gateway]\nwsman = %s\n", gateway->wsman);
    show_if_set("wsman-tls", gateway->wsman_tls);
    (void)printf("cimxml = %s\n", gateway->cimxml);
    show_if_set("cimxml-tls", gateway->cimxml_tls);
    show_if_set("certificate", gateway->certificate);
    show_if_set("key", gateway->key);
    (void)printf("users = %s\n", gateway->users);
    show_if_set("audit-log", gateway->audit_log);
    show_if_set("user", gateway->user);
    (void)printf("pam-service = %s\n", gateway->pam_service);
    (void)printf("plain-beyond-loopback = %s\n", gateway->may_plain_beyond_loopback ? "yes" : "no");
}

static void show_vm(const struct config_vm *vm)
{
    char id[UUID_TEXT_MAX];

    uuid_format(&vm->id, id);
    (void)printf("\n[vm %s]\nuuid = %s\n", vm->name, id);
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        (void)printf("disk.%s = %s\n", vm->disks[i].name, vm->disks[i].path);
        if (vm->disks[i].format[0] != '\0') {
            (void)printf("format.%s = %s\n", vm->disks[i].name, vm->disks[i].format);
        }
    }
}

/* The texts come from a configuration: they have no control characters, and a terminal may have
 * them as they are. */
static void show_tell(const struct config_args *args, const struct config *config)
{
    if (args->json) {
        json_t *object = json_object();
        bool is_complete = json_out_put(object, "host", json_host(config)) &&
                           json_out_put(object, "control", json_control(config)) &&
                           json_out_put(object, "replication", json_replication(config)) &&
                           json_out_put(object, "gateway", json_gateway(config)) &&
                           json_out_put(object, "vms", json_vms(config));
        print_json("config", whole(object, is_complete));
        return;
    }
    (void)printf("[host]\nname = %s\nstate-directory = %s\n", config->host_name,
                 config->state_directory);
    show_if_set("group", config->group);
    (void)printf("\n[control]\nsocket = %s\n", config->socket_path);
    show_names("administrators", &config->administrators);
    show_names("operators", &config->operators);
    show_names("viewers", &config->viewers);
    show_replication(config);
    show_gateway(&config->gateway);
    for (uint32_t i = 0; i < config->vm_count; i++) {
        show_vm(&config->vms[i]);
    }
}

static int show_run(int argc, char **argv)
{
    return run_verb(&cmd_config_show, argc, argv, show_tell);
}
