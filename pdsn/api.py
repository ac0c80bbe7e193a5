"""Recognition from Python, in a few lines.

```python
from pdsn.api import load_run

run = load_run("runs/lfw")                        # strategy="matched", device="auto"
people = run.enrol("team-photos")                 # a folder per person; run.enrol() for the run's own people
for face in people.identify("meeting.jpg", fpr=0.01):
    print(face.person or "unknown", face.cosine, face.covered)
people.draw(people.identify("meeting.jpg"), "meeting-named.png")
print(run.verify("a.jpg", "b.jpg").same)
for track in people.identify_video("film.mp4").tracks:    # with the extra video
    print(track.person or "unknown", track.track.first, track.track.last)
```

A photo is a path, the bytes of an image file, an image of Pillow, or an array of uint8, (H, W, 3) in RGB or (H, W) in grey.

What goes wrong raises `PdsnError`, with one line that says what to do; a photo that nobody can
be looked for in raises its kind `PhotoError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdsn.artefact import MODEL
from pdsn.calibration.impostors import Seen
from pdsn.calibration.seeing import see_strangers
from pdsn.calibration.strangers import DEFAULT_FPR, LOOKS, OWN, KeptScores, Strangers
from pdsn.coverage.settings import SOURCES
from pdsn.data.crop import crop_settings
from pdsn.data.detector import Detector
from pdsn.data.faces import Detect, detect_faces, looking, sure_faces
from pdsn.data.given import PhotoLike
from pdsn.errors import PdsnError, UsageError, one_of
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.matcher import Matcher
from pdsn.networks.imported.architecture import Architecture
from pdsn.people.gallery import Gallery, digest_of, own_gallery, read_gallery, read_strangers
from pdsn.people.identification import IdentifiedFace, IdentifiedPhoto, Identifier, Match
from pdsn.people.naming import Naming
from pdsn.people.photo import (
    FIRST,
    SECOND,
    FoundFace,
    PhotoError,
    SearchedPhoto,
    crop_faces,
    nothing_covered,
    search_photo,
)
from pdsn.people.tracks import IdentifiedTrack, IdentifiedVideo
from pdsn.people.verification import Verification, Verifier
from pdsn.people.video import Frame, VideoError
from pdsn.progress import unheard
from pdsn.run.kept import embeddings_of, keep_maps
from pdsn.run.strategies import choose_strategy
from pdsn.run.workspace import Workspace
from pdsn.runtime import precision_of, start

if TYPE_CHECKING:
    from pdsn.explain.photos import PhotoExplanation, Verify
    from pdsn.store.people import PeopleStore
    from pdsn.store.spread import Tools

__all__ = [
    "Architecture", "IdentifiedFace", "IdentifiedPhoto", "IdentifiedTrack", "IdentifiedVideo", "PdsnError", "People",
    "PhotoError", "PhotoLike", "Run", "UsageError", "Verification", "VideoError", "load_run",
]  # fmt: skip


def load_run(
    root: str | Path,
    *,
    strategy: str | None = None,
    occlusion_source: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    min_face: int | None = None,
    strangers: str | Path | None = None,
) -> Run:
    """Open a finished run for recognition.

    Args:
        root: the run directory.
        strategy: whose dictionary makes the FDM, "none" for no FDM, or another matcher by its name; by default the one
            that the run's preset prefers, else matched, LM2, or the only one.
        occlusion_source: see `SOURCES`; by default the segmenter, or "none" for strategy "none" in a run without one.
        device, precision: see `pdsn.runtime.start`.
        min_face: edge in pixels of the smallest face looked for, in the photo reduced to at most 1024 px;
            by default what the run's photos were prepared with.
        strangers: whom thresholds come from, see `Run.take_strangers`; by default the people of the run's validation photos.

    Raises:
        PdsnError: something that is needed is missing or does not belong together; the line says which
            command makes it.
    """
    workspace = Workspace.open(Path(root), start(device, precision))
    run = Run(workspace, strategy, occlusion_source, min_face)
    if strangers is not None:
        run.take_strangers(strangers)
    return run


def open_tools(asked: Mapping[str, Any]) -> Tools:
    """Open a run in a process that enrols for another one.

    Args:
        asked: arguments of `load_run`.
    """
    from pdsn.store.making import Maker
    from pdsn.store.spread import Tools
    from pdsn.store.variants import Variants

    run = load_run(**asked)
    maker = Maker(Variants(run._matcher, run.strategy), run._cover)
    return Tools(maker, run._detect, run._embeddings)


class Run:
    """A finished run, ready to recognise people; made by `load_run`, whose arguments these are.

    Attributes:
        strategy: name of the strategy in use, "none" for no FDM, or of another matcher.
        occlusion_source: where the covered pixels come from.
    """

    def __init__(
        self,
        workspace: Workspace,
        strategy: str | None = None,
        occlusion_source: str | None = None,
        min_face: int | None = None,
    ) -> None:
        self._workspace = workspace
        run, settings = workspace.run, workspace.settings
        self.dataset = workspace.dataset
        self._crop = crop_settings(self.dataset, min_face)
        self.strategy = choose_strategy(run, workspace.shortest(strategy), settings.dictionary)
        # Without an FDM the segmenter still tells which threshold goes with a face; a run may have none.
        blind = self.strategy == NO_FDM and not (run.segmenter / MODEL).is_file()
        self.occlusion_source = occlusion_source or ("none" if blind else SOURCES[0])
        one_of("--occlusion-source", self.occlusion_source, SOURCES)
        self._matcher: Matcher = workspace.matcher(self.strategy)
        self._cover = nothing_covered if self.occlusion_source == "none" else workspace.segmenter().covered
        self._taken: Strangers | None = None
        self._told: Callable[[int, int], None] = unheard

    @property
    def _embeddings(self) -> dict[str, object]:
        """What the embeddings of a gallery depend on, by what it is called in messages."""
        return embeddings_of(self._workspace, self.strategy, self._matcher, self._crop)

    @property
    def _asked(self) -> dict[str, Any]:
        """The arguments of `load_run` that give this run in another process, on the processor there."""
        return {
            "root": self._workspace.run.root.resolve(),
            "strategy": self.strategy,
            "occlusion_source": self.occlusion_source,
            "device": "cpu",
            "precision": precision_of(self._workspace.accelerator),
            "min_face": self._crop.min_face,
        }

    def take_strangers(
        self, folder: str | Path, *, on_progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Have thresholds follow from the people of a folder, in place of the run's validation photos.

        It comes before anything that has a threshold: `enrol`, `people`, `verify`.

        A share of strangers is kept where strangers are photographed as these are: by the same camera, in the same light. Who is
        among them and enrolled, too, under the same name, is asked about without his or her own photos.

        Args:
            folder: a folder of photos per person, or a data set that was prepared with the run's size and alignment. 99 photos tell
                a share of 1 %; of more than `MOST_STRANGERS` as many spread evenly are taken.
            on_progress: told the photos done and the photos in all.

        Raises:
            PdsnError: there is no usable photo in it.
            UsageError: the run's own strangers are in use already.
        """
        if {"_scores", "_strangers"} & self.__dict__.keys():
            raise UsageError(
                "the run's own strangers are in use already: load the run anew, with load_run(…, strangers=FOLDER)"
            )
        self._taken = read_strangers(Path(folder), self._crop, self._detect, on_progress=on_progress)

    @property
    def strangers(self) -> str:
        """Where those come from whom thresholds follow from, in words."""
        return OWN if self._taken is None else self._taken.source

    def get_ready(self, *, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Look at what thresholds come from: strangers under all that people wear. Otherwise the first answer waits for it.

        It takes a minute or two once for a run, is kept in its folder, and is read from there in a second.

        Args:
            on_progress: told the photos of strangers that were looked at and those in all, each counted once for all that it is
                looked at under; told nothing where it is all there.

        Raises:
            PdsnError: the run has no validation photos.
        """
        self._told = on_progress or unheard
        try:
            _ = self._strangers, self._seen
        finally:
            self._told = unheard

    def enrol(
        self, folder: str | Path | None = None, *, on_progress: Callable[[int, int], None] | None = None
    ) -> People:
        """Take a gallery.

        Args:
            folder: a folder of photos per person, whom the base need never have seen; None for the
                training photos of the run's own people (split by person: of those it was trained on).
            on_progress: told the photos done and the photos in all.

        Raises:
            PdsnError: nobody in the folder can be enrolled.
        """
        if folder is None:
            gallery = own_gallery(self._workspace.training)
            keep_maps(self._workspace, gallery.faces, on_progress)
        else:
            gallery = read_gallery(Path(folder), self._crop, self._detect, on_progress=on_progress)
        identifier = Identifier(
            self._matcher, gallery, self._strangers, self._cover, self._scores, lambda: self._seen
        )
        return People(self, gallery, identifier)

    def people(
        self,
        place: str | Path,
        *,
        create: bool = False,
        vectors: str | None = None,
        by_index: bool = False,
    ) -> PeopleStore:
        """People who stay enrolled, in a store.

        Args:
            place: the store's own folder; or the address of a table of LanceDB, "lance://" and a folder or an object store's
                address.
            create: make an empty one where there is none.
            vectors: how embeddings are kept: "float16", or "int8" in half the room; None for whatever the store has, float16
                in a new one.
            by_index: `identify` asks the table's index which photos may be near, and compares exactly with these alone.

        Raises:
            UsageError: the folder holds something else, the strategy's photos cannot be stored, or the store keeps embeddings
                in another way.
            PdsnError: there is no store, or another run's.
        """
        from pdsn.store.answers import StoreIdentifier
        from pdsn.store.enrolling import Enroller
        from pdsn.store.kinds import check_kept_as, check_vectors, create_store, open_store, store_exists
        from pdsn.store.people import Finding, PeopleStore
        from pdsn.store.variants import Variants

        check_vectors(place, vectors)
        variants = Variants(self._matcher, self.strategy)
        made = self._embeddings
        if create and not store_exists(place):
            create_store(place, made, variants.widths(self._crop.size), vectors)
        store = open_store(place, by_index=by_index)
        check_kept_as(store, vectors)  # another command may have made it meanwhile, in another way
        store.check_made(made, self._workspace.run.root)
        identifier = StoreIdentifier(
            store,
            variants,
            lambda: self._strangers,
            lambda: self._seen,
            self._cover,
            self._scores,
            free=self.occlusion_source == "none",
        )
        finding = Finding(
            self.search, self.search_frame, self._crop, lambda: self._detect, partial(open_tools, self._asked)
        )
        return PeopleStore(store, identifier, Enroller(store, variants, self._cover), finding)

    def verify(
        self,
        a: PhotoLike,
        b: PhotoLike,
        *,
        fpr: float = DEFAULT_FPR,
        names: tuple[str | None, str | None] = (None, None),
    ) -> Verification:
        """Whether two photos show the same person; of several faces in a photo the largest counts.

        Args:
            a, b: the photos, see `search`.
            fpr: share of pairs of different people that may pass for the same, above 0 and below 1.
            names: what the answer calls them; None for a path, or "photo 1" and "photo 2".

        Raises:
            PhotoError: one of them cannot be read or shows no face.
        """
        return self._verdict(fpr, self.search(a, names[0]), self._second(b, names[1]))

    def _second(self, photo: PhotoLike, name: str | None = None) -> SearchedPhoto:
        """See `search`, for the other of two photos."""
        return self.search(photo, name or (None if isinstance(photo, str | Path) else SECOND))

    def _verdict(self, fpr: float, a: SearchedPhoto, b: SearchedPhoto) -> Verification:
        """What `verify` says of two photos that were searched before; thresholds are looked for now."""
        return self._verifier.verify(a, b, fpr)

    def get_ready_to_explain(self, *, on_progress: Callable[[int, int], None] | None = None) -> None:
        """As `get_ready`, for both verdicts of an explanation of two photos: without an FDM, and with it."""
        for run in dict.fromkeys((self._plain, self)):
            run.get_ready(on_progress=on_progress)

    def explain(
        self,
        probe: PhotoLike,
        reference: PhotoLike | None = None,
        *,
        fpr: float = DEFAULT_FPR,
        person: str | None = None,
        methods: Sequence[str] = (),
        layer: str = "map",
        layout: str = "LM2",
        occlusion: str = "",
        names: tuple[str | None, str | None] = (None, None),
    ) -> PhotoExplanation:
        """Where the score of two photos comes from, with and without the FDM; of several faces the largest counts.

        Args:
            probe: a photo, see `search`, or an entry of the run's data set by its name there.
            reference: another one; None for the nearest photo of the run's people.
            fpr: see `verify`: it sets the threshold that is told.
            person: one of the run's people, whose mean takes the reference's place.
            methods, layer, layout, occlusion: see `pdsn.explain.asking.Asked`.
            names: see `verify`; what has one is a photo.

        Raises:
            PhotoError: a photo cannot be read or shows no face.
            UsageError: a name is unknown.
        """
        from pdsn.explain.asking import Asked, check_asked, explain

        searched = {}
        if names[0] or not isinstance(probe, str | Path):
            probe, searched[FIRST] = FIRST, self.search(probe, names[0])
        if reference is not None and (names[1] or not isinstance(reference, str | Path)):
            reference, searched[SECOND] = SECOND, self._second(reference, names[1])
        asked = Asked(
            str(probe),
            None if reference is None else str(reference),
            person,
            methods,
            layer,
            layout,
            occlusion,
            searched,
        )
        check_asked(asked)
        verify: dict[str, Verify] = {}
        for run in (self._plain, self):
            verify[run.strategy] = partial(Run._verdict, run, fpr)

        def enrolled() -> Gallery:
            gallery = own_gallery(self._workspace.training)
            keep_maps(self._workspace, gallery.faces)
            return gallery

        return explain(self._workspace, self.strategy, asked, self._cover, self.search, verify, enrolled)

    @cached_property
    def _plain(self) -> Run:
        """The same run without an FDM."""
        if self.strategy == NO_FDM:
            return self
        plain = Run(self._workspace, NO_FDM, self.occlusion_source, self._crop.min_face)
        plain._taken = self._taken
        return plain

    def search(self, photo: PhotoLike, name: str | None = None) -> SearchedPhoto:
        """Find and crop every face of a photo.

        Args:
            photo: a path, the bytes of an image file, an image of Pillow, or an array of uint8, (H, W, 3) in RGB or (H, W).
            name: what answers call it; None for its path, or "photo 1" if it has none.

        Raises:
            PhotoError: it cannot be read or shows no face.
        """
        return search_photo(photo, self._crop, self._detect, name)

    def search_frame(self, frame: Frame) -> list[FoundFace]:
        """Find and crop the sure faces of a frame of a film; it is not turned in search of any, nor looked at again beside one."""
        (found,) = detect_faces([frame.photo.pixels], looking(self._detect, "nowhere"))
        return crop_faces(frame.photo, sure_faces(found), self._crop)

    def draw(self, answer: Verification | PhotoExplanation, path: str | Path, *, maps: bool = False) -> None:
        """Write the picture of a verification or of an explanation as PNG.

        Args:
            answer: what `verify` or `explain` gave.
            path: the file.
            maps: with a verification those that the score comes from, too, of xcos.
        """
        from pdsn.explain.pictures import draw_explanation
        from pdsn.people.annotate import draw_verification
        from pdsn.pictures import save_picture

        picture = (
            draw_verification(answer, maps=maps)
            if isinstance(answer, Verification)
            else draw_explanation(answer)
        )
        save_picture(picture, Path(path))

    @cached_property
    def _detect(self) -> Detect:
        return Detector(self._crop.min_face, str(self._workspace.accelerator.device), self._crop.detector)

    @cached_property
    def _strangers(self) -> Strangers:
        # Of a folder's people no more is kept than scores take: their maps would be in the run long after they were asked about.
        if self._taken is not None:
            return self._taken
        strangers = Strangers.of(self.dataset, self._workspace.settings.split)
        total = len(strangers) * (1 + len(self._looks))
        keep_maps(self._workspace, strangers.faces, lambda done, _: self._told(done, total))
        return strangers

    @property
    def _looks(self) -> tuple[str, ...]:
        """What strangers are seen under: where nothing counts as covered, they are taken as free too."""
        return LOOKS if self.occlusion_source == SOURCES[0] else LOOKS[:1]

    @cached_property
    def _verifier(self) -> Verifier:
        return Verifier(self._matcher, self._strangers, self._cover, self._scores, lambda: self._seen)

    @cached_property
    def _seen(self) -> Seen:
        path = self._workspace.run.cache / f"strangers-{self._scores.digest('seen')}.safetensors"

        def told(done: int, total: int) -> None:
            # Their maps are the first round, where they are kept: see `_strangers`.
            count = len(self._strangers) if self._taken is None else 0
            self._told(count + done, count + total)

        return see_strangers(path, self._matcher, lambda: self._strangers, self._cover, self._looks, told)

    @cached_property
    def _scores(self) -> KeptScores:
        kept = self._workspace.kept_scores(self.strategy, self.occlusion_source)
        if self._taken is None:
            return kept
        about = repr((self._taken.names, self._taken.landmarks.tolist()))
        return KeptScores(kept.folder, (*kept.made, digest_of(about, self._taken.faces)))


class People(Naming):
    """Enrolled people; made by `Run.enrol`.

    Attributes:
        gallery: who they are, and which photos were left out and why.
    """

    def __init__(self, run: Run, gallery: Gallery, identifier: Identifier) -> None:
        super().__init__(identifier, run.search, run.search_frame)
        self.gallery = gallery

    def as_dict(self) -> dict[str, object]:
        """What JSON says of the gallery."""
        return self.gallery.as_dict()

    def crop_of(self, match: Match) -> np.ndarray:
        """See `Naming`."""
        return self.gallery.faces[match.row].permute(1, 2, 0).numpy()
