"""What the page can do, without HTTP, put together: each part is a room of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdsn import __version__
from pdsn.api import Run
from pdsn.web.answering import Answering
from pdsn.web.answers import Status, TwoNames
from pdsn.web.directory import Directory
from pdsn.web.enrolling import Enrolling
from pdsn.web.questions import Questions
from pdsn.web.rates import Rates
from pdsn.web.recognising import Recognising

if TYPE_CHECKING:
    from pdsn.store.people import PeopleStore


class Service:
    """The people of a store, for a page.

    Args:
        run: recognises.
        people: who is enrolled.
        questions: the open questions.
        keep_crops: keep the faces of photos that are enrolled as pictures.
        drawn: the run was trained on drawn people.
        login: a token is asked for.

    Attributes:
        directory: who is enrolled.
        enrolling: enrols faces.
        answering: the open questions.
        recognising: names faces.
    """

    def __init__(
        self,
        run: Run,
        people: PeopleStore,
        questions: Questions,
        *,
        keep_crops: bool = False,
        drawn: bool = False,
        login: bool = False,
    ) -> None:
        self._run = run
        self._people = people
        self._drawn = drawn
        self._login = login
        self._rates = Rates(people)
        self._rates.changed()
        self.directory = Directory(people, questions, self._rates)
        self.enrolling = Enrolling(people, self._rates, keep_crops=keep_crops)
        self.answering = Answering(run, questions, self.directory, self.enrolling)
        self.recognising = Recognising(run, people, self.directory, self.answering, self._rates)

    def status(self) -> Status:
        """The server and its store: figures alone, however many are enrolled."""
        counts = self._people.as_dict()
        people, photos = int(str(counts["people"])), int(str(counts["photos"]))
        return Status(
            version=__version__,
            people=people,
            photos=photos,
            questions=self.answering.count(),
            strategy=self._run.strategy,
            fpr=self._rates.default if people else None,
            finest_fpr=self._rates.finest if people else None,
            keeps_crops=self.enrolling.keep_crops,
            drawn=self._drawn,
            login=self._login,
            two_names=[TwoNames(run=theirs, name=ours) for theirs, ours in self._rates.two_names],
        )
