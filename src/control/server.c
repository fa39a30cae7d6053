/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.c - the socket, and libmicrohttpd on it without a thread of its own.
 */
#include "control/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "control/exchange.h"
#include "control/watch.h"

#define SOCKET_MODE 0660
#define SOCKET_BACKLOG 64 /* connections that wait to be accepted */

/* --- the socket ------------------------------------------------------------------------------ */

static int fill_address(const char *path, struct sockaddr_un *out, struct error *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof out->sun_path) {
        return fail(err, ERR_USAGE, 0,
                    "the control socket's path must have 1 to %zu bytes: '%.256s'",
                    sizeof out->sun_path - 1, path);
    }
    (void)snprintf(out->sun_path, sizeof out->sun_path, "%s", path);
    return 0;
}

static void close_fdp(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* a socket has nothing to lose */
    }
}

static int open_socket(struct error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 ? fd : fail(err, ERR_IO, errno, "cannot make the control socket");
}

/* Whether somebody listens there. A full backlog (EAGAIN) is somebody, too. */
static int is_listened_to(const struct sockaddr_un *address, struct error *err)
{
    CLEANUP(close_fdp) int fd = open_socket(err);

    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN) {
        return 1;
    }
    if (errno == ECONNREFUSED || errno == ENOENT) {
        return 0;
    }
    return fail(err, ERR_IO, errno, "cannot tell whether somebody listens at '%s'",
                address->sun_path);
}

static int remove_dead_socket(const struct sockaddr_un *address, struct error *err)
{
    struct stat info;

    if (lstat(address->sun_path, &info) < 0) {
        return errno == ENOENT ? 0
                               : fail(err, ERR_IO, errno, "cannot look at '%s'", address->sun_path);
    }
    if (!S_ISSOCK(info.st_mode)) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "'%s' is no socket and is left alone: remove it, or set socket= in the "
                    "configuration",
                    address->sun_path);
    }
    int is_alive = is_listened_to(address, err);
    if (is_alive < 0) {
        return -1;
    }
    if (is_alive > 0) {
        return fail(err, ERR_WRONG_STATE, 0, "another daemon listens at '%s'", address->sun_path);
    }
    if (unlink(address->sun_path) < 0 && errno != ENOENT) {
        return fail(err, ERR_IO, errno, "cannot remove the dead socket '%s'", address->sun_path);
    }
    return 0;
}

/* Nobody can connect between bind() and listen(), and so nobody before the mode is right. */
static int bind_and_listen(int fd, const struct sockaddr_un *address, struct stat *out_info,
                           struct error *err)
{
    const char *path = address->sun_path;

    if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        return fail(err, errno == EADDRINUSE ? ERR_WRONG_STATE : ERR_IO, errno,
                    "cannot make the control socket '%s'", path);
    }
    if (chmod(path, SOCKET_MODE) < 0 || lstat(path, out_info) < 0 ||
        listen(fd, SOCKET_BACKLOG) < 0) {
        (void)fail(err, ERR_IO, errno, "cannot listen on the control socket '%s'", path);
        (void)unlink(path); /* it was of no use */
        return -1;
    }
    return 0;
}

/* Returns the descriptor. */
static int listen_at(const char *path, struct stat *out_info, struct error *err)
{
    struct sockaddr_un address;

    if (fill_address(path, &address, err) < 0 || remove_dead_socket(&address, err) < 0) {
        return -1;
    }
    int fd = open_socket(err);
    if (fd >= 0 && bind_and_listen(fd, &address, out_info, err) < 0) {
        close_fdp(&fd);
        return -1;
    }
    return fd;
}

static void remove_socket(const struct control *control)
{
    struct stat info;

    if (control->path[0] != '\0' && lstat(control->path, &info) == 0 &&
        info.st_dev == control->device && info.st_ino == control->inode) {
        (void)unlink(control->path); /* the next daemon replaces what is left */
    }
}

/* --- the server ------------------------------------------------------------------------------ */

/* Names are decoded by request_decode(), after the path was taken apart: a name may have a slash.
 */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* What MHD has to say is about clients that went away or spoke no HTTP; the format is MHD's own. */
static void log_mhd(void *context, const char *format, va_list values) FORMAT_AT(2, 0);
static void log_mhd(void *context, const char *format, va_list values)
{
    char text[256];

    (void)context;
    (void)vsnprintf(text, sizeof text, format, values);
    text[strcspn(text, "\n")] = '\0';
    log_event(LOG_LEVEL_DEBUG, {"event", "http"}, {"text", text});
}

static int start(struct control *control, struct error *err)
{
    unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

    control->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, exchange_on_request, control, MHD_OPTION_EXTERNAL_LOGGER, log_mhd,
        NULL, MHD_OPTION_LISTEN_SOCKET, control->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        CONTROL_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONTROL_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONTROL_CONNECTION_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_on_end, control, MHD_OPTION_NOTIFY_CONNECTION,
        exchange_on_connection, control, MHD_OPTION_END);
    if (control->daemon == NULL) {
        return fail(err, ERR_LIMIT, errno, "the control API's server does not start");
    }
    return 0;
}

static int take_fd(struct control *control, int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);

    control->listen_fd = fd;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return fail(err, ERR_IO, errno, "the control socket cannot be used");
    }
    return start(control, err);
}

static struct control *make(const struct control_config *config)
{
    struct control *control = calloc(1, sizeof *control);

    if (control != NULL) {
        control->config = *config;
        control->listen_fd = -1;
        control->started_ns = env_now_ns(config->env);
    }
    return control;
}

/* Takes fd, and control: what fails is freed. */
static int finish(struct control *control, int fd, struct control **out, struct error *err)
{
    if (take_fd(control, fd, err) < 0) {
        control_free(control);
        return -1;
    }
    *out = control;
    return 0;
}

int control_new_on(const struct control_config *config, int fd, struct control **out,
                   struct error *err)
{
    struct control *control = make(config);

    if (control == NULL) {
        close_fdp(&fd);
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the control API");
    }
    return finish(control, fd, out, err);
}

int control_new(const struct control_config *config, const char *socket_path, struct control **out,
                struct error *err)
{
    struct stat info = {0};
    struct control *control = make(config);

    if (control == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the control API");
    }
    int fd = listen_at(socket_path, &info, err);
    if (fd < 0) {
        control_free(control);
        return -1;
    }
    (void)snprintf(control->path, sizeof control->path, "%s", socket_path);
    control->device = info.st_dev;
    control->inode = info.st_ino;
    return finish(control, fd, out, err);
}

int control_fd(const struct control *control)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(control->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    assert(info != NULL);
    return info->epoll_fd;
}

void control_run(struct control *control)
{
    watch_beat(control, env_now_ns(control->config.env));
    if (MHD_run(control->daemon) != MHD_YES) {
        log_event(LOG_LEVEL_ERROR, {"event", "the control API's server does not run"});
    }
}

static int beat_in_ms(const struct control *control)
{
    uint64_t now_ns = env_now_ns(control->config.env);

    if (control->next_heartbeat_ns <= now_ns) {
        return 0;
    }
    return (int)((control->next_heartbeat_ns - now_ns) / NS_PER_MS) + 1;
}

int control_next_ms(const struct control *control)
{
    MHD_UNSIGNED_LONG_LONG mhd_ms = 0;
    int next_ms = control->watcher_count > 0 ? beat_in_ms(control) : -1;

    if (MHD_get_timeout(control->daemon, &mhd_ms) == MHD_YES) {
        int ms = mhd_ms > INT_MAX ? INT_MAX : (int)mhd_ms;
        next_ms = next_ms < 0 || ms < next_ms ? ms : next_ms;
    }
    return next_ms;
}

void control_changed(struct control *control, const struct service_change *change)
{
    watch_changed(control, change);
}

/* MHD gives the socket back, and it is ours to close again. */
static void close_listener(struct control *control)
{
    if (control->listen_fd < 0) {
        return;
    }
    if (control->daemon != NULL && MHD_quiesce_daemon(control->daemon) == MHD_INVALID_SOCKET) {
        log_event(LOG_LEVEL_WARNING, {"event", "the control socket was not listened on"});
    }
    close_fdp(&control->listen_fd);
    control->listen_fd = -1;
}

void control_stop(struct control *control)
{
    if (control->is_stopping) {
        return;
    }
    control->is_stopping = true;
    close_listener(control);
    watch_end(control);
}

bool control_is_idle(const struct control *control)
{
    return control->exchanges == NULL && control->watcher_count == 0;
}

/* MHD aborts if a connection is suspended when it stops. */
static void resume_all(struct control *control)
{
    control->is_stopping = true;
    watch_end(control);
    exchange_give_up(control);
}

void control_free(struct control *control)
{
    if (control == NULL) {
        return;
    }
    remove_socket(control);
    close_listener(control);
    if (control->daemon != NULL) {
        resume_all(control);
        MHD_stop_daemon(control->daemon);
        assert(control->exchanges == NULL && control->watcher_count == 0);
    }
    free(control);
}
