"""Stage `serve`: the people of a store as a page, and as REST."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from pdsn.errors import PdsnError, UsageError
from stages.command import GOING_ON, RECOGNITION, command
from stages.options import Layer, OneStrategy
from stages.photo_options import PeopleDir, Source, StrangersDir
from stages.recognising import Common, begin, open_run, see_strangers, shown
from stages.session import Session, Shared

PORT = 8000


def main(
    session: Session,
    people: str,
    common: Common,
    address: tuple[str, int],
    token_file: Path | None,
    tls: tuple[Path | None, Path | None],
    *,
    keep_crops: bool,
) -> None:
    """Answer until Ctrl-C. All that is cheap is checked before the networks are loaded.

    Args:
        session: the run.
        people: the store, made if missing.
        common: how faces are found and compared.
        address: host and port.
        token_file: what holds the token; None without one.
        tls: certificate and key.
        keep_crops: keep the faces of photos that are enrolled as pictures.

    Raises:
        PdsnError: something is missing, or the address cannot be used.
    """
    try:
        from pdsn.web.login import read_token
        from pdsn.web.server import check_certificate, check_host, listen, serve, url_of
        from pdsn.web.site import make_site, own_folder
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] not in ("fastapi", "starlette", "pydantic", "uvicorn"):
            raise
        raise PdsnError(f'the page needs FastAPI and uvicorn ({error}): pip install "pdsn[serve]"') from error
    from pdsn.run.directory import SYNTHETIC
    from pdsn.store.lance.place import is_lance

    if is_lance(people):
        raise UsageError(
            f"--people {people}: the page keeps open questions beside its store, and is for one in a folder: give a folder"
        )
    host, port = address
    check_host(host, token_file)
    secure = check_certificate(*tls)
    token = None if token_file is None else read_token(token_file)
    steps = begin(session, common)
    with listen(host, port) as listener:
        session.say(f"opening {shown(session.run.root)}")
        run = open_run(session, common, steps)
        see_strangers(run.get_ready)
        folder = own_folder(Path(people))
        app = make_site(
            run,
            run.people(people, create=True),
            folder,
            token=token,
            keep_crops=keep_crops,
            drawn=session.data == SYNTHETIC,
            secure=secure,
        )
        if token is not None and not secure:
            print("note: without --certificate token and photos can be read on their way", file=sys.stderr)
        session.say(f"open questions and the audit log: {shown(folder)}")
        session.say(
            f"{url_of(listener, host, secure=secure)} is the page: open it in a browser (Ctrl-C stops the server)"
        )
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            serve(app, listener, *tls)
    session.say("stopped")


@command("serve", RECOGNITION, GOING_ON, settings={"prepare": ("min_face",)}, default="the run's")
def serve(
    shared: Shared,
    options: Layer,
    people: PeopleDir,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen: 127.0.0.1 is for this machine alone, 0.0.0.0 for all who reach it, with --token-file.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="The port, 0 for any free one.")
    ] = PORT,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file whose one line everybody must know who uses the server."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A certificate in PEM, for https.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key in PEM.")] = None,
    keep_crops: Annotated[
        bool,
        typer.Option(
            "--keep-crops", help="Keep the faces of photos that are enrolled here as pictures, and show them."
        ),
    ] = False,
    strategy: OneStrategy = None,
    occlusion_source: Source = None,
    strangers: StrangersDir = None,
) -> None:
    """Recognise and enrol people on a page in the browser, and as REST.

    It begins with nobody enrolled, and makes the store where there is none: people are enrolled on the page. The page is for this
    machine alone, unless --host and --token-file say otherwise. Needs the extra: pip install "pdsn\\[serve]"

    [bold]Examples[/bold]

    pdsn serve --people team --run runs/lfw

    pdsn serve --people team --run runs/lfw --host 0.0.0.0 --token-file token
    """
    common = Common.asked(options, strategy, occlusion_source, strangers=strangers)
    session = Session(shared, options, keep=False)
    main(session, people, common, (host, port), token_file, (certificate, key), keep_crops=keep_crops)
