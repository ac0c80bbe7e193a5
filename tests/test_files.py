import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn import artefact
from pdsn.artefact import TrainingFolder, save_tensors
from pdsn.data.chunks import Chunk
from pdsn.files import atomic_path, sha256_of, temporary_folder, write_array, write_text
from pdsn.pictures import save_picture
from pdsn.report.figures import plot_training
from tests.full_disk import FULL, full_disk

NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)


def test_a_failed_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"], "nothing is left behind"


def test_a_finished_write_replaces_it_with_ordinary_permissions(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    write_text(path, "new")
    assert path.read_text() == "new"
    plain = tmp_path / "b.txt"
    plain.write_text("x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_name_as_long_as_can_be(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    write_text(path, "x")
    assert path.read_text() == "x" and len(list(tmp_path.iterdir())) == 1


def test_sha256_of_known_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_an_array_in_parts_has_the_bytes_of_the_whole(tmp_path, dtype):
    whole = np.random.default_rng(0).uniform(0, 200, (7, 3, 5)).astype(dtype)
    np.save(tmp_path / "whole.npy", whole)
    as_map = np.lib.format.open_memmap(tmp_path / "map.npy", "w+", dtype, whole.shape)
    as_map[:] = whole
    as_map.flush()
    parts = [whole[:2], np.asfortranarray(whole[2:6]), whole[6]]  # however they lie in memory
    write_array(tmp_path / "parts.npy", dtype, whole.shape, parts)
    written = (tmp_path / "parts.npy").read_bytes()
    assert written == (tmp_path / "whole.npy").read_bytes() == (tmp_path / "map.npy").read_bytes()
    with pytest.raises(ValueError, match=r"90 values for an array of \(7, 3, 5\)"):
        write_array(tmp_path / "parts.npy", dtype, whole.shape, parts[:2])
    assert (tmp_path / "parts.npy").read_bytes() == written


def _chunk() -> Chunk:
    one = np.zeros((1, 4))
    known = {"reasons": np.array([""]), "digests": np.array(["x"]), "faces": NOISE[None]}
    return Chunk(**{name: known.get(name, one) for name in Chunk.__dataclass_fields__})


WRITERS = {
    "text.json": lambda path: write_text(path, "x" * 50_000),
    "array.npy": lambda path: write_array(path, np.uint8, NOISE.shape, NOISE),
    "model.safetensors": lambda path: save_tensors(path, {"a": torch.zeros(20_000)}, {}),
    "last.pt": lambda path: TrainingFolder(path.parent, {}, {}, "pdsn x").save_state(
        {"a": torch.rand(20_000)}
    ),
    "000000.npz": lambda path: _chunk().save(path),
    "annotated.png": lambda path: save_picture(Image.fromarray(NOISE), path),
    "training.png": lambda path: plot_training([{"epoch": 1, "loss": 1.0}], path, "loss", "loss"),
}


def test_ctrl_c_while_a_state_is_written_is_ctrl_c_and_the_old_one_stays(tmp_path, monkeypatch):
    folder = TrainingFolder(tmp_path, {}, {}, "pdsn x")
    folder.save_state({"a": torch.zeros(20_000)})
    before = sha256_of(tmp_path / "last.pt")

    class Pressed:
        """A file at whose second write Ctrl-C is pressed."""

        def __init__(self, file):
            self.file, self.writes = file, 0

        def write(self, data):
            self.writes += 1
            if self.writes == 2:
                raise KeyboardInterrupt
            return self.file.write(data)

    remembering = artefact._Remembering
    monkeypatch.setattr(artefact, "_Remembering", lambda file: remembering(Pressed(file)))
    with pytest.raises(KeyboardInterrupt):
        folder.save_state({"a": torch.ones(20_000)})
    assert sha256_of(tmp_path / "last.pt") == before and [p.name for p in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("name", WRITERS)
def test_on_a_full_disk_the_error_names_the_file_and_nothing_is_lost_or_left(tmp_path, name, capfd):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(b"old")
    with full_disk(4096), pytest.raises(OSError, match=FULL) as raised:
        WRITERS[name](path)
    assert raised.value.errno == errno.EFBIG and raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [left.name for left in tmp_path.iterdir()] == [name]
    assert capfd.readouterr().err == ""


def test_figures_of_an_epoch_that_do_not_fit_name_their_file(tmp_path):
    folder = TrainingFolder(tmp_path, {}, {}, "pdsn x")
    with full_disk(100), pytest.raises(OSError, match=FULL) as raised:
        for epoch in range(9):
            folder.add_metrics({"epoch": epoch, "loss": 0.123456789})
    assert raised.value.filename == str(folder.metrics)
    folder.trim_metrics(2)  # as the next start does, half a line or not
    assert [line[:11] for line in folder.metrics.read_text().splitlines()] == ['{"epoch": 0', '{"epoch": 1']


WRITING = """
import sys, time
from pathlib import Path
from pdsn.files import atomic_path, temporary_folder
folder = Path(sys.argv[1])
with temporary_folder(folder) as made, atomic_path(folder / "a.txt") as temporary:
    temporary.write_text("half of")
    (made / "part").write_text("x")
    print("writing", flush=True)
    sys.stdin.read()
    temporary.write_text("whole")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on files: what is left there stays")
def test_what_a_killed_process_left_goes_and_what_a_live_one_writes_stays(tmp_path):
    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITING, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        return process

    killed, live = start(), start()
    hidden = tmp_path / ".mine"
    hidden.write_text("of somebody else")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    write_text(tmp_path / "b.txt", "b")
    assert len(list(tmp_path.glob(".pdsn-*"))) == 2, "a file and a folder of the live one"
    live.communicate("")
    assert live.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine", "a.txt", "b.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_a_temporary_folder_goes_however_its_block_ends(tmp_path):
    with pytest.raises(RuntimeError), temporary_folder(tmp_path / "new") as folder:
        (folder / "x").write_text("x")
        raise RuntimeError
    assert list((tmp_path / "new").iterdir()) == []


ON_A_SMALL_DISK = """
import sys
from pathlib import Path
import numpy as np
from pdsn.files import write_array, write_text
write_text(Path(sys.argv[1], "held.txt"), "x" * 150_000)
try:
    write_array(Path(sys.argv[1], "faces.npy"), np.uint8, (40, 10_000), np.ones((40, 10_000), np.uint8))
except OSError as error:
    print(error)
print(sorted(path.name for path in Path(sys.argv[1]).iterdir()))
"""


def test_a_disk_that_is_really_full(tmp_path):
    """On a file system of 256 KiB, in a mount namespace of its own."""
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mounted = f"mount -t tmpfs -o size=256k tmpfs {tmp_path} && "
    try:
        subprocess.run([*mount, mounted + "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a small file system")
    done = subprocess.run(
        [*mount, mounted + '"$0" -c "$1" "$2"', sys.executable, ON_A_SMALL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert done.returncode == 0, (done.returncode, done.stderr)  # -7 is SIGBUS
    said = done.stdout.splitlines()
    assert said == [f"[Errno 28] No space left on device: '{tmp_path / 'faces.npy'}'", "['held.txt']"]
