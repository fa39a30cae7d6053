/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml.h - values, paths, instances and classes as elements of CIM-XML, both ways: for the messages
 * of the gateway's CIM-XML side, and for instances embedded in strings, on any protocol. Source:
 * DMTF DSP0201 2.4 (Representation of CIM in XML).
 *
 * What is written: start and end tags for PROPERTY*, VALUE and VALUE.ARRAY, no comments, no
 * VALUE.NULL, raw UTF-8: the readers of real clients break on anything else.
 */
#ifndef RESILVER_CIM_XML_H
#define RESILVER_CIM_XML_H

#include "cim/value.h"
#include "xml/text.h"
#include "xml/tree.h"

/* What a client wants to see of an instance or class. */
struct cim_view {
    const char *const *properties; /* names; NULL: all */
    uint32_t property_count;
    bool has_class_origin;
    bool has_qualifiers; /* of classes */
    bool is_local_only;  /* of classes: only what the class itself brings */
};

/* --- writing; nothing fails but the text (sticky) ----------------------------------------------
 */

void cim_xml_value(struct xml_text *text, const struct cim_value *value);  /* VALUE, VALUE.ARRAY,
                                                        VALUE.REFERENCE; nothing when null */
void cim_xml_namespace(struct xml_text *text, const char *namespace_name); /* LOCALNAMESPACEPATH */
void cim_xml_instance_name(struct xml_text *text, const struct cim_path *path); /* INSTANCENAME */
void cim_xml_local_path(struct xml_text *text, const struct cim_path *path); /* LOCALINSTANCEPATH */
void cim_xml_path(struct xml_text *text, const struct cim_path *path); /* INSTANCEPATH, with HOST */
void cim_xml_instance(struct xml_text *text, const struct cim_instance *instance,
                      const struct cim_view *view); /* INSTANCE; view NULL: all but nulls left out
                                                     */
void cim_xml_class(struct xml_text *text, const struct cim_class *class,
                   const struct cim_view *view); /* CLASS */

/* cim_xml_embedded - the text of an embedded instance: <INSTANCE CLASSNAME="...">..., of what is
 * not null. In the arena; NULL: no memory. */
const char *cim_xml_embedded(struct arena *arena, const struct cim_instance *instance);

/* --- reading -----------------------------------------------------------------------------------
 */

/*
 * cim_xml_read_value - from a VALUE, VALUE.ARRAY or VALUE.REFERENCE (also VALUE.REFARRAY); element
 * NULL is null. embedded_class NULL: a string is a string; else a text that holds an <INSTANCE> is
 * read into CIM_INSTANCE. Errors: ERR_USAGE.
 */
MUST_CHECK int cim_xml_read_value(struct arena *arena, const struct xml_element *element,
                                  enum cim_type type, bool is_array, const char *embedded_class,
                                  struct cim_value *out, struct error *err);

/* cim_xml_read_path - from INSTANCENAME, LOCALINSTANCEPATH, INSTANCEPATH, CLASSNAME,
 * LOCALCLASSPATH, CLASSPATH. Errors: ERR_USAGE. */
MUST_CHECK int cim_xml_read_path(struct arena *arena, const struct xml_element *element,
                                 const struct cim_path **out, struct error *err);

/* cim_xml_read_namespace - from LOCALNAMESPACEPATH: "root/virtualization/v2". */
MUST_CHECK int cim_xml_read_namespace(struct arena *arena, const struct xml_element *element,
                                      const char **out, struct error *err);

/*
 * cim_xml_read_instance - from INSTANCE, into a class of the model (found by its name in any
 * namespace). Properties that the class does not have are an error, as are wrong types. `given` has
 * a bit for each property that was there, null or not (may be NULL). Errors: ERR_USAGE.
 */
MUST_CHECK int cim_xml_read_instance(struct arena *arena, const struct xml_element *element,
                                     struct cim_instance **out, uint64_t given[2],
                                     struct error *err);

/* cim_xml_read_embedded - from a text: XML of one INSTANCE (or of a DECLGROUP around it, as WMI's
 * DTD 2.0 writes it), or MOF's "instance of CLASS { ... };" is ERR_USAGE with that said. wanted:
 * the instance must be of that class or descend from it. */
MUST_CHECK int cim_xml_read_embedded(struct arena *arena, const char *text, const char *wanted,
                                     const struct cim_instance **out, struct error *err);

#endif
