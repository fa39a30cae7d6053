/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a caller may, for the host and for VMs of their own. */
#include "cim/caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WEB_ID "6f1c2a9e-0b7d-4c55-9a3e-5d1f2b8c7e60"
#define WEB_ID_UPPER "6F1C2A9E-0B7D-4C55-9A3E-5D1F2B8C7E60"
#define OTHER_ID "00000000-0b7d-4c55-9a3e-5d1f2b8c7e60"

static void zero_is_nobody(void **state)
{
    const struct cim_caller caller = {0};

    (void)state;
    assert_int_equal(cim_caller_role(&caller, WEB_ID, "web"), CIM_ROLE_NOBODY);
    assert_int_equal(cim_caller_role(&caller, "", ""), CIM_ROLE_NOBODY);
    assert_false(cim_caller_has_any(&caller));
    assert_int_equal(cim_caller_role(NULL, WEB_ID, "web"), CIM_ROLE_NOBODY);
    assert_false(cim_caller_has_any(NULL));
}

static void the_hosts_role_is_for_every_vm(void **state)
{
    const struct cim_caller caller = {.name = "anna", .role = CIM_ROLE_OPERATOR};

    (void)state;
    assert_int_equal(cim_caller_role(&caller, WEB_ID, "web"), CIM_ROLE_OPERATOR);
    assert_int_equal(cim_caller_role(&caller, "", ""), CIM_ROLE_OPERATOR);
    assert_true(cim_caller_has_any(&caller));
}

static void a_vms_own_role_overrides_up_and_down(void **state)
{
    const struct cim_caller caller = {
        .role = CIM_ROLE_VIEWER,
        .vm_count = 2,
        .vms = {{"web", CIM_ROLE_ADMINISTRATOR}, {"secret", CIM_ROLE_NOBODY}},
    };

    (void)state;
    assert_int_equal(cim_caller_role(&caller, WEB_ID, "web"), CIM_ROLE_ADMINISTRATOR);
    assert_int_equal(cim_caller_role(&caller, OTHER_ID, "secret"), CIM_ROLE_NOBODY);
    assert_int_equal(cim_caller_role(&caller, OTHER_ID, "mail"), CIM_ROLE_VIEWER);
}

static void names_have_case_and_ids_have_none(void **state)
{
    const struct cim_caller caller = {
        .vm_count = 2,
        .vms = {{"web", CIM_ROLE_VIEWER}, {WEB_ID_UPPER, CIM_ROLE_OPERATOR}},
    };

    (void)state;
    assert_int_equal(cim_caller_role(&caller, OTHER_ID, "WEB"), CIM_ROLE_NOBODY);
    assert_int_equal(cim_caller_role(&caller, OTHER_ID, "web"), CIM_ROLE_VIEWER);
    assert_int_equal(cim_caller_role(&caller, WEB_ID, ""), CIM_ROLE_OPERATOR);
    assert_int_equal(cim_caller_role(&caller, WEB_ID_UPPER, ""), CIM_ROLE_OPERATOR);
}

static void an_id_wins_over_a_name(void **state)
{
    const struct cim_caller caller = {
        .role = CIM_ROLE_ADMINISTRATOR,
        .vm_count = 2,
        .vms = {{"web", CIM_ROLE_OPERATOR}, {WEB_ID, CIM_ROLE_VIEWER}},
    };

    (void)state;
    assert_int_equal(cim_caller_role(&caller, WEB_ID, "web"), CIM_ROLE_VIEWER);
}

/* Whoever names a VM would else give away what is meant for another. */
static void a_vm_that_has_the_id_of_another_as_its_name_gets_nothing(void **state)
{
    const struct cim_caller caller = {.vm_count = 1, .vms = {{WEB_ID, CIM_ROLE_ADMINISTRATOR}}};

    (void)state;
    assert_int_equal(cim_caller_role(&caller, OTHER_ID, WEB_ID), CIM_ROLE_NOBODY);
    assert_int_equal(cim_caller_role(&caller, "", WEB_ID), CIM_ROLE_NOBODY);
}

static void an_empty_entry_is_for_no_vm(void **state)
{
    const struct cim_caller caller = {.vm_count = 1, .vms = {{"", CIM_ROLE_ADMINISTRATOR}}};

    (void)state;
    assert_int_equal(cim_caller_role(&caller, "", ""), CIM_ROLE_NOBODY);
    assert_int_equal(cim_caller_role(&caller, WEB_ID, ""), CIM_ROLE_NOBODY);
}

static void entries_beyond_the_count_do_not_count(void **state)
{
    const struct cim_caller caller = {.vm_count = 0, .vms = {{"web", CIM_ROLE_ADMINISTRATOR}}};

    (void)state;
    assert_int_equal(cim_caller_role(&caller, WEB_ID, "web"), CIM_ROLE_NOBODY);
    assert_false(cim_caller_has_any(&caller));
}

static void a_role_for_one_vm_is_any(void **state)
{
    struct cim_caller caller = {.vm_count = CALLER_VMS_MAX};

    (void)state;
    assert_false(cim_caller_has_any(&caller));
    caller.vms[CALLER_VMS_MAX - 1] = (struct cim_vm_role){"web", CIM_ROLE_VIEWER};
    assert_true(cim_caller_has_any(&caller));
    assert_int_equal(cim_caller_role(&caller, WEB_ID, "web"), CIM_ROLE_VIEWER);
}

static void roles_have_names(void **state)
{
    (void)state;
    for (int role = CIM_ROLE_NOBODY; role <= CIM_ROLE_ADMINISTRATOR; role++) {
        assert_int_equal(cim_role_find(cim_role_name((enum cim_role)role)), role);
    }
    assert_string_equal(cim_role_name(CIM_ROLE_NOBODY), "none");
    assert_string_equal(cim_role_name((enum cim_role)99), "none");
    assert_int_equal(cim_role_find("operator"), CIM_ROLE_OPERATOR);
    assert_int_equal(cim_role_find(""), CIM_ROLE_NOBODY);
    assert_int_equal(cim_role_find("root"), CIM_ROLE_NOBODY);
    assert_int_equal(cim_role_find("administrators"), CIM_ROLE_NOBODY);
    assert_int_equal(cim_role_find("3"), CIM_ROLE_NOBODY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_is_nobody),
        cmocka_unit_test(the_hosts_role_is_for_every_vm),
        cmocka_unit_test(a_vms_own_role_overrides_up_and_down),
        cmocka_unit_test(names_have_case_and_ids_have_none),
        cmocka_unit_test(an_id_wins_over_a_name),
        cmocka_unit_test(a_vm_that_has_the_id_of_another_as_its_name_gets_nothing),
        cmocka_unit_test(an_empty_entry_is_for_no_vm),
        cmocka_unit_test(entries_beyond_the_count_do_not_count),
        cmocka_unit_test(a_role_for_one_vm_is_any),
        cmocka_unit_test(roles_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
