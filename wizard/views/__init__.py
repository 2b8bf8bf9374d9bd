"""The wizard: six steps, each with its own URL, left and resumed at will."""

from wizard.views.dns import dns, dns_apply, dns_replace, go_on, propagation
from wizard.views.domain import domain, nameservers, register, resume, start
from wizard.views.existing import (
    existing_compare,
    existing_look,
    existing_skip,
    existing_take,
)
from wizard.views.inboxes import inboxes, preview
from wizard.views.outreach import campaigns, outreach
from wizard.views.overview import home, overview
from wizard.views.plan import plan

__all__ = [
    "campaigns",
    "dns",
    "dns_apply",
    "dns_replace",
    "domain",
    "existing_compare",
    "existing_look",
    "existing_skip",
    "existing_take",
    "go_on",
    "home",
    "inboxes",
    "nameservers",
    "outreach",
    "overview",
    "plan",
    "preview",
    "propagation",
    "register",
    "resume",
    "start",
]
