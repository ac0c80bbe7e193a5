"""Everything that a server needs, put together: store, questions, log, login."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from pdsn.api import PdsnError, Run
from pdsn.web.app import make_app
from pdsn.web.audit import Audit
from pdsn.web.login import Login
from pdsn.web.questions import Questions
from pdsn.web.service import Service
from pdsn.web.work import Worker

if TYPE_CHECKING:
    from pdsn.store.people import PeopleStore

QUESTIONS, AUDIT = "questions.sqlite", "audit.jsonl"


def own_folder(people: Path) -> Path:
    """Where a server keeps what is its own: beside the store, which holds nothing but enrolled people."""
    return people.with_name(f"{people.name}-web")


def make_site(
    run: Run,
    people: PeopleStore,
    folder: Path,
    *,
    token: str | None = None,
    keep_crops: bool = False,
    drawn: bool = False,
    secure: bool = False,
) -> ASGIApp:
    """A server as an ASGI application, ready to answer.

    Args:
        run: recognises.
        people: who is enrolled.
        folder: for open questions and the audit log, see `own_folder`; made if missing, for its owner alone.
        token: what is asked for; None if the server is open to whoever reaches it.
        keep_crops: keep the faces of photos that are enrolled as pictures.
        drawn: the run was trained on drawn people.
        secure: the server speaks TLS.

    Raises:
        PdsnError: the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        questions, audit = Questions(folder / QUESTIONS), Audit(folder / AUDIT)
    except OSError as error:
        raise PdsnError(
            f"{folder} cannot be written to ({error.strerror}), and open questions and the audit log go there: "
            "give --people another folder"
        ) from error
    login = Login(token)
    service = Service(run, people, questions, keep_crops=keep_crops, drawn=drawn, login=login.needed)
    return make_app(service, Worker(), login, audit, secure=secure)
