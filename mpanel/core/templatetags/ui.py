"""Tags and filters of the design system; builtins of every template.

The components themselves are in `templates/components/`, each with its variables on top.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import segno
from django.contrib.staticfiles import finders
from django.core.paginator import Page
from django.db.models import Model
from django.template import Library
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from mpanel.core.troubles import of_row
from mpanel.core.wording import counted

register = Library()

SPRITE = "mpanel/icons.svg"

TONE_ICONS = {
    "neutral": "circle",
    "info": "info",
    "success": "check-circle",
    "warning": "alert-triangle",
    "danger": "x-circle",
}


# Pictures that a person may choose in place of their initials: icons of the sprite.
AVATARS = {
    "user": "Person",
    "sun": "Sun",
    "moon": "Moon",
    "zap": "Lightning",
    "sparkles": "Sparkles",
    "wand-sparkles": "Wand",
    "globe": "Globe",
    "send": "Paper plane",
    "radio": "Antenna",
    "terminal": "Terminal",
    "activity": "Pulse",
    "at-sign": "At sign",
}


@dataclass(frozen=True)
class Look:
    """How a status word looks: never by colour alone, so always an icon and a label."""

    label: str
    tone: str
    icon: str
    live: bool = False


# One look for one word, on every page. A status that is not here looks neutral.
LOOKS = {
    # observations
    "matches": Look("Matches", "success", "check"),
    "missing": Look("Missing", "danger", "circle-dashed"),
    "conflicts": Look("Conflict", "warning", "alert-triangle"),
    "unknown": Look("Unknown", "neutral", "circle-help"),
    # work
    "pending": Look("Pending", "neutral", "clock"),
    "running": Look("Running", "info", "loader", live=True),
    "waiting": Look("Waiting", "info", "clock", live=True),
    "done": Look("Done", "success", "check"),
    "succeeded": Look("Succeeded", "success", "check"),
    "completed": Look("Completed", "success", "check"),
    "failed": Look("Failed", "danger", "x"),
    "timeout": Look("Timed out", "danger", "clock"),
    "cancelled": Look("Cancelled", "neutral", "ban"),
    # propagation
    "polling": Look("Watching", "info", "radio", live=True),
    "propagating": Look("Propagating", "info", "radio", live=True),
    "propagated": Look("Propagated", "success", "check"),
    # a webhook's delivery
    "delivered": Look("Delivered", "success", "check"),
    # a change plan
    "create": Look("Create", "success", "plus"),
    "update": Look("Update", "info", "pencil"),
    "keep": Look("Keep", "neutral", "equal"),
    "conflict": Look("Conflict", "warning", "alert-triangle"),
    "delete": Look("Delete", "danger", "trash-2"),
    "computing": Look("Computing", "info", "loader", live=True),
    "ready": Look("Ready", "info", "circle-dot"),
    "applying": Look("Applying", "info", "loader", live=True),
    "applied": Look("Applied", "success", "check"),
    "superseded": Look("Superseded", "neutral", "minus"),
    # domains, mailboxes, credentials
    "verified": Look("Verified", "success", "shield-check"),
    "new": Look("New", "info", "sparkles"),
    "active": Look("Active", "success", "check"),
    "provisioning": Look("Provisioning", "info", "loader", live=True),
    "warming": Look("Warming up", "info", "activity"),
    "suspended": Look("Suspended", "warning", "pause"),
    "paused": Look("Paused", "warning", "pause"),
    "deleting": Look("Deleting", "neutral", "trash-2", live=True),
    "deleted": Look("Deleted", "neutral", "trash-2"),
    "connecting": Look("Connecting", "info", "loader", live=True),
    "connected": Look("Connected", "success", "check"),
    "disconnecting": Look("Disconnecting", "neutral", "loader", live=True),
    "disconnected": Look("Disconnected", "neutral", "minus"),
    "untested": Look("Not tested", "neutral", "circle-dashed"),
}


@cache
def icon_names() -> frozenset[str]:
    """The names that the sprite holds; `scripts/build_icons.py` adds to them."""
    sprite = finders.find(SPRITE)
    if not isinstance(sprite, str):
        raise FileNotFoundError(SPRITE)
    return frozenset(re.findall(r'<symbol id="([^"]+)"', Path(sprite).read_text()))


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """`{% icon "mail" %}`: an icon in the size and colour of the text around it.

    Give `label` only where no text beside it says the same; without it, the icon is hidden from
    screen readers. `css` adds classes. Raises `ValueError` for a name that the sprite lacks, so
    that a slip shows in the first test that renders the page.
    """
    if name not in icon_names():
        raise ValueError(f"icons.svg has no icon called {name!r}")
    spoken = format_html('role="img" aria-label="{}"', label) if label else 'aria-hidden="true"'
    return format_html(
        '<svg class="icon{}" {} width="16" height="16"><use href="{}#{}"></use></svg>',
        f" {css}" if css else "",
        SafeString(spoken),
        static(SPRITE),
        name,
    )


@register.simple_tag
def qr(text: str, label: str) -> SafeString:
    """`{% qr url "what it holds" %}`: a QR code, dark on light in both themes."""
    code = segno.make(text, error="m", micro=False)
    drawing = code.svg_inline(omitsize=True, border=3, dark="#000", light="#fff", svgclass=None)
    shapes = SafeString(drawing.partition(">")[2])
    box = SafeString(drawing.partition(">")[0])
    return format_html('{} class="qr" role="img" aria-label="{}">{}', box, label, shapes)


@register.filter
def avatar_icon(name: str) -> str:
    """The icon of a chosen picture; nothing for one that we do not have, so initials are shown."""
    return name if name in AVATARS else ""


@register.inclusion_tag("components/badge.html")
def state(word: str, label: str = "", title: str = "", plain: bool = False) -> dict[str, object]:
    """`{% state job.status %}`: the badge of a status word, the same on every page.

    `label` replaces the usual text, `title` is a tooltip, `plain` leaves the pill away. A word
    without a look of its own (see `LOOKS`) is shown neutral: `not_started` as "Not started".
    """
    unnamed = Look(str(word).replace("_", " ").capitalize(), "neutral", "circle-dot")
    look = LOOKS.get(str(word).lower(), unnamed)
    return {
        "label": label or look.label,
        "tone": look.tone,
        "icon": look.icon,
        "live": look.live,
        "title": title,
        "plain": plain,
    }


@register.inclusion_tag("components/troubles.html")
def troubles(row: Model) -> dict[str, object]:
    """`{% troubles mailbox %}`: a badge for each thing that is wrong with a row of a list."""
    return {"troubles": of_row(row)}


@register.filter
def tone_icon(tone: str) -> str:
    """The icon that goes with a tone (neutral, info, success, warning, danger)."""
    return TONE_ICONS.get(tone, "info")


@register.filter
def message_tone(level_tag: str) -> str:
    """The tone for a level tag of `django.contrib.messages`."""
    return {"error": "danger", "success": "success", "warning": "warning"}.get(level_tag, "info")


@register.filter
def initials(name: str) -> str:
    """At most two capitals for an avatar: "Ada Lovelace" is AL, "bo.b@example.test" is BB."""
    words = [word for word in re.split(r"[\W_]+", str(name).split("@", maxsplit=1)[0]) if word]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


@register.filter
def count(number: int, noun: str) -> str:
    """`{{ 1|count:"inbox,inboxes" }}` is "1 inbox", 1200 is "1,200 inboxes"; adds s by default."""
    return counted(number, noun)


@register.filter
def breakable(name: object) -> SafeString:
    """A domain name or an address that may break behind its dots and its @, and nowhere worse."""
    parts = re.findall(r"[^.@]*[.@]?", str(name))
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in parts if part))


@register.filter
def percent_of(done: int, total: int) -> int:
    """Whole percent, rounded down so that 100 means all. Nothing of nothing is 0."""
    return min(100, max(0, 100 * done // total)) if total else 0


@register.filter
def elided_pages(page: Page) -> Iterable[str | int]:
    """The page numbers worth a link around the present one, with an ellipsis for each gap."""
    return page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
