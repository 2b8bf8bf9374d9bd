"""A flattened record that is too long for one TXT record, laid out over several.

Runs of networks move into records of their own (`_spf1.example.com`), which the domain's record
includes in their place: what passes, and in which order, stays the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count

from .evaluation import MAX_LOOKUPS, TooComplex
from .flattening import COMFORTABLE_BYTES
from .syntax import Mechanism, Modifier, SPFRecord

Run = list[Mechanism]


@dataclass(frozen=True)
class Layout:
    """The domain's own record, and the parts that it includes, by their names."""

    text: str
    parts: Mapping[str, str]


def lay_out(
    record: SPFRecord,
    *,
    domain: str,
    lookups: int,
    known: Mapping[str, str],
    taken: Collection[str] = (),
) -> Layout:
    """Lay out a flattened record that needs so many lookups, within ten in all.

    `known`: parts of ours that are published, or were until lately, by name. One that is to say
    the same keeps its name; no other is written at a name whose old text a resolver may still hold,
    nor at one of `taken`. Raises `TooComplex` where it does not fit.
    """
    pieces: list[Mechanism | Modifier | Run] = []
    for term in record.terms:
        is_network = isinstance(term, Mechanism) and term.network is not None and term.passes
        if is_network and pieces and isinstance(pieces[-1], list):
            pieces[-1].append(term)  # type: ignore[arg-type]
        else:
            pieces.append([term] if is_network else term)  # type: ignore[list-item]
    parts: dict[str, str] = {}
    names = _Names(domain, known, taken)
    while len(text := _text(pieces)) > COMFORTABLE_BYTES:
        run = max((piece for piece in pieces if isinstance(piece, list)), key=len, default=[])
        if not run:
            raise TooComplex(f"The flattened record does not fit {COMFORTABLE_BYTES} bytes.")
        includes: list[Mechanism] = []
        for part in _cut(run):
            name = names.of(part)
            parts[name] = part
            includes.append(Mechanism("include", domain=name))
        if lookups + len(parts) > MAX_LOOKUPS:
            raise TooComplex(
                f"The flattened record needs {lookups + len(parts)} lookups; receivers stop at 10."
            )
        at = next(n for n, piece in enumerate(pieces) if piece is run)
        pieces[at : at + 1] = includes
    return Layout(text, parts)


class _Names:
    """Gives each part a name."""

    def __init__(self, domain: str, known: Mapping[str, str], taken: Collection[str]) -> None:
        self._same = {text: name for name, text in known.items()}
        self._avoided = {*known, *taken}
        self._numbers = (f"_spf{number}.{domain}" for number in count(1))

    def of(self, text: str) -> str:
        if text in self._same:
            return self._same[text]
        return next(name for name in self._numbers if name not in self._avoided)


def _cut(run: Run) -> list[str]:
    """Records that together let exactly these networks pass."""
    texts: list[str] = []
    words: list[str] = []
    for word in map(str, run):
        if len(_part([*words, word])) > COMFORTABLE_BYTES:
            texts.append(_part(words))
            words = []
        words.append(word)
    return [*texts, _part(words)]


def _part(words: list[str]) -> str:
    return " ".join(["v=spf1", *words, "-all"])


def _text(pieces: list[Mechanism | Modifier | Run]) -> str:
    words: list[str] = []
    for piece in pieces:
        words += map(str, piece) if isinstance(piece, list) else [str(piece)]
    return " ".join(["v=spf1", *words])
