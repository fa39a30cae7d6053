/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_gateway.c - who may use the management interface: the users' file, without the gateway. It
 * reads the file anew with the next request.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/password.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "config/config.h"
#include "config/users.h"

enum {
    OPTION_ROLE = OPTIONS_FIRST_ID,
    OPTION_VM,
    OPTION_PASSWORD_STDIN,
    OPTION_PAM,
    OPTION_CERTIFICATE,
    OPTION_REPLACE,
    OPTION_CONFIG,
    OPTION_JSON,
    OPTION_HELP
};

static int gateway_run(int argc, char **argv);
static int user_run(int argc, char **argv);
static int add_run(int argc, char **argv);
static int remove_run(int argc, char **argv);
static int list_run(int argc, char **argv);

#define ROWS_COMMON                                                                                \
    {OPTION_CONFIG, "config", 0, "FILE", "the configuration that names the users' file"},          \
        {OPTION_JSON, "json", 0, NULL, "print one JSON object as the result"},                     \
    {                                                                                              \
        OPTION_HELP, "help", 'h', NULL, "show this"                                                \
    }

static const struct option_row add_options[] = {
    {OPTION_ROLE, "role", 0, "ROLE", "viewer, operator, administrator, or none"},
    {OPTION_VM, "vm", 0, "VM=ROLE", "another role for one VM; may be given again"},
    {OPTION_PASSWORD_STDIN, "password-stdin", 0, NULL, "read the password from standard input"},
    {OPTION_PAM, "pam", 0, NULL, "the password is PAM's to judge, and none is kept here"},
    {OPTION_CERTIFICATE, "certificate", 0, "FILE", "let in who has the key of this certificate"},
    {OPTION_REPLACE, "replace", 0, NULL, "change a user that is there"},
    ROWS_COMMON};
static const struct option_row common_options[] = {ROWS_COMMON};

static const struct command cmd_add = {
    .name = "gateway user add",
    .run = add_run,
    .summary = "let somebody use the management interface",
    .synopsis = (const char *const[]){"--role=ROLE [--vm=VM=ROLE ...] [--password-stdin | --pam]\n"
                                      "           [--certificate=FILE] [--replace] [--json] NAME",
                                      NULL},
    .options = add_options,
    .option_count = ARRAY_COUNT(add_options),
    .notes = "The password is asked for at the terminal. With --pam, or --certificate "
             "alone,\nit is not.\n",
};

static const struct command cmd_remove = {
    .name = "gateway user remove",
    .run = remove_run,
    .summary = "let somebody in no more",
    .synopsis = (const char *const[]){"[--json] NAME", NULL},
    .options = common_options,
    .option_count = ARRAY_COUNT(common_options),
};

static const struct command cmd_list = {
    .name = "gateway user list",
    .run = list_run,
    .summary = "show who may use the management interface",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .options = common_options,
    .option_count = ARRAY_COUNT(common_options),
};

static const struct command *const user_verbs[] = {&cmd_list, &cmd_add, &cmd_remove};

static const struct command cmd_user = {
    .name = "gateway user",
    .run = user_run,
    .summary = "list, add and remove its users",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = user_verbs,
    .verb_count = ARRAY_COUNT(user_verbs),
};

static const struct command *const verbs[] = {&cmd_user};

const struct command cmd_gateway = {
    .name = "gateway",
    .run = gateway_run,
    .summary = "say who may use the management interface",
    .synopsis = (const char *const[]){"user VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
    .notes = "resilver-gateway(8) is the program that serves it.\n",
};

static int gateway_run(int argc, char **argv)
{
    return command_run_verb(&cmd_gateway, argc, argv);
}

static int user_run(int argc, char **argv)
{
    return command_run_verb(&cmd_user, argc, argv);
}

/* --- the command line ------------------------------------------------------------------------ */

struct gateway_args {
    const char *role; /* borrowed from argv, as all texts; NULL: not given */
    const char *certificate;
    const char *config;
    const char *name;
    const char *vms[CALLER_VMS_MAX];
    uint32_t vm_count;
    bool is_password_stdin;
    bool is_pam;
    bool is_replace;
    bool json;
};

static int take_vm(struct gateway_args *args, const char *value, struct error *err)
{
    if (args->vm_count == CALLER_VMS_MAX) {
        return fail(err, ERR_USAGE, 0, "--vm is given more than %u times", CALLER_VMS_MAX);
    }
    args->vms[args->vm_count++] = value;
    return 0;
}

/* Returns 1 when help was asked for. */
static int take_option(struct gateway_args *args, int id, const char *value, struct error *err)
{
    switch (id) {
    case OPTION_ROLE:
        args->role = value;
        return 0;
    case OPTION_VM:
        return take_vm(args, value, err);
    case OPTION_PASSWORD_STDIN:
        args->is_password_stdin = true;
        return 0;
    case OPTION_PAM:
        args->is_pam = true;
        return 0;
    case OPTION_CERTIFICATE:
        args->certificate = value;
        return 0;
    case OPTION_REPLACE:
        args->is_replace = true;
        return 0;
    case OPTION_CONFIG:
        args->config = value;
        return 0;
    case OPTION_JSON:
        args->json = true;
        return 0;
    case OPTION_HELP:
    default:
        return id == OPTION_HELP ? 1 : -1;
    }
}

/* Returns 1 when help was asked for. */
static int read_args(const struct command *verb, int argc, char **argv, struct gateway_args *args,
                     struct error *err)
{
    struct options options;
    const char *value = NULL;
    size_t count = 0;
    size_t wanted = verb == &cmd_list ? 0 : 1;
    int id = 0;

    options_init(&options, argc, argv, verb->options, verb->option_count);
    while ((id = options_next(&options, &value, err)) != OPTIONS_END) {
        int taken = id < 0 ? -1 : take_option(args, id, value, err);
        if (taken != 0) {
            return taken;
        }
    }
    char **operands = options_operands(&options, &count);
    if (count != wanted) {
        return fail(err, ERR_USAGE, 0, "resilver %s takes %s", verb->name,
                    wanted == 0 ? "options only" : "the name of one user");
    }
    args->name = wanted == 0 ? "" : operands[0];
    return 0;
}

/* --- what all do ----------------------------------------------------------------------------- */

static int find_path(const struct gateway_args *args, char out[PATH_TEXT_MAX], struct error *err)
{
    bool is_given = args->config != NULL;
    struct config *config = NULL;

    if (config_load(is_given ? args->config : CONFIG_PATH_DEFAULT, !is_given, &config, err) < 0) {
        return -1;
    }
    (void)snprintf(out, PATH_TEXT_MAX, "%s", config->gateway.users);
    config_free(config);
    return 0;
}

typedef int user_work(const struct gateway_args *args, const char *path, struct error *err);

static int run_verb(const struct command *verb, int argc, char **argv, user_work *work)
{
    struct gateway_args args = {.json = false};
    struct error err = {0};
    char path[PATH_TEXT_MAX];
    bool json = settings_ask_for_json(argc, argv);
    int result = read_args(verb, argc, argv, &args, &err);

    if (result > 0) {
        command_print_help(verb, stdout);
        return command_finish(COMMAND_DONE);
    }
    if (result < 0 || find_path(&args, path, &err) < 0 || work(&args, path, &err) < 0) {
        return command_fail(&err, json);
    }
    return command_finish(COMMAND_DONE);
}

/* {"schema", "result", key: value}; value is taken over. */
static void print_json(const char *key, json_t *value)
{
    json_t *root = json_object();
    bool is_complete = json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
                       json_out_put(root, "result", json_string("done"));

    is_complete = json_out_put(root, key, value) && is_complete;
    json_out_print(stdout, root, is_complete);
}

static void tell(const struct gateway_args *args, const char *path, const char *what)
{
    char name[CALLER_NAME_MAX * 4];
    char file[PATH_TEXT_MAX];

    if (args->json) {
        print_json("user", json_out_text(args->name));
        return;
    }
    (void)human_name(args->name, 0, name, sizeof name);
    (void)human_name(path, 0, file, sizeof file);
    (void)printf("%s: %s %s\n", file, name, what);
}

/* --- add ------------------------------------------------------------------------------------- */

static int parse_role(const char *text, enum user_role *out, struct error *err)
{
    return user_role_parse(text, out)
               ? 0
               : fail(err, ERR_USAGE, 0,
                      "'%s' is no role; viewer, operator, administrator and none are", text);
}

/* VM=ROLE; a VM's name may have an equals sign, a role has none. */
static int parse_vm(const char *text, struct user_vm *out, struct error *err)
{
    const char *mark = strrchr(text, '=');

    if (mark == NULL || mark == text || (size_t)(mark - text) >= sizeof out->vm) {
        return fail(err, ERR_USAGE, 0, "--vm=%s is not VM=ROLE", text);
    }
    (void)snprintf(out->vm, sizeof out->vm, "%.*s", (int)(mark - text), text);
    return parse_role(mark + 1, &out->role, err);
}

static X509 *read_certificate(const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        (void)fail(err, ERR_IO, errno, "cannot open the certificate '%s'", path);
        return NULL;
    }
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file); /* only read from */
    if (certificate == NULL) {
        (void)fail(err, ERR_USAGE, 0, "'%s' is no certificate in PEM", path);
    }
    return certificate;
}

static int fingerprint(const char *path, char out[FINGERPRINT_TEXT_MAX], struct error *err)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int count = 0;
    X509 *certificate = read_certificate(path, err);

    if (certificate == NULL) {
        return -1;
    }
    bool is_made = X509_digest(certificate, EVP_sha256(), bytes, &count) == 1;
    X509_free(certificate);
    if (!is_made || count != FINGERPRINT_BYTES) {
        return fail(err, ERR_INTERNAL, 0, "the certificate's fingerprint cannot be computed");
    }
    for (unsigned int i = 0; i < count; i++) {
        (void)snprintf(out + (size_t)2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}

static int set_hash(const struct gateway_args *args, struct user *user, struct error *err)
{
    char password[PASSWORD_MAX];

    if (args->is_pam) {
        (void)snprintf(user->hash, sizeof user->hash, USER_HASH_PAM);
        return 0;
    }
    /* Who has a certificate needs no password; one that is given counts as well. */
    if (args->certificate != NULL && !args->is_password_stdin) {
        (void)snprintf(user->hash, sizeof user->hash, USER_HASH_NONE);
        return 0;
    }
    int result = password_read(args->is_password_stdin, password, sizeof password, err);
    if (result == 0) {
        result = users_hash(password, user->hash, err);
    }
    explicit_bzero(password, sizeof password);
    return result;
}

static int check_there(const struct gateway_args *args, const char *path, struct error *err)
{
    struct users *users = NULL;

    if (users_load(path, &users, err) < 0) {
        return -1;
    }
    bool is_there = users_find(users, args->name) != NULL;
    users_free(users);
    if (is_there && !args->is_replace) {
        return fail(err, ERR_USAGE, 0, "there is a user '%s' already; --replace changes him",
                    args->name);
    }
    return 0;
}

/* vms: room for all that can be given. */
static int fill_user(const struct gateway_args *args, struct user_vm *vms, struct user *user,
                     struct error *err)
{
    if (strlen(args->name) >= sizeof user->name) {
        return fail(err, ERR_USAGE, 0, "a user's name has at most %zu bytes",
                    sizeof user->name - 1);
    }
    if (args->is_pam && args->is_password_stdin) {
        return fail(err, ERR_USAGE, 0,
                    "--pam and --password-stdin exclude each other: the password is kept here, or "
                    "PAM knows it");
    }
    if (args->role == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "--role is missing: viewer, operator, administrator, or none");
    }
    (void)snprintf(user->name, sizeof user->name, "%s", args->name);
    if (parse_role(args->role, &user->role, err) < 0) {
        return -1;
    }
    user->vms = vms;
    for (; user->vm_count < args->vm_count; user->vm_count++) {
        if (parse_vm(args->vms[user->vm_count], &vms[user->vm_count], err) < 0) {
            return -1;
        }
    }
    return args->certificate != NULL ? fingerprint(args->certificate, user->fingerprint, err) : 0;
}

static int add(const struct gateway_args *args, const char *path, struct error *err)
{
    struct user_vm vms[CALLER_VMS_MAX] = {{{0}, USER_NOBODY}};
    struct user user = {.role = USER_NOBODY};

    if (fill_user(args, vms, &user, err) < 0 || check_there(args, path, err) < 0 ||
        set_hash(args, &user, err) < 0 || users_set(path, &user, err) < 0) {
        return -1;
    }
    tell(args, path, "may use the management interface");
    return 0;
}

static int add_run(int argc, char **argv)
{
    return run_verb(&cmd_add, argc, argv, add);
}

/* --- remove ---------------------------------------------------------------------------------- */

static int remove_user(const struct gateway_args *args, const char *path, struct error *err)
{
    if (users_remove(path, args->name, err) < 0) {
        return -1;
    }
    tell(args, path, "may use the management interface no more");
    return 0;
}

static int remove_run(int argc, char **argv)
{
    return run_verb(&cmd_remove, argc, argv, remove_user);
}

/* --- list ------------------------------------------------------------------------------------ */

static json_t *json_vms(const struct user *user)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; i < user->vm_count; i++) {
        json_t *vm = json_object();
        is_complete = json_out_put(vm, "vm", json_out_text(user->vms[i].vm)) && is_complete;
        is_complete =
            json_out_put(vm, "role", json_string(user_role_name(user->vms[i].role))) && is_complete;
        is_complete = json_array_append_new(list, vm) == 0 && is_complete;
    }
    if (!is_complete) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *json_user(const struct user *user)
{
    json_t *object = json_object();
    json_t *certificate =
        user->fingerprint[0] != '\0' ? json_string(user->fingerprint) : json_null();
    bool is_complete = json_out_put(object, "name", json_out_text(user->name)) &&
                       json_out_put(object, "role", json_string(user_role_name(user->role))) &&
                       json_out_put(object, "has_password", json_boolean(user->hash[0] == '$'));

    is_complete = json_out_put(object, "pam", json_boolean(users_asks_pam(user))) && is_complete;
    is_complete = json_out_put(object, "certificate", certificate) && is_complete;
    is_complete = json_out_put(object, "vms", json_vms(user)) && is_complete;
    if (!is_complete) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static void list_json(const struct users *users)
{
    json_t *list = json_array();
    bool is_complete = list != NULL;

    for (uint32_t i = 0; i < users->count; i++) {
        is_complete = json_array_append_new(list, json_user(&users->all[i])) == 0 && is_complete;
    }
    if (!is_complete) {
        json_decref(list);
        list = NULL;
    }
    print_json("users", list);
}

static const struct table_column columns[] = {
    {"USER", false}, {"ROLE", false}, {"PASSWORD", false}, {"CERTIFICATE", false}, {"VMS", false}};

static const char *password_word(const struct user *user)
{
    return users_asks_pam(user) ? "PAM" : user->hash[0] == '$' ? "yes" : "-";
}

/* "db1=operator web=none"; what does not fit is counted. */
static void join_vms(const struct user *user, char *out, size_t size_bytes)
{
    size_t used = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < user->vm_count; i++) {
        int len = snprintf(out + used, size_bytes - used, "%s%s=%s", i == 0 ? "" : " ",
                           user->vms[i].vm, user_role_name(user->vms[i].role));
        if (len < 0 || (size_t)len >= size_bytes - used) {
            break; /* it ends cut, which is seen */
        }
        used += (size_t)len;
    }
}

static int list_text(const struct users *users, struct error *err)
{
    CLEANUP(table_done) struct table table;
    static char vms[CALLER_VMS_MAX * (VM_NAME_MAX + 16)];

    table_init(&table, columns, ARRAY_COUNT(columns));
    for (uint32_t i = 0; i < users->count; i++) {
        const struct user *user = &users->all[i];
        char certificate[20] = "-";
        join_vms(user, vms, sizeof vms);
        if (user->fingerprint[0] != '\0') {
            (void)snprintf(certificate, sizeof certificate, "%.16s", user->fingerprint);
        }
        const char *cells[] = {user->name, user_role_name(user->role), password_word(user),
                               certificate, user->vm_count > 0 ? vms : "-"};
        if (table_add_row(&table, cells, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return 0;
}

static int list(const struct gateway_args *args, const char *path, struct error *err)
{
    struct users *users = NULL;
    int result = 0;

    if (users_load(path, &users, err) < 0) {
        return -1;
    }
    if (args->json) {
        list_json(users);
    } else {
        result = list_text(users, err);
    }
    users_free(users);
    return result;
}

static int list_run(int argc, char **argv)
{
    return run_verb(&cmd_list, argc, argv, list);
}
