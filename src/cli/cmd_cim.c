/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_cim.c - the CIM model as management clients see it, asked for without a gateway: the same
 * classes, instances and methods over the control socket, for scripts and for finding out what a
 * client would be told.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/env.h"
#include "cim/operations.h"
#include "cim/xml.h"
#include "cli/api.h"
#include "cli/json_out.h"
#include "cli/render_cim.h"

static int cim_run(int argc, char **argv);
static int enumerate_run(int argc, char **argv);
static int get_run(int argc, char **argv);
static int query_run(int argc, char **argv);
static int associators_run(int argc, char **argv);
static int invoke_run(int argc, char **argv);
static int classes_run(int argc, char **argv);

static const struct option_row cim_options[] = {
    API_ROW(NAMESPACE, "namespace", "NAME", "another than " CIM_NAMESPACE_DEFAULT),
    API_ROWS_COMMON,
};

/* The common fields; the rest follows in the initialiser. */
#define CIM_COMMON .options = cim_options, .option_count = ARRAY_COUNT(cim_options)
#define CIM_SYNOPSIS "[--namespace NAME] [--json] "

static const struct command cmd_enumerate = {
    .name = "cim enumerate",
    .run = enumerate_run,
    .summary = "show the instances of a class",
    .synopsis = (const char *const[]){CIM_SYNOPSIS "CLASS", NULL},
    .notes = "Those of the classes that descend from it are among them.\n",
    CIM_COMMON,
};

static const struct command cmd_get = {
    .name = "cim get",
    .run = get_run,
    .summary = "show one instance",
    .synopsis = (const char *const[]){CIM_SYNOPSIS "PATH", NULL},
    .notes =
        "PATH is CLASS.KEY=\"VALUE\",KEY=\"VALUE\"; of a class with one instance its name will "
        "do.\n",
    CIM_COMMON,
};

static const struct command cmd_query = {
    .name = "cim query",
    .run = query_run,
    .summary = "show what a WQL query finds",
    .synopsis = (const char *const[]){CIM_SYNOPSIS "WQL", NULL},
    .notes = "    resilver cim query \"select * from Msvm_ConcreteJob where JobState = 4\"\n",
    CIM_COMMON,
};

static const struct command cmd_associators = {
    .name = "cim associators",
    .run = associators_run,
    .summary = "show what is linked with an instance",
    .synopsis = (const char *const[]){CIM_SYNOPSIS "PATH", NULL},
    .notes = "PATH is as that of 'get'.\n",
    CIM_COMMON,
};

static const struct command cmd_invoke = {
    .name = "cim invoke",
    .run = invoke_run,
    .summary = "call a method of an instance",
    .synopsis = (const char *const[]){CIM_SYNOPSIS "PATH METHOD [NAME=VALUE ...]", NULL},
    .notes =
        "A reference is given as a path, a time as 20260301220000.000000+060 or "
        "2026-03-01T22:00:00Z, an\nembedded instance as its XML or as @FILE. Ends with 0 after "
        "the return values 0 and 4096.\n\n"
        "    resilver cim invoke Msvm_ReplicationService Resynchronize \\\n"
        "        ComputerSystem='Msvm_ComputerSystem.CreationClassName=\"Msvm_ComputerSystem\","
        "Name=\"...\"'\n",
    CIM_COMMON,
};

static const struct command cmd_classes = {
    .name = "cim classes",
    .run = classes_run,
    .summary = "show the classes, or one with all it has",
    .synopsis = (const char *const[]){CIM_SYNOPSIS "[CLASS]", NULL},
    CIM_COMMON,
};

static const struct command *const verbs[] = {&cmd_enumerate,   &cmd_get,    &cmd_query,
                                              &cmd_associators, &cmd_invoke, &cmd_classes};

const struct command cmd_cim = {
    .name = "cim",
    .run = cim_run,
    .summary = "ask the CIM model as WS-Management and CIM-XML clients do",
    .synopsis = (const char *const[]){"VERB [options] ...", NULL},
    .verbs = verbs,
    .verb_count = ARRAY_COUNT(verbs),
};

static int cim_run(int argc, char **argv)
{
    return command_run_verb(&cmd_cim, argc, argv);
}

/* --- a request ------------------------------------------------------------------------------- */

struct asking {
    struct api *api; /* borrowed */
    struct arena arena;
    struct cim_caller caller;
    struct cim_request request;
    enum cim_space space;
    const char *space_name;
};

static int asking_init(struct asking *asking, struct api *api, struct error *err)
{
    *asking = (struct asking){.api = api};
    arena_init(&asking->arena, CIM_LIST_BYTES);
    /* What we may do is resilverd's to say: it knows who we are from the socket. */
    asking->caller.role = CIM_ROLE_ADMINISTRATOR;
    asking->request = (struct cim_request){.arena = &asking->arena,
                                           .client = api->client,
                                           .caller = &asking->caller,
                                           .env = env_system()};
    asking->space = cim_space_find(api->args->name_space);
    if (asking->space == CIM_SPACE_NONE) {
        return fail(err, ERR_USAGE, 0,
                    "there is no namespace '%s'; " CIM_NAMESPACE_DEFAULT
                    " and " CIM_NAMESPACE_INTEROP " are",
                    api->args->name_space);
    }
    asking->space_name = cim_space_name(asking->space);
    return 0;
}

static void asking_done(struct asking *asking)
{
    cim_request_done(&asking->request);
    arena_free(&asking->arena);
}

static int find_class(struct asking *asking, const char *name, const struct cim_class **out,
                      struct error *err)
{
    *out = cim_class_find(asking->space, name);
    if (*out == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "there is no class '%s' in %s; 'resilver cim classes' shows them", name,
                    asking->space_name);
    }
    return 0;
}

/* A path as typed; a bare class stands for its only instance. */
static int find_path(struct asking *asking, const char *text, const struct cim_path **out,
                     struct error *err)
{
    const struct cim_class *class = NULL;
    struct cim_list list = {0};

    if (cim_path_read(&asking->arena, text, out, err) < 0) {
        return -1;
    }
    if ((*out)->key_count > 0) {
        return 0;
    }
    if (find_class(asking, (*out)->class_name, &class, err) < 0 ||
        cim_enumerate(&asking->request, asking->space, class, &list, err) < 0) {
        return -1;
    }
    if (list.count != 1) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' has %u instances: say which by its keys, as 'resilver cim enumerate %s' "
                    "shows them",
                    class->name, list.count, class->name);
    }
    *out = cim_instance_path(&asking->arena, list.all[0], asking->space_name);
    return arena_done(&asking->arena, err);
}

/* --- output ---------------------------------------------------------------------------------- */

static int print_instances_json(struct asking *asking, const struct cim_list *list)
{
    json_t *root = json_object();
    json_t *instances = json_array();
    bool is_complete = json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA));

    for (uint32_t i = 0; i < list->count && is_complete; i++) {
        json_t *one = render_cim_json(&asking->arena, list->all[i], asking->space_name);

        is_complete = json_array_append_new(instances, one) == 0;
    }
    json_out_print(stdout, root, json_out_put(root, "instances", instances) && is_complete);
    return COMMAND_DONE;
}

static int print_instances(struct asking *asking, const struct cim_list *list)
{
    if (asking->api->args->json) {
        return print_instances_json(asking, list);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        (void)printf(i == 0 ? "" : "\n");
        render_cim_instance(&asking->arena, list->all[i], asking->space_name);
    }
    return COMMAND_DONE;
}

/* --- verbs that read ------------------------------------------------------------------------- */

typedef int finder(struct asking *asking, struct cim_list *out, struct error *err);

static int show(struct api *api, finder *find, struct error *err)
{
    struct asking asking;
    struct cim_list list = {0};
    int result = asking_init(&asking, api, err);

    if (result == 0) {
        result = find(&asking, &list, err);
    }
    if (result == 0) {
        result = print_instances(&asking, &list);
    }
    asking_done(&asking);
    return result;
}

static int find_of_class(struct asking *asking, struct cim_list *out, struct error *err)
{
    const struct cim_class *class = NULL;

    if (find_class(asking, asking->api->args->word, &class, err) < 0) {
        return -1;
    }
    return cim_enumerate(&asking->request, asking->space, class, out, err);
}

static int find_one(struct asking *asking, struct cim_list *out, struct error *err)
{
    const struct cim_path *path = NULL;
    const struct cim_instance *found = NULL;

    if (find_path(asking, asking->api->args->word, &path, err) < 0 ||
        cim_get_instance(&asking->request, asking->space, path, &found, err) < 0) {
        return -1;
    }
    return cim_list_add(&asking->arena, out, found) ? 0 : arena_done(&asking->arena, err);
}

static int find_by_query(struct asking *asking, struct cim_list *out, struct error *err)
{
    struct wql query;

    if (wql_parse(&asking->arena, asking->api->args->word, &query, err) < 0) {
        return -1;
    }
    return cim_query(&asking->request, asking->space, &query, out, err);
}

static int find_linked(struct asking *asking, struct cim_list *out, struct error *err)
{
    const struct cim_path *path = NULL;

    if (find_path(asking, asking->api->args->word, &path, err) < 0) {
        return -1;
    }
    return cim_associators(&asking->request, asking->space, path, NULL, out, err);
}

static int enumerate_do(struct api *api, struct error *err)
{
    return show(api, find_of_class, err);
}

static int get_do(struct api *api, struct error *err)
{
    return show(api, find_one, err);
}

static int query_do(struct api *api, struct error *err)
{
    return show(api, find_by_query, err);
}

static int associators_do(struct api *api, struct error *err)
{
    return show(api, find_linked, err);
}

static int enumerate_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a class"};

    return api_run(&cmd_enumerate, argc, argv, &operands, enumerate_do);
}

static int get_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a path"};

    return api_run(&cmd_get, argc, argv, &operands, get_do);
}

static int query_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a query"};

    return api_run(&cmd_query, argc, argv, &operands, query_do);
}

static int associators_run(int argc, char **argv)
{
    static const struct api_operands operands = {1, 1, "a path"};

    return api_run(&cmd_associators, argc, argv, &operands, associators_do);
}

/* --- classes --------------------------------------------------------------------------------- */

static void print_class(const struct cim_class *class)
{
    (void)printf("class %s%s%s\n", class->name, class->parent == NULL ? "" : " : ",
                 class->parent == NULL ? "" : class->parent->name);
    for (uint32_t i = 0; i < class->property_count; i++) {
        const struct cim_property *property = &class->properties[i];

        (void)printf("    %s%s %s%s\n", property->is_key ? "[key] " : "",
                     property->type == CIM_REFERENCE ? property->reference_class
                                                     : cim_type_name(property->type),
                     property->name, property->is_array ? "[]" : "");
    }
    for (uint32_t i = 0; i < class->method_count; i++) {
        const struct cim_method *method = &class->methods[i];

        (void)printf("    %s %s(", cim_type_name(method->type), method->name);
        for (uint32_t p = 0; p < method->parameter_count; p++) {
            const struct cim_parameter *parameter = &method->parameters[p];

            (void)printf("%s[%s] %s %s%s", p == 0 ? "" : ", ",
                         !parameter->is_in    ? "out"
                         : !parameter->is_out ? "in"
                                              : "in, out",
                         parameter->type == CIM_REFERENCE ? parameter->reference_class
                                                          : cim_type_name(parameter->type),
                         parameter->name, parameter->is_array ? "[]" : "");
        }
        (void)printf(")\n");
    }
}

static json_t *type_json(enum cim_type type, const char *reference_class)
{
    return json_string(type == CIM_REFERENCE ? reference_class : cim_type_name(type));
}

static json_t *parameter_json(const struct cim_parameter *parameter)
{
    return json_pack("{s:s, s:o, s:b, s:b, s:b}", "name", parameter->name, "type",
                     type_json(parameter->type, parameter->reference_class), "array",
                     (int)parameter->is_array, "in", (int)parameter->is_in, "out",
                     (int)parameter->is_out);
}

static json_t *method_json(const struct cim_method *method)
{
    json_t *parameters = json_array();
    bool is_complete = true;

    for (uint32_t i = 0; i < method->parameter_count; i++) {
        is_complete =
            json_array_append_new(parameters, parameter_json(&method->parameters[i])) == 0 &&
            is_complete;
    }
    if (!is_complete) {
        json_decref(parameters);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o}", "name", method->name, "type", cim_type_name(method->type),
                     "parameters", parameters);
}

static json_t *property_json(const struct cim_property *property)
{
    return json_pack("{s:s, s:o, s:b, s:b}", "name", property->name, "type",
                     type_json(property->type, property->reference_class), "array",
                     (int)property->is_array, "key", (int)property->is_key);
}

static void print_class_json(const struct cim_class *class)
{
    json_t *properties = json_array();
    json_t *methods = json_array();
    bool is_complete = true;

    for (uint32_t i = 0; i < class->property_count; i++) {
        is_complete =
            json_array_append_new(properties, property_json(&class->properties[i])) == 0 &&
            is_complete;
    }
    for (uint32_t i = 0; i < class->method_count; i++) {
        is_complete =
            json_array_append_new(methods, method_json(&class->methods[i])) == 0 && is_complete;
    }
    json_t *root = json_pack("{s:i, s:s, s:s?, s:o, s:o}", "schema", JSON_OUT_SCHEMA, "class",
                             class->name, "parent", class->parent ? class->parent->name : NULL,
                             "properties", properties, "methods", methods);

    json_out_print(stdout, root, is_complete);
}

static int print_class_names(const struct asking *asking)
{
    json_t *names = json_array();
    bool is_complete = true;

    for (uint32_t i = 0; i < cim_class_count; i++) {
        if ((cim_classes[i]->spaces & (uint32_t)asking->space) == 0) {
            continue;
        }
        if (!asking->api->args->json) {
            (void)printf("%s\n", cim_classes[i]->name);
        }
        is_complete =
            json_array_append_new(names, json_string(cim_classes[i]->name)) == 0 && is_complete;
    }
    if (asking->api->args->json) {
        json_t *root = json_object();

        is_complete = json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) && is_complete;
        json_out_print(stdout, root, json_out_put(root, "classes", names) && is_complete);
    } else {
        json_decref(names);
    }
    return COMMAND_DONE;
}

static int classes_do(struct api *api, struct error *err)
{
    struct asking asking;
    const struct cim_class *class = NULL;
    int result = asking_init(&asking, api, err);

    if (result == 0 && api->args->word == NULL) {
        result = print_class_names(&asking);
    } else if (result == 0) {
        result = find_class(&asking, api->args->word, &class, err);
        if (result == 0 && api->args->json) {
            print_class_json(class);
        } else if (result == 0) {
            print_class(class);
        }
    }
    asking_done(&asking);
    return result;
}

static int classes_run(int argc, char **argv)
{
    static const struct api_operands operands = {0, 1, "a class"};

    return api_run(&cmd_classes, argc, argv, &operands, classes_do);
}

/* --- invoke ---------------------------------------------------------------------------------- */

/* The text itself, or what the file behind an @ has. */
static int read_text(struct arena *arena, const char *text, const char **out, struct error *err)
{
    char *content;
    FILE *file;

    if (text[0] != '@') {
        *out = text;
        return 0;
    }
    content = arena_take(arena, CIM_TEXT_MAX);
    if (content == NULL) {
        return arena_done(arena, err);
    }
    file = fopen(text + 1, "re");
    if (file == NULL) {
        return fail(err, ERR_USAGE, errno, "cannot read '%s'", text + 1);
    }
    size_t used = fread(content, 1, CIM_TEXT_MAX - 1, file);
    bool is_whole = ferror(file) == 0 && fgetc(file) == EOF;

    (void)fclose(file); /* it was only read */
    if (!is_whole || memchr(content, '\0', used) != NULL) {
        return fail(err, ERR_USAGE, 0, "'%s' cannot be read, is longer than %u KiB, or is no text",
                    text + 1, (unsigned)(CIM_TEXT_MAX / KIB));
    }
    *out = content;
    return 0;
}

static int read_item(struct arena *arena, const struct cim_parameter *parameter, const char *text,
                     union cim_item *out, struct error *err)
{
    if (parameter->type == CIM_REFERENCE) {
        return cim_path_read(arena, text, &out->path, err);
    }
    if (parameter->embedded_class != NULL) {
        return cim_xml_read_embedded(arena, text, parameter->embedded_class, &out->instance, err);
    }
    return cim_item_read(arena, parameter->type, text, out, err);
}

/* One NAME=VALUE; of an array each gives one more item. What cannot be of the parameter's type goes
 * to the method all the same: it is the method that answers to it. */
static int take_argument(struct asking *asking, const char *word, struct cim_arguments *in,
                         struct error *err)
{
    const char *equals = strchr(word, '=');
    char *name = arena_text_of(&asking->arena, word, strcspn(word, "="));
    const struct cim_parameter *parameter =
        name == NULL ? NULL : cim_parameter_find(in->method, name);
    const char *text = NULL;
    struct error ignored;

    if (equals == NULL || parameter == NULL || !parameter->is_in) {
        return fail(err, ERR_USAGE, 0,
                    "'%s' is no NAME=VALUE of a parameter of %s; 'resilver cim classes' shows them",
                    word, in->method->name);
    }
    if (read_text(&asking->arena, equals + 1, &text, err) < 0) {
        return -1;
    }
    size_t index = (size_t)(parameter - in->method->parameters);
    struct cim_value *value = &in->values[index];
    union cim_item *items =
        arena_take_many(&asking->arena, (size_t)value->count + 1, sizeof *items);

    if (items == NULL) {
        return arena_done(&asking->arena, err);
    }
    if (in->is_given[index] && !parameter->is_array) {
        return fail(err, ERR_USAGE, 0, "'%s' is given twice", name);
    }
    in->is_given[index] = true;
    if (read_item(&asking->arena, parameter, text, &items[value->count], &ignored) < 0) {
        in->is_wrong_type[index] = true;
        return arena_done(&asking->arena, err);
    }
    if (value->count > 0) {
        memcpy(items, value->items, value->count * sizeof *items);
    }
    *value = (struct cim_value){
        .type = parameter->embedded_class == NULL ? parameter->type : CIM_INSTANCE,
        .is_array = parameter->is_array,
        .count = value->count + 1,
        .items = items,
    };
    return 0;
}

static int print_outcome_json(struct asking *asking, const struct cim_method *method,
                              const struct cim_outcome *outcome, const char *name)
{
    json_t *root = json_object();
    json_t *out = json_object();
    bool is_complete =
        json_out_put(root, "schema", json_integer(JSON_OUT_SCHEMA)) &&
        json_out_put(root, "return_value", json_integer(outcome->return_value)) &&
        json_out_put(root, "return_name", name == NULL ? json_null() : json_string(name)) &&
        json_out_put(root, "message",
                     json_out_text(outcome->message == NULL ? "" : outcome->message));

    for (uint32_t i = 0; i < method->parameter_count && outcome->out != NULL && is_complete; i++) {
        if (method->parameters[i].is_out) {
            is_complete =
                json_out_put(out, method->parameters[i].name,
                             render_cim_json_value(&asking->arena, &outcome->out->values[i]));
        }
    }
    json_out_print(stdout, root, json_out_put(root, "out", out) && is_complete);
    return 0;
}

static int print_outcome(struct asking *asking, const struct cim_method *method,
                         const struct cim_outcome *outcome)
{
    const char *name = cim_value_name(&method->qualifiers, outcome->return_value);
    bool is_good = outcome->return_value == 0 || outcome->return_value == 4096;

    if (asking->api->args->json) {
        return print_outcome_json(asking, method, outcome, name) < 0 ? -1
               : is_good                                             ? COMMAND_DONE
                                                                     : COMMAND_FAILED;
    }
    (void)printf("ReturnValue = %" PRIu32 "%s%s\n", outcome->return_value,
                 name == NULL ? "" : "   # ", name == NULL ? "" : name);
    for (uint32_t i = 0; i < method->parameter_count && outcome->out != NULL; i++) {
        if (method->parameters[i].is_out) {
            render_cim_value(&asking->arena, method->parameters[i].name, &outcome->out->values[i]);
        }
    }
    if (outcome->message != NULL && outcome->message[0] != '\0') {
        (void)fprintf(is_good ? stdout : stderr, "%s\n", outcome->message);
    }
    return is_good ? COMMAND_DONE : COMMAND_FAILED;
}

static int invoke(struct asking *asking, struct error *err)
{
    const struct api_args *args = asking->api->args;
    const struct cim_path *path = NULL;
    const struct cim_class *class = NULL;
    struct cim_outcome outcome = {0};

    if (find_path(asking, args->word, &path, err) < 0 ||
        find_class(asking, path->class_name, &class, err) < 0) {
        return -1;
    }
    const struct cim_method *method = cim_method_find(class, args->words[1]);

    if (method == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "%s has no method '%s'; 'resilver cim classes %s' shows them", class->name,
                    args->words[1], class->name);
    }
    struct cim_arguments *in = cim_arguments_new(&asking->arena, method);

    for (size_t i = 2; i < args->word_count && in != NULL; i++) {
        if (take_argument(asking, args->words[i], in, err) < 0) {
            return -1;
        }
    }
    if (arena_done(&asking->arena, err) < 0 ||
        cim_invoke(&asking->request, asking->space, path, method, in, &outcome, err) < 0) {
        return -1;
    }
    return print_outcome(asking, method, &outcome);
}

static int invoke_do(struct api *api, struct error *err)
{
    struct asking asking;
    int result = asking_init(&asking, api, err);

    if (result == 0) {
        result = invoke(&asking, err);
    }
    asking_done(&asking);
    return result;
}

static int invoke_run(int argc, char **argv)
{
    static const struct api_operands operands = {2, COMMAND_WORDS_MAX, "a path and a method"};

    return api_run(&cmd_invoke, argc, argv, &operands, invoke_do);
}
