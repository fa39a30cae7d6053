/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer/call.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "peer/codec.h"
#include "peer/crew.h"
#include "peer/peers.h"
#include "peer/stream.h"
#include "wire/tcp.h"

struct calls {
    const struct env *env; /* borrowed, as all here but the crew */
    struct mailbox *mailbox;
    struct tls_context *client;
    struct service *service; /* NULL before calls_begin; only the service's thread touches it */
    struct crew *crew;       /* owned */
};

/* One question, from calls_ask to its answer. */
struct call {
    struct calls *calls; /* borrowed */
    uint64_t token;
    struct peer_address peer;
    uint64_t deadline_ns;
    struct span question; /* owned: JSON */
    struct peer_answer answer;
};

int calls_new(const struct env *env, struct mailbox *mailbox, struct tls_context *client,
              struct calls **out, struct error *err)
{
    struct calls *calls = calloc(1, sizeof *calls);

    if (calls == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for questions to peers");
    }
    *calls = (struct calls){.env = env, .mailbox = mailbox, .client = client};
    if (crew_new(PEER_CALLS_MAX, "questions to peers", &calls->crew, err) < 0) {
        free(calls);
        return -1;
    }
    *out = calls;
    return 0;
}

void calls_begin(struct calls *calls, struct service *service)
{
    calls->service = service;
}

static void call_free(struct call *call)
{
    free(call->question.at);
    free(call);
}

static void link_freep(struct link **link)
{
    link_close(*link);
}

/* A connection that broke off: at the deadline the peer was silent, before it could not be reached.
 */
static enum peer_end end_of(const struct call *call)
{
    return env_now_ns(call->calls->env) >= call->deadline_ns ? PEER_SILENT : PEER_UNREACHABLE;
}

static enum peer_end connect_call(struct call *call, struct crew_seat *seat, struct link **out,
                                  struct error *err)
{
    const struct calls *calls = call->calls;
    char host[HOST_TEXT_MAX];
    char port[PORT_TEXT_MAX];
    char peer[ERROR_DISK_MAX];

    if (address_parse(call->peer.address, 1, true, host, port, err) < 0) {
        return PEER_UNREACHABLE;
    }
    tcp_name_host(host, port, peer, sizeof peer);
    int fd = tcp_connect(host, port, peer, calls->env, call->deadline_ns, err);
    if (fd < 0) {
        return PEER_UNREACHABLE;
    }
    if (crew_hold(seat, fd, err) < 0) {
        (void)close(fd); /* nothing was sent on it */
        return PEER_UNREACHABLE;
    }
    if (link_connect_pinned_on(calls->client, fd, peer, PEER_ALPN_CALL, call->peer.fingerprint,
                               call->deadline_ns, calls->env, out, err) < 0) {
        return end_of(call);
    }
    return PEER_ANSWERED;
}

static enum peer_end converse(struct call *call, struct crew_seat *seat, struct error *err)
{
    CLEANUP(link_freep) struct link *link = NULL;
    const struct env *env = call->calls->env;
    size_t len_bytes = 0;
    enum peer_end end = connect_call(call, seat, &link, err);

    if (end != PEER_ANSWERED) {
        return end;
    }
    uint8_t *buffer = malloc(PEER_MESSAGE_MAX);
    if (buffer == NULL) {
        (void)fail(err, ERR_LIMIT, ENOMEM, "no memory for a peer's answer");
        return PEER_UNREACHABLE;
    }
    if (stream_send(link, span_const(call->question), env, call->deadline_ns, err) < 0 ||
        stream_receive(link, (struct span){buffer, PEER_MESSAGE_MAX}, env, call->deadline_ns,
                       &len_bytes, err) < 0) {
        end = end_of(call);
    } else if (codec_decode_answer((struct const_span){buffer, len_bytes}, &call->answer, err) <
               0) {
        end = PEER_GARBLED;
    }
    free(buffer);
    return end;
}

static void deliver(void *argument)
{
    struct call *call = argument;

    assert(call->calls->service != NULL && call->answer.end != PEER_END_INVALID);
    service_answered(call->calls->service, call->token, &call->answer);
}

static void run_call(void *argument, struct crew_seat *seat)
{
    struct call *call = argument;
    struct error err = {.kind = ERR_NONE};

    crew_name(seat, call->peer.fingerprint);
    enum peer_end end = converse(call, seat, &err);
    if (end != PEER_ANSWERED) {
        call->answer = (struct peer_answer){.end = end, .value = RETURN_FAILED};
        (void)snprintf(call->answer.message, sizeof call->answer.message, "%s", err.message);
    }
    /* Refused only at the daemon's end, when nobody waits for answers. */
    (void)!mailbox_call(call->calls->mailbox, deliver, call);
    call_free(call);
}

int calls_ask(struct calls *calls, uint64_t token, const struct peer_address *peer,
              struct peer_question *question, uint32_t deadline_s, struct error *err)
{
    struct span text = {NULL, 0};
    int encoded = codec_encode_question(question, &text, err);

    peer_question_done(question);
    if (encoded < 0) {
        return -1;
    }
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        free(text.at);
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for a question to a peer");
    }
    *call = (struct call){.calls = calls,
                          .token = token,
                          .peer = *peer,
                          .deadline_ns = env_now_ns(calls->env) + deadline_s * NS_PER_S,
                          .question = text};
    if (crew_start(calls->crew, "", PEER_CALLS_MAX, run_call, call, err) < 0) {
        call_free(call);
        return -1;
    }
    return 0;
}

void calls_cut(struct calls *calls, const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    crew_cut(calls->crew, fingerprint);
}

void calls_stop(struct calls *calls)
{
    crew_stop(calls->crew);
}

bool calls_is_idle(const struct calls *calls)
{
    return crew_is_idle(calls->crew);
}

void calls_free(struct calls *calls)
{
    if (calls != NULL) {
        crew_free(calls->crew);
        free(calls);
    }
}
