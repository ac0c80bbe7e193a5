"""Training of the detector's networks: photos -> subjects -> painted scenes -> crops -> networks.

The second network learns from what the first proposes, the third from what the second, as trained now, passes on; the one that places
the landmarks of covered faces from crops around the face. All that is random follows from (seed, network, scene, photo), so that a killed training makes the same crops again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from torch import Tensor, nn

from pdsn.artefact import TrainingFolder
from pdsn.data.boxes import shifted, square
from pdsn.data.detector import MTCNN, Detector, Look
from pdsn.data.faces import choose_face, detect_faces, sure_faces
from pdsn.data.mtcnn import OutputNet
from pdsn.data.photos import PhotoFile
from pdsn.data.reading import UnreadablePhotoError, read_photo
from pdsn.data.sums import Sums
from pdsn.data.weights import PARTS, PLACING, save_networks
from pdsn.detection.learning import CascadeLoss, Rows, figures_of
from pdsn.detection.places import PlaceLoss, make_places
from pdsn.detection.samples import Samples, cut_samples
from pdsn.detection.scenes import Scene, Subject, make_scene, overlaps
from pdsn.detection.settings import DetectorConfig
from pdsn.errors import PdsnError
from pdsn.occlusion.mixture import WORN_WEIGHTS, Mixture, worn_occluders
from pdsn.training.batches import ShuffledBatches
from pdsn.training.loop import Schedule, fit, seed_everything

if TYPE_CHECKING:
    from accelerate import Accelerator

WEIGHTS = "detector.safetensors"
PROPOSING = 0.45
"""Probability from which the first network's candidates become crops: lower than in use, there must be mistakes to learn from."""
PASSING = 0.15
"""The same of the second network."""
PLACED = 2
"""Times as many scenes for the network that places landmarks: they cost less."""
SMALLEST = (14, 20, 32)
"""Pixels of the smallest faces that scenes are searched for, one of them in each."""
OTHERS = Look((0.5, 0.4, 0.3))
"""How a photo is searched for whatever may be a face."""
VALIDATED = 20
"""Every so manyth photo is kept for validation."""
BATCH = 16
"""Photos that are searched together."""

Advance = Callable[[int], None]


def find_subjects(folder: Path, photos: Sequence[PhotoFile], device: str, advance: Advance) -> list[Subject]:
    """The photos in which MTCNN finds a sure face, each with the one nearest its centre.

    Args:
        folder: what the photos' paths are relative to.
        photos: files; what cannot be read is left out.
        device: torch device of the detector.
        advance: called with the number of photos that were searched.
    """
    detect, closely = Detector(40, device, MTCNN), Detector(16, device, MTCNN)
    subjects = []
    for first in range(0, len(photos), BATCH):
        pixels = []
        for photo in photos[first : first + BATCH]:
            try:
                pixels.append(read_photo(folder / photo.file).pixels)
            except UnreadablePhotoError:
                continue
        answers = detect_faces(pixels, detect)
        others = detect_faces(pixels, lambda batch: closely.look(batch, OTHERS))
        for photo_pixels, faces, more in zip(pixels, answers, others, strict=True):
            if sure_faces(faces):
                face = choose_face(faces, photo_pixels.shape[:2], "centre")
                boxes = np.array([one.box for one in more]).reshape(-1, 4)
                apart = overlaps(boxes, face.box[None])[:, 0] < 0.5
                subjects.append(Subject(photo_pixels, face.box, face.landmarks, boxes[apart]))
        advance(min(BATCH, len(photos) - first))
    return subjects


def fingerprint(photos: Sequence[PhotoFile]) -> str:
    """SHA-256 of the photos' paths and sizes."""
    listing = [(photo.file, photo.bytes) for photo in photos]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def make_samples(
    subjects: Sequence[Subject],
    edge: int,
    detector: Detector,
    seed: Sequence[int],
    scenes: int,
    advance: Advance,
) -> Samples:
    """Crops for the network that sees `edge` pixels, of painted scenes of all subjects.

    Args:
        subjects: at least one.
        edge: 24 or 48.
        detector: whose networks before propose them; its smallest face is set anew for each scene.
        seed: numbers that all draws follow from.
        scenes: of each subject.
        advance: called with the number of scenes that were made.

    Raises:
        PdsnError: no subject has landmarks that form a face.
    """
    mixture = Mixture(worn_occluders("train"), WORN_WEIGHTS)
    parts = []
    for number in range(scenes):
        for row, subject in enumerate(subjects):
            rng = np.random.default_rng((*seed, edge, number, row))
            try:
                scene = make_scene(subject, mixture, rng)
            except ValueError:  # landmarks that form no face
                continue
            detector.min_face = int(rng.choice(SMALLEST))
            parts.append(cut_samples(scene, _candidates(detector, scene, edge), edge, rng))
            advance(1)
    if not parts:
        raise PdsnError("no photo has landmarks that form a face: give other photos")
    return Samples.joined(parts)


def _candidates(detector: Detector, scene: Scene, edge: int) -> np.ndarray:
    """(M, 5) squares that the networks before pass on."""
    sums = [Sums(scene.pixels)]
    boxes = detector.proposals(sums, Look((PROPOSING, 1.0, 1.0)))
    if edge == 24:
        return boxes[0]
    [shift], [score] = detector.ask(detector.refine, sums, boxes, 24)
    keep = score > PASSING
    return square(shifted(np.column_stack([boxes[0][keep, :4], score[keep]]), shift[keep]))


def train_detector(
    subjects: Sequence[Subject],
    folders: Sequence[TrainingFolder],
    config: DetectorConfig,
    accelerator: Accelerator,
    seed: int,
    progress: Callable[[str, int], Advance],
    made: Callable[[], None],
) -> None:
    """Train the second and the third network and the one that places landmarks, and write all into `WEIGHTS` beside their folders.

    Args:
        subjects: photos with their faces; each 20th validates.
        folders: of the networks, opened, the last one that of landmarks; a finished one is taken as it is.
        config: the settings.
        accelerator: device, precision, processes.
        seed: of everything random.
        progress: gives, for a title and a number of scenes, what is called as they are made.
        made: called when they are.

    Raises:
        PdsnError: there are fewer than two photos with a face.
    """
    if len(subjects) < 2:
        raise PdsnError("fewer than two photos show a face that MTCNN is sure of: give more photos")
    validating = list(subjects[::VALIDATED])
    training = [subject for row, subject in enumerate(subjects) if row % VALIDATED]
    detector = Detector(20, str(accelerator.device), MTCNN)
    for part, edge, folder in zip(PARTS, (24, 48), folders[:2], strict=True):
        network = detector.refine if part == "refine" else detector.output
        published = {name: value.clone() for name, value in network.state_dict().items()}
        if folder.model.is_file() and not folder.anew:
            _mix(network, published, folder.load(), config.share)
            continue
        count = config.scenes * len(training)
        samples = make_samples(
            training, edge, detector, (seed, 0), config.scenes, progress(f"scenes for {part}", count)
        )
        made()
        held = make_samples(validating, edge, detector, (seed, 1), 2, _unseen)
        _fit(CascadeLoss(network), samples, held, folder, config, accelerator, seed, part)
        _mix(network.eval(), published, network.state_dict(), config.share)
    placing = OutputNet().to(accelerator.device)
    if folders[2].model.is_file() and not folders[2].anew:
        placing.load_state_dict(folders[2].load())
    else:
        # It starts from the third network as trained, which has seen covered faces; what that sees first is as good for it.
        placing.load_state_dict(folders[1].load())
        for layer in (placing.conv1, placing.prelu1, placing.conv2, placing.prelu2):
            layer.requires_grad_(False)
        mixture = Mixture(worn_occluders("train"), WORN_WEIGHTS)
        scenes = PLACED * config.scenes
        advance = progress(f"scenes for {PLACING}", scenes * len(training))
        places = make_places(training, mixture, (seed, 0), scenes, advance)
        made()
        seen = make_places(validating, mixture, (seed, 1), 2, _unseen)
        _fit(PlaceLoss(placing), places, seen, folders[2], config, accelerator, seed, PLACING)
    if accelerator.is_main_process:
        about = {"made": "pdsn detector-train", "photos": str(len(subjects))}
        save_networks(folders[0].root.parent / WEIGHTS, detector.refine, detector.output, placing, about)


def _unseen(done: int) -> None:
    """Progress that is over in a moment."""


def _mix(network: nn.Module, published: dict[str, Tensor], trained: dict[str, Tensor], share: float) -> None:
    """Give a network the mean of two states, `share` of the trained one."""
    network.load_state_dict(
        {name: value + share * (trained[name].to(value.device) - value) for name, value in published.items()}
    )


def _fit(
    module: CascadeLoss | PlaceLoss,
    samples: Rows,
    held: Rows,
    folder: TrainingFolder,
    config: DetectorConfig,
    accelerator: Accelerator,
    seed: int,
    title: str,
) -> None:
    """Train the network of a loss from where it stands."""
    network = module.network
    seed_everything(seed)
    batches = ShuffledBatches(len(samples), samples.rows, config.batch, seed, accelerator, "detector.batch")
    fit(
        module,
        batches,
        lambda: figures_of(module, held, config.batch),
        schedule=Schedule(config.epochs, config.lr, optimizer="adamw", weight_decay=1e-4, warmup=0.1),
        folder=folder,
        accelerator=accelerator,
        seed=seed,
        title=f"detector-train {title}",
        weights=lambda: cast(dict, network.state_dict()),
        load_weights=network.load_state_dict,
    )
