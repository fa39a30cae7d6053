/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_settings.h - Msvm_ReplicationSettingData as a client gives it, into what the control API
 * takes. Properties that are null are left out.
 */
#ifndef RESILVER_CIM_METHOD_SETTINGS_H
#define RESILVER_CIM_METHOD_SETTINGS_H

#include "cim/method_common.h"

/*
 * method_take_settings - the parameter "ReplicationSettingData", which must be there and be of that
 * VM, if it names one: 32773. *hop stays as it is unless its InstanceID tells. What cannot be had
 * here (Kerberos, application-consistent points) is refused.
 */
bool method_take_settings(struct method *method, const struct method_vm *vm, int *hop,
                          const struct cim_instance **out);

/* method_settings_body - the object Settings; *out is the caller's. 32773, 32776: a time of the day
 * that is none. */
bool method_settings_body(struct method *method, const struct cim_instance *settings, json_t **out);

/*
 * method_settings_host - the paired host of RecoveryConnectionPoint or RecoveryHostSystem; *out
 * stays as it is when neither is given. 32773 no such host, or they name two.
 */
bool method_settings_host(struct method *method, const struct cim_instance *settings,
                          const char **out);

/*
 * method_settings_disks - the names of IncludedDisks, which are InstanceIDs ("Microsoft:<VM
 * ID>\<disk>") or embedded instances of Msvm_StorageAllocationSettingData with one; *out is the
 * caller's, and stays as it is when none are given. 32773 one is of another VM, or is no such
 * thing.
 */
bool method_settings_disks(struct method *method, const struct cim_instance *settings,
                           const struct method_vm *vm, json_t **out);

/* method_disks_are - whether names are just the included disks of a Relationship. */
bool method_disks_are(const json_t *names, const json_t *relationship);

#endif
