/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Classes, their parts and namespaces are found by the names that clients write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cim/model.h"

static const struct cim_class *class_of(const char *name)
{
    const struct cim_class *class = cim_class_find(CIM_SPACE_VIRTUALIZATION, name);

    assert_non_null(class);
    return class;
}

static void namespaces_are_found_in_every_spelling(void **state)
{
    (void)state;
    static const char *const same[] = {
        NULL,
        "",
        "root/virtualization/v2",
        "/Root/virtualization/v2",
        "root/virtualization/v2/",
        "ROOT\\Virtualization\\V2",
        "\\root\\virtualization/v2\\",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(cim_space_find(same[i]), CIM_SPACE_VIRTUALIZATION);
    }
    assert_int_equal(cim_space_find("interop"), CIM_SPACE_INTEROP);
    assert_int_equal(cim_space_find("/Interop"), CIM_SPACE_INTEROP);
    assert_int_equal(cim_space_find("root\\INTEROP"), CIM_SPACE_INTEROP);
}

static void other_namespaces_are_not_found(void **state)
{
    (void)state;
    static const char *const none[] = {
        "root/virtualization",
        "root/virtualization/v2/x",
        "root/cimv2",
        "/",
        "//",
        "//Root/virtualization/v2",
        "root//virtualization/v2",
        "root",
        " ",
        "root/virtualization/v2\n",
        "virtualization/v2",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(cim_space_find(none[i]), CIM_SPACE_NONE);
    }
}

static void a_namespace_has_one_name(void **state)
{
    (void)state;
    assert_string_equal(cim_space_name(CIM_SPACE_VIRTUALIZATION), "root/virtualization/v2");
    assert_string_equal(cim_space_name(CIM_SPACE_INTEROP), "root/interop");
    assert_string_equal(cim_space_name(CIM_SPACE_NONE), "");
}

static void classes_are_found_without_case(void **state)
{
    (void)state;
    assert_string_equal(class_of("msvm_CONCRETEJOB")->name, "Msvm_ConcreteJob");
    assert_null(cim_class_find(CIM_SPACE_VIRTUALIZATION, "Msvm_ConcreteJo"));
    assert_null(cim_class_find(CIM_SPACE_VIRTUALIZATION, ""));
    assert_null(cim_class_find(CIM_SPACE_VIRTUALIZATION, NULL));
    assert_null(cim_class_find(CIM_SPACE_NONE, "Msvm_ConcreteJob"));
}

static void a_class_descends_from_its_ancestors_and_itself(void **state)
{
    (void)state;
    const struct cim_class *job = class_of("Msvm_ConcreteJob");

    assert_true(cim_class_is(job, job));
    assert_true(cim_class_is(job, class_of("CIM_ManagedElement")));
    assert_false(cim_class_is(class_of("CIM_Job"), job));
    assert_false(cim_class_is(job, NULL));
    assert_false(cim_class_is(NULL, job));
    assert_true(cim_class_is_named(job, "cim_job"));
    assert_false(cim_class_is_named(job, "CIM_Service"));
    assert_false(cim_class_is_named(job, NULL));
}

static void parts_are_found_without_case(void **state)
{
    (void)state;
    const struct cim_class *job = class_of("Msvm_ConcreteJob");
    int index = cim_property_index(job, "jobSTATE");

    assert_true(index >= 0);
    assert_string_equal(job->properties[index].name, "JobState");
    assert_ptr_equal(cim_property_find(job, "JOBSTATE"), &job->properties[index]);
    assert_int_equal(cim_property_index(job, "Job"), -1);
    assert_null(cim_property_find(job, NULL));

    const struct cim_method *method = cim_method_find(job, "requeststatechange");
    assert_non_null(method);
    assert_null(cim_method_find(job, "Request"));
    assert_string_equal(cim_parameter_find(method, "TIMEOUTPERIOD")->name, "TimeoutPeriod");
    assert_null(cim_parameter_find(method, "ReturnValue"));
    assert_non_null(cim_qualifier_find(&method->qualifiers, "valuemap"));
    assert_null(cim_qualifier_find(&method->qualifiers, "Key"));
}

static void types_have_their_names(void **state)
{
    (void)state;
    for (int type = CIM_BOOLEAN; type <= CIM_REFERENCE; type++) {
        assert_int_equal(cim_type_find(cim_type_name((enum cim_type)type)), type);
    }
    assert_string_equal(cim_type_name(CIM_INSTANCE), "string");
    assert_int_equal(cim_type_find("UInt16"), CIM_UINT16);
    assert_int_equal(cim_type_find("uint"), CIM_INVALID);
    assert_int_equal(cim_type_find(""), CIM_INVALID);
    assert_int_equal(cim_type_find(NULL), CIM_INVALID);
}

static void numbers_have_the_names_of_their_values(void **state)
{
    (void)state;
    const struct cim_class *job = class_of("Msvm_ConcreteJob");
    const struct cim_qualifiers *type = &cim_property_find(job, "JobType")->qualifiers;

    assert_string_equal(cim_value_name(type, 107), "Resynchronizing");
    assert_null(cim_value_name(type, 1));
    assert_null(cim_value_name(type, INT64_MIN));
    assert_null(cim_value_name(&cim_property_find(job, "Name")->qualifiers, 0));
}

static void what_a_class_overrides_stands_in_the_ancestors_place(void **state)
{
    (void)state;
    const struct cim_class *job = class_of("Msvm_ConcreteJob");
    const struct cim_property *name = cim_property_find(job, "Name");
    const struct cim_property *id = cim_property_find(job, "InstanceID");

    assert_string_equal(name->origin, "CIM_ManagedSystemElement");
    assert_string_equal(cim_qualifier_find(&name->qualifiers, "MaxLen")->values[0], "256");
    assert_string_equal(id->origin, "CIM_ManagedElement");
    assert_true(id->is_key);
    assert_false(cim_property_find(class_of("CIM_ManagedElement"), "InstanceID")->is_key);
    assert_string_equal(cim_value_name(&cim_property_find(job, "JobState")->qualifiers, 32768),
                        "CompletedWithWarnings");
    assert_string_equal(
        cim_parameter_find(cim_method_find(job, "GetError"), "Error")->embedded_class,
        "Msvm_Error");
}

static void every_class_is_whole(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < cim_class_count; i++) {
        const struct cim_class *class = cim_classes[i];
        bool has_parent = !class->parent;

        assert_int_not_equal(class->spaces, CIM_SPACE_NONE);
        for (uint32_t j = 0; j < i; j++) {
            has_parent = has_parent || cim_classes[j] == class->parent;
            assert_string_not_equal(cim_classes[j]->name, class->name);
        }
        assert_true(has_parent);
        assert_true(!class->parent || (class->parent->spaces & class->spaces) == class->spaces);
        assert_true(class->property_count <= 128);
        for (uint32_t j = 0; j < class->property_count; j++) {
            const struct cim_property *property = &class->properties[j];
            assert_int_equal(property->is_key, j < class->key_count);
            assert_int_equal(cim_property_index(class, property->name), j);
            assert_true((property->type == CIM_REFERENCE) == (property->reference_class != NULL));
            assert_true(!class->is_association || property->type != CIM_REFERENCE ||
                        property->is_key);
        }
    }
}

static void resynchronize_is_as_hyper_v_has_it(void **state)
{
    (void)state;
    const struct cim_method *method =
        cim_method_find(class_of("Msvm_ReplicationService"), "Resynchronize");

    assert_int_equal(method->type, CIM_UINT32);
    assert_int_equal(method->parameter_count, 3);
    assert_string_equal(method->parameters[0].name, "ComputerSystem");
    assert_string_equal(method->parameters[0].reference_class, "CIM_ComputerSystem");
    assert_true(method->parameters[0].is_in && !method->parameters[0].is_out);
    assert_string_equal(method->parameters[1].name, "StartTime");
    assert_int_equal(method->parameters[1].type, CIM_DATETIME);
    assert_string_equal(method->parameters[2].reference_class, "CIM_ConcreteJob");
    assert_true(!method->parameters[2].is_in && method->parameters[2].is_out);
    assert_int_equal(cim_qualifier_find(&method->qualifiers, "ValueMap")->value_count, 14);
    assert_string_equal(cim_value_name(&method->qualifiers, 32775),
                        "Invalid state for this operation");
}

static void keys_come_first_in_the_order_of_the_mof(void **state)
{
    (void)state;
    const struct cim_class *service = class_of("Msvm_ReplicationService");
    static const char *const keys[] = {"SystemCreationClassName", "SystemName", "CreationClassName",
                                       "Name"};

    assert_int_equal(service->key_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(service->properties[i].name, keys[i]);
    }
    assert_string_equal(service->properties[3].initial, "replicasvc");
    assert_int_equal(class_of("CIM_Error")->key_count, 0);
}

static void an_association_narrows_its_references(void **state)
{
    (void)state;
    const struct cim_class *link = class_of("Msvm_SystemReplicationRelationship");

    assert_true(link->is_association);
    assert_false(link->is_abstract);
    assert_true(link->parent->is_abstract);
    assert_int_equal(link->key_count, 2);
    assert_string_equal(cim_property_find(link, "Dependent")->reference_class,
                        "Msvm_ReplicationRelationship");
    assert_string_equal(cim_property_find(link->parent, "Dependent")->reference_class,
                        "CIM_ManagedElement");
}

static void a_namespace_has_what_its_classes_need(void **state)
{
    (void)state;
    assert_non_null(cim_class_find(CIM_SPACE_INTEROP, "CIM_Namespace"));
    assert_null(cim_class_find(CIM_SPACE_VIRTUALIZATION, "CIM_Namespace"));
    assert_null(cim_class_find(CIM_SPACE_INTEROP, "Msvm_ComputerSystem"));
    assert_ptr_equal(cim_class_find(CIM_SPACE_INTEROP, "CIM_Service"), class_of("CIM_Service"));
    /* It is what CIM_ObjectManager's RequestStateChange refers to. */
    assert_non_null(cim_class_find(CIM_SPACE_INTEROP, "CIM_ConcreteJob"));
}

/* Whether a class that is named is in every namespace where it is needed. */
static void assert_named(const struct cim_class *class, const char *name)
{
    if (name) {
        assert_true(cim_class_find(CIM_SPACE_VIRTUALIZATION, name) ||
                    cim_class_find(CIM_SPACE_INTEROP, name));
        for (uint32_t space = 1; space <= CIM_SPACE_INTEROP; space <<= 1) {
            assert_true(!(class->spaces & space) || cim_class_find((enum cim_space)space, name));
        }
    }
}

static void classes_that_others_name_are_there(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < cim_class_count; i++) {
        const struct cim_class *class = cim_classes[i];

        for (uint32_t j = 0; j < class->property_count; j++) {
            assert_named(class, class->properties[j].reference_class);
            assert_named(class, class->properties[j].embedded_class);
            assert_true(cim_class_is_named(class, class->properties[j].origin));
        }
        for (uint32_t j = 0; j < class->method_count; j++) {
            const struct cim_method *method = &class->methods[j];

            assert_true(cim_class_is_named(class, method->origin));
            for (uint32_t k = 0; k < method->parameter_count; k++) {
                assert_named(class, method->parameters[k].reference_class);
                assert_named(class, method->parameters[k].embedded_class);
                assert_true(method->parameters[k].is_in != method->parameters[k].is_out);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(namespaces_are_found_in_every_spelling),
        cmocka_unit_test(other_namespaces_are_not_found),
        cmocka_unit_test(a_namespace_has_one_name),
        cmocka_unit_test(classes_are_found_without_case),
        cmocka_unit_test(a_class_descends_from_its_ancestors_and_itself),
        cmocka_unit_test(parts_are_found_without_case),
        cmocka_unit_test(types_have_their_names),
        cmocka_unit_test(numbers_have_the_names_of_their_values),
        cmocka_unit_test(what_a_class_overrides_stands_in_the_ancestors_place),
        cmocka_unit_test(every_class_is_whole),
        cmocka_unit_test(resynchronize_is_as_hyper_v_has_it),
        cmocka_unit_test(keys_come_first_in_the_order_of_the_mof),
        cmocka_unit_test(an_association_narrows_its_references),
        cmocka_unit_test(a_namespace_has_what_its_classes_need),
        cmocka_unit_test(classes_that_others_name_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
