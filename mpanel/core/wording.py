"""Numbers with their nouns, as sentences have them."""


def counted(number: int, noun: str) -> str:
    """`counted(1, "inbox,inboxes")` is "1 inbox", 1200 gives "1,200 inboxes"; adds s by default."""
    one, _, many = noun.partition(",")
    return f"{number:,} {one if number == 1 else many or one + 's'}"
