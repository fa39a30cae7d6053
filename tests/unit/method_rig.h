/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_rig.h - a client that calls methods, and the control API behind them, whose service only
 * writes down what it is asked. Included by tests of methods; none needs all of it.
 */
#ifndef RESILVER_TESTS_METHOD_RIG_H
#define RESILVER_TESTS_METHOD_RIG_H

#include "cim/provider.h"
#include "control_rig.h"

#define VM_UPPER "6F1C2A9E-0000-4000-8000-000000000001"
#define OTHER_VM "6f1c2a9e-0000-4000-8000-000000000002"
#define HOP_0 "Microsoft:" VM_UPPER "\\HVR\\0"
#define HOP_1 "Microsoft:" VM_UPPER "\\HVR\\1"
#define MOMENT "20260301220000.000000+000"
#define INTERVAL "00000000001000.000000:000"

#define SERVICE "Msvm_ReplicationService"
#define SYSTEM "Msvm_ComputerSystem"
#define JOB "Msvm_ConcreteJob"

/* Hyper-V's numbers, as its documentation has them. */
enum {
    DONE = 0,
    STARTED = 4096,
    DENIED = 32769,
    NOT_SUPPORTED = 32770,
    INVALID = 32773,
    WRONG_STATE = 32775,
    WRONG_TYPE = 32776,
    NOT_AVAILABLE = 32777
};

struct stage {
    struct rig rig;
    struct arena arena;
    struct client *client;
    struct cim_caller caller;
    struct cim_request request;
    const struct cim_method_row *row;
    const struct cim_method *method;
    struct cim_instance *on;
    struct cim_arguments *in;
    struct cim_outcome out;
};

static inline const struct cim_class *class_of(const char *name)
{
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, name);

    assert_non_null(class);
    return class;
}

static inline struct cim_instance *make(struct stage *stage, const char *class_name)
{
    struct cim_instance *instance = cim_instance_new(&stage->arena, class_of(class_name));

    assert_non_null(instance);
    return instance;
}

static inline void stage_start(struct stage *stage)
{
    struct error err = {0};

    *stage = (struct stage){.caller = {.name = "alice", .role = CIM_ROLE_ADMINISTRATOR}};
    rig_start(&stage->rig, CALLER_ADMINISTRATOR);
    arena_init(&stage->arena, CIM_REQUEST_BYTES);
    assert_int_equal(client_open(stage->rig.path, &stage->client, &err), 0);
    stage->request = (struct cim_request){.arena = &stage->arena,
                                          .client = stage->client,
                                          .caller = &stage->caller,
                                          .env = env_system()};
}

static inline void stage_stop(struct stage *stage)
{
    cim_request_done(&stage->request);
    client_close(stage->client);
    arena_free(&stage->arena);
    rig_stop(&stage->rig);
}

/* The service as it was, and a method that is given nothing yet. */
static inline void prepare(struct stage *stage, const char *class_name, const char *name)
{
    rig_lock(&stage->rig);
    service_reset();
    rig_unlock(&stage->rig);
    cim_request_done(&stage->request);
    arena_free(&stage->arena);
    stage->caller = (struct cim_caller){.name = "alice", .role = CIM_ROLE_ADMINISTRATOR};
    stage->row = NULL;
    for (uint32_t i = 0; i < cim_method_row_count; i++) {
        if (strcmp(cim_method_rows[i].class_name, class_name) == 0 &&
            strcmp(cim_method_rows[i].method, name) == 0) {
            stage->row = &cim_method_rows[i];
        }
    }
    stage->method = cim_method_find(class_of(class_name), name);
    if (stage->row == NULL || stage->method == NULL) {
        fail_msg("there is no %s.%s", class_name, name);
    }
    stage->on = make(stage, class_name);
    stage->in = cim_arguments_new(&stage->arena, stage->method);
    assert_non_null(stage->in);
}

static inline struct cim_value *value_in(struct cim_arguments *arguments, const char *name)
{
    const struct cim_parameter *parameter = cim_parameter_find(arguments->method, name);

    assert_non_null(parameter);
    return &arguments->values[parameter - arguments->method->parameters];
}

static inline union cim_item *give(struct stage *stage, const char *name, enum cim_type type)
{
    struct cim_value *value = value_in(stage->in, name);

    value->items = arena_take(&stage->arena, sizeof *value->items);
    assert_non_null(value->items);
    value->type = type;
    value->is_null = false;
    value->count = 1;
    return &value->items[0];
}

static inline void give_text(struct stage *stage, const char *name, const char *text)
{
    give(stage, name, CIM_STRING)->text = text;
}

static inline void give_datetime(struct stage *stage, const char *name, const char *text)
{
    give(stage, name, CIM_DATETIME)->text = text;
}

static inline void give_number(struct stage *stage, const char *name, uint64_t number)
{
    give(stage, name, CIM_UINT16)->number = number;
}

static inline void give_instance(struct stage *stage, const char *name,
                                 const struct cim_instance *instance)
{
    give(stage, name, CIM_INSTANCE)->instance = instance;
}

static inline void give_vm(struct stage *stage, const char *name)
{
    give(stage, "ComputerSystem", CIM_REFERENCE)->path = cim_path_new(
        &stage->arena, SYSTEM, "CreationClassName", SYSTEM, "Name", name, (char *)NULL);
}

static inline void give_relationship(struct stage *stage, const char *instance_id)
{
    struct cim_instance *relationship = make(stage, "Msvm_ReplicationRelationship");

    cim_set_text(relationship, "InstanceID", instance_id);
    give_instance(stage, "ReplicationRelationship", relationship);
}

static inline void mark_wrong(struct stage *stage, const char *name)
{
    const struct cim_parameter *parameter = cim_parameter_find(stage->method, name);

    assert_non_null(parameter);
    stage->in->is_wrong_type[parameter - stage->method->parameters] = true;
}

static inline uint32_t invoke(struct stage *stage)
{
    struct error err = {0};

    stage->out = (struct cim_outcome){.out = cim_arguments_new(&stage->arena, stage->method),
                                      .return_value = 12345,
                                      .message = "nothing was said"};
    stage->request.status = CIM_OK;
    if (stage->row->invoke(&stage->request, stage->on, stage->in, &stage->out, &err) < 0) {
        fail_msg("%s: %s", stage->method->name, err.message);
    }
    assert_int_equal(stage->request.status, CIM_OK);
    return stage->out.return_value;
}

/* A method that answers so, with these words, and has asked nothing of the service. */
static inline void assert_refused(struct stage *stage, uint32_t value, const char *words)
{
    uint32_t got = invoke(stage);

    if (got != value || strstr(stage->out.message, words) == NULL) {
        fail_msg("%s: %u and not %u, '%s' and not '%s'", stage->method->name, got, value,
                 stage->out.message, words);
    }
    assert_int_equal(rig_calls(&stage->rig), 0);
}

/* A method that is done, and has asked this of the service. */
static inline void assert_asked(struct stage *stage, const char *call)
{
    uint32_t got = invoke(stage);

    if (got != DONE) {
        fail_msg("%s: %u, '%s'", stage->method->name, got, stage->out.message);
    }
    assert_int_equal(rig_calls(&stage->rig), 1);
    assert_string_equal(the_service.last, call);
}

static inline void reply_with(struct stage *stage, enum return_value value)
{
    rig_lock(&stage->rig);
    the_service.value = value;
    rig_unlock(&stage->rig);
}

static inline void be_replica(struct stage *stage, const struct relationship_row *second)
{
    rig_lock(&stage->rig);
    the_mode = MODE_REPLICA;
    the_second = second;
    rig_unlock(&stage->rig);
}

static inline void assert_no_job(struct stage *stage)
{
    assert_true(value_in(stage->out.out, "Job")->is_null);
}

static inline void assert_job(struct stage *stage)
{
    const struct cim_value *job = value_in(stage->out.out, "Job");

    assert_false(job->is_null);
    assert_int_equal(job->type, CIM_REFERENCE);
    assert_int_equal(job->count, 1);
    assert_string_equal(job->items[0].path->class_name, JOB);
    assert_int_equal(strcasecmp(cim_path_key(job->items[0].path, "InstanceID"), JOB_ID), 0);
}

static inline const struct relationship_row *second_row(void)
{
    static struct relationship_row row;

    row = the_relationship;
    row.hop = 1;
    row.role = RELATIONSHIP_EXTENDING;
    return &row;
}

#endif
