/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wql_parse.c - a query's text into struct wql. Expressions become steps in postfix order by
 * Dijkstra's shunting-yard: what is nested deep takes room in a bounded stack, never the program's.
 *
 * 1. Steps and pending operators together are never more than WQL_STEPS_MAX.
 * 2. The steps, run in their order, never take more truths than were put down before, and leave
 *    just one: an operator is pending only between operands.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "cim/wql_internal.h"

/* An operator, or a parenthesis, whose right side is not read to its end. */
struct pending {
    enum wql_step_kind kind; /* of a parenthesis: WQL_STEP_INVALID */
    size_t at_bytes;
};

struct parser {
    struct wql_lexer lexer;
    struct wql query;
    struct wql_step *steps; /* of the arena; room for WQL_STEPS_MAX */
    uint32_t count;
    struct pending pending[WQL_STEPS_MAX];
    uint32_t pending_count;
    const char *qualifier; /* of "class.property" in the list before FROM; NULL: none has one */
    size_t qualifier_at_bytes;
};

static const struct wql_token *token_of(const struct parser *parser)
{
    return &parser->lexer.token;
}

static int expected(struct parser *parser, const char *what, struct error *err)
{
    const struct wql_token *token = token_of(parser);

    return wql_refuse(&parser->lexer, token->at_bytes, err, "%s was expected, not %s", what,
                      wql_describe(&parser->lexer, token));
}

/* The keyword that must be here, and past it. */
static int take_word(struct parser *parser, const char *word, struct error *err)
{
    return wql_is_word(token_of(parser), word) ? wql_advance(&parser->lexer, err)
                                               : expected(parser, word, err);
}

static const char *const keywords[] = {"AND", "FALSE", "FROM", "IS",   "ISA",  "LIKE",
                                       "NOT", "NULL",  "OR",   "TRUE", "WHERE"};

static bool is_keyword(const struct wql_token *token)
{
    for (size_t i = 0; i < ARRAY_COUNT(keywords); i++) {
        if (wql_is_word(token, keywords[i])) {
            return true;
        }
    }
    return false;
}

static int take_name(struct parser *parser, const char *what, const char **out, struct error *err)
{
    const struct wql_token *token = token_of(parser);

    if (token->kind != WQL_TOKEN_NAME || is_keyword(token)) {
        return expected(parser, what, err);
    }
    *out = token->text;
    return wql_advance(&parser->lexer, err);
}

/* "property" or "class.property". *qualifier: the class, or NULL. */
static int take_property(struct parser *parser, const char **qualifier, const char **out,
                         struct error *err)
{
    const char *name = NULL;

    *qualifier = NULL;
    if (take_name(parser, "a property's name", &name, err) < 0) {
        return -1;
    }
    if (token_of(parser)->kind == WQL_TOKEN_DOT) {
        *qualifier = name;
        if (wql_advance(&parser->lexer, err) < 0 ||
            take_name(parser, "a property's name", &name, err) < 0) {
            return -1;
        }
    }
    *out = name;
    return 0;
}

static int other_class(struct parser *parser, size_t at_bytes, const char *qualifier,
                       struct error *err)
{
    return wql_refuse(&parser->lexer, at_bytes, err,
                      "'%.40s' is not the class after FROM; properties of one class can be asked",
                      qualifier);
}

/* --- literals --------------------------------------------------------------------------------- */

static void read_text(struct arena *arena, const char *text, struct wql_literal *out)
{
    *out = (struct wql_literal){.kind = WQL_LITERAL_TEXT, .text = text};
    out->has_number = wql_number_read(arena, text, &out->number);
    out->boolean = strcasecmp(text, "true") == 0;
    out->has_boolean = out->boolean || strcasecmp(text, "false") == 0;
    out->has_moment = wql_moment_read(text, &out->is_interval, &out->moment_us);
    if (strchr(text, '=') == NULL || cim_path_read(arena, text, &out->path, NULL) < 0) {
        out->path = NULL; /* most texts are none, and need not be */
    }
}

static void read_number(struct arena *arena, const char *text, struct wql_literal *out)
{
    *out = (struct wql_literal){.kind = WQL_LITERAL_NUMBER, .text = text, .has_number = true};
    bool is_number = wql_number_read(arena, text, &out->number);
    assert(is_number); /* the lexer looked */
    out->boolean = out->number.magnitude == 1 && !out->number.is_negative;
    out->has_boolean = !out->number.is_real && out->number.magnitude <= 1;
}

static bool is_literal(const struct wql_token *token)
{
    return token->kind == WQL_TOKEN_TEXT || token->kind == WQL_TOKEN_NUMBER ||
           wql_is_word(token, "TRUE") || wql_is_word(token, "FALSE") || wql_is_word(token, "NULL");
}

/* WQL_LITERAL_NONE for NULL. */
static int take_literal(struct parser *parser, struct wql_literal *out, struct error *err)
{
    const struct wql_token *token = token_of(parser);

    if (!is_literal(token)) {
        return expected(parser, "a value ('text', a number, TRUE, FALSE or NULL)", err);
    }
    if (token->kind == WQL_TOKEN_TEXT) {
        read_text(parser->lexer.arena, token->text, out);
    } else if (token->kind == WQL_TOKEN_NUMBER) {
        read_number(parser->lexer.arena, token->text, out);
    } else if (wql_is_word(token, "NULL")) {
        *out = (struct wql_literal){.kind = WQL_LITERAL_NONE, .text = token->text};
    } else {
        *out = (struct wql_literal){.kind = WQL_LITERAL_BOOLEAN,
                                    .text = token->text,
                                    .has_boolean = true,
                                    .boolean = wql_is_word(token, "TRUE")};
    }
    return wql_advance(&parser->lexer, err);
}

/* --- comparisons ------------------------------------------------------------------------------ */

static int take_compare(struct parser *parser, enum wql_compare *out, struct error *err)
{
    if (token_of(parser)->kind != WQL_TOKEN_COMPARE) {
        return expected(parser, "=, <>, <, <=, >, >=, IS, LIKE or ISA", err);
    }
    *out = token_of(parser)->compare;
    return wql_advance(&parser->lexer, err);
}

/* The property stands right of the sign: 5 < Size is Size > 5. */
static enum wql_compare mirrored(enum wql_compare compare)
{
    switch (compare) {
    case WQL_LESS:
        return WQL_GREATER;
    case WQL_LESS_EQUAL:
        return WQL_GREATER_EQUAL;
    case WQL_GREATER:
        return WQL_LESS;
    case WQL_GREATER_EQUAL:
        return WQL_LESS_EQUAL;
    case WQL_NONE:
    case WQL_EQUAL:
    case WQL_NOT_EQUAL:
    case WQL_LIKE:
    case WQL_ISA:
    case WQL_IS_NULL:
    case WQL_IS_NOT_NULL:
        break;
    }
    return compare;
}

/* "= NULL" and "<> NULL" are IS NULL and IS NOT NULL. */
static int compare_with_null(struct parser *parser, size_t at_bytes, struct wql_step *step,
                             struct error *err)
{
    if (step->literal.kind != WQL_LITERAL_NONE) {
        return 0;
    }
    if (step->compare != WQL_EQUAL && step->compare != WQL_NOT_EQUAL) {
        return wql_refuse(&parser->lexer, at_bytes, err,
                          "NULL is not less or greater than anything; write IS NULL");
    }
    step->compare = step->compare == WQL_EQUAL ? WQL_IS_NULL : WQL_IS_NOT_NULL;
    return 0;
}

static int take_null(struct parser *parser, struct wql_step *step, struct error *err)
{
    step->compare = WQL_IS_NULL;
    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    if (wql_is_word(token_of(parser), "NOT")) {
        step->compare = WQL_IS_NOT_NULL;
        if (wql_advance(&parser->lexer, err) < 0) {
            return -1;
        }
    }
    return take_word(parser, "NULL", err);
}

static int take_like(struct parser *parser, struct wql_step *step, struct error *err)
{
    step->compare = WQL_LIKE;
    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    const struct wql_token *token = token_of(parser);
    if (token->kind != WQL_TOKEN_TEXT) {
        return expected(parser, "a pattern in quotes", err);
    }
    const char *wrong = wql_like_check(token->text);
    if (wrong != NULL) {
        return wql_refuse(&parser->lexer, token->at_bytes, err, "%s", wrong);
    }
    step->literal = (struct wql_literal){.kind = WQL_LITERAL_TEXT, .text = token->text};
    return wql_advance(&parser->lexer, err);
}

/* A class's name, in quotes (WQL) or without (CQL). */
static int take_isa(struct parser *parser, struct wql_step *step, struct error *err)
{
    step->compare = WQL_ISA;
    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    const struct wql_token *token = token_of(parser);
    if (token->kind != WQL_TOKEN_TEXT && (token->kind != WQL_TOKEN_NAME || is_keyword(token))) {
        return expected(parser, "a class's name", err);
    }
    step->literal = (struct wql_literal){.kind = WQL_LITERAL_TEXT, .text = token->text};
    return wql_advance(&parser->lexer, err);
}

static int take_compared_property(struct parser *parser, struct wql_step *step, struct error *err)
{
    const char *qualifier = NULL;
    const size_t at_bytes = token_of(parser)->at_bytes;

    if (take_property(parser, &qualifier, &step->property, err) < 0) {
        return -1;
    }
    if (qualifier != NULL && strcasecmp(qualifier, parser->query.class_name) != 0) {
        return other_class(parser, at_bytes, qualifier, err);
    }
    return 0;
}

/* value SIGN property */
static int take_mirrored(struct parser *parser, struct wql_step *step, struct error *err)
{
    const size_t at_bytes = token_of(parser)->at_bytes;

    if (take_literal(parser, &step->literal, err) < 0 ||
        take_compare(parser, &step->compare, err) < 0 ||
        take_compared_property(parser, step, err) < 0) {
        return -1;
    }
    step->compare = mirrored(step->compare);
    return compare_with_null(parser, at_bytes, step, err);
}

static int take_comparison(struct parser *parser, struct wql_step *step, struct error *err)
{
    *step = (struct wql_step){.kind = WQL_STEP_COMPARE};
    if (is_literal(token_of(parser))) {
        return take_mirrored(parser, step, err);
    }
    if (take_compared_property(parser, step, err) < 0) {
        return -1;
    }
    if (wql_is_word(token_of(parser), "IS")) {
        return take_null(parser, step, err);
    }
    if (wql_is_word(token_of(parser), "LIKE")) {
        return take_like(parser, step, err);
    }
    if (wql_is_word(token_of(parser), "ISA")) {
        return take_isa(parser, step, err);
    }
    if (take_compare(parser, &step->compare, err) < 0) {
        return -1;
    }
    const size_t at_bytes = token_of(parser)->at_bytes;
    if (take_literal(parser, &step->literal, err) < 0) {
        return -1;
    }
    return compare_with_null(parser, at_bytes, step, err);
}

/* --- expressions ------------------------------------------------------------------------------ */

static int has_room(const struct parser *parser, struct error *err)
{
    if (parser->count + parser->pending_count >= WQL_STEPS_MAX) {
        return fail(err, ERR_LIMIT, 0,
                    "the query has more than %u comparisons, operators and parentheses; ask in "
                    "several queries",
                    WQL_STEPS_MAX);
    }
    return 0;
}

static int push(struct parser *parser, enum wql_step_kind kind, struct error *err)
{
    if (has_room(parser, err) < 0) {
        return -1;
    }
    parser->pending[parser->pending_count++] =
        (struct pending){.kind = kind, .at_bytes = token_of(parser)->at_bytes};
    return wql_advance(&parser->lexer, err);
}

/* The newest pending operator becomes a step. */
static void emit(struct parser *parser)
{
    assert(parser->pending_count > 0 && parser->count < WQL_STEPS_MAX); /* invariant 1 */
    parser->pending_count--;
    parser->steps[parser->count++] =
        (struct wql_step){.kind = parser->pending[parser->pending_count].kind};
}

static int rank(enum wql_step_kind kind)
{
    switch (kind) {
    case WQL_STEP_NOT:
        return 3;
    case WQL_STEP_AND:
        return 2;
    case WQL_STEP_OR:
        return 1;
    case WQL_STEP_INVALID:
    case WQL_STEP_COMPARE:
        break;
    }
    return 0; /* a parenthesis holds back everything */
}

/* All pending operators that bind at least as strongly. */
static void emit_down_to(struct parser *parser, int least)
{
    while (parser->pending_count > 0 &&
           rank(parser->pending[parser->pending_count - 1].kind) >= least) {
        emit(parser);
    }
}

/* NOT, ( or a comparison. *is_complete: it was a comparison. */
static int take_operand(struct parser *parser, bool *is_complete, struct error *err)
{
    *is_complete = false;
    if (token_of(parser)->kind == WQL_TOKEN_OPEN) {
        return push(parser, WQL_STEP_INVALID, err);
    }
    if (wql_is_word(token_of(parser), "NOT")) {
        return push(parser, WQL_STEP_NOT, err);
    }
    if (has_room(parser, err) < 0 ||
        take_comparison(parser, &parser->steps[parser->count], err) < 0) {
        return -1;
    }
    parser->count++;
    *is_complete = true;
    return 0;
}

static int close_parenthesis(struct parser *parser, struct error *err)
{
    emit_down_to(parser, rank(WQL_STEP_OR));
    if (parser->pending_count == 0) {
        return wql_refuse(&parser->lexer, token_of(parser)->at_bytes, err, "this ) closes nothing");
    }
    parser->pending_count--;
    return wql_advance(&parser->lexer, err);
}

/* AND, OR or ). *is_complete: it was ). *is_end: none of them. */
static int take_operator(struct parser *parser, bool *is_complete, bool *is_end, struct error *err)
{
    const bool is_and = wql_is_word(token_of(parser), "AND");

    if (token_of(parser)->kind == WQL_TOKEN_CLOSE) {
        return close_parenthesis(parser, err);
    }
    if (is_and || wql_is_word(token_of(parser), "OR")) {
        const enum wql_step_kind kind = is_and ? WQL_STEP_AND : WQL_STEP_OR;
        *is_complete = false;
        emit_down_to(parser, rank(kind));
        return push(parser, kind, err);
    }
    *is_end = true;
    return 0;
}

static int take_expression(struct parser *parser, struct error *err)
{
    bool is_complete = false; /* an operator may follow, not an operand */
    bool is_end = false;

    parser->steps = arena_take_many(parser->lexer.arena, WQL_STEPS_MAX, sizeof *parser->steps);
    if (parser->steps == NULL) {
        return fail(err, ERR_LIMIT, 0, "the query takes more memory than one request may have");
    }
    while (!is_end) {
        int result = is_complete ? take_operator(parser, &is_complete, &is_end, err)
                                 : take_operand(parser, &is_complete, err);
        if (result < 0) {
            return -1;
        }
    }
    emit_down_to(parser, rank(WQL_STEP_OR));
    if (parser->pending_count > 0) {
        return wql_refuse(&parser->lexer, parser->pending[parser->pending_count - 1].at_bytes, err,
                          "this ( is not closed");
    }
    parser->query.steps = parser->steps;
    parser->query.step_count = parser->count;
    return 0;
}

/* --- SELECT ----------------------------------------------------------------------------------- */

/* What WMI says of every object beside its properties. Whoever asks for them gets the object's
 * class and path anyway. */
static bool is_system_property(const char *name)
{
    static const char *const names[] = {"__CLASS",      "__DERIVATION",    "__DYNASTY", "__GENUS",
                                        "__NAMESPACE",  "__PATH",          "__RELPATH", "__SERVER",
                                        "__SUPERCLASS", "__PROPERTY_COUNT"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static size_t comma_count(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == ',';
    }
    return count;
}

/* One of the list, into `names` if it is a property of the class. */
static int take_listed(struct parser *parser, const char **names, struct error *err)
{
    const char *qualifier = NULL;
    const char *name = NULL;
    const size_t at_bytes = token_of(parser)->at_bytes;

    if (take_property(parser, &qualifier, &name, err) < 0) {
        return -1;
    }
    if (qualifier != NULL) {
        if (parser->qualifier != NULL && strcasecmp(qualifier, parser->qualifier) != 0) {
            return other_class(parser, at_bytes, qualifier, err);
        }
        parser->qualifier = qualifier;
        parser->qualifier_at_bytes = at_bytes;
    }
    if (!is_system_property(name)) {
        names[parser->query.property_count++] = name;
    }
    return 0;
}

static int take_list(struct parser *parser, struct error *err)
{
    const size_t room = comma_count(parser->lexer.query) + 1;
    const char **names = arena_take_many(parser->lexer.arena, room, sizeof *names);

    if (names == NULL) {
        return fail(err, ERR_LIMIT, 0, "the query takes more memory than one request may have");
    }
    if (take_listed(parser, names, err) < 0) {
        return -1;
    }
    while (token_of(parser)->kind == WQL_TOKEN_COMMA) {
        if (wql_advance(&parser->lexer, err) < 0 || take_listed(parser, names, err) < 0) {
            return -1;
        }
    }
    parser->query.properties = names;
    return 0;
}

static int take_from(struct parser *parser, struct error *err)
{
    if (take_word(parser, "FROM", err) < 0 ||
        take_name(parser, "a class's name", &parser->query.class_name, err) < 0) {
        return -1;
    }
    if (parser->qualifier != NULL && strcasecmp(parser->qualifier, parser->query.class_name) != 0) {
        return other_class(parser, parser->qualifier_at_bytes, parser->qualifier, err);
    }
    return 0;
}

static int take_end(struct parser *parser, const char *instead, struct error *err)
{
    return token_of(parser)->kind == WQL_TOKEN_END ? 0 : expected(parser, instead, err);
}

static int take_select(struct parser *parser, struct error *err)
{
    const bool is_star = token_of(parser)->kind == WQL_TOKEN_STAR;

    parser->query.kind = WQL_SELECT;
    if ((is_star ? wql_advance(&parser->lexer, err) : take_list(parser, err)) < 0 ||
        take_from(parser, err) < 0) {
        return -1;
    }
    if (!wql_is_word(token_of(parser), "WHERE")) {
        return take_end(parser, "WHERE or the end", err);
    }
    if (wql_advance(&parser->lexer, err) < 0 || take_expression(parser, err) < 0) {
        return -1;
    }
    return take_end(parser, "AND, OR or the end", err);
}

/* --- ASSOCIATORS OF, REFERENCES OF ------------------------------------------------------------ */

/* A clause of their WHERE: a name and a value, or a name alone. */
struct clause {
    const char *word;
    size_t value_at; /* in struct wql: the const char * that is set; 0: a flag, at flag_at */
    size_t flag_at;
    bool is_of_references;
};

#define VALUE(member) offsetof(struct wql, filter.member), 0
#define FLAG(member) 0, offsetof(struct wql, member)
static const struct clause clauses[] = {
    {"AssocClass", VALUE(association_class), false},
    {"ResultClass", VALUE(result_class), true},
    {"Role", VALUE(role), true},
    {"ResultRole", VALUE(result_role), false},
    {"RequiredQualifier", VALUE(required_qualifier), true},
    {"RequiredAssocQualifier", VALUE(required_association_qualifier), false},
    {"ClassDefsOnly", FLAG(is_classes_only), true},
    {"SchemaOnly", FLAG(is_classes_only), true},
    {"KeysOnly", FLAG(is_keys_only), true},
};

static const struct clause *find_clause(const struct parser *parser)
{
    for (size_t i = 0; i < ARRAY_COUNT(clauses); i++) {
        if (wql_is_word(token_of(parser), clauses[i].word)) {
            return parser->query.kind == WQL_ASSOCIATORS || clauses[i].is_of_references
                       ? &clauses[i]
                       : NULL;
        }
    }
    return NULL;
}

static int no_clause(struct parser *parser, struct error *err)
{
    return expected(parser,
                    parser->query.kind == WQL_ASSOCIATORS
                        ? "AssocClass, ResultClass, Role, ResultRole, RequiredQualifier, "
                          "RequiredAssocQualifier, ClassDefsOnly, SchemaOnly or KeysOnly"
                        : "ResultClass, Role, RequiredQualifier, ClassDefsOnly, SchemaOnly or "
                          "KeysOnly",
                    err);
}

static int take_clause_value(struct parser *parser, const char **out, struct error *err)
{
    if (token_of(parser)->kind != WQL_TOKEN_COMPARE || token_of(parser)->compare != WQL_EQUAL) {
        return expected(parser, "=", err);
    }
    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    const struct wql_token *token = token_of(parser);
    if ((token->kind != WQL_TOKEN_NAME && token->kind != WQL_TOKEN_TEXT) ||
        token->text[0] == '\0') {
        return expected(parser, "a name", err);
    }
    *out = token->text;
    return wql_advance(&parser->lexer, err);
}

static int take_clause(struct parser *parser, struct error *err)
{
    const struct clause *clause = find_clause(parser);
    const size_t at_bytes = token_of(parser)->at_bytes;
    char *base = (char *)&parser->query;

    if (clause == NULL) {
        return no_clause(parser, err);
    }
    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    if (clause->value_at == 0) {
        *(bool *)(void *)(base + clause->flag_at) = true;
        return 0;
    }
    const char **value = (const char **)(void *)(base + clause->value_at);
    if (*value != NULL) {
        return wql_refuse(&parser->lexer, at_bytes, err, "%s is here a second time", clause->word);
    }
    return take_clause_value(parser, value, err);
}

static int take_path(struct parser *parser, struct error *err)
{
    struct error why = {0};
    const struct wql_token *token = token_of(parser);

    if (token->kind != WQL_TOKEN_PATH) {
        return expected(parser, "the path of an object in { }", err);
    }
    if (cim_path_read(parser->lexer.arena, token->text, &parser->query.of, &why) < 0) {
        return wql_refuse(&parser->lexer, token->at_bytes, err, "%s", why.message);
    }
    return wql_advance(&parser->lexer, err);
}

static int take_association(struct parser *parser, enum wql_kind kind, struct error *err)
{
    parser->query.kind = kind;
    if (take_word(parser, "OF", err) < 0 || take_path(parser, err) < 0) {
        return -1;
    }
    if (!wql_is_word(token_of(parser), "WHERE")) {
        return take_end(parser, "WHERE or the end", err);
    }
    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    do {
        if (take_clause(parser, err) < 0) {
            return -1;
        }
    } while (token_of(parser)->kind != WQL_TOKEN_END);
    return 0;
}

/* --- queries ---------------------------------------------------------------------------------- */

static int take_query(struct parser *parser, struct error *err)
{
    static const struct {
        const char *word;
        enum wql_kind kind;
    } kinds[] = {
        {"SELECT", WQL_SELECT}, {"ASSOCIATORS", WQL_ASSOCIATORS}, {"REFERENCES", WQL_REFERENCES}};

    if (wql_advance(&parser->lexer, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (wql_is_word(token_of(parser), kinds[i].word)) {
            if (wql_advance(&parser->lexer, err) < 0) {
                return -1;
            }
            return kinds[i].kind == WQL_SELECT ? take_select(parser, err)
                                               : take_association(parser, kinds[i].kind, err);
        }
    }
    return expected(parser, "SELECT, ASSOCIATORS OF or REFERENCES OF", err);
}

int wql_parse(struct arena *arena, const char *text, struct wql *out, struct error *err)
{
    struct parser parser = {.lexer = {.arena = arena, .query = text}};

    if (strnlen(text, WQL_TEXT_MAX + 1) > WQL_TEXT_MAX) {
        return fail(err, ERR_LIMIT, 0, "a query may have %u bytes at most; this one is longer",
                    (unsigned int)WQL_TEXT_MAX);
    }
    if (take_query(&parser, err) < 0) {
        return -1;
    }
    *out = parser.query;
    return 0;
}
