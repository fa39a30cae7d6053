/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_internal.h - what the parts of wql.h share: tokens (wql_lex.c), literals and steps
 * (wql_parse.c makes them, wql_match.c and wql.c read them).
 */
#ifndef RESILVER_CIM_WQL_INTERNAL_H
#define RESILVER_CIM_WQL_INTERNAL_H

#include "cim/wql.h"

/* --- tokens ----------------------------------------------------------------------------------- */

enum wql_token_kind {
    WQL_TOKEN_INVALID = 0,
    WQL_TOKEN_END,
    WQL_TOKEN_NAME,    /* of a class or property, and every word */
    WQL_TOKEN_TEXT,    /* without its quotes and escapes */
    WQL_TOKEN_NUMBER,  /* as it is written */
    WQL_TOKEN_PATH,    /* what is between { and } */
    WQL_TOKEN_COMPARE, /* = <> != < <= > >= : `compare` says which */
    WQL_TOKEN_STAR,
    WQL_TOKEN_COMMA,
    WQL_TOKEN_DOT,
    WQL_TOKEN_OPEN,
    WQL_TOKEN_CLOSE
};

enum wql_compare {
    WQL_NONE = 0,
    WQL_EQUAL,
    WQL_NOT_EQUAL,
    WQL_LESS,
    WQL_LESS_EQUAL,
    WQL_GREATER,
    WQL_GREATER_EQUAL,
    WQL_LIKE,
    WQL_ISA,
    WQL_IS_NULL,
    WQL_IS_NOT_NULL
};

struct wql_token {
    enum wql_token_kind kind;
    enum wql_compare compare;
    size_t at_bytes;  /* where it begins */
    const char *text; /* of the arena; "" for what has none */
};

/* Reads a query token by token. */
struct wql_lexer {
    struct arena *arena; /* borrowed */
    const char *query;   /* borrowed */
    size_t at_bytes;
    struct wql_token token; /* the one that is looked at */
};

/* wql_advance - look at the next token. Errors: ERR_USAGE with the column. */
MUST_CHECK int wql_advance(struct wql_lexer *lexer, struct error *err);

/* wql_is_word - whether the token is that keyword. */
bool wql_is_word(const struct wql_token *token, const char *word);

/* wql_column - in characters, from 1. */
size_t wql_column(const char *query, size_t at_bytes);

/* wql_refuse - what is wrong at a place of the query: ERR_USAGE "at column 31: ...". Always -1. */
int wql_refuse(const struct wql_lexer *lexer, size_t at_bytes, struct error *err,
               const char *format, ...) FORMAT_AT(4, 5);

/* wql_describe - the token for a message: "'name'", "the end". Of the arena; never NULL. */
const char *wql_describe(const struct wql_lexer *lexer, const struct wql_token *token);

/* --- numbers ---------------------------------------------------------------------------------- */

/* Whole numbers stay exact: a size of 2^63 + 1 bytes is no other than itself. */
struct wql_number {
    bool is_real;
    bool is_negative;   /* of whole ones; false for 0 */
    uint64_t magnitude; /* of whole ones */
    double real;        /* of all */
};

/* wql_number_read - decimal, 0x, or a real; blanks are not allowed. False: it is no number. */
bool wql_number_read(struct arena *arena, const char *text, struct wql_number *out);

/* wql_number_compare - below, at or above 0. */
int wql_number_compare(const struct wql_number *a, const struct wql_number *b);

/* --- literals and steps ----------------------------------------------------------------------- */

enum wql_literal_kind {
    WQL_LITERAL_NONE = 0, /* IS NULL needs none */
    WQL_LITERAL_TEXT,     /* also a class after ISA, a pattern after LIKE */
    WQL_LITERAL_NUMBER,
    WQL_LITERAL_BOOLEAN
};

/* A value of the query, in every way in which a property may want it: read once, when the query is
 * parsed, and not for every instance. */
struct wql_literal {
    enum wql_literal_kind kind;
    const char *text; /* as written, of every kind */
    bool has_number;
    struct wql_number number;
    bool has_boolean;
    bool boolean;
    bool has_moment;
    bool is_interval;
    int64_t moment_us;           /* since 1970 in UTC; an interval's length */
    const struct cim_path *path; /* NULL: it is none */
};

enum wql_step_kind {
    WQL_STEP_INVALID = 0,
    WQL_STEP_COMPARE,
    WQL_STEP_AND,
    WQL_STEP_OR,
    WQL_STEP_NOT
};

struct wql_step {
    enum wql_step_kind kind;
    enum wql_compare compare; /* of COMPARE, as all below */
    const char *property;     /* "__CLASS" is the class's name */
    struct wql_literal literal;
};

#define WQL_CLASS "__CLASS"

/* What is neither true nor false: a comparison with null. */
enum wql_truth { WQL_FALSE = 0, WQL_UNKNOWN = 1, WQL_TRUE = 2 };

/* --- LIKE ------------------------------------------------------------------------------------- */

/* wql_like_check - NULL, or what is wrong with the pattern. */
const char *wql_like_check(const char *pattern);

/*
 * wql_like - whether the text is as the pattern, which was checked. ASCII letters without case.
 * Cost: at most the text's length times that between two % of the pattern; never more by any
 * number of %.
 */
bool wql_like(const char *pattern, const char *text);

/* wql_moment_read - a CIM, RFC 3339 or XML Schema datetime or duration. False: none, or one with
 * wildcards that are no moment. */
bool wql_moment_read(const char *text, bool *is_interval, int64_t *out_us);

#endif
