"""Every URL: each app lists its own pages, and its JSON operations by group."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

import billing.urls
import deliverability.urls
import dnszones.urls
import domains.urls
import events.urls
import mailboxes.urls
import outreach.urls
import provisioning.urls
import tenants.urls
import wizard.urls
from mpanel.core.api.urls import api as schema

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(wizard.urls.pages)),
    path("", include(tenants.urls.pages)),
    path("domains/", include(domains.urls.pages)),
    path("domains/", include(dnszones.urls.pages)),
    path("dns/", include(dnszones.urls.dns_pages)),
    path("mailboxes/", include(mailboxes.urls.pages)),
    path("mailboxes/", include(deliverability.urls.pages)),
    path("mailboxes/", include(outreach.urls.pages)),
    path("jobs/", include(provisioning.urls.pages)),
    path("settings/", include(events.urls.pages)),
    path("admin/", admin.site.urls),
    path("api/", include(schema)),
    path("api/", include(tenants.urls.api)),
    path("api/", include(provisioning.urls.api)),
    path("api/", include(events.urls.api)),
    path("api/", include(dnszones.urls.api)),
    path("api/", include(mailboxes.urls.api)),
    path("api/", include(deliverability.urls.api)),
    path("api/v1/", include(events.urls.api_v1)),
    path("api/v1/", include(tenants.urls.api_v1)),
    path("api/v1/", include(billing.urls.api_v1)),
    path("api/v1/", include(provisioning.urls.api_v1)),
    path("api/v1/", include(domains.urls.api_v1)),
    path("api/v1/", include(dnszones.urls.api_v1)),
    path("api/v1/", include(mailboxes.urls.api_v1)),
    path("api/v1/", include(outreach.urls.api_v1)),
]

handler400 = "mpanel.core.pages.bad_request"
handler403 = "mpanel.core.pages.forbidden"
handler404 = "mpanel.core.pages.not_found"
handler500 = "mpanel.core.pages.server_error"
