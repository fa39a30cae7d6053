/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map.h - what the maps share: members of the control API's objects, the objects themselves (each
 * list is asked for once a request), and the maps as rows of provider_table.c.
 */
#ifndef RESILVER_CIM_MAP_H
#define RESILVER_CIM_MAP_H

#include "cim/provider.h"

/* What is done with one object of the control API; -1 ends it. */
typedef int map_visit(struct cim_request *request, const json_t *object, void *context,
                      struct error *err);

/* The numbers of Hyper-V that mean the same in many of its classes. */
enum map_operational_status { MAP_STATUS_OK = 2 };
enum map_health_state { MAP_HEALTH_OK = 5 };
enum map_enabled_state { MAP_ENABLED = 2, MAP_ENABLED_NOT_APPLICABLE = 5, MAP_REQUESTED_NONE = 12 };

/* --- members of objects: NULL, 0 and false where they are null, of another type, or not there ---
 */

const char *map_text(const json_t *object, const char *name);
uint64_t map_number(const json_t *object, const char *name);
bool map_is(const json_t *object, const char *name);

/* map_upper - an id as Hyper-V writes it. "" for NULL. */
const char *map_upper(struct arena *arena, const char *id);

/* --- instances ---------------------------------------------------------------------------------
 */

/* map_new - an instance of a class of the model (asserted: names come from our code). */
struct cim_instance *map_new(struct arena *arena, const char *class_name);

/* map_name - Caption, Description and ElementName; NULL leaves null. */
void map_name(struct cim_instance *instance, const char *caption, const char *description,
              const char *element_name);

/* map_well - OperationalStatus OK, StatusDescriptions, HealthState: of what is there at all. */
void map_well(struct cim_instance *instance);

/* map_set_count - a number of the control API, at most `max`, which the property's type ends at. */
void map_set_count(struct cim_instance *instance, const char *name, uint64_t number, uint64_t max);

/* map_set_replication - ReplicationState, ReplicationHealth, LastReplicationTime and what else a
 * system and a relationship have in common; relationship NULL: it does not replicate. */
void map_set_replication(struct cim_instance *instance, const json_t *relationship);

/* map_add - to a list. Errors: CIM_SERVER_LIMITS_EXCEEDED. */
MUST_CHECK int map_add(struct cim_request *request, struct cim_list *list,
                       const struct cim_instance *instance, struct error *err);

/* --- objects of the control API ----------------------------------------------------------------
 */

/* map_ask_once - GET, kept in the request for as long as it takes: so that whatever one request
 * says is of one moment, and that a thousand VMs' settings are one call. *out is borrowed. */
MUST_CHECK int map_ask_once(struct cim_request *request, json_t **kept, const char *path,
                            const json_t **out, struct error *err);

/* map_ask_one - GET of one object, owned by the caller; *out stays NULL when there is none. */
MUST_CHECK int map_ask_one(struct cim_request *request, const char *path, json_t **out,
                           struct error *err);

/* map_failed - after a path could not be made: for want of memory, unless the cause is told
 * already. Returns -1. */
int map_failed(struct cim_request *request, struct error *err);

/* map_may_see_host - whether the caller may read what belongs to no VM. */
bool map_may_see_host(const struct cim_request *request);

/* map_start_us - when the service began, by the host's clock. */
int64_t map_start_us(const struct cim_request *request, const json_t *host);

/* map_vm - the VM with that id, borrowed from the request; *out NULL: there is none, or the caller
 * may not see it. */
MUST_CHECK int map_vm(struct cim_request *request, const char *vm_id, const json_t **out,
                      struct error *err);

/* map_job_visit - visit the job of that path, however old, if it is one that the caller may see. */
MUST_CHECK int map_job_visit(struct cim_request *request, const struct cim_path *path,
                             map_visit *visit, void *context, struct error *err);

/* map_relationship - of a VM; NULL: it has none. */
const json_t *map_relationship(const json_t *vm, int hop);

/* map_has_settings - whether the VM has settings for that hop: a VM without any relationship has
 * those that its first one would begin with. */
bool map_has_settings(const json_t *vm, int hop);

/* map_port - of "host:port"; 0: none. */
uint64_t map_port(const char *address);

/* map_peer - a paired host by its name; NULL: there is none. Borrowed from the request. */
MUST_CHECK int map_peer(struct cim_request *request, const char *name, const json_t **out,
                        struct error *err);

/*
 * map_each_vm, map_each_job, map_each_authorization - visit all that the caller may see; ends when
 * visit returns -1. map_near_vms, map_near_jobs - only the one that the path has to do with, and
 * none when it names another thing; near NULL: all.
 */
MUST_CHECK int map_each_vm(struct cim_request *request, map_visit *visit, void *context,
                           struct error *err);
MUST_CHECK int map_each_job(struct cim_request *request, map_visit *visit, void *context,
                            struct error *err);
MUST_CHECK int map_near_vms(struct cim_request *request, const struct cim_path *near,
                            map_visit *visit, void *context, struct error *err);
MUST_CHECK int map_near_jobs(struct cim_request *request, const struct cim_path *near,
                             map_visit *visit, void *context, struct error *err);
MUST_CHECK int map_each_authorization(struct cim_request *request, map_visit *visit, void *context,
                                      struct error *err);

/* map_near_vm - the VM that a path of Msvm_ComputerSystem, of a relationship, of its settings or of
 * a disk names, in lower case; false: it names none. */
MUST_CHECK bool map_near_vm(const struct cim_path *near, char vm_id[37]);

/* Paths and InstanceIDs that only the maps need. */
const struct cim_path *map_path_of(struct arena *arena, const char *class_name,
                                   const char *instance_id);
const char *map_disk_id(struct arena *arena, const char *vm_id, const char *disk);
const char *map_authorization_id(struct arena *arena, const char *allowed_primary);
const char *map_provider_id(struct arena *arena, const char *host);
/* The built-in provider, from host to host: the same on every Hyper-V. */
#define MAP_PROVIDER_NAME "22391CDC-272C-4DDF-BA88-9BEFB1A0975C"
#define MAP_SERVICE_SETTINGS_ID "Resilver:ReplicationServiceSettings"

/* map_disk_new - one disk of a VM, by its name. */
struct cim_instance *map_disk_new(struct arena *arena, const json_t *vm, const char *disk);

/* map_each_disk - the names of a VM's disks, and of those that only a relationship knows. */
typedef int map_disk_visit(struct cim_request *request, const json_t *vm, const char *disk,
                           void *context, struct error *err);
MUST_CHECK int map_each_disk(struct cim_request *request, const json_t *vm, map_disk_visit *visit,
                             void *context, struct error *err);

/* --- the maps ----------------------------------------------------------------------------------
 */

extern const struct cim_provider map_system;
extern const struct cim_provider map_service;
extern const struct cim_provider map_service_settings;
extern const struct cim_provider map_replication_provider;
extern const struct cim_provider map_relationships;
extern const struct cim_provider map_settings;
extern const struct cim_provider map_storage;
extern const struct cim_provider map_job;
extern const struct cim_provider map_authorization;
extern const struct cim_provider map_system_relationship;
extern const struct cim_provider map_settings_define_state;
extern const struct cim_provider map_element_settings;
extern const struct cim_provider map_hosted_service;
extern const struct cim_provider map_affected_job;
extern const struct cim_provider map_owning_job;
extern const struct cim_provider map_namespace;
extern const struct cim_provider map_object_manager;

#endif
