/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fake_service.h - what peer/ calls of the service and of sessions, by a double that only
 * remembers; the test's thread is the service's.
 */
#ifndef RESILVER_TESTS_FAKE_SERVICE_H
#define RESILVER_TESTS_FAKE_SERVICE_H

#include "replica/service.h"

struct service {
    bool is_everybody_known; /* else only the hosts that were added */
    uint32_t host_count;
    struct host_row hosts[4];
    uint32_t known_count; /* how often service_knows_peer() was asked */
    uint32_t asked_count;
    enum peer_call asked_call;
    char asked_vm[VM_NAME_MAX];
    uint32_t answered_count;
    uint64_t answered_token;
    struct peer_answer answered;
};

/* How many links sessions_serve() was given, in this process. */
uint32_t fake_sessions_served(void);

#endif
