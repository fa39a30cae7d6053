/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * schema.h - the text of schema/NNN.sql, which the build puts into C (schema/embed). To add one: a
 * line here, its row in store.c's table, its name in meson.build, and STORE_SCHEMA.
 */
#ifndef RESILVER_STORE_SCHEMA_H
#define RESILVER_STORE_SCHEMA_H

extern const char store_schema_001[];

#endif
