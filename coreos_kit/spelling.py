"""What somebody may have meant who has written a name that is none."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches


def nearest(word: str, choices: Iterable[str], *, key: Callable[[str], str] = str) -> str:
    """Return the choice that is spelled most like the word; "" where none is.

    `key` says what is compared, of the word as of the choices: `str.lower` where capitals are no difference.
    """
    by_key = {key(choice): choice for choice in choices}
    close = get_close_matches(key(word), by_key, n=1)
    return by_key[close[0]] if close else ""
