/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_vm.c - the VMs that resilverd knows: this host's own, and those replicated to it.
 */
#include "cli/answer.h"
#include "cli/api.h"
#include "cli/api_find.h"
#include "cli/fields.h"
#include "cli/render_relationship.h"
#include "cli/table.h"

static int vm_run(int argc, char **argv);
static int list_run(int argc, char **argv);
static int show_run(int argc, char **argv);

static const struct option_row vm_options[] = {API_ROWS_COMMON};

static const struct command cmd_vm_list = {
    .name = "vm list",
    .run = list_run,
    .summary = "show all VMs and how their replication is",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .options = vm_options,
    .option_count = ARRAY_COUNT(vm_options),
};

static const struct command cmd_vm_show = {
    .name = "vm show",
    .run = show_run,
    .summary = "show a VM, its disks and its relationships",
    .synopsis = (const char *const[]){"[--json] VM", NULL},
    .options = vm_options,
    .option_count = ARRAY_COUNT(vm_options),
    .notes = "VM is a name or an id.\n",
};

static const struct command *const verbs[] = {&cmd_vm_list, &cmd_vm_show};

const struct command cmd_vm = {
    .name = "vm",
    .run = vm_run,
    .summary = "look at the VMs that the service knows",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
};

static int vm_run(int argc, char **argv)
{
    return command_run_verb(&cmd_vm, argc, argv);
}

/* --- list ------------------------------------------------------------------------------------ */

static const struct table_column columns[] = {{"NAME", false},  {"MODE", false},   {"DISKS", true},
                                              {"STATE", false}, {"HEALTH", false}, {"HOST", false}};

/* A row for each relationship; of a VM without one, a row all the same. */
static int add_rows(struct table *table, const json_t *vm, struct error *err)
{
    char disks[24];
    const json_t *list = json_object_get(vm, "relationships");
    size_t count = json_array_size(list);

    (void)snprintf(disks, sizeof disks, "%zu", json_array_size(json_object_get(vm, "disks")));
    for (size_t i = 0; i < (count == 0 ? 1 : count); i++) {
        const json_t *relationship = json_array_get(list, i);
        const char *cells[] = {
            answer_text(vm, "name"),
            answer_text(vm, "mode_name"),
            disks,
            count == 0 ? "not replicated" : answer_text(relationship, "state_name"),
            answer_text(relationship, "health_name"),
            answer_text(relationship, "peer"),
        };
        if (table_add_row(table, cells, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int print_list(const json_t *vms, struct error *err)
{
    CLEANUP(table_done) struct table table;
    const json_t *vm = NULL;
    size_t index = 0;

    table_init(&table, columns, ARRAY_COUNT(columns));
    json_array_foreach(vms, index, vm)
    {
        if (add_rows(&table, vm, err) < 0) {
            return -1;
        }
    }
    table_print(&table, 0, stdout);
    return COMMAND_DONE;
}

static int list_do(struct api *api, struct error *err)
{
    json_auto_t *answer = NULL;

    if (api_call(api, "GET", "/v1/vms", &answer, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(answer);
        return COMMAND_DONE;
    }
    return print_list(json_object_get(answer, "vms"), err);
}

static int list_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 0, "nothing"};

    return api_run(&cmd_vm_list, argc, argv, &operands, list_do);
}

/* --- show ------------------------------------------------------------------------------------ */

static int show_do(struct api *api, struct error *err)
{
    json_auto_t *vm = NULL;
    const json_t *item = NULL;
    size_t index = 0;

    if (api_find_vm(api, api->args->word, &vm, err) < 0) {
        return -1;
    }
    if (api->args->json) {
        api_print(vm);
        return COMMAND_DONE;
    }
    field_of("name", vm, "name");
    field_of("id", vm, "id");
    field_of("mode", vm, "mode_name");
    json_array_foreach(json_object_get(vm, "disks"), index, item)
    {
        const char *format = answer_text(item, "format");
        field_format(index == 0 ? "disks" : "", "%s: %s%s%s", answer_text(item, "name"),
                     answer_text(item, "path"), format[0] == '\0' ? "" : ", ", format);
    }
    json_array_foreach(json_object_get(vm, "relationships"), index, item)
    {
        (void)printf("\n");
        render_relationship(item);
    }
    return COMMAND_DONE;
}

static int show_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a VM"};

    return api_run(&cmd_vm_show, argc, argv, &operands, show_do);
}
