/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command is cut into pieces of at most READ_BYTES that begin and end at pages; each piece has a
 * buffer, is read by itself, and is sent as far as the command asks for it:
 *
 *   piece:  FREE --> AT_DISK --+--> READY --> SENDING --> FREE
 *                              +--> FREE (it failed: its command ends with an error)
 *
 * Invariants:
 * 1. A piece that is not FREE belongs to a command in use, which counts it in piece_count.
 * 2. Pieces are given to commands in the order in which these came: a later command gets none
 *    before an earlier one has all of its own. So the first one that waits gets every piece that
 *    becomes free, and two commands can not wait for each other.
 * 3. A whole command's data follows its header without anything in between: from its header to its
 *    end it is client->speaker, and nothing else is sent.
 * 4. A whole command of which all pieces fit into the buffers begins only when all are READY, so
 *    that an error can still be told. A longer one (only a client without structured replies can
 *    ask for it) begins with its first; an error after that ends the connection.
 *    Source: NBD, NBD_CMD_READ, "Simple replies".
 * 5. Buffers are not freed while a piece is AT_DISK.
 */
#include "wire/nbd_client.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TURN_SENDS 16U /* sent to one client before the others have their turn */

_Static_assert(READ_BYTES >= EXTENTS_MAX * sizeof(struct extent), "extents fit into a buffer");
_Static_assert(NBD_CLIENTS_MAX *NBD_CLIENT_PIECES <= DISK_REQUESTS_MAX,
               "all clients may ask the same disk");

enum piece_state { PIECE_FREE = 0, PIECE_AT_DISK, PIECE_READY, PIECE_SENDING };

struct piece {
    struct disk_request request; /* first: a request that comes back is its piece */
    enum piece_state state;
    struct nbd_client *client; /* borrowed: the one that it is part of */
    struct command *command;   /* borrowed; NULL when FREE */
    uint8_t *buffer;           /* borrowed from client->buffers */
    uint64_t offset_bytes;     /* what of it is asked for; the request may be wider */
    uint32_t len_bytes;
};

struct command {
    bool is_used;
    bool is_queued; /* pieces of it are still to be made */
    bool has_begun; /* whole: its header was sent */
    bool has_failed;
    struct nbd_command asked;
    uint64_t next_bytes; /* where the next piece begins */
    uint64_t sent_bytes; /* sent, or being sent */
    uint32_t piece_count;
    uint64_t error_bytes; /* has_failed: the first offset that could not be read */
    struct command *next; /* in the queue; borrowed */
};

struct nbd_client {
    const struct nbd_client_config *config; /* borrowed */
    int fd;                                 /* owned; -1: gone */
    bool is_blocked;                        /* the socket took no more */
    bool has_hung_up;                       /* nothing more comes */
    bool is_stopping;                       /* no further commands are taken */
    uint64_t deadline_ns;                   /* UINT64_MAX: none */
    uint64_t seen_count;                    /* messages taken when the deadline was set */
    uint32_t at_disk_count;
    struct error error;

    uint8_t *buffers;          /* owned: NBD_CLIENT_PIECES of READ_BYTES */
    struct piece *sending;     /* borrowed: whose data is being sent */
    struct command *speaker;   /* borrowed (invariant 3) */
    struct command *queue;     /* commands that need pieces, the oldest first */
    struct command *queue_end; /* the youngest; meaningful when there is a queue */

    uint8_t header[NBD_HEADER_MAX];
    struct const_span header_left; /* of what is being sent, in front of data_left */
    struct const_span data_left;

    struct piece pieces[NBD_CLIENT_PIECES];
    struct command commands[NBD_CLIENT_COMMANDS_MAX];
    struct nbd_protocol protocol;
};

static struct nbd_shelf *shelf_of(const struct nbd_client *client)
{
    return &client->config->shelves[client->protocol.export_index];
}

/* --- pieces ---------------------------------------------------------------------------------- */

static void free_piece(struct piece *piece)
{
    assert(piece->state != PIECE_FREE && piece->state != PIECE_AT_DISK);
    assert(piece->command->piece_count > 0); /* invariant 1 */
    piece->command->piece_count--;
    piece->command = NULL;
    piece->state = PIECE_FREE;
}

static struct piece *find_free(struct nbd_client *client)
{
    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        if (client->pieces[i].state == PIECE_FREE) {
            return &client->pieces[i];
        }
    }
    return NULL;
}

/* The part of a command from next_bytes on that one piece takes. */
static void cut_read(struct command *command, struct piece *piece, uint64_t size_bytes)
{
    uint64_t end = command->asked.offset_bytes + command->asked.len_bytes;
    uint64_t start = command->next_bytes / PAGE_BYTES * PAGE_BYTES;
    uint64_t stop = (end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    stop = stop < size_bytes ? stop : size_bytes;
    stop = stop - start < READ_BYTES ? stop : start + READ_BYTES;
    piece->offset_bytes = command->next_bytes;
    piece->len_bytes = (uint32_t)((end < stop ? end : stop) - command->next_bytes);
    piece->request = (struct disk_request){
        .op = DISK_READ,
        .offset_bytes = start,
        .data = {piece->buffer, (size_t)(stop - start)},
    };
    command->next_bytes += piece->len_bytes;
}

static void cut_status(struct command *command, struct piece *piece)
{
    uint64_t start = command->asked.offset_bytes / PAGE_BYTES * PAGE_BYTES;
    uint64_t end = command->asked.offset_bytes + command->asked.len_bytes;

    piece->offset_bytes = command->asked.offset_bytes;
    piece->len_bytes = 0; /* nothing of it is sent as it is */
    piece->request = (struct disk_request){
        .op = DISK_EXTENTS,
        .offset_bytes = start,
        .len_bytes = end - start,
        .extents = (struct extent *)(void *)piece->buffer, /* aligned to a page, large enough */
    };
    command->next_bytes = end;
}

static void make_piece(struct nbd_client *client, struct command *command, struct piece *piece)
{
    struct nbd_shelf *shelf = shelf_of(client);

    assert(command->is_used && piece->state == PIECE_FREE);
    if (command->asked.kind == NBD_COMMAND_READ) {
        cut_read(command, piece, shelf->disk->size_bytes);
    } else {
        cut_status(command, piece);
    }
    piece->state = PIECE_AT_DISK;
    piece->command = command;
    command->piece_count++;
    client->at_disk_count++;
    shelf->in_flight++;
    disk_submit(shelf->disk, &piece->request);
}

static void leave_queue(struct nbd_client *client)
{
    client->queue->is_queued = false;
    client->queue = client->queue->next;
}

/* Give free pieces to the commands that wait, in their order (invariant 2). */
static void start_reads(struct nbd_client *client)
{
    while (client->queue != NULL) {
        struct command *command = client->queue;
        uint64_t end = command->asked.offset_bytes + command->asked.len_bytes;
        if (command->has_failed || command->next_bytes == end) {
            leave_queue(client);
            continue;
        }
        struct piece *piece = find_free(client);
        if (piece == NULL) {
            return;
        }
        make_piece(client, command, piece);
    }
}

/* --- commands -------------------------------------------------------------------------------- */

static struct command *find_unused(struct nbd_client *client)
{
    for (uint32_t i = 0; i < NBD_CLIENT_COMMANDS_MAX; i++) {
        if (!client->commands[i].is_used) {
            return &client->commands[i];
        }
    }
    return NULL;
}

static bool has_commands(const struct nbd_client *client)
{
    for (uint32_t i = 0; i < NBD_CLIENT_COMMANDS_MAX; i++) {
        if (client->commands[i].is_used) {
            return true;
        }
    }
    return false;
}

static void add_command(struct nbd_client *client, struct command *command,
                        const struct nbd_command *asked)
{
    *command = (struct command){
        .is_used = true, .is_queued = true, .asked = *asked, .next_bytes = asked->offset_bytes};
    if (client->queue == NULL) {
        client->queue = command;
    } else {
        client->queue_end->next = command;
    }
    client->queue_end = command;
}

static void end_command(struct command *command)
{
    assert(command->piece_count == 0 && !command->is_queued);
    command->is_used = false;
}

/* Ends what has failed and is not at the disk any more, as far as there is room to say so. */
static void end_failed(struct nbd_client *client)
{
    for (uint32_t i = 0; i < NBD_CLIENT_COMMANDS_MAX; i++) {
        struct command *command = &client->commands[i];
        if (command->is_used && command->has_failed && command->piece_count == 0 &&
            !command->is_queued && nbd_protocol_has_room(&client->protocol)) {
            nbd_protocol_put_error(&client->protocol, &command->asked, command->error_bytes);
            end_command(command);
        }
    }
}

/* Take commands as long as there are some, and room for them. */
static void take_commands(struct nbd_client *client)
{
    struct command *command = NULL;
    struct nbd_command asked;
    struct error err = {.kind = ERR_NONE};
    int result = 0;

    while (!client->is_stopping && (command = find_unused(client)) != NULL &&
           (result = nbd_protocol_next(&client->protocol, &asked, &err)) > 0) {
        add_command(client, command, &asked);
    }
    if (result < 0) {
        nbd_client_drop(client, &err);
    }
}

/* --- what comes from the disk ---------------------------------------------------------------- */

static void drop_ready(struct nbd_client *client, const struct command *command)
{
    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        struct piece *piece = &client->pieces[i];
        if (piece->state == PIECE_READY && (command == NULL || piece->command == command)) {
            free_piece(piece);
        }
    }
}

static void fail_piece(struct nbd_client *client, struct piece *piece)
{
    struct command *command = piece->command;

    if (!command->has_failed || piece->offset_bytes < command->error_bytes) {
        command->error_bytes = piece->offset_bytes;
    }
    command->has_failed = true;
    free_piece(piece);
    if (command->has_begun) {
        struct error err = {.kind = ERR_NONE};
        const struct disk *disk = shelf_of(client)->disk;
        (void)fail(&err, ERR_IO, piece->request.errnum,
                   "reading %s failed, which an NBD client that knows no structured replies can "
                   "only be told by disconnecting it",
                   disk->name);
        error_set_disk(&err, disk->name);
        error_set_offset(&err, command->error_bytes);
        nbd_client_drop(client, &err);
    } else if (command->asked.is_whole) {
        drop_ready(client, command); /* none of it will be sent */
    }
}

void nbd_client_take(struct disk_request *request)
{
    struct piece *piece = (struct piece *)request; /* the request is its first member */
    struct nbd_client *client = piece->client;
    struct nbd_shelf *shelf = shelf_of(client);

    assert(piece->state == PIECE_AT_DISK && client->at_disk_count > 0 && shelf->in_flight > 0);
    client->at_disk_count--;
    shelf->in_flight--;
    piece->state = PIECE_READY;
    bool is_in_vain = client->fd < 0 || (request->errnum == 0 && piece->command->has_failed &&
                                         piece->command->asked.is_whole);
    if (is_in_vain) {
        free_piece(piece);
    } else if (request->errnum != 0) {
        fail_piece(client, piece);
    }
}

/* --- sending --------------------------------------------------------------------------------- */

static struct piece *find_ready(struct nbd_client *client, const struct command *command,
                                uint64_t offset_bytes)
{
    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        struct piece *piece = &client->pieces[i];
        if (piece->state == PIECE_READY && piece->command == command &&
            piece->offset_bytes == offset_bytes) {
            return piece;
        }
    }
    return NULL;
}

static bool are_all_ready(const struct nbd_client *client, const struct command *command)
{
    uint32_t ready_count = 0;

    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        const struct piece *piece = &client->pieces[i];
        ready_count += piece->state == PIECE_READY && piece->command == command ? 1 : 0;
    }
    return ready_count == command->piece_count;
}

/* Whether a whole command's header may go out (invariant 4). */
static bool can_begin(const struct nbd_client *client, const struct command *command)
{
    uint64_t lead_bytes = command->asked.offset_bytes % PAGE_BYTES;
    bool fits = lead_bytes + command->asked.len_bytes <= NBD_CLIENT_PIECES * READ_BYTES;

    if (command->has_failed) {
        return false;
    }
    return fits ? !command->is_queued && are_all_ready(client, command) : true;
}

static void send_piece(struct nbd_client *client, struct piece *piece)
{
    struct command *command = piece->command;
    size_t skip_bytes = (size_t)(piece->offset_bytes - piece->request.offset_bytes);

    assert(client->sending == NULL && client->data_left.len_bytes == 0);
    assert(skip_bytes + piece->len_bytes <= piece->request.data.len_bytes);
    command->sent_bytes += piece->len_bytes;
    bool is_last = command->sent_bytes == command->asked.len_bytes;
    if (!command->asked.is_whole) {
        client->header_left =
            nbd_protocol_data_header(&client->protocol, &command->asked, piece->offset_bytes,
                                     piece->len_bytes, is_last, client->header);
    } else if (!command->has_begun) {
        client->header_left = nbd_protocol_data_header(
            &client->protocol, &command->asked, command->asked.offset_bytes,
            command->asked.len_bytes, true, client->header);
        command->has_begun = true;
        client->speaker = command;
    }
    client->data_left = (struct const_span){piece->buffer + skip_bytes, piece->len_bytes};
    piece->state = PIECE_SENDING;
    client->sending = piece;
}

/* Status answers have no data of their own: they go through the outbox. */
static void answer_status(struct nbd_client *client, struct piece *piece)
{
    struct command *command = piece->command;

    nbd_protocol_put_status(&client->protocol, &command->asked, piece->request.extents,
                            piece->request.extent_count);
    free_piece(piece);
    end_command(command);
}

/* The piece that can be sent next. Nobody else may speak while there is a speaker. */
static struct piece *choose_piece(struct nbd_client *client)
{
    if (client->speaker != NULL) {
        return find_ready(client, client->speaker,
                          client->speaker->asked.offset_bytes + client->speaker->sent_bytes);
    }
    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        struct piece *piece = &client->pieces[i];
        if (piece->state != PIECE_READY || piece->command->asked.kind != NBD_COMMAND_READ) {
            continue;
        }
        if (!piece->command->asked.is_whole) {
            return piece;
        }
        if (piece->offset_bytes == piece->command->asked.offset_bytes &&
            can_begin(client, piece->command)) {
            return piece;
        }
    }
    return NULL;
}

static void answer_statuses(struct nbd_client *client)
{
    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        struct piece *piece = &client->pieces[i];
        if (piece->state == PIECE_READY && piece->command->asked.kind == NBD_COMMAND_STATUS &&
            nbd_protocol_has_room(&client->protocol)) {
            answer_status(client, piece);
        }
    }
}

/* A piece is out. */
static void end_piece(struct nbd_client *client)
{
    struct command *command = client->sending->command;

    free_piece(client->sending);
    client->sending = NULL;
    if (command->sent_bytes == command->asked.len_bytes) {
        client->speaker = client->speaker == command ? NULL : client->speaker;
        end_command(command);
    }
}

/* One sendmsg. Returns how much the socket took, 0 for nothing; -1: the client was dropped. */
static ssize_t send_some(struct nbd_client *client, struct const_span first,
                         struct const_span second)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)first.at, first.len_bytes},
                             {(void *)(uintptr_t)second.at, second.len_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent >= 0) {
        client->is_blocked = (size_t)sent < first.len_bytes + second.len_bytes;
        return sent;
    }
    if (errno == EAGAIN || errno == EINTR) {
        client->is_blocked = true;
        return 0;
    }
    /* It went away without a word, as clients do. */
    nbd_client_drop(client, NULL);
    return -1;
}

static void advance(struct const_span *span, size_t *len_bytes)
{
    size_t part = *len_bytes < span->len_bytes ? *len_bytes : span->len_bytes;

    if (part > 0) {
        span->at += part;
        span->len_bytes -= part;
        *len_bytes -= part;
    }
}

/* Sends once; false when there is nothing to send, or the socket takes no more. */
static bool send_once(struct nbd_client *client)
{
    struct const_span outbox = nbd_protocol_outbox(&client->protocol);
    const struct const_span nothing = {NULL, 0};

    if (client->sending == NULL && (client->speaker != NULL || outbox.len_bytes == 0)) {
        struct piece *piece = choose_piece(client);
        if (piece == NULL) {
            return false;
        }
        send_piece(client, piece);
    }
    if (client->sending == NULL) {
        ssize_t sent = send_some(client, outbox, nothing);
        if (sent > 0) {
            nbd_protocol_sent(&client->protocol, (size_t)sent);
        }
        return sent > 0 && !client->is_blocked;
    }
    ssize_t sent = send_some(client, client->header_left, client->data_left);
    if (sent <= 0) {
        return false;
    }
    size_t left_bytes = (size_t)sent;
    advance(&client->header_left, &left_bytes);
    advance(&client->data_left, &left_bytes);
    assert(left_bytes == 0);
    if (client->header_left.len_bytes == 0 && client->data_left.len_bytes == 0) {
        end_piece(client);
    }
    return !client->is_blocked;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* Whether it is only waited for until what is under way is answered. */
static bool is_ending(const struct nbd_client *client)
{
    return client->is_stopping || client->has_hung_up || client->protocol.phase == NBD_PHASE_ENDED;
}

static bool wants_bytes(const struct nbd_client *client)
{
    const struct nbd_protocol *p = &client->protocol;

    return !is_ending(client) && p->inbox_end - p->inbox_begin < sizeof p->inbox;
}

static void receive(struct nbd_client *client)
{
    struct span inbox = nbd_protocol_inbox(&client->protocol);
    ssize_t got = recv(client->fd, inbox.at, inbox.len_bytes, MSG_DONTWAIT);

    if (got > 0) {
        nbd_protocol_filled(&client->protocol, (size_t)got);
    } else if (got == 0) {
        client->has_hung_up = true; /* it asks nothing more, but may still wait for answers */
    } else if (errno != EAGAIN && errno != EINTR) {
        nbd_client_drop(client, NULL);
    }
}

/* --- the clock ------------------------------------------------------------------------------- */

/* Until when the client has to go on. One deadline holds for all of the handshake, one for each
 * command from its first byte to its last, and one for taking the last answers. */
static void set_deadline(struct nbd_client *client, uint64_t now)
{
    bool is_amid = client->protocol.is_amid;
    bool is_other = is_amid && client->seen_count != client->protocol.taken_count;

    if (client->protocol.phase == NBD_PHASE_COMMANDS && !is_amid && !is_ending(client)) {
        client->deadline_ns = UINT64_MAX;
    } else if (client->deadline_ns == UINT64_MAX || is_other) {
        client->deadline_ns = now + client->config->patience_ns;
        client->seen_count = client->protocol.taken_count;
    }
}

static void look_at_clock(struct nbd_client *client)
{
    uint64_t now = env_now_ns(client->config->env);
    struct error err = {.kind = ERR_NONE};

    set_deadline(client, now);
    if (now >= client->deadline_ns) {
        (void)fail(&err, ERR_PEER, 0, "an NBD client did not go on within %llu ms",
                   (unsigned long long)(client->config->patience_ns / NS_PER_MS));
        nbd_client_drop(client, &err);
    }
}

/* --- the interface --------------------------------------------------------------- */

int nbd_client_new(int fd, const struct nbd_client_config *config, struct nbd_client **out,
                   struct error *err)
{
    struct nbd_client *client = malloc(sizeof *client);
    uint8_t *buffers = aligned_alloc(DISK_BUFFER_ALIGN, NBD_CLIENT_PIECES * READ_BYTES);

    if (client == NULL || buffers == NULL) {
        free(client);
        free(buffers);
        return fail(err, ERR_LIMIT, 0, "out of memory for an NBD client");
    }
    memset(client, 0, offsetof(struct nbd_client, protocol));
    nbd_protocol_init(&client->protocol, config->offers, config->count);
    client->config = config;
    client->fd = fd;
    client->buffers = buffers;
    client->deadline_ns = env_now_ns(config->env) + config->patience_ns;
    for (uint32_t i = 0; i < NBD_CLIENT_PIECES; i++) {
        client->pieces[i].client = client;
        client->pieces[i].buffer = buffers + (size_t)i * READ_BYTES;
    }
    *out = client;
    return 0;
}

void nbd_client_free(struct nbd_client *client)
{
    if (client == NULL) {
        return;
    }
    assert(nbd_client_is_gone(client)); /* invariant 5 */
    free(client->buffers);
    free(client);
}

void nbd_client_drop(struct nbd_client *client, const struct error *err)
{
    if (client->fd < 0) {
        return;
    }
    (void)close(client->fd); /* a socket: what it did not take is of no use to anybody */
    client->fd = -1;
    if (err != NULL) {
        client->error = *err;
    }
    if (client->sending != NULL) {
        client->sending->state = PIECE_READY;
        client->sending = NULL;
    }
    drop_ready(client, NULL);
}

void nbd_client_stop(struct nbd_client *client)
{
    if (!client->is_stopping) {
        client->is_stopping = true;
        client->deadline_ns = UINT64_MAX; /* its time to take the rest begins now */
    }
}

/* Everything that can be done without waiting, up to one sendmsg. False: nothing more for now. */
static bool go_on(struct nbd_client *client)
{
    take_commands(client);
    if (client->fd < 0) {
        return false;
    }
    start_reads(client);
    end_failed(client);
    answer_statuses(client);
    return send_once(client);
}

bool nbd_client_turn(struct nbd_client *client, bool is_readable)
{
    bool has_more = true;

    if (client->fd >= 0 && is_readable && wants_bytes(client)) {
        receive(client);
    }
    for (uint32_t turn = 0; turn < TURN_SENDS && client->fd >= 0 && has_more; turn++) {
        has_more = go_on(client);
    }
    if (client->fd < 0 || has_more) {
        return client->fd >= 0;
    }
    if (is_ending(client) && !has_commands(client) &&
        nbd_protocol_outbox(&client->protocol).len_bytes == 0) {
        nbd_client_drop(client, NULL);
        return false;
    }
    look_at_clock(client);
    return false;
}

void nbd_client_poll_on(const struct nbd_client *client, int *fd, short *events)
{
    *events = (short)((wants_bytes(client) ? POLLIN : 0) | (client->is_blocked ? POLLOUT : 0));
    /* Without events a client that hung up would be reported again and again. */
    *fd = *events != 0 ? client->fd : -1;
}

uint64_t nbd_client_deadline_ns(const struct nbd_client *client)
{
    return client->fd < 0 ? UINT64_MAX : client->deadline_ns;
}

bool nbd_client_is_gone(const struct nbd_client *client)
{
    return client->fd < 0 && client->at_disk_count == 0;
}

const struct error *nbd_client_error(const struct nbd_client *client)
{
    return &client->error;
}
