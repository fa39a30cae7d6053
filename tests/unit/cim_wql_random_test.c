/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cim_wql_random_test.c - random expressions and patterns against evaluators that are too simple to
 * be wrong. SEED=number repeats a run.
 */
#include "cim/wql.h"

#include "base/env.h"
#include "cim/wql_internal.h"
#include "wql_rig.h"

#define EXPRESSIONS 3000
#define PATTERNS 20000
#define DEPTH_MAX 7
#define NODES_MAX 60

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (uint32_t)(chance_state >> 32) % below;
}

static void chance_start(void)
{
    const char *given = getenv("SEED");
    unsigned long long seed = 0;

    if (given == NULL || sscanf(given, "%llu", &seed) != 1 || seed == 0) {
        assert_int_equal(
            env_random(env_system(), (struct span){(uint8_t *)&seed, sizeof(uint32_t)}, NULL), 0);
        seed++;
    }
    print_message("SEED=%llu\n", seed);
    chance_state = seed * 0x9e3779b97f4a7c15ULL | 1U;
}

/* --- expressions ------------------------------------------------------------------------------ */

/* Comparisons whose truth is known; the instance is that of the rig. */
static const struct {
    const char *text;
    enum wql_truth truth;
} leaves[] = {{"Count=42", WQL_TRUE},          {"Count<>42", WQL_FALSE},
              {"Nothing = 'x'", WQL_UNKNOWN},  {"Nothing<>'x'", WQL_UNKNOWN},
              {"Nothing IS NULL", WQL_TRUE},   {"Name IS NULL", WQL_FALSE},
              {"Name LIKE 'web%'", WQL_TRUE},  {"Name LIKE '_'", WQL_FALSE},
              {"TRUE = IsOn", WQL_TRUE},       {"7 > Count", WQL_FALSE},
              {"Tags = 'red'", WQL_TRUE},      {"Nones = 1", WQL_FALSE},
              {"NoNumber < 1", WQL_UNKNOWN},   {"__CLASS ISA 'Test_Base'", WQL_TRUE},
              {"Name = ') OR (\"'", WQL_FALSE}};

enum node_kind { NODE_LEAF = 0, NODE_NOT, NODE_AND, NODE_OR };

struct node {
    enum node_kind kind;
    uint32_t leaf;
    struct node *left; /* of NOT: what is negated */
    struct node *right;
};

struct tree {
    struct node nodes[NODES_MAX];
    uint32_t count;
};

static struct node *grow(struct tree *tree, uint32_t depth)
{
    /* every node above may still want one more */
    const bool is_full = tree->count + DEPTH_MAX + 2 > NODES_MAX;
    struct node *node = &tree->nodes[tree->count++];
    uint32_t kind = depth == 0 || is_full ? 0 : chance(4);

    *node = (struct node){.kind = (enum node_kind)kind, .leaf = chance(ARRAY_COUNT(leaves))};
    if (node->kind != NODE_LEAF) {
        node->left = grow(tree, depth - 1);
    }
    if (node->kind == NODE_AND || node->kind == NODE_OR) {
        node->right = grow(tree, depth - 1);
    }
    return node;
}

static enum wql_truth evaluate(const struct node *node)
{
    enum wql_truth left = node->left != NULL ? evaluate(node->left) : WQL_UNKNOWN;
    enum wql_truth right = node->right != NULL ? evaluate(node->right) : WQL_UNKNOWN;

    switch (node->kind) {
    case NODE_LEAF:
        return leaves[node->leaf].truth;
    case NODE_NOT:
        return left == WQL_UNKNOWN ? WQL_UNKNOWN : left == WQL_TRUE ? WQL_FALSE : WQL_TRUE;
    case NODE_AND:
        if (left == WQL_FALSE || right == WQL_FALSE) {
            return WQL_FALSE;
        }
        return left == WQL_TRUE && right == WQL_TRUE ? WQL_TRUE : WQL_UNKNOWN;
    case NODE_OR:
        if (left == WQL_TRUE || right == WQL_TRUE) {
            return WQL_TRUE;
        }
        return left == WQL_FALSE && right == WQL_FALSE ? WQL_FALSE : WQL_UNKNOWN;
    }
    return WQL_UNKNOWN;
}

struct out {
    char text[WQL_TEXT_MAX];
    size_t length;
};

static void put(struct out *out, const char *text)
{
    out->length +=
        (size_t)snprintf(out->text + out->length, sizeof out->text - out->length, "%s", text);
    assert_true(out->length < sizeof out->text);
}

/* Parentheses where the operator around binds more strongly, and now and then elsewhere. */
static void write_node(struct out *out, const struct node *node, int around)
{
    static const int ranks[] = {[NODE_LEAF] = 4, [NODE_NOT] = 3, [NODE_AND] = 2, [NODE_OR] = 1};
    const int own = ranks[node->kind];
    const bool is_in = own < around || chance(8) == 0;

    put(out, is_in ? "(" : "");
    if (node->kind == NODE_LEAF) {
        put(out, leaves[node->leaf].text);
    } else if (node->kind == NODE_NOT) {
        put(out, chance(2) == 0 ? "NOT " : " not\t");
        write_node(out, node->left, own);
    } else {
        write_node(out, node->left, own);
        put(out, node->kind == NODE_AND ? " AND " : "\nor ");
        write_node(out, node->right, own);
    }
    put(out, is_in ? ")" : "");
}

static void try_expression(struct arena *arena, const struct cim_instance *thing)
{
    struct tree tree = {0};
    struct out out = {0};
    struct wql query = {0};
    struct error err = {0};
    const struct node *root = grow(&tree, DEPTH_MAX);

    put(&out, "SELECT * FROM Test_Thing WHERE ");
    write_node(&out, root, 0);
    if (wql_parse(arena, out.text, &query, &err) < 0 || wql_check(&query, &thing_class, &err) < 0) {
        fail_msg("%s: %s", out.text, err.message);
    }
    if (wql_matches(&query, thing) != (evaluate(root) == WQL_TRUE)) {
        fail_msg("%s: not as it should be", out.text);
    }
}

static void random_expressions_are_as_true_as_a_naive_evaluator_says(void **state)
{
    struct arena kept;

    (void)state;
    arena_init(&kept, CIM_REQUEST_BYTES);
    const struct cim_instance *thing = make_thing(&kept);
    for (uint32_t i = 0; i < EXPRESSIONS; i++) {
        struct arena arena;
        arena_init(&arena, CIM_REQUEST_BYTES);
        try_expression(&arena, thing);
        arena_free(&arena);
    }
    arena_free(&kept);
}

/* A match that has this text as the only possible one must really have it. */
static void random_wanted_texts_are_needed(void **state)
{
    struct arena kept;
    uint32_t told = 0;

    (void)state;
    arena_init(&kept, CIM_REQUEST_BYTES);
    const struct cim_instance *thing = make_thing(&kept);
    for (uint32_t i = 0; i < EXPRESSIONS; i++) {
        struct arena arena;
        struct tree tree = {0};
        struct out out = {0};
        struct wql query = {0};
        arena_init(&arena, CIM_REQUEST_BYTES);
        put(&out, "SELECT * FROM Test_Thing WHERE ");
        write_node(&out, grow(&tree, 4), 0);
        assert_int_equal(wql_parse(&arena, out.text, &query, NULL), 0);
        if (wql_wanted_text(&query, "Name") != NULL) {
            told++;
            assert_string_equal(wql_wanted_text(&query, "Name"), ") OR (\"");
            assert_false(wql_matches(&query, thing)); /* whose name is another */
        }
        arena_free(&arena);
    }
    arena_free(&kept);
    assert_true(told > 0);
}

/* --- patterns --------------------------------------------------------------------------------- */

/* Of a, b, %, _ and the set [a]. */
static bool naive_like(const char *pattern, const char *text)
{
    if (*pattern == '\0') {
        return *text == '\0';
    }
    if (*pattern == '%') {
        return naive_like(pattern + 1, text) || (*text != '\0' && naive_like(pattern, text + 1));
    }
    if (*text == '\0') {
        return false;
    }
    if (*pattern == '[') {
        return *text == 'a' && naive_like(pattern + 3, text + 1);
    }
    return (*pattern == '_' || *pattern == *text) && naive_like(pattern + 1, text + 1);
}

static void random_patterns_are_like_a_naive_matcher(void **state)
{
    static const char *const parts[] = {"a", "b", "%", "_", "[a]"};

    (void)state;
    for (uint32_t i = 0; i < PATTERNS; i++) {
        char pattern[40] = "";
        char text[16] = "";
        size_t length = 0;
        for (uint32_t left = chance(9); left > 0; left--) {
            length += (size_t)snprintf(pattern + length, sizeof pattern - length, "%s",
                                       parts[chance(ARRAY_COUNT(parts))]);
        }
        for (uint32_t j = 0, count = chance(12); j < count; j++) {
            text[j] = chance(2) == 0 ? 'a' : 'b';
        }
        assert_null(wql_like_check(pattern));
        if (wql_like(pattern, text) != naive_like(pattern, text)) {
            fail_msg("'%s' LIKE '%s'", text, pattern);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_expressions_are_as_true_as_a_naive_evaluator_says),
        cmocka_unit_test(random_wanted_texts_are_needed),
        cmocka_unit_test(random_patterns_are_like_a_naive_matcher),
    };

    chance_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
