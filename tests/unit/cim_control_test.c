/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model over the real control API: what its objects look like is not remembered here. */
#include "cim/operations.h"

#include "base/limits.h"
#include "cim/map_statistics.h"
#include "cim/provider.h"
#include "client/client.h"
#include "control_rig.h"

struct model {
    struct rig rig;
    struct arena arena;
    struct client *client;
    struct cim_caller caller;
    struct cim_request request;
    struct error err;
};

static void model_start(struct model *model, enum caller_role role)
{
    memset(model, 0, sizeof *model);
    rig_start(&model->rig, role);
    arena_init(&model->arena, CIM_REQUEST_BYTES);
    assert_int_equal(client_open(model->rig.path, &model->client, NULL), 0);
    model->caller = (struct cim_caller){.name = "ann", .role = CIM_ROLE_ADMINISTRATOR};
    model->request = (struct cim_request){.arena = &model->arena,
                                          .client = model->client,
                                          .caller = &model->caller,
                                          .env = env_system()};
}

static void model_stop(struct model *model)
{
    cim_request_done(&model->request);
    client_close(model->client);
    arena_free(&model->arena);
    rig_stop(&model->rig);
}

static struct cim_list all_of(struct model *model, const char *class_name)
{
    struct cim_list list = {0};
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, class_name);

    if (cim_enumerate(&model->request, CIM_SPACE_VIRTUALIZATION, class, &list, &model->err) < 0) {
        fail_msg("%s: %s", class_name, model->err.message);
    }
    return list;
}

static const struct cim_instance *only_of(struct model *model, const char *class_name)
{
    struct cim_list list = all_of(model, class_name);

    assert_int_equal(list.count, 1);
    return list.all[0];
}

static void assert_says(const struct cim_instance *instance, const char *name, const char *expected)
{
    const struct cim_value *value = cim_get(instance, name);

    if (value->is_null) {
        fail_msg("%s of %s is null", name, instance->class->name);
    }
    assert_string_equal(cim_item_text(instance->arena, value->type, &value->items[0]), expected);
}

static void every_class_is_filled_from_the_real_objects(void **state)
{
    struct model model;

    (void)state;
    model_start(&model, CALLER_ADMINISTRATOR);
    assert_int_equal(all_of(&model, "Msvm_ComputerSystem").count, 2);
    assert_int_equal(all_of(&model, "Msvm_StorageAllocationSettingData").count, 2);
    const struct cim_instance *relationship = only_of(&model, "Msvm_ReplicationRelationship");
    assert_says(relationship, "InstanceID",
                "Microsoft:6F1C2A9E-0000-4000-8000-000000000001\\HVR\\0");
    assert_says(relationship, "ElementName", "web1");
    assert_says(relationship, "ReplicationState", "3");
    assert_says(relationship, "ReplicationHealth", "1");
    const struct cim_instance *settings = only_of(&model, "Msvm_ReplicationSettingData");
    assert_says(settings, "PrimaryHostSystem", "here");
    assert_says(settings, "RecoveryHostSystem", "db2");
    assert_says(settings, "RecoveryServerPortNumber", "8490");
    assert_says(settings, "ReplicationInterval", "300");
    assert_says(settings, "AutoResynchronizeIntervalStart", "00000000183000.000000:000");
    const struct cim_instance *job = only_of(&model, "Msvm_ConcreteJob");
    assert_says(job, "InstanceID", "6F1C2A9E-0000-4000-8000-00000000000A");
    assert_says(job, "JobState", "4");
    assert_says(job, "Owner", "tester");
    assert_says(job, "StartTime", "19700101000002.000000+000");
    assert_says(job, "Cancellable", "TRUE");
    const struct cim_instance *service = only_of(&model, "Msvm_ReplicationServiceSettingData");
    assert_says(service, "RecoveryServerEnabled", "TRUE");
    assert_says(service, "HttpsPort", "8490");
    model_stop(&model);
}

static void an_entry_is_changed_by_the_real_call(void **state)
{
    struct model model;
    uint64_t given[2] = {0};

    (void)state;
    model_start(&model, CALLER_ADMINISTRATOR);
    const struct cim_instance *is = only_of(&model, "Msvm_ReplicationAuthorizationSettingData");
    struct cim_instance *with = cim_instance_new(&model.arena, is->class);
    int index = cim_property_index(is->class, "TrustGroup");
    given[index / 64] |= 1ULL << (index % 64);
    cim_set_text(with, "TrustGroup", "FARM");
    const struct cim_path *path = cim_instance_path(&model.arena, is, "");
    if (cim_modify(&model.request, CIM_SPACE_VIRTUALIZATION, path, with, given, &model.err) < 0) {
        fail_msg("%s", model.err.message);
    }
    rig_lock(&model.rig);
    assert_string_equal(the_service.last, "authorize db2 for /srv/replicas in FARM, by tester");
    rig_unlock(&model.rig);
    model_stop(&model);
}

static void what_the_service_refuses_is_refused_in_its_words(void **state)
{
    struct model model;
    struct cim_list list = {0};
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, "Msvm_ConcreteJob");

    (void)state;
    model_start(&model, CALLER_NOBODY);
    assert_int_equal(
        cim_enumerate(&model.request, CIM_SPACE_VIRTUALIZATION, class, &list, &model.err), -1);
    assert_int_equal(model.request.status, CIM_ACCESS_DENIED);
    assert_int_not_equal(model.err.message[0], '\0');
    model_stop(&model);
}

static void statistics_are_those_of_the_real_objects(void **state)
{
    struct model model;
    json_t *answer = NULL;

    (void)state;
    model_start(&model, CALLER_VIEWER);
    assert_int_equal(cim_call(&model.request, "GET", "/v1/vms/web1/relationships/0/statistics",
                              NULL, &answer, NULL, &model.err),
                     0);
    const json_t *newest = json_array_get(json_object_get(answer, "statistics"), 0);
    const struct cim_instance *statistics = map_statistics_new(&model.arena, newest, NULL);
    assert_says(statistics, "ReplicationSuccessCount", "3");
    assert_says(statistics, "StartStatisticTime", "19700101000003.000000+000");
    json_decref(answer);
    model_stop(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_is_filled_from_the_real_objects),
        cmocka_unit_test(an_entry_is_changed_by_the_real_call),
        cmocka_unit_test(what_the_service_refuses_is_refused_in_its_words),
        cmocka_unit_test(statistics_are_those_of_the_real_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
