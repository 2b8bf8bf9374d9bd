"""What every step's page shows around itself."""

from typing import Any

from domains.models import Domain
from wizard.steps import shown_steps


def step_page(found: Domain | None, step: str, title: str, subtitle: str) -> dict[str, Any]:
    """The context of a step of this domain."""
    return {
        "steps": shown_steps(found, step),
        "section": "setup",
        "crumbs": [("Domains", "/domains/"), (str(found), f"/domains/{found.pk}/")]
        if found
        else [],
        "page_title": title,
        "page_subtitle": subtitle,
    }
