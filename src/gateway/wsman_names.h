/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wsman_names.h - the namespaces, actions, dialects and resource URIs of WS-Management. Source:
 * DSP0226 1.2.0 annex A and 5 to 10; DSP0227 1.2.0 annex A; MS-WSMV 2.2.1.
 */
#ifndef RESILVER_GATEWAY_WSMAN_NAMES_H
#define RESILVER_GATEWAY_WSMAN_NAMES_H

#define NS_SOAP "http://www.w3.org/2003/05/soap-envelope"
#define NS_ADDRESSING "http://schemas.xmlsoap.org/ws/2004/08/addressing"
#define NS_WSMAN "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
#define NS_ENUMERATION "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
#define NS_TRANSFER "http://schemas.xmlsoap.org/ws/2004/09/transfer"
#define NS_EVENTING "http://schemas.xmlsoap.org/ws/2004/08/eventing"
#define NS_BINDING "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
#define NS_IDENTITY "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
#define NS_CIM "http://schemas.dmtf.org/wbem/wscim/1/common"
#define NS_MICROSOFT "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
#define NS_MICROSOFT_FAULT "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
#define NS_XSI "http://www.w3.org/2001/XMLSchema-instance"

#define ADDRESS_ANONYMOUS NS_ADDRESSING "/role/anonymous"

#define RESOURCE_DMTF "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
#define RESOURCE_ALL "http://schemas.dmtf.org/wbem/wscim/1/*"
#define RESOURCE_WMI "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
#define RESOURCE_VENDOR "http://schemas.microsoft.com/wbem/wscim/1/cim-schema/2/"
#define RESOURCE_CLASS "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/"

#define DIALECT_WQL "http://schemas.microsoft.com/wbem/wsman/1/WQL"
#define DIALECT_CQL "http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf"
#define DIALECT_SELECTOR "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
#define DIALECT_ASSOCIATION "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"

#define DELIVERY_PULL "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"
#define ACTION_DROPPED_EVENTS "http://schemas.dmtf.org/wbem/wsman/1/wsman/DroppedEvents"

#define SELECTOR_NAMESPACE "__cimnamespace"

#endif
