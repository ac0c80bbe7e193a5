"""What the run's strangers tell of a store: the rates that can be asked for, and who seems to have two names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pdsn.api import PdsnError

if TYPE_CHECKING:
    from pdsn.store.people import PeopleStore


class Rates:
    """The figures that follow from who is enrolled; kept, since finding them out takes a moment.

    Args:
        people: who is enrolled.

    Attributes:
        default: share of strangers who may pass for somebody, where nobody asks for another; None while nobody is enrolled.
        finest: the smallest share that can be told; None while nobody is enrolled.
        two_names: (name in the run, name in the store) of those who seem to be one person.
    """

    def __init__(self, people: PeopleStore) -> None:
        self._people = people
        self.default: float | None = None
        self.finest: float | None = None
        self.two_names: list[tuple[str, str]] = []

    def look_up(self) -> None:
        """Find the rates out anew; to be called by one thread at a time, as `changed`."""
        try:
            self.default, self.finest = self._people.default_fpr, self._people.finest_fpr
        except PdsnError:  # nobody is enrolled
            self.default, self.finest = None, None

    def changed(self) -> None:
        """Find everything out anew, after a change of the store."""
        self.look_up()
        self.two_names = []
        with suppress(PdsnError):
            self.two_names = self._people.two_names()
