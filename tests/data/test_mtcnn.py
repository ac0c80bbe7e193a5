"""MTCNN's networks are facenet-pytorch's, and so is what they give; suppression is torchvision's."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torchvision.ops import nms

from pdsn.data import mtcnn
from pdsn.data.boxes import suppress
from pdsn.errors import PdsnError


@pytest.mark.parametrize(
    ("place", "theirs", "shape"),
    [
        (0, PNet, (2, 3, 61, 48)),
        (0, PNet, (1, 3, 12, 13)),
        (1, RNet, (5, 3, 24, 24)),
        (2, ONet, (5, 3, 48, 48)),
    ],
)
def test_the_networks_give_what_facenet_pytorchs_give(place, theirs, shape):
    ours = mtcnn.published()[place]
    photos = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, wanted = ours(photos), theirs().eval()(photos)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_weights_that_are_not_there_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(mtcnn, "find_spec", lambda name: None)
    with pytest.raises(PdsnError, match="install facenet-pytorch again"):
        mtcnn.published()


def test_suppression_is_torchvisions():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (200, 2))
    boxes = np.column_stack([low, low + rng.uniform(5, 40, (200, 2)), rng.random(200)])
    wanted = nms(torch.from_numpy(boxes[:, :4]), torch.from_numpy(boxes[:, 4]), 0.4).tolist()
    assert suppress(boxes, 0.4).tolist() == wanted and 20 < len(wanted) < 200


def test_finding_faces_needs_neither_torchvision_nor_facenet_pytorch_to_be_imported():
    program = (
        "import sys, numpy as np; from pdsn.data.detector import Detector; "
        "Detector()([np.zeros((80, 90, 3), np.uint8)]); "
        "print([name for name in ('torchvision', 'facenet_pytorch') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
