"""What apps above register for apps below."""

import pytest

from mpanel.core.extensions import Extensions


def test_each_counts_once_in_the_order_of_registration() -> None:
    extensions: Extensions[str] = Extensions("names")
    for name in ("second", "first", "second"):
        assert extensions.register(name) == name
    assert list(extensions) == ["second", "first"]


@pytest.mark.parametrize("registered", [(), ("one", "two")])
def test_where_one_is_needed_none_or_two_are_an_error_that_names_it(
    registered: tuple[str, ...],
) -> None:
    extensions: Extensions[str] = Extensions("the plan's rate")
    for name in registered:
        extensions.register(name)
    with pytest.raises(LookupError, match=f"the plan's rate: {len(registered)}"):
        extensions.only()


def test_what_is_registered_while_it_is_read_comes_the_next_time() -> None:
    extensions: Extensions[str] = Extensions("names")
    extensions.register("one")
    for name in extensions:
        extensions.register(f"{name} more")
    assert list(extensions) == ["one", "one more"]
