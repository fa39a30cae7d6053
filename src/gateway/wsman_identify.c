/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wsman_identify.c - who answers here. Source: DSP0226 1.2.0 section 11. */
#include "gateway/wsman_exchange.h"
#include "gateway/wsman_names.h"

#define PROFILE "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/"

static void write_profiles(struct xml_text *text, bool is_tls)
{
    const char *const profiles[] = {is_tls ? PROFILE "https/basic" : PROFILE "http/basic",
                                    is_tls ? PROFILE "https/mutual" : NULL};

    xml_raw(text, "<wsmid:SecurityProfiles>");
    for (size_t i = 0; i < ARRAY_COUNT(profiles) && profiles[i]; i++) {
        xml_print(text, "<wsmid:SecurityProfileName>%s</wsmid:SecurityProfileName>", profiles[i]);
    }
    xml_raw(text, "</wsmid:SecurityProfiles>");
}

/* Whoever is not known learns no version: it would tell him which of our mistakes are still there.
 */
int wsman_identify(struct wsman_exchange *exchange)
{
    struct xml_text *text = &exchange->answer->body;

    wsman_begin(exchange, "", "");
    xml_raw(text, "<wsmid:IdentifyResponse xmlns:wsmid=\"" NS_IDENTITY "\">"
                  "<wsmid:ProtocolVersion>" NS_WSMAN "</wsmid:ProtocolVersion>"
                  "<wsmid:ProductVendor>Resilver</wsmid:ProductVendor>");
    if (exchange->http->caller) {
        xml_raw(text, "<wsmid:ProductVersion>" RESILVER_VERSION "</wsmid:ProductVersion>");
    }
    write_profiles(text, exchange->http->is_tls);
    xml_raw(text, "</wsmid:IdentifyResponse>");
    return wsman_finish(exchange);
}
