/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * operations_internal.h - what the files of operations share with each other, and with none else.
 */
#ifndef RESILVER_CIM_OPERATIONS_INTERNAL_H
#define RESILVER_CIM_OPERATIONS_INTERNAL_H

#include "cim/provider.h"

/* operation_may - CIM_ACCESS_DENIED unless the caller may anything at all. */
MUST_CHECK int operation_may(struct cim_request *request, struct error *err);

/* operation_done - CIM_SERVER_LIMITS_EXCEEDED when the arena was too small. */
MUST_CHECK int operation_done(struct cim_request *request, struct error *err);

/* operation_class - CIM_INVALID_CLASS. */
MUST_CHECK int operation_class(struct cim_request *request, enum cim_space space,
                               const char *class_name, const struct cim_class **out,
                               struct error *err);

/* operation_provides - whether its instances are of the class, in that namespace. */
bool operation_provides(const struct cim_provider *provider, enum cim_space space,
                        const struct cim_class *class);

/* operation_find - as cim_get_instance(), but *out stays NULL when there is none. */
MUST_CHECK int operation_find(struct cim_request *request, enum cim_space space,
                              const struct cim_path *path, const struct cim_instance **out,
                              struct error *err);

bool operation_is_given(const uint64_t given[2], uint32_t index);

#endif
