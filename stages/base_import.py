"""Stage `base-import`: a recogniser that was trained elsewhere, as the base."""

from __future__ import annotations

from shlex import quote

from pdsn.errors import UsageError
from pdsn.run.directory import SYNTHETIC
from stages.command import BEGINNING, TRAINING, command
from stages.options import Force, Layer, whole_paths
from stages.session import Session, Shared


def check(session: Session) -> None:
    """Raise UsageError where the recogniser cannot be imported, before any face is drawn or read."""
    from pdsn.bases.imported import find_weights
    from pdsn.bases.onnx_import import known_architecture

    config = session.settings.pretrained
    if not config.arch:
        raise UsageError("say which recogniser: --arch NAME --weights FILE")
    # The file that the base came from may be gone.
    same = session.asked.get("pretrained", {}).get("weights", session.known_weights) == session.known_weights
    find_weights(session.run.base, config, imported=same and not session.force)
    takes = known_architecture(session.run.base, config).size
    drawn = session.settings.synthetic.size
    if session.data == SYNTHETIC and takes != drawn:
        (height, width), shape = drawn, f"{takes[0]}x{takes[1]}"
        raise UsageError(
            f"the embedded people are drawn at {height}x{width} pixels, and {config.arch} takes {shape}: "
            f"prepare photos for it with `pdsn prepare PHOTOS --data DIR --for {quote(config.architecture)}`, "
            "and give that --data DIR with another --run"
        )


def main(session: Session) -> None:
    """Import the recogniser, or say that it is there; prints what its embeddings are worth."""
    from pdsn.bases.imported import COMMAND, SURE_ORDER, import_base
    from pdsn.networks.imported.onnx_architecture import normalisation_of, saved_architecture

    config = session.settings.pretrained
    check(session)
    folder = session.base_folder
    if folder.open(force=session.force, replace_other=session.replace):
        session.begin()
        found = folder.best()
        session.say(f"base: imported already, {folder.model}")
    else:
        found = import_base(
            session.training, config, folder, session.accelerator, session.settings.seed, session.begin
        )
    session.say(
        f"base: {config.arch}, validation rank-1 {100 * found['rank1']:.2f} %, "
        f"rank-5 {100 * found['rank5']:.2f} % -> {folder.model}"
    )
    if "apart" in found:
        how = normalisation_of(saved_architecture(folder.root, COMMAND))
        session.say(f"normalisation: {how}, which tells people apart best of the usual ones")
        session.say(f"onnxruntime agrees to {found['apart']:.1g} standard deviations of the embeddings")
    session.say(
        f"self-check: two photos of one person have a mean cosine of {found['same']:.2f}, of two people "
        f"{found['other']:.2f}; {100 * found['order']:.1f} % of comparisons come out right"
    )
    if found["order"] < SURE_ORDER:
        session.say(
            "[bold yellow]warning:[/] these embeddings hardly tell people apart: preprocessing is probably "
            "wrong; check size, alignment template, channel order and normalisation of the architecture"
        )


@command("base-import", TRAINING, BEGINNING, settings={"pretrained": None})
def base_import(shared: Shared, options: Layer, force: Force = False) -> None:
    """Take a recogniser that was trained elsewhere as the base: it is not retrained.

    [bold]Examples[/bold]

    pdsn base-import --arch mobilefacenet --weights mobilefacenet.npz --data data/lfw112 --run runs/mobile

    pdsn base-import --arch inception_resnet_v1 --weights vggface2 --data data/lfw160 --run runs/facenet

    pdsn base-import --arch onnx --weights w600k_mbf.onnx --data data/lfw112 --run runs/buffalo
    """
    main(Session(shared, whole_paths(options), force=force))
