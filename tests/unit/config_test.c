/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/config.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/value.h"
#include "disk/disk.h"

#define ID_1 "11111111-2222-4333-8444-555555555555"
#define ID_2 "22222222-2222-4333-8444-555555555555"

static char folder[] = "/tmp/config_test.XXXXXX";
static char path[64];  /* folder/r.conf */
static char drops[64]; /* folder/r.conf.d */

/* --- files ----------------------------------------------------------------------------------- */

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(name);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/config_test.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/r.conf", folder);
    (void)snprintf(drops, sizeof drops, "%s/r.conf.d", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put_bytes(const char *file, const void *bytes, size_t len_bytes)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len_bytes, out), len_bytes);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(file, 0644), 0);
}

static void put(const char *text)
{
    put_bytes(path, text, strlen(text));
}

static void put_drop_in(const char *name, const char *text)
{
    char file[128];

    (void)mkdir(drops, 0755);
    assert_int_equal(chmod(drops, 0755), 0);
    (void)snprintf(file, sizeof file, "%s/%s", drops, name);
    put_bytes(file, text, strlen(text));
}

/* --- loading --------------------------------------------------------------------------------- */

static struct config *load(void)
{
    struct config *config = NULL;
    struct error err = {0};

    if (config_load(path, false, &config, &err) < 0) {
        fail_msg("%s", err.message);
    }
    assert_non_null(config);
    return config;
}

static struct config *load_text(const char *text)
{
    put(text);
    return load();
}

/* Expects a refusal; its sentence holds all of the words up to NULL. */
static void refuse(enum error_kind kind, const char *const words[])
{
    struct config *config = NULL;
    struct error err = {0};

    if (config_load(path, false, &config, &err) != -1) {
        fail_msg("it was taken; expected: %s", words[0]);
    }
    assert_null(config);
    for (size_t i = 0; words[i] != NULL; i++) {
        if (err.kind != kind || strstr(err.message, words[i]) == NULL) {
            fail_msg("kind %s, \"%s\", without \"%s\"", error_kind_name(err.kind), err.message,
                     words[i]);
        }
    }
    assert_int_equal(config_load(path, false, &config, NULL), -1);
}

#define REFUSE(...) refuse(ERR_USAGE, (const char *const[]){__VA_ARGS__, NULL})
#define REFUSE_TEXT(text, ...)                                                                     \
    do {                                                                                           \
        put(text);                                                                                 \
        REFUSE(__VA_ARGS__);                                                                       \
    } while (0)

/* One value of a key in a section. */
static void put_value(const char *section, const char *key, const char *value)
{
    static char text[3 * PATH_TEXT_MAX];

    (void)snprintf(text, sizeof text, "# a comment\n[%s]\n\n%s = %s\n", section, key, value);
    put(text);
}

static struct config *load_value(const char *section, const char *key, const char *value)
{
    put_value(section, key, value);
    return load();
}

/* Refused at line 4, with the key. */
static void refuse_value(const char *section, const char *key, const char *value, const char *words)
{
    char before[128];

    (void)snprintf(before, sizeof before, "r.conf:4: %s: ", key);
    put_value(section, key, value);
    REFUSE(before, words);
}

static const char *filled(char letter, size_t count)
{
    static char texts[4][PATH_TEXT_MAX + 64];
    static unsigned int next;
    char *text = texts[next++ % 4];

    assert_true(count < sizeof texts[0]);
    memset(text, letter, count);
    text[count] = '\0';
    return text;
}

/* --- defaults -------------------------------------------------------------------------------- */

static void nothing_said_means_the_defaults(void **state)
{
    char name[HOST_NAME_MAX_BYTES] = "";
    struct config *config = load_text("");

    (void)state;
    assert_int_equal(gethostname(name, sizeof name - 1), 0);
    assert_string_equal(config->host_name, name);
    assert_string_equal(config->state_directory, "/var/lib/resilver");
    assert_string_equal(config->group, "");
    assert_string_equal(config->socket_path, "/run/resilver/control.sock");
    assert_string_equal(config->listen_address, "");
    assert_string_equal(config->advertise_address, "");
    assert_int_equal(config->administrators.count, 0);
    assert_int_equal(config->operators.count, 0);
    assert_int_equal(config->viewers.count, 0);
    assert_int_equal(config->max_jobs, 3);
    assert_int_equal(config->retry_first_s, 60);
    assert_int_equal(config->rate_bytes_per_s, 0);
    assert_int_equal(config->session_rate_bytes_per_s, 0);
    assert_int_equal(config->monitoring_interval_s, 43200);
    assert_int_equal(config->monitoring_start_minute, 540);
    assert_int_equal(config->vm_count, 0);
    config_free(config);
    config_free(NULL);
}

static void a_missing_file_is_empty_only_where_it_is_optional(void **state)
{
    struct config *config = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(config_load(path, false, &config, &err), -1);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(err.errnum, ENOENT);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(config_load(path, true, &config, &err), 0);
    assert_string_equal(config->state_directory, "/var/lib/resilver");
    config_free(config);

    /* Its drop-ins hold all the same. */
    put_drop_in("1.conf", "[host]\nname = other\n");
    assert_int_equal(config_load(path, true, &config, &err), 0);
    assert_string_equal(config->host_name, "other");
    config_free(config);

    /* A link that leads to nothing is a mistake and no choice. */
    config = NULL;
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(config_load(path, true, &config, &err), -1);
    assert_int_equal(err.kind, ERR_IO);

    assert_int_equal(config_load("", true, &config, &err), -1);
    assert_int_equal(config_load(filled('/', PATH_TEXT_MAX), true, &config, &err), -1);
    assert_null(config);
}

/* --- every key ------------------------------------------------------------------------------- */

static void the_host_has_a_plain_name(void **state)
{
    struct config *config = load_value("host", "name", "node-1.example_x");

    (void)state;
    assert_string_equal(config->host_name, "node-1.example_x");
    config_free(config);
    config = load_value("host", "name", filled('h', HOST_NAME_MAX_BYTES - 1));
    assert_int_equal(strlen(config->host_name), HOST_NAME_MAX_BYTES - 1);
    config_free(config);
    refuse_value("host", "name", filled('h', HOST_NAME_MAX_BYTES), "255 bytes");
    refuse_value("host", "name", "", "cannot be a host's name");
    refuse_value("host", "name", "a b", "'a b' cannot be a host's name");
    refuse_value("host", "name", "-a", "letters, digits");
    refuse_value("host", "name", ".a", "letters, digits");
    refuse_value("host", "name", "a/b", "letters, digits");
    refuse_value("host", "name", "h\xc3\xb6st", "letters, digits");
}

static void paths_are_absolute(void **state)
{
    struct config *config = load_value("host", "state-directory", "/srv/a b");

    (void)state;
    assert_string_equal(config->state_directory, "/srv/a b");
    config_free(config);
    char longest[PATH_TEXT_MAX];
    (void)snprintf(longest, sizeof longest, "/%s", filled('p', PATH_TEXT_MAX - 2));
    config = load_value("host", "state-directory", longest);
    assert_string_equal(config->state_directory, longest);
    config_free(config);
    char longer[PATH_TEXT_MAX + 1];
    (void)snprintf(longer, sizeof longer, "/%s", filled('p', PATH_TEXT_MAX - 1));
    refuse_value("host", "state-directory", longer, "4095 bytes");
    refuse_value("host", "state-directory", "srv", "must begin with /");
    refuse_value("host", "state-directory", "", "must begin with /");

    char socket[128];
    (void)snprintf(socket, sizeof socket, "/%s", filled('s', 106));
    config = load_value("control", "socket", socket);
    assert_string_equal(config->socket_path, socket);
    config_free(config);
    (void)snprintf(socket, sizeof socket, "/%s", filled('s', 107));
    refuse_value("control", "socket", socket, "107 bytes");
    refuse_value("control", "socket", "s", "must begin with /");
    refuse_value("control", "socket", "/run/", "is a folder");
}

static void users_and_groups_stand_in_lists(void **state)
{
    struct config *config = NULL;

    (void)state;
    config = load_value("host", "group", "libvirt");
    assert_string_equal(config->group, "libvirt");
    config_free(config);
    refuse_value("host", "group", "@libvirt", "an @ too many");
    refuse_value("host", "group", "a b", "cannot be a user's or group's name");
    refuse_value("host", "group", "", "cannot be a user's or group's name");

    config = load_text("[control]\nadministrators = alice,@backup\toperator-1\n"
                       "operators = bob\nviewers = EXAMPLE\\carol dave@example.org\n");
    assert_int_equal(config->administrators.count, 3);
    assert_string_equal(config->administrators.names[0], "alice");
    assert_string_equal(config->administrators.names[1], "@backup");
    assert_string_equal(config->administrators.names[2], "operator-1");
    assert_int_equal(config->operators.count, 1);
    assert_string_equal(config->operators.names[0], "bob");
    assert_int_equal(config->viewers.count, 2);
    assert_string_equal(config->viewers.names[1], "dave@example.org");
    config_free(config);

    config = load_text("[control]\nviewers = a b\nviewers =\n");
    assert_int_equal(config->viewers.count, 0);
    config_free(config);

    config = load_value("control", "viewers", filled('u', USER_TEXT_MAX - 1));
    assert_int_equal(strlen(config->viewers.names[0]), USER_TEXT_MAX - 1);
    config_free(config);
    refuse_value("control", "viewers", filled('u', USER_TEXT_MAX), "127 bytes at most");
    refuse_value("control", "operators", "a @ b", "names no group");
    refuse_value("control", "administrators", "-a", "'-a' cannot be");
    refuse_value("control", "administrators", "a:b", "'a:b' cannot be");

    char many[512] = "";
    for (unsigned int i = 0; i < CONFIG_NAMES_MAX; i++) {
        size_t used = strlen(many);
        (void)snprintf(many + used, sizeof many - used, "u%u ", i);
    }
    config = load_value("control", "viewers", many);
    assert_int_equal(config->viewers.count, CONFIG_NAMES_MAX);
    config_free(config);
    (void)snprintf(many + strlen(many), sizeof many - strlen(many), "more");
    refuse_value("control", "viewers", many, "more than 64 names");
}

static void addresses_have_a_port(void **state)
{
    static const char *const good[] = {":1", "0.0.0.0:65535", "[::]:8490", "node.example:8490"};
    struct config *config = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        config = load_value("replication", "listen", good[i]);
        assert_string_equal(config->listen_address, good[i]);
        config_free(config);
    }
    refuse_value("replication", "listen", "8490", "is not HOST:PORT");
    refuse_value("replication", "listen", "::1:8490", "number from 1 to 65535");
    refuse_value("replication", "listen", "a:0", "number from 1 to 65535");
    refuse_value("replication", "listen", "a:65536", "number from 1 to 65535");
    refuse_value("replication", "advertise", ":8490", "is not HOST:PORT");
    refuse_value("replication", "advertise", "", "is not HOST:PORT");

    config = load_text("[replication]\nlisten = :1\n[host]\nname = here\n");
    assert_string_equal(config->advertise_address, "here:1");
    config_free(config);
    config = load_text("[replication]\nlisten = [::]:8490\nadvertise = [2001:db8::1]:18490\n");
    assert_string_equal(config->advertise_address, "[2001:db8::1]:18490");
    config_free(config);
    config = load_text("[replication]\nlisten = :1\nlisten =\n");
    assert_string_equal(config->listen_address, "");
    assert_string_equal(config->advertise_address, "");
    config_free(config);

    /* The longest of both fit. */
    char text[2 * HOST_NAME_MAX_BYTES];
    (void)snprintf(text, sizeof text, "[host]\nname = %s\n[replication]\nlisten = :65535\n",
                   filled('h', HOST_NAME_MAX_BYTES - 1));
    config = load_text(text);
    assert_int_equal(strlen(config->advertise_address), HOST_NAME_MAX_BYTES - 1 + 6);
    config_free(config);
}

static void the_gateway_listens_at_loopback_unless_it_is_told(void **state)
{
    (void)state;
    struct config *config = load_text("[host]\n");
    assert_string_equal(config->gateway.wsman, "127.0.0.1:5985");
    assert_string_equal(config->gateway.cimxml, "127.0.0.1:5988");
    assert_string_equal(config->gateway.wsman_tls, "");
    assert_string_equal(config->gateway.users, "/etc/resilver/gateway.users");
    assert_string_equal(config->gateway.pam_service, "resilver-gateway");
    assert_false(config->gateway.may_plain_beyond_loopback);
    config_free(config);
    config = load_text("[gateway]\nwsman =\ncimxml = [::1]:1\nuser = resilver-gateway\n"
                       "audit-log = /var/log/a\nwsman-tls = :5986\ncertificate = /c\nkey = /k\n");
    assert_string_equal(config->gateway.wsman, "");
    assert_string_equal(config->gateway.cimxml, "[::1]:1");
    assert_string_equal(config->gateway.wsman_tls, ":5986");
    assert_string_equal(config->gateway.certificate, "/c");
    assert_string_equal(config->gateway.key, "/k");
    assert_string_equal(config->gateway.user, "resilver-gateway");
    assert_string_equal(config->gateway.audit_log, "/var/log/a");
    config_free(config);
    config = load_text("[gateway]\nwsman = localhost:1\ncimxml = 127.9.9.9:1\n"
                       "pam-service = mgmt_2.x\n");
    assert_string_equal(config->gateway.pam_service, "mgmt_2.x");
    config_free(config);
    config = load_text("[gateway]\nwsman = :1\nplain-beyond-loopback = yes\n");
    assert_true(config->gateway.may_plain_beyond_loopback);
    config_free(config);
}

static void passwords_do_not_leave_the_host_in_clear_text_by_chance(void **state)
{
    static const char *const addresses[] = {
        ":1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "host.example.org:1", "[::2]:1", "128.0.0.1:1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
        put_value("gateway", "wsman", addresses[i]);
        REFUSE("[gateway]: wsman = ", "clear text", "plain-beyond-loopback = yes");
        put_value("gateway", "cimxml", addresses[i]);
        REFUSE("[gateway]: cimxml = ", "use cimxml-tls");
    }
    REFUSE_TEXT("[gateway]\nwsman-tls = :1\n", "wsman-tls = :1 needs certificate = and key =");
    REFUSE_TEXT("[gateway]\ncimxml-tls = :1\nkey = /k\n", "needs certificate");
    refuse_value("gateway", "plain-beyond-loopback", "true", "neither yes nor no");
    refuse_value("gateway", "user", "@group", "a user's name");
    refuse_value("gateway", "pam-service", "", "names no service of PAM");
    refuse_value("gateway", "pam-service", "../login", "names no service of PAM");
    refuse_value("gateway", "pam-service", "a/b", "names no service of PAM");
    refuse_value("gateway", "pam-service", "Login", "lower-case");
    refuse_value("gateway", "certificate", "cert.pem", "absolute path");
    refuse_value("gateway", "users", "", "absolute path");
    refuse_value("gateway", "wsman", "5985", "is not HOST:PORT");
}

static uint64_t number_of(const char *key, const char *value)
{
    struct config *config = load_value("replication", key, value);
    uint64_t number = strcmp(key, "max-jobs") == 0           ? config->max_jobs
                      : strcmp(key, "retry-first") == 0      ? config->retry_first_s
                      : strcmp(key, "rate") == 0             ? config->rate_bytes_per_s
                      : strcmp(key, "rate-per-session") == 0 ? config->session_rate_bytes_per_s
                      : strcmp(key, "monitoring-start") == 0 ? config->monitoring_start_minute
                                                             : config->monitoring_interval_s;

    config_free(config);
    return number;
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    assert_int_equal(number_of("max-jobs", "1"), 1);
    assert_int_equal(number_of("max-jobs", "64"), JOBS_RUNNING_MAX);
    refuse_value("replication", "max-jobs", "0", "a number from 1 to 64");
    refuse_value("replication", "max-jobs", "65", "a number from 1 to 64");
    refuse_value("replication", "max-jobs", "-1", "a number from 1 to 64");
    refuse_value("replication", "max-jobs", "", "a number from 1 to 64");

    assert_int_equal(number_of("rate", "0"), 0);
    assert_int_equal(number_of("rate", "1K"), 1024);
    assert_int_equal(number_of("rate", "100MB"), 100000000);
    assert_int_equal(number_of("rate-per-session", "1.5G"), 3 * GIB / 2);
    assert_int_equal(number_of("rate", "9223372036854775807"), INT64_MAX);
    refuse_value("replication", "rate", "1023", "1K is the least");
    refuse_value("replication", "rate", "9223372036854775808", "1K is the least");
    refuse_value("replication", "rate", "fast", "not an amount of bytes");
    refuse_value("replication", "rate-per-session", "1", "1K is the least");
    refuse_value("replication", "rate-per-session", "", "not an amount of bytes");
}

static void times_have_bounds(void **state)
{
    (void)state;
    assert_int_equal(number_of("retry-first", "1"), 1);
    assert_int_equal(number_of("retry-first", "1h"), 3600);
    assert_int_equal(number_of("retry-first", "2 min"), 120);
    refuse_value("replication", "retry-first", "0", "1 to 3600 seconds");
    refuse_value("replication", "retry-first", "3601s", "1 to 3600 seconds");

    assert_int_equal(number_of("monitoring-interval", "3600"), 3600);
    assert_int_equal(number_of("monitoring-interval", "7d"), 604800);
    refuse_value("replication", "monitoring-interval", "3599", "3600 to 604800 seconds");
    refuse_value("replication", "monitoring-interval", "604801", "3600 to 604800 seconds");
    refuse_value("replication", "monitoring-interval", "12m", "s, min, h or d");
    refuse_value("replication", "monitoring-interval", "h", "3600 to 604800 seconds");
    refuse_value("replication", "monitoring-interval", "4294967297", "3600 to 604800 seconds");
    refuse_value("replication", "monitoring-interval", "99999999999999999999999999h",
                 "3600 to 604800 seconds");
    refuse_value("replication", "monitoring-interval", "-1h", "3600 to 604800 seconds");

    assert_int_equal(number_of("monitoring-start", "00:00"), 0);
    assert_int_equal(number_of("monitoring-start", "23:59"), 1439);
    static const char *const bad[] = {"24:00",    "12:60", "9:00",  "09:0",  "0900",
                                      "09:00:00", "",      "a9:00", "09-00", "-1:00"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        refuse_value("replication", "monitoring-start", bad[i], "00:00 to 23:59");
    }
}

/* --- VMs ------------------------------------------------------------------------------------- */

static void vms_have_an_id_and_disks(void **state)
{
    struct config *config =
        load_text("[vm web 1]\nuuid = " ID_1 "\ndisk.vda = /srv/web/vda\nformat.vda = qcow2\n"
                  "disk.vdb=/dev/disk/by-id/x:y=z\n"
                  "disk.data.raw = nbd+unix:///d?socket=/run/x.sock\nformat.data.raw = raw\n"
                  "[ vm\tdb ]  ; the database\nuuid = " ID_2 "\ndisk.vda = /srv/db\n");
    struct uuid id;

    (void)state;
    assert_int_equal(config->vm_count, 2);
    assert_string_equal(config->vms[0].name, "web 1");
    assert_int_equal(uuid_parse(ID_1, &id, NULL), 0);
    assert_true(uuid_equal(&config->vms[0].id, &id));
    assert_int_equal(config->vms[0].disk_count, 3);
    assert_string_equal(config->vms[0].disks[0].name, "vda");
    assert_string_equal(config->vms[0].disks[0].path, "/srv/web/vda");
    assert_string_equal(config->vms[0].disks[0].format, "qcow2");
    assert_string_equal(config->vms[0].disks[1].path, "/dev/disk/by-id/x:y=z");
    assert_string_equal(config->vms[0].disks[1].format, "");
    assert_string_equal(config->vms[0].disks[2].name, "data.raw");
    assert_string_equal(config->vms[1].name, "db");
    assert_int_equal(config->vms[1].disk_count, 1);
    config_free(config);
}

static void vms_that_lack_something_are_refused(void **state)
{
    (void)state;
    REFUSE_TEXT("\n[vm a]\ndisk.x = /x\n", "r.conf:2: [vm]: a has no uuid", "uuidgen");
    REFUSE_TEXT("\n[vm a]\nuuid = " ID_1 "\n", "r.conf:2: [vm]: a has no disk");
    REFUSE_TEXT("[vm a]\nuuid = 00000000-0000-0000-0000-000000000000\n",
                "r.conf:2: uuid: ", "nobody's");
    REFUSE_TEXT("[vm a]\nuuid = 1\n", "r.conf:2: uuid: ");
    REFUSE_TEXT("[vm a]\nuuid = " ID_1 "\nformat.x = raw\ndisk.y = /y\n",
                "r.conf:3: format.x: a has no disk of this name");
    REFUSE_TEXT("[vm a]\nuuid = " ID_1 "\ndisk.y = /y\n[vm b]\ndisk.y = /y\nuuid = " ID_1 "\n",
                "r.conf:6: uuid: a has this UUID already, from ", "r.conf:2;");
    REFUSE_TEXT("[vm a]\nuuid = " ID_1 "\nuuid = " ID_2 "\n",
                "r.conf:3: uuid: a has another UUID already", "r.conf:2");
    REFUSE_TEXT("[vm a]\nuuid = " ID_1 "\ndisk.y = /y\ndisk.z = /y\n",
                "r.conf:4: disk.z: a has this path for its disk y already");
    REFUSE_TEXT("[vm a]\nuuid = " ID_1 "\ndisk.y = nbd+unix:///y?socket=/y\nformat.y = vdi\n",
                "r.conf:4: format.y: ", "always raw");
}

static void names_of_vms_are_plain(void **state)
{
    char text[2 * VM_NAME_MAX];
    struct config *config = NULL;

    (void)state;
    (void)snprintf(text, sizeof text, "[vm %s]\nuuid = " ID_1 "\ndisk.x = /x\n",
                   filled('v', VM_NAME_MAX - 1));
    config = load_text(text);
    assert_string_equal(config->vms[0].name, filled('v', VM_NAME_MAX - 1));
    config_free(config);
    /* Two that differ only far behind are two. */
    (void)snprintf(text, sizeof text,
                   "[vm %sa]\nuuid = " ID_1 "\ndisk.x = /x\n[vm %sb]\nuuid = " ID_2
                   "\ndisk.x = /y\n",
                   filled('v', 100), filled('v', 100));
    config = load_text(text);
    assert_int_equal(config->vm_count, 2);
    config_free(config);
    (void)snprintf(text, sizeof text, "[vm %s]\n", filled('v', VM_NAME_MAX));
    REFUSE_TEXT(text, "r.conf:1: [vm]: ", "255 bytes");
    REFUSE_TEXT("[vm]\n", "r.conf:1: [vm]: ", "has no name");
    REFUSE_TEXT("[vm  ]\n", "r.conf:1: [vm]: ", "has no name");
    REFUSE_TEXT("[vm a/b]\n", "'a/b' cannot be a VM's name");
    REFUSE_TEXT("[vm ..]\n", "'..' cannot be a VM's name");
    REFUSE_TEXT("[vm a\tb]\n", "cannot be a VM's name");
    REFUSE_TEXT("[vm " ID_1 "]\n", "since it is a UUID");
}

static void names_of_disks_are_names_of_files(void **state)
{
    char text[2 * DISK_NAME_MAX];

    (void)state;
    (void)snprintf(text, sizeof text, "[vm a]\nuuid = " ID_1 "\ndisk.%s = /x\n",
                   filled('d', DISK_NAME_MAX - 1));
    config_free(load_text(text));
    (void)snprintf(text, sizeof text, "[vm a]\ndisk.%s = /x\n", filled('d', DISK_NAME_MAX));
    REFUSE_TEXT(text, "r.conf:2: disk.ddd", "255 bytes");
    REFUSE_TEXT("[vm a]\ndisk. = /x\n", "r.conf:2: disk.: ", "not be empty");
    REFUSE_TEXT("[vm a]\ndisk.a/b = /x\n", "r.conf:2: disk.a/b: ", "no slash");
    REFUSE_TEXT("[vm a]\ndisk... = /x\n", "r.conf:2: disk...: ", "not be empty, . or ..");
    REFUSE_TEXT("[vm a]\nformat.. = raw\n", "r.conf:2: format..: ", "not be empty, . or ..");
    REFUSE_TEXT("[vm a]\ndisk.a\tb = /x\n", "no control character");
}

static void disks_are_paths_or_exports(void **state)
{
    (void)state;
    REFUSE_TEXT("[vm a]\ndisk.x = x\n", "r.conf:2: disk.x: ", "must begin with /");
    REFUSE_TEXT("[vm a]\ndisk.x =\n", "r.conf:2: disk.x: ", "must begin with /");
    REFUSE_TEXT("[vm a]\ndisk.x = nbd+unix://x?socket=/y\n",
                "r.conf:2: disk.x: ", "nbd+unix:///NAME?socket=PATH");
    REFUSE_TEXT("[vm a]\ndisk.x = nbd+unix:///x\n", "r.conf:2: disk.x: ");
    REFUSE_TEXT("[vm a]\ndisk.x = nbd+unix:///x?socket=y\n", "r.conf:2: disk.x: ", "absolute");
    REFUSE_TEXT("[vm a]\ndisk.x = /x\nformat.x = qcow\n",
                "r.conf:3: format.x: ", "did you mean qcow2?");
    REFUSE_TEXT("[vm a]\nformat.x =\n", "r.conf:2: format.x: ", "raw, qcow2, vhdx, vmdk and vdi");
}

static void formats_are_those_that_disks_know(void **state)
{
    char out[CONFIG_FORMAT_MAX];

    (void)state;
    for (int format = DISK_FORMAT_RAW; format <= DISK_FORMAT_VDI; format++) {
        const char *name = disk_format_name((enum disk_format)format);
        assert_int_equal(value_format(name, out, NULL), 0);
        assert_int_equal(disk_format_parse(out), format);
    }
}

static void put_many_disks(unsigned int count)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    (void)fprintf(out, "[vm a]\nuuid = " ID_1 "\n");
    for (unsigned int i = 0; i < count; i++) {
        (void)fprintf(out, "disk.d%u = /%u\n", i, i);
    }
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static void put_many_vms(unsigned int count)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    for (unsigned int i = 0; i < count; i++) {
        (void)fprintf(out, "[vm v%u]\nuuid = 11111111-2222-4333-8444-%012u\ndisk.d = /d\n", i, i);
    }
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static void there_are_only_so_many_of_each(void **state)
{
    (void)state;
    put_many_disks(DISKS_MAX);
    struct config *config = load();
    assert_int_equal(config->vms[0].disk_count, DISKS_MAX);
    config_free(config);
    put_many_disks(DISKS_MAX + 1);
    REFUSE("r.conf:67: disk.d64: ", "more than 64 disks");

    put_many_vms(VMS_MAX);
    config = load();
    assert_int_equal(config->vm_count, VMS_MAX);
    assert_string_equal(config->vms[VMS_MAX - 1].name, "v4095");
    config_free(config);
    put_many_vms(VMS_MAX + 1);
    refuse(ERR_LIMIT, (const char *const[]){"r.conf:12289: ", "more than 4096 VMs", NULL});
}

/* --- lines ----------------------------------------------------------------------------------- */

static void the_first_error_is_told_with_its_line(void **state)
{
    (void)state;
    REFUSE_TEXT("[host]\nname = a\n\n# x\n; y\n  nmae = b\nworse\n", "r.conf:6: nmae: ");
    REFUSE_TEXT("[host]\nworse\nnmae = b\n", "r.conf:2: this is neither");
    REFUSE_TEXT("[host]\nname = b\nworse", "r.conf:3: this is neither");
    REFUSE_TEXT("[host]\nworse\n[odd]\n", "r.conf:2: this is neither");
    REFUSE_TEXT("[host]\nname = a\n[odd]\nworse\n", "r.conf:3: [odd]");
    REFUSE_TEXT("name = a\n", "r.conf:1: a key stands before the first [section]");
    REFUSE_TEXT("[host\n", "r.conf:1: a section's name ends with ]");
    REFUSE_TEXT("[host] x\n", "r.conf:1: nothing may stand behind");
    REFUSE_TEXT("[host]\n= x\n", "r.conf:2: ");
}

static void lines_are_taken_as_people_write_them(void **state)
{
    struct config *config = NULL;

    (void)state;
    config = load_text("\xef\xbb\xbf[host]\r\n\tname=a\r\n\tstate-directory : /s ; there\r\n");
    assert_string_equal(config->host_name, "a");
    assert_string_equal(config->state_directory, "/s");
    config_free(config);
    /* An indented key is a key, and no more of the value before. */
    config = load_text("[host]\nstate-directory = /s\n    name = b");
    assert_string_equal(config->state_directory, "/s");
    assert_string_equal(config->host_name, "b");
    config_free(config);
    config = load_text("[host] # here\nstate-directory = /a;b#c\n");
    assert_string_equal(config->state_directory, "/a;b#c");
    config_free(config);
}

static void what_is_no_text_is_refused(void **state)
{
    static const char *const bad[] = {"\x01",
                                      "\x7f",
                                      "\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc2\x85",
                                      "\xf0\x80\x80\x80",
                                      "\xe2\x82",
                                      "a\rb"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        (void)snprintf(text, sizeof text, "[host]\nstate-directory = /%s\n", bad[i]);
        REFUSE_TEXT(text, "r.conf:2: this line is not UTF-8");
    }
    struct config *config =
        load_text("[host]\nstate-directory = /\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n");
    assert_string_equal(config->state_directory, "/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    config_free(config);

    put_bytes(path, "[host]\n#\0\n", 10);
    REFUSE("r.conf:2: there is a NUL byte");
    put_bytes(path, filled('#', 4000), 4000);
    config_free(load());
    char line[CONFIG_LINE_MAX + 1];
    memset(line, '#', sizeof line);
    put_bytes(path, line, CONFIG_LINE_MAX - 1);
    config_free(load());
    put_bytes(path, line, CONFIG_LINE_MAX);
    REFUSE("r.conf:1: this line is longer than 8191 bytes");
}

static void what_was_meant_is_guessed(void **state)
{
    (void)state;
    REFUSE_TEXT("[hots]\n", "[hots] is no known section; did you mean [host]?");
    REFUSE_TEXT("[contol]\n", "did you mean [control]?");
    REFUSE_TEXT("[host web]\n", "did you mean [host]?");
    REFUSE_TEXT("[network]\n",
                "there are [host], [control], [replication], [gateway] and [vm NAME]");
    REFUSE_TEXT("[host]\nnmae = x\n", "no key of [host]; did you mean name?");
    REFUSE_TEXT("[replication]\nmaxjobs = 1\n", "did you mean max-jobs?");
    REFUSE_TEXT("[host]\nlisten = :1\n", "a key of [replication] and not of [host]");
    REFUSE_TEXT("[host]\nxyz = 1\n", "resilver.conf(5)");
    REFUSE_TEXT("[vm a]\nuiid = 1\n", "did you mean uuid?");
    REFUSE_TEXT("[vm a]\ndisc.vda = /x\n", "did you mean disk.vda?");
    REFUSE_TEXT("[vm a]\nfromat = raw\n", "did you mean format.NAME?");
    REFUSE_TEXT("[vm a]\nmemory = 1\n", "uuid, disk.NAME and format.NAME");
}

/* --- files ----------------------------------------------------------------------------------- */

static void drop_ins_come_in_the_order_of_their_names(void **state)
{
    (void)state;
    put("[host]\nname = a\nstate-directory = /a\n[replication]\nmax-jobs = 1\n"
        "[vm v]\nuuid = " ID_1 "\ndisk.x = /x\n");
    put_drop_in("20.conf", "[host]\nname = c\n[vm v]\ndisk.z = /z\n");
    put_drop_in("10.conf", "[host]\nname = b\nstate-directory = /b\n"
                           "[vm v]\ndisk.y = /y\nformat.x = vdi\nuuid = " ID_1 "\n");
    put_drop_in("30.conf.bak", "nonsense");
    put_drop_in(".40.conf", "nonsense");
    put_drop_in(".conf", "nonsense");
    struct config *config = load();
    assert_string_equal(config->host_name, "c");
    assert_string_equal(config->state_directory, "/b");
    assert_int_equal(config->max_jobs, 1);
    assert_int_equal(config->vm_count, 1);
    assert_int_equal(config->vms[0].disk_count, 3);
    assert_string_equal(config->vms[0].disks[0].format, "vdi");
    assert_string_equal(config->vms[0].disks[1].name, "y");
    assert_string_equal(config->vms[0].disks[2].name, "z");
    config_free(config);

    put_drop_in("25.conf", "# x\n[vm v]\ndisk.y = /other\n");
    REFUSE("r.conf.d/25.conf:3: disk.y: v has this disk already", "r.conf.d/10.conf:5");
    put_drop_in("25.conf", "name = x\n");
    REFUSE("r.conf.d/25.conf:1: a key stands before the first [section]");
    put_drop_in("25.conf", "[vm w]\nuuid = " ID_1 "\ndisk.x = /x\n");
    REFUSE("r.conf.d/25.conf:2: uuid: v has this UUID already");
}

static void files_that_others_may_write_to_are_refused(void **state)
{
    char link[128];

    (void)state;
    put("[host]\nname = a\n");
    assert_int_equal(chmod(path, 0664), 0);
    refuse(ERR_WRONG_STATE, (const char *const[]){path, "its group", "chmod go-w", NULL});
    assert_int_equal(chmod(path, 0646), 0);
    refuse(ERR_WRONG_STATE, (const char *const[]){path, "everybody", "chmod go-w", NULL});
    assert_int_equal(chmod(path, 0600), 0);
    config_free(load());

    put_drop_in("1.conf", "[host]\nname = b\n");
    assert_int_equal(chmod(drops, 0775), 0);
    refuse(ERR_WRONG_STATE, (const char *const[]){"r.conf.d", "its group", NULL});
    assert_int_equal(chmod(drops, 0755), 0);
    (void)snprintf(link, sizeof link, "%s/1.conf", drops);
    assert_int_equal(chmod(link, 0666), 0);
    refuse(ERR_WRONG_STATE, (const char *const[]){"1.conf", "everybody", NULL});
    assert_int_equal(chmod(link, 0644), 0);

    /* A link is as good as what it leads to. */
    (void)snprintf(link, sizeof link, "%s/real", folder);
    assert_int_equal(rename(path, link), 0);
    assert_int_equal(symlink("real", path), 0);
    struct config *config = load();
    assert_string_equal(config->host_name, "b");
    config_free(config);
    assert_int_equal(chmod(link, 0666), 0);
    refuse(ERR_WRONG_STATE, (const char *const[]){"everybody", NULL});
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    REFUSE(path, "not a plain file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    REFUSE(path, "not a plain file");
    assert_int_equal(unlink(path), 0);
    put("");
    put_bytes(drops, "", 0);
    refuse(ERR_IO, (const char *const[]){"r.conf.d", NULL});
}

static void there_are_only_so_many_drop_ins(void **state)
{
    char name[32];

    (void)state;
    put("");
    for (unsigned int i = 0; i < CONFIG_FILES_MAX - 1; i++) {
        (void)snprintf(name, sizeof name, "%04u.conf", i);
        put_drop_in(name, "[host]\nname = x\n");
    }
    config_free(load());
    put_drop_in("9999.conf", "");
    refuse(ERR_LIMIT, (const char *const[]){"more than 1024 files", NULL});
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_gateway_listens_at_loopback_unless_it_is_told),
        TEST(passwords_do_not_leave_the_host_in_clear_text_by_chance),
        TEST(nothing_said_means_the_defaults),
        TEST(a_missing_file_is_empty_only_where_it_is_optional),
        TEST(the_host_has_a_plain_name),
        TEST(paths_are_absolute),
        TEST(users_and_groups_stand_in_lists),
        TEST(addresses_have_a_port),
        TEST(numbers_have_bounds),
        TEST(times_have_bounds),
        TEST(vms_have_an_id_and_disks),
        TEST(vms_that_lack_something_are_refused),
        TEST(names_of_vms_are_plain),
        TEST(names_of_disks_are_names_of_files),
        TEST(disks_are_paths_or_exports),
        TEST(formats_are_those_that_disks_know),
        TEST(there_are_only_so_many_of_each),
        TEST(the_first_error_is_told_with_its_line),
        TEST(lines_are_taken_as_people_write_them),
        TEST(what_is_no_text_is_refused),
        TEST(what_was_meant_is_guessed),
        TEST(drop_ins_come_in_the_order_of_their_names),
        TEST(files_that_others_may_write_to_are_refused),
        TEST(what_is_no_file_is_refused),
        TEST(there_are_only_so_many_drop_ins),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
