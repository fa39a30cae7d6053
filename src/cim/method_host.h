/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method_host.h - a paired host, as parameters of methods name it: by its name, or where it is
 * ("db2.example", "db2.example:8490").
 */
#ifndef RESILVER_CIM_METHOD_HOST_H
#define RESILVER_CIM_METHOD_HOST_H

#include "cim/method_common.h"

/*
 * method_find_host - its name, in the arena. port 0: any; else the one it must be reached at.
 * False: answered; 32773 there is none, or at another port.
 */
bool method_find_host(struct method *method, const char *parameter, const char *text, uint64_t port,
                      const char **out);

/* method_is_other_host - whether a text names a paired host, and another one than `name`. False:
 * answered. */
bool method_is_other_host(struct method *method, const char *text, const char *name, bool *out);

/*
 * method_check_security - what a client says of authentication between hosts, against what there
 * is: certificates. 0 says nothing, 1 is Kerberos (32770), 2 certificates; a thumbprint that is not
 * empty must be this host's (32773).
 */
bool method_check_security(struct method *method, uint64_t authentication_type,
                           const char *thumbprint);

#endif
