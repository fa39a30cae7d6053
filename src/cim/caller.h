/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * caller.h - who asks over CIM, and what he may: a role for the host, and roles for single VMs that
 * override it. Zero is nobody.
 */
#ifndef RESILVER_CIM_CALLER_H
#define RESILVER_CIM_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

enum cim_role {
    CIM_ROLE_NOBODY = 0,
    CIM_ROLE_VIEWER = 1,       /* reads */
    CIM_ROLE_OPERATOR = 2,     /* resynchronizes, suspends, resumes, cancels */
    CIM_ROLE_ADMINISTRATOR = 3 /* configures relationships, hosts, authorization entries */
};

struct cim_vm_role {
    char vm[VM_NAME_MAX]; /* id or name */
    enum cim_role role;
};

struct cim_caller {
    char name[CALLER_NAME_MAX];
    enum cim_role role; /* for the host, and every VM that is not in the list */
    uint32_t vm_count;
    struct cim_vm_role vms[CALLER_VMS_MAX];
};

/* cim_caller_role - for a VM, by its id and name (either may be ""): without case for ids. */
enum cim_role cim_caller_role(const struct cim_caller *caller, const char *vm_id,
                              const char *vm_name);

/* cim_caller_has_any - whether he may anything at all, somewhere. */
bool cim_caller_has_any(const struct cim_caller *caller);

/* cim_caller_is_alike - whether both may the same. */
bool cim_caller_is_alike(const struct cim_caller *a, const struct cim_caller *b);

const char *cim_role_name(enum cim_role role);
enum cim_role cim_role_find(const char *name); /* CIM_ROLE_NOBODY: none is so called */

#endif
