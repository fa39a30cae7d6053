/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/password.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/ask.h"

/* Read byte by byte: what follows the line is not ours, and stdio would keep a copy. */
static int read_line(char *out, size_t size_bytes, struct error *err)
{
    size_t used = 0;
    char byte = '\0';

    for (;;) {
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail(err, ERR_IO, errno, "cannot read the password");
        }
        if (got == 0 || byte == '\n') {
            break;
        }
        if (byte == '\0' || used + 1 >= size_bytes) {
            return fail(err, ERR_USAGE, 0, "a password has at most %zu bytes, and no NUL",
                        size_bytes - 1);
        }
        out[used++] = byte;
    }
    out[used] = '\0';
    return 0;
}

/* Signals that end the program wait until the terminal shows what is typed again. */
static int read_unseen(const char *prompt, char *out, size_t size_bytes, struct error *err)
{
    struct termios before;
    sigset_t ending;
    sigset_t old;

    if (tcgetattr(STDIN_FILENO, &before) < 0) {
        return fail(err, ERR_IO, errno, "the terminal cannot be asked for a password");
    }
    struct termios unseen = before;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    (void)sigemptyset(&ending); /* none of these can fail: they are signals */
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &ending, &old);
    int result = tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) < 0
                     ? fail(err, ERR_IO, errno, "the terminal cannot hide a password")
                     : 0;
    if (result == 0) {
        (void)fputs(prompt, stderr);
        result = read_line(out, size_bytes, err);
        (void)fputc('\n', stderr);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* it took the same a moment ago */
    }
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    return result;
}

int password_read(bool is_stdin, char *out, size_t size_bytes, struct error *err)
{
    char again[1024];

    if (is_stdin) {
        return read_line(out, size_bytes, err);
    }
    if (!ask_can()) {
        return fail(err, ERR_USAGE, 0,
                    "there is no terminal to ask for a password; --password-stdin reads it from "
                    "standard input");
    }
    if (size_bytes > sizeof again) {
        return fail(err, ERR_INTERNAL, 0, "a password is longer than was thought");
    }
    int result = read_unseen("password: ", out, size_bytes, err);
    if (result == 0) {
        result = read_unseen("the same again: ", again, size_bytes, err);
    }
    if (result == 0 && strcmp(out, again) != 0) {
        result = fail(err, ERR_USAGE, 0, "the two passwords differ; nothing was changed");
    }
    explicit_bzero(again, sizeof again);
    return result;
}
