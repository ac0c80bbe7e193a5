"""The server's routes: pages, and REST under /api/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from pdsn import __version__
from pdsn.api import PdsnError, PhotoError, UsageError
from pdsn.web.answers import (
    Answer,
    Enrolment,
    Identified,
    MergeInto,
    Named,
    NewName,
    OpenQuestion,
    PeoplePage,
    PersonDetails,
    Removed,
    Status,
)
from pdsn.web.audit import Audit
from pdsn.web.login import COOKIE, HOURS, Login
from pdsn.web.photos import plainly
from pdsn.web.refused import RefusedError
from pdsn.web.security import Guard, client_of, session_of
from pdsn.web.service import Service
from pdsn.web.work import BusyError, Worker

Result = TypeVar("Result")

STATIC = Path(__file__).with_name("static")
ABOUT = (
    "People of a store: recognise, enrol, rename, merge, remove, answer open questions. Every request but a GET needs the header "
    "`X-Pdsn: 1`, which pages of other sites cannot send, or the token as `Authorization: Bearer TOKEN`. A photo is sent as it "
    "is, not as a form. Errors are JSON with a `detail`."
)
PHOTO: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The content of an image file, at most 20 MB and 64 million pixels. A larger JPEG is reduced while it is "
        "read, but for a progressive one.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""What the routes that take a photo say of its body."""
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
Label = Annotated[str, Query(max_length=1000, description="what the photo is called")]
Rate = Annotated[
    float | None, Query(gt=0, lt=1, description="share of strangers who may pass for somebody; a default")
]


MOST_PEOPLE = 1000
"""In one answer."""
Id = Annotated[int, InPath(ge=0, le=2**53, description="its id")]


def make_app(
    service: Service, worker: Worker, login: Login, audit: Audit, *, secure: bool = False
) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        service: answers.
        worker: in whose thread it recognises and changes the store.
        login: who may use it.
        audit: what is written about every change and every refusal.
        secure: it speaks TLS.
    """
    app = FastAPI(title="pdsn", version=__version__, description=ABOUT, docs_url=None, redoc_url=None)
    guard = Guard(app, login, audit, secure=secure)
    _add_errors(app)
    _add_pages(app, guard, login, secure=secure)
    _add_recognition(app, service, worker)
    _add_people(app, service, worker)
    _add_questions(app, service, worker)
    app.mount("/static", StaticFiles(directory=STATIC))
    return guard


def _add_pages(app: FastAPI, guard: Guard, login: Login, *, secure: bool) -> None:
    def page(name: str) -> Callable[[], FileResponse]:
        return lambda: FileResponse(STATIC / name, media_type="text/html; charset=utf-8")

    for path, name in (("/", "index.html"), ("/reference", "reference.html"), ("/login", "login.html")):
        app.add_api_route(path, page(name), include_in_schema=False, name=f"page {path}")

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        """Begin a session, for whoever knows the token."""
        client, form = client_of(request.scope), parse_qs((await request.body()).decode("latin-1"))
        if not guard.wrong_tokens.has(client):
            return RedirectResponse("/login#wait", 303)
        if not login.knows(form.get("token", [""])[0].strip()):
            guard.wrong_tokens.take(client)
            _note(request, outcome="wrong token")
            return RedirectResponse("/login#wrong", 303)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE, login.begin(), HOURS * 3600, httponly=True, samesite="strict", secure=secure
        )
        return answer

    @app.post("/logout", include_in_schema=False)
    def log_out(request: Request) -> Response:
        """End a session."""
        login.end(session_of(request.headers))
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE)
        return answer


def _add_recognition(app: FastAPI, service: Service, worker: Worker) -> None:
    @app.get("/api/status", tags=["server"])
    def status() -> Status:
        """How many are enrolled, and how the server recognises."""
        return service.status()

    @app.post("/api/identify", tags=["recognition"], openapi_extra=PHOTO)
    async def identify(
        request: Request,
        file: Label = "photo",
        fpr: Rate = None,
        ask: Annotated[
            bool,
            Query(description="keep a question about each face that is unknown or near to its threshold"),
        ] = False,
        pictures: Annotated[bool, Query(description="answer with pictures of the faces")] = False,
    ) -> Identified:
        """Name every face of a photo, from left to right. The photo is not kept."""
        with worker.place():
            photo = await _photo_of(request)
            found = await worker.run(
                lambda: service.recognising.identify(photo, file, fpr=fpr, ask=ask, pictures=pictures)
            )
        _note(request, faces=len(found.faces), named=sum(face.person is not None for face in found.faces))
        return found


def _add_people(app: FastAPI, service: Service, worker: Worker) -> None:
    tags: list[Any] = ["people"]

    @app.get("/api/people", tags=tags)
    def people(
        search: Annotated[str, Query(max_length=200, description="part of the name; all by default")] = "",
        start: Annotated[int, Query(ge=0, le=2**53, description="how many to leave out")] = 0,
        count: Annotated[int, Query(ge=1, le=MOST_PEOPLE, description="how many to name at most")] = 100,
    ) -> PeoplePage:
        """Who is enrolled, by name, a page at a time; names that begin with what is searched for come first."""
        return service.directory.page(search, start, count)

    @app.post("/api/photos", tags=tags, openapi_extra=PHOTO)
    async def enrol(
        request: Request,
        name: Annotated[str, Query(min_length=1, max_length=200, description="whom the photo shows")],
        file: Label = "photo",
        face: Annotated[
            int | None,
            Query(ge=1, description="number of the face, from left to right; by default the largest"),
        ] = None,
        accept_poor: Annotated[bool, Query(description="enrol it even if its quality is too poor")] = False,
    ) -> Enrolment:
        """Enrol a photo of somebody, who need not be there yet."""
        with worker.place():
            photo = await _photo_of(request)
            done = await worker.run(
                lambda: service.enrolling.enrol(photo, file, name, face=face, accept_poor=accept_poor)
            )
        _note_enrolment(request, done)
        return done

    @app.get("/api/people/{person}", tags=tags)
    def show(person: Id) -> PersonDetails:
        """Somebody, with all photos."""
        return service.directory.show(person)

    @app.patch("/api/people/{person}", tags=tags)
    async def rename(person: Id, new: NewName) -> Named:
        """Call somebody something else."""
        return await worker.run(lambda: service.directory.rename(person, new.name))

    @app.post("/api/people/{person}/merge", tags=tags)
    async def merge(request: Request, person: Id, other: MergeInto) -> Named:
        """Give all photos of somebody to another person: both are one."""
        _note(request, into=other.into)
        return await worker.run(lambda: service.directory.merge(person, other.into))

    @app.delete("/api/people/{person}", tags=tags)
    async def remove(person: Id) -> Removed:
        """Remove somebody with every trace."""
        return await worker.run(lambda: service.directory.remove(person))

    @app.delete("/api/photos/{photo}", tags=tags)
    async def remove_photo(photo: Id) -> Removed:
        """Remove a photo with every trace; with somebody's last one the person, too."""
        return await worker.run(lambda: service.directory.remove_photo(photo))

    @app.get("/api/photos/{photo}/picture", tags=tags, response_class=Response, responses=PNG)
    def photo_picture(photo: Id) -> Response:
        """The face of an enrolled photo, if faces are kept."""
        return Response(service.directory.picture(photo), media_type="image/png")


def _add_questions(app: FastAPI, service: Service, worker: Worker) -> None:
    tags: list[Any] = ["questions"]

    @app.get("/api/questions", tags=tags)
    def questions() -> list[OpenQuestion]:
        """The open questions, the oldest first."""
        return service.answering.list()

    @app.get("/api/questions/{question}/picture", tags=tags, response_class=Response, responses=PNG)
    def question_picture(question: Id) -> Response:
        """The face of an open question, with what is around it."""
        return Response(service.answering.picture(question), media_type="image/png")

    @app.post("/api/questions/{question}/confirm", tags=tags)
    async def confirm(request: Request, question: Id, answer: Answer) -> Enrolment:
        """Say who it is: the face is enrolled, and the question is closed. A face of too poor quality stays open."""
        with worker.place():
            done = await worker.run(
                lambda: service.answering.confirm(question, answer.name, accept_poor=answer.accept_poor)
            )
        _note_enrolment(request, done)
        return done

    @app.post("/api/questions/{question}/reject", tags=tags, status_code=204)
    async def reject(question: Id) -> None:
        """Close a question; the same face is not asked about again."""
        await worker.run(lambda: service.answering.reject(question))


async def _photo_of(request: Request) -> bytes:
    """The photo that a request brings."""
    photo = await request.body()
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise RefusedError(
            415,
            "A form is no photo: send the content of the file itself, as curl does with --data-binary @photo.jpg.",
        )
    return photo


def _note(request: Request, **about: object) -> None:
    """Have the audit log say something of a request."""
    request.scope["state"]["about"].update(about)


def _note_enrolment(request: Request, done: Enrolment) -> None:
    _note(request, outcome=done.outcome, enrolled=done.person.id if done.person else None, photo=done.photo)


def _add_errors(app: FastAPI) -> None:
    """Whatever goes wrong is JSON with one line; what nobody expected is told on the terminal, not to the client."""

    def say(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"detail": text}, status, headers)

    @app.exception_handler(PdsnError)
    def wrong(_: Request, error: PdsnError) -> JSONResponse:
        if isinstance(error, RefusedError):
            return say(error.status, str(error))
        return say(422 if isinstance(error, PhotoError | UsageError) else 409, plainly(error))

    @app.exception_handler(BusyError)
    def busy(_: Request, __: BusyError) -> JSONResponse:
        return say(503, "The server is busy: try again in a few seconds.", {"retry-after": "5"})

    @app.exception_handler(RequestValidationError)
    def misused(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"][1:])
        return say(422, f"{where}: {first['msg']}" if where else str(first["msg"]))

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        return say(error.status_code, error.detail, dict(error.headers or {}))

    @app.exception_handler(ClientDisconnect)
    def gone(_: Request, __: ClientDisconnect) -> JSONResponse:
        return say(400, "The photo did not arrive.")

    @app.exception_handler(Exception)
    def unexpected(_: Request, __: Exception) -> JSONResponse:
        return say(500, "Something unexpected went wrong: the server's terminal says what.")
