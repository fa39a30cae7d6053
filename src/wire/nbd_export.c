/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop: take back what the disks finished, give each client a turn, poll when nothing moved.
 *
 * Invariants:
 * 1. clients[0 .. client_count - 1] are there; a slot is given back once nbd_client_is_gone().
 * 2. The server does not end while a client is there: its buffers may be at a disk.
 * 3. Once it is told to stop there is no socket any more, and every client ends by farewell_ns.
 */
#include "wire/nbd_export.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/local_socket.h"
#include "wire/nbd_client.h"

#define POLL_FDS_MAX (2 + NBD_CLIENTS_MAX + NBD_EXPORTS_MAX)
#define TURN_REQUESTS 8U               /* taken back from one disk in a row */
#define DISK_POLL_MS 1000              /* looking too early at a disk does no harm */
#define EXHAUSTED_NS (100 * NS_PER_MS) /* until accepting is tried again */
#define NEVER UINT64_MAX

struct server {
    const struct nbd_export_config *config; /* borrowed */
    const struct nbd_export_host *host;     /* borrowed; never NULL */
    struct local_socket socket;             /* owned */
    struct nbd_offer offers[NBD_EXPORTS_MAX];
    struct nbd_shelf shelves[NBD_EXPORTS_MAX];
    struct nbd_client_config client_config;
    struct nbd_client *clients[NBD_CLIENTS_MAX]; /* owned */
    bool is_readable[NBD_CLIENTS_MAX];           /* as the last poll said */
    uint32_t client_count;
    bool is_stopping;
    uint64_t farewell_ns;
    uint64_t accept_ns; /* not before; 0: at once */
};

static uint64_t now_ns(const struct server *server)
{
    return env_now_ns(server->config->env);
}

/* --- clients --------------------------------------------------------------------------------- */

static void tell_dropped(const struct server *server, const struct error *err)
{
    if (server->host->dropped != NULL && err->kind != ERR_NONE) {
        server->host->dropped(server->host->context, err);
    }
}

static int add_client(struct server *server, int fd, struct error *err)
{
    struct nbd_client *client = NULL;

    if (server->client_count == NBD_CLIENTS_MAX) {
        return fail(err, ERR_LIMIT, 0, "an NBD client was turned away: %u are there already",
                    NBD_CLIENTS_MAX);
    }
    if (nbd_client_new(fd, &server->client_config, &client, err) < 0) {
        return -1;
    }
    server->is_readable[server->client_count] = false;
    server->clients[server->client_count++] = client;
    return 0;
}

/* Accepts once; there may be more, which the next poll tells. */
static void accept_client(struct server *server)
{
    struct error err = {.kind = ERR_NONE};
    int fd = -1;
    int result = local_socket_accept(&server->socket, &fd, &err);

    if (result < 0 && err.kind == ERR_LIMIT) {
        server->accept_ns = now_ns(server) + EXHAUSTED_NS;
    }
    if (result > 0 && add_client(server, fd, &err) < 0) {
        (void)close(fd); /* nothing was said on it */
    }
    tell_dropped(server, &err);
}

static void remove_client(struct server *server, uint32_t index)
{
    struct nbd_client *client = server->clients[index];

    assert(index < server->client_count && nbd_client_is_gone(client));
    tell_dropped(server, nbd_client_error(client));
    nbd_client_free(client);
    server->client_count--;
    server->clients[index] = server->clients[server->client_count];
    server->is_readable[index] = server->is_readable[server->client_count];
}

static void stop(struct server *server)
{
    if (server->is_stopping) {
        return;
    }
    server->is_stopping = true;
    server->farewell_ns = now_ns(server) + NBD_FAREWELL_S * NS_PER_S;
    local_socket_close(&server->socket);
    for (uint32_t i = 0; i < server->client_count; i++) {
        nbd_client_stop(server->clients[i]);
    }
}

/* Gives each client a turn and lets those go that are gone. True: somebody has more to do. */
static bool serve_clients(struct server *server)
{
    bool was_served = server->client_count > 0;
    bool has_more = false;

    for (uint32_t i = 0; i < server->client_count;) {
        has_more |= nbd_client_turn(server->clients[i], server->is_readable[i]);
        server->is_readable[i] = false;
        if (nbd_client_is_gone(server->clients[i])) {
            remove_client(server, i);
        } else {
            i++;
        }
    }
    if (was_served && server->client_count == 0 && !server->is_stopping &&
        server->host->all_left != NULL && server->host->all_left(server->host->context)) {
        stop(server);
    }
    return has_more;
}

/* --- disks ----------------------------------------------------------------------------------- */

/* True: something came back. */
static bool reap_disks(struct server *server)
{
    bool did_any = false;

    for (uint32_t i = 0; i < server->config->count; i++) {
        struct nbd_shelf *shelf = &server->shelves[i];
        for (uint32_t turn = 0; turn < TURN_REQUESTS && shelf->in_flight > 0; turn++) {
            struct disk_request *request = disk_reap(shelf->disk);
            if (request == NULL) {
                break;
            }
            nbd_client_take(request);
            did_any = true;
        }
    }
    return did_any;
}

/* --- waiting --------------------------------------------------------------------------------- */

/* The next moment at which somebody must be looked at. */
static uint64_t next_deadline_ns(const struct server *server)
{
    uint64_t deadline_ns = server->is_stopping ? server->farewell_ns : NEVER;

    if (server->accept_ns > 0 && server->accept_ns < deadline_ns) {
        deadline_ns = server->accept_ns;
    }
    for (uint32_t i = 0; i < server->client_count; i++) {
        uint64_t theirs_ns = nbd_client_deadline_ns(server->clients[i]);
        deadline_ns = theirs_ns < deadline_ns ? theirs_ns : deadline_ns;
    }
    return deadline_ns;
}

static int timeout_ms(const struct server *server, bool is_disk_busy)
{
    uint64_t deadline_ns = next_deadline_ns(server);
    uint64_t now = now_ns(server);
    uint64_t most_ms = is_disk_busy ? DISK_POLL_MS : INT32_MAX;

    if (deadline_ns == NEVER) {
        return is_disk_busy ? DISK_POLL_MS : -1;
    }
    uint64_t left_ms = deadline_ns > now ? (deadline_ns - now) / NS_PER_MS + 1 : 0;
    return (int)(left_ms < most_ms ? left_ms : most_ms);
}

static size_t watch_disks(const struct server *server, struct pollfd *fds)
{
    size_t count = 0;

    for (uint32_t i = 0; i < server->config->count; i++) {
        if (server->shelves[i].in_flight > 0) {
            fds[count] = (struct pollfd){.fd = -1};
            disk_poll_on(server->shelves[i].disk, &fds[count].fd, &fds[count].events);
            count++;
        }
    }
    return count;
}

/* Waits until something may be done, or only looks. */
static void wait_for_work(struct server *server, bool is_busy)
{
    struct pollfd fds[POLL_FDS_MAX];
    struct pollfd *stop_poll = &fds[0];
    struct pollfd *accept_poll = &fds[1];
    struct pollfd *clients = &fds[2];

    if (server->accept_ns > 0 && now_ns(server) >= server->accept_ns) {
        server->accept_ns = 0;
    }
    *stop_poll =
        (struct pollfd){.fd = server->is_stopping ? -1 : server->config->stop_fd, .events = POLLIN};
    *accept_poll =
        (struct pollfd){.fd = server->accept_ns > 0 ? -1 : server->socket.fd, .events = POLLIN};
    for (uint32_t i = 0; i < server->client_count; i++) {
        clients[i] = (struct pollfd){.fd = -1};
        nbd_client_poll_on(server->clients[i], &clients[i].fd, &clients[i].events);
    }
    size_t disk_count = watch_disks(server, &clients[server->client_count]);
    nfds_t count = 2 + server->client_count + disk_count;
    if (poll(fds, count, is_busy ? 0 : timeout_ms(server, disk_count > 0)) <= 0) {
        return; /* in time, or interrupted: looking again does no harm */
    }
    for (uint32_t i = 0; i < server->client_count; i++) {
        server->is_readable[i] = (clients[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    }
    if (stop_poll->revents != 0) {
        stop(server);
    } else if (accept_poll->revents != 0) {
        accept_client(server);
    }
}

static void say_farewell(struct server *server)
{
    if (server->is_stopping && now_ns(server) >= server->farewell_ns) {
        for (uint32_t i = 0; i < server->client_count; i++) {
            nbd_client_drop(server->clients[i], NULL);
        }
    }
}

static void drive(struct server *server)
{
    while (!server->is_stopping || server->client_count > 0) {
        bool is_busy = reap_disks(server);
        is_busy |= serve_clients(server);
        if (server->is_stopping && server->client_count == 0) {
            break;
        }
        wait_for_work(server, is_busy);
        say_farewell(server);
    }
    for (uint32_t i = 0; i < server->config->count; i++) {
        assert(server->shelves[i].in_flight == 0); /* invariant 2 */
    }
}

/* --- entry ----------------------------------------------------------------------------------- */

static int check_exports(const struct nbd_export_config *config, struct error *err)
{
    if (config->count == 0 || config->count > NBD_EXPORTS_MAX) {
        return fail(err, ERR_USAGE, 0, "1 to %u disks can be offered, not %u", NBD_EXPORTS_MAX,
                    config->count);
    }
    for (uint32_t i = 0; i < config->count; i++) {
        const char *name = config->exports[i].name;
        if (name[0] == '\0' || strlen(name) >= DISK_NAME_MAX) {
            return fail(err, ERR_USAGE, 0, "the name of an export has 1 to %d bytes: '%s'",
                        DISK_NAME_MAX - 1, name);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(name, config->exports[j].name) == 0) {
                return fail(err, ERR_USAGE, 0, "two exports have the name '%s'", name);
            }
        }
    }
    return 0;
}

static void fill(struct server *server, const struct nbd_export_config *config)
{
    static const struct nbd_export_host nobody = {.context = NULL};
    uint64_t patience_ms =
        config->patience_ms > 0 ? config->patience_ms : HANDSHAKE_TIMEOUT_S * 1000ULL;

    server->config = config;
    server->host = config->host != NULL ? config->host : &nobody;
    for (uint32_t i = 0; i < config->count; i++) {
        assert(config->exports[i].disk->size_bytes <= DISK_SIZE_MAX);
        server->offers[i] = (struct nbd_offer){.name = config->exports[i].name,
                                               .size_bytes = config->exports[i].disk->size_bytes};
        server->shelves[i] = (struct nbd_shelf){.disk = config->exports[i].disk};
    }
    server->client_config = (struct nbd_client_config){.offers = server->offers,
                                                       .shelves = server->shelves,
                                                       .count = config->count,
                                                       .env = config->env,
                                                       .patience_ns = patience_ms * NS_PER_MS};
}

int nbd_export_run(const struct nbd_export_config *config, struct error *err)
{
    if (check_exports(config, err) < 0) {
        return -1;
    }
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return fail(err, ERR_LIMIT, 0, "out of memory for an NBD server");
    }
    fill(server, config);
    if (local_socket_listen(config->socket_path, &server->socket, err) < 0) {
        free(server);
        return -1;
    }
    if (server->host->listening != NULL) {
        server->host->listening(server->host->context, config->socket_path);
    }
    drive(server);
    local_socket_close(&server->socket);
    free(server);
    return 0;
}
