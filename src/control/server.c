/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.c - HTTP on the Unix socket, by libmicrohttpd without threads of its own: it works when
 * control_run() is called.
 *
 * 1. Who asks is what the kernel says of the socket's other end; no byte of a call changes it.
 * 2. A call that waits for the service's reply is suspended: MHD forgets it until then, so its
 *    memory is there when the reply comes, whether its client is or not.
 */
#include "control/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "control/call.h"
#include "control/routes.h"
#include "control/watch.h"

#define BACKLOG 64

/* --- calls ----------------------------------------------------------------------------------- */

static bool fill_caller(struct call *call)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred peer = {0};
    socklen_t size = sizeof peer;

    if (info == NULL || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
        size != sizeof peer) {
        return false;
    }
    const struct control_config *config = &call->control->config;
    call->caller.role = config->role_of(config->context, peer.uid, peer.gid, call->caller.name,
                                        sizeof call->caller.name);
    return true;
}

static struct call *new_call(struct control *control, struct MHD_Connection *connection,
                             const char *url, const char *method)
{
    struct call *call = calloc(1, sizeof *call);

    if (call == NULL) {
        return NULL;
    }
    call->control = control;
    call->connection = connection;
    call->path = strdup(url);
    (void)snprintf(call->method, sizeof call->method, "%s", method);
    if (call->path == NULL || !fill_caller(call)) {
        free(call->path);
        free(call);
        return NULL;
    }
    control->call_count++;
    return call;
}

static void free_call(struct call *call)
{
    call->control->call_count--;
    free(call->path);
    free(call->body);
    free(call->text);
    free(call);
}

static void take_body(struct call *call, const char *bytes, size_t len_bytes)
{
    if (call->is_too_long || call->body_bytes + len_bytes > CONTROL_BODY_MAX) {
        call->is_too_long = true;
        return;
    }
    char *body = realloc(call->body, call->body_bytes + len_bytes);
    if (body == NULL) {
        call->is_too_long = true;
        return;
    }
    memcpy(body + call->body_bytes, bytes, len_bytes);
    call->body = body;
    call->body_bytes += len_bytes;
}

/* Every call that changes something, and every refused one, leaves a line. */
static void audit(const struct call *call)
{
    char value[16];

    (void)snprintf(value, sizeof value, "%u", call->return_value);
    if (strcmp(call->method, "GET") != 0 || call->return_value == RETURN_ACCESS_DENIED) {
        log_event(LOG_LEVEL_NOTICE, {"event", "call"}, {"who", call->caller.name},
                  {"role", caller_role_name(call->caller.role)}, {"method", call->method},
                  {"path", call->path}, {"return_value", value});
    }
}

static struct MHD_Response *make_response(struct call *call)
{
    if (call->watcher != NULL) {
        struct MHD_Response *stream = watch_response(call->watcher);
        call->watcher = NULL; /* the response's now */
        if (stream != NULL) {
            (void)MHD_add_response_header(stream, "Content-Type", "text/event-stream");
            (void)MHD_add_response_header(stream, "Cache-Control", "no-store");
        }
        return stream;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(call->text_bytes, call->text, MHD_RESPMEM_MUST_FREE);
    if (response != NULL) {
        call->text = NULL; /* the response's now */
        (void)MHD_add_response_header(response, "Content-Type", call->type);
        (void)MHD_add_response_header(response, "Cache-Control", "no-store");
        if (call->allow != NULL) {
            (void)MHD_add_response_header(response, "Allow", call->allow);
        }
    }
    return response;
}

static enum MHD_Result send_answer(struct call *call)
{
    audit(call);
    struct MHD_Response *response = make_response(call);
    if (response == NULL) {
        return MHD_NO; /* no memory: the connection is closed */
    }
    enum MHD_Result result = MHD_queue_response(call->connection, call->status, response);
    MHD_destroy_response(response);
    return result;
}

static void handle(struct call *call)
{
    struct error err = {0};

    call->is_received = true;
    if (call->is_too_long) {
        (void)fail(&err, ERR_LIMIT, 0, "the body is longer than %llu bytes", CONTROL_BODY_MAX);
        call_refuse(call, MHD_HTTP_CONTENT_TOO_LARGE, RETURN_INVALID_PARAMETER, &err);
    } else if (call->control->is_stopping) {
        (void)fail(&err, ERR_CANCELLED, 0, "the service stops");
        call_refuse(call, 0, RETURN_NOT_AVAILABLE, &err);
    } else {
        routes_handle(call);
    }
}

/* MHD_AccessHandlerCallback: the head came, then pieces of the body, then nothing more; and again
 * when a suspended call is resumed. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **own)
{
    struct control *control = context;
    struct call *call = *own;

    (void)version;
    if (call == NULL) {
        *own = new_call(control, connection, url, method);
        return *own == NULL ? MHD_NO : MHD_YES;
    }
    if (*upload_bytes > 0) {
        take_body(call, upload, *upload_bytes);
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (!call->is_received) {
        handle(call);
    }
    if (call->has_answer) {
        return send_answer(call);
    }
    assert(call->is_waiting);
    call->is_suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

/* MHD_RequestCompletedCallback */
static void on_end(void *context, struct MHD_Connection *connection, void **own,
                   enum MHD_RequestTerminationCode how)
{
    struct call *call = *own;

    (void)context;
    (void)connection;
    (void)how;
    if (call != NULL) {
        assert(!call->is_waiting); /* invariant 2 */
        free_call(call);
        *own = NULL;
    }
}

/* Paths stay as they came: a name with an encoded slash is one segment. */
static size_t keep_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* --- the socket ------------------------------------------------------------------------------ */

/* Whether somebody listens at a path that is there. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_answered =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);

    if (fd >= 0) {
        (void)close(fd); /* nothing was said on it */
    }
    return is_answered;
}

static int clear_way(const struct sockaddr_un *address, struct error *err)
{
    struct stat info;

    if (lstat(address->sun_path, &info) < 0) {
        return errno == ENOENT ? 0
                               : fail(err, ERR_IO, errno, "cannot look at the control socket '%s'",
                                      address->sun_path);
    }
    if (!S_ISSOCK(info.st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "there is something at '%s' that is no socket: move it away, or configure "
                    "another socket=",
                    address->sun_path);
    }
    if (is_alive(address)) {
        return fail(err, ERR_WRONG_STATE, 0, "another resilverd listens at '%s'",
                    address->sun_path);
    }
    if (unlink(address->sun_path) < 0) {
        return fail(err, ERR_IO, errno, "cannot remove the old socket '%s'", address->sun_path);
    }
    return 0;
}

static int listen_at(const char *path, int *out_fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path) {
        return fail(err, ERR_USAGE, 0, "the control socket's path '%s' is longer than %zu bytes",
                    path, sizeof address.sun_path - 1);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (clear_way(&address, err) < 0) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(err, ERR_LIMIT, errno, "cannot make a socket");
    }
    /* Nobody connects before listen(), and by then the mode is right. */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0660) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int saved_errno = errno;
        (void)close(fd); /* nothing was said on it */
        return fail(err, ERR_IO, saved_errno, "cannot listen at '%s'", path);
    }
    *out_fd = fd;
    return 0;
}

static struct MHD_Daemon *start(struct control *control)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, control,
        MHD_OPTION_LISTEN_SOCKET, control->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, on_end, control,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, control, MHD_OPTION_CONNECTION_LIMIT,
        CONTROL_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONTROL_IDLE_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

int control_new_on(const struct control_config *config, int fd, struct control **out,
                   struct error *err)
{
    struct control *control = calloc(1, sizeof *control);

    if (control == NULL) {
        (void)close(fd); /* nothing was said on it */
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the control API");
    }
    control->config = *config;
    control->listen_fd = fd;
    control->started_ns = env_now_ns(config->env);
    control->daemon = start(control);
    const union MHD_DaemonInfo *info =
        control->daemon == NULL ? NULL
                                : MHD_get_daemon_info(control->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL) {
        if (control->daemon != NULL) {
            MHD_stop_daemon(control->daemon);
        } else {
            (void)close(fd); /* nothing was said on it */
        }
        free(control);
        return fail(err, ERR_LIMIT, 0, "the control API cannot start");
    }
    control->epoll_fd = info->epoll_fd;
    *out = control;
    return 0;
}

int control_new(const struct control_config *config, const char *socket_path, struct control **out,
                struct error *err)
{
    int fd = -1;

    return listen_at(socket_path, &fd, err) < 0 ? -1 : control_new_on(config, fd, out, err);
}

/* --- running --------------------------------------------------------------------------------- */

int control_fd(const struct control *control)
{
    return control->epoll_fd;
}

void control_run(struct control *control)
{
    (void)watch_tick(control);
    (void)MHD_run(control->daemon); /* fails only for daemons with threads */
}

int control_next_ms(const struct control *control)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    int next_ms = control->watchers == NULL ? -1 : 1000;

    if (MHD_get_timeout(control->daemon, &ms) == MHD_YES &&
        (next_ms < 0 || ms < (MHD_UNSIGNED_LONG_LONG)next_ms)) {
        next_ms = ms > 60000 ? 60000 : (int)ms;
    }
    return next_ms;
}

void control_changed(struct control *control, const struct service_change *change)
{
    watch_changed(control, change);
}

void control_stop(struct control *control)
{
    control->is_stopping = true;
    watch_end_all(control);
}

bool control_is_idle(const struct control *control)
{
    return control->call_count == 0 && control->watchers == NULL;
}

void control_free(struct control *control)
{
    if (control == NULL) {
        return;
    }
    control->is_stopping = true;
    watch_end_all(control); /* MHD stops only when nothing is suspended */
    (void)MHD_run(control->daemon);
    MHD_stop_daemon(control->daemon);
    assert(control->call_count == 0);
    free(control);
}
