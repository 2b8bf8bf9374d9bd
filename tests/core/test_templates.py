"""What every template keeps to: icons and parts that exist, nothing that the CSP forbids."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.utils import get_app_template_dirs

from mpanel.core.templatetags.ui import LOOKS, TONE_ICONS, icon_names

TEMPLATES = Path(settings.BASE_DIR) / "templates"
ALL = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
CODE = "\n".join(
    path.read_text()
    for app in sorted({path.parent for path in Path(settings.BASE_DIR).glob("*/apps.py")})
    for path in app.rglob("*.py")
) + "\n".join(path.read_text() for path in (Path(settings.BASE_DIR) / "mpanel").rglob("*.py"))


def of_library(name: str) -> bool:
    """Whether an installed app brings a template of this name, which one of ours may replace."""
    return any((Path(folder) / name).exists() for folder in get_app_template_dirs("templates"))


def source(name: str) -> str:
    """A template without its comments."""
    text = (TEMPLATES / name).read_text()
    text = re.sub(r"{% comment %}.*?{% endcomment %}", "", text, flags=re.S)
    return re.sub(r"{#.*?#}", "", text)


@pytest.mark.parametrize("name", ALL)
def test_its_icons_exist(name: str) -> None:
    used = re.findall(r'{% icon "([^"]+)"|\b(?:action_)?icon(?:_end)?="([^"]+)"', source(name))
    assert {a or b for a, b in used} <= icon_names()


def test_icons_of_looks_exist() -> None:
    assert {look.icon for look in LOOKS.values()} | set(TONE_ICONS.values()) <= icon_names()


@pytest.mark.parametrize("name", ALL)
def test_its_parts_exist(name: str) -> None:
    used = re.findall(r'{% (?:include|extends) "([^"]+)"', source(name))
    assert [part for part in used if part not in ALL and not of_library(part)] == []


@pytest.mark.parametrize("name", ALL)
def test_nothing_inline(name: str) -> None:
    text = source(name)
    assert not re.search(r"<[^>]*\s(style|on[a-z]+)\s*=", text)
    assert "<style" not in text
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert "javascript:" not in text


@pytest.mark.parametrize("name", ALL)
def test_it_is_used(name: str) -> None:
    others = "\n".join(source(other) for other in ALL if other != name)
    assert f'"{name}"' in others + CODE or f'"{name}#' in CODE or of_library(name)
