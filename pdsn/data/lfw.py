"""Labeled Faces in the Wild (Huang et al., 2007) through scikit-learn."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import warnings
from pathlib import Path

from pdsn.errors import PdsnError

HOME = "http://vis-www.cs.umass.edu/lfw/"
"""LFW's home page."""
PATIENCE = 20.0
"""Seconds that a server may stay silent."""


def fetch_lfw(data_home: Path | None = None) -> Path:
    """Download LFW, or find it where scikit-learn put it before.

    scikit-learn's copy is the funneled one. The figures of the literature, and this project's own, are made
    on the deep-funneled one, whose faces are aligned better: expect somewhat lower figures.

    Args:
        data_home: scikit-learn's data folder, `~/scikit_learn_data` if None.

    Returns:
        The folder lfw_funneled, a folder of 250x250 JPEGs per person: 13233 photos of 5749 people.

    Raises:
        PdsnError: the download failed; the line says how to go on by hand.
    """
    from sklearn.datasets import fetch_lfw_people, get_data_home

    folder = Path(get_data_home(data_home)) / "lfw_home" / "lfw_funneled"
    by_hand = f"download LFW by hand from {HOME}, unpack it, and run `pdsn prepare FOLDER --data DIR`"
    before = socket.getdefaulttimeout()
    logger = logging.getLogger("sklearn.datasets._lfw")
    level = logger.level
    try:
        socket.setdefaulttimeout(PATIENCE)
        logger.setLevel(logging.ERROR)
        # What scikit-learn builds of the photos is not wanted, only the photos: the smallest array is asked for.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            fetch_lfw_people(
                data_home=data_home,
                funneled=True,
                min_faces_per_person=500,
                resize=0.1,
                n_retries=1,
                delay=0.1,
            )
    except Exception as error:  # the network, the disk and the archive fail in many ways
        why = " ".join(str(error).split()) or type(error).__name__
        raise PdsnError(f"LFW could not be downloaded ({why}): {by_hand}") from error
    finally:
        socket.setdefaulttimeout(before)
        logger.setLevel(level)
    if not folder.is_dir():
        raise PdsnError(f"LFW could not be downloaded (scikit-learn left no {folder}): {by_hand}")
    return folder
