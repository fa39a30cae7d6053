/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml_internal.h - what the parts of cim/xml.h share: xml_path.c, xml_write.c, xml_class.c and
 * xml_read.c.
 */
#ifndef RESILVER_CIM_XML_INTERNAL_H
#define RESILVER_CIM_XML_INTERNAL_H

#include "cim/xml.h"

/* cim_xml_reference - VALUE.REFERENCE around as much of a path as it has. */
void cim_xml_reference(struct xml_text *text, const struct cim_path *path);

/* cim_xml_is_shown - whether a view, which may be NULL, has the property. */
bool cim_xml_is_shown(const struct cim_view *view, const char *name);

/* The start and end tags of one property, which say what it is and, if has_origin, from where.
 * `class` is the one that it is shown as a property of. */
void cim_xml_open_property(struct xml_text *text, const struct cim_property *property,
                           const struct cim_class *class, bool has_origin);
void cim_xml_close_property(struct xml_text *text, const struct cim_property *property);

#endif
