/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_audit.h - a method call in the audit log, the same for every protocol.
 */
#ifndef RESILVER_GATEWAY_METHOD_AUDIT_H
#define RESILVER_GATEWAY_METHOD_AUDIT_H

#include "cim/operations.h"
#include "gateway/audit.h"
#include "gateway/http.h"

/* method_audit - outcome NULL: it was refused with the status and the words of err. Embedded
 * instances are named by their class only. */
void method_audit(struct audit *audit, const struct http_request *request, const char *protocol,
                  const struct cim_path *path, const struct cim_arguments *in,
                  const struct cim_outcome *outcome, enum cim_status status,
                  const struct error *err);

#endif
