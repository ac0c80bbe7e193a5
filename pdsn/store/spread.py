"""Photos are searched and made ready by many processes, here or on the machines of a cluster, through Ray Data.

Each worker opens the run for itself, and does what enrolling does in one process. What it makes comes back to the process that
asked, which alone writes into the store. Of a worker that dies the photos are given to another one; of a call that was stopped what
was written stays, and the next one adds what is missing. The folder of the photos, and the run, must be at the same place for
all workers.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pdsn.data.faces import Detect
from pdsn.data.photos import PhotoFile
from pdsn.errors import PdsnError, UsageError
from pdsn.store.making import CHUNK, Made, Maker, Task

TRIES = 3
"""Times that a part is given to another worker, if one dies over it."""
MEMORY = 200_000_000
"""Bytes that workers on this machine share with whoever asked them: a part takes one or two million."""


@dataclass(frozen=True)
class Tools:
    """What a worker works with.

    Attributes:
        maker: makes faces ready.
        detect: the detector.
        made: what the embeddings depend on, which must be the same for all.
    """

    maker: Maker
    detect: Detect
    made: Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """How work is spread.

    Attributes:
        workers: number of processes; None for one for each processor of the cluster.
        address: of a cluster of Ray's, "auto" for the one that this machine is in; None starts the processes here.
    """

    workers: int | None = None
    address: str | None = None

    def check(self) -> None:
        """Raise PdsnError where it cannot be done."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers} is out of range: at least 1")
        if any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow")):
            raise PdsnError('--workers and --ray need Ray Data: pip install "pdsn[scale]"')


def made_by_workers(
    spread: Spread,
    tools: Callable[[], Tools],
    made: Mapping[str, Any],
    widths: Sequence[int],
    task: Task,
    photos: Sequence[PhotoFile],
) -> Iterator[Made]:
    """Search photos and make them ready; a `Make`, as `enrolling.made_here` is, whose parts come in any order.

    Args:
        spread: by whom.
        tools: opens the run; it is sent to each worker.
        made: what the embeddings of the store depend on.
        widths: numbers in each embedding.
        task: which folder, and how.
        photos: the photos.

    Raises:
        PdsnError: the cluster cannot be reached, or photos cannot be searched by any worker.
    """
    import pyarrow as pa

    from pdsn.store.lance.rows import photos_of

    if task.keep_crops:
        raise UsageError("--keep-crops is for one process: leave it out, or leave --workers and --ray out")
    task = replace(task, folder=task.folder.resolve())
    # As bytes: names of files need not be text.
    rows = [{"person": os.fsencode(photo.person), "file": os.fsencode(photo.file)} for photo in photos]
    with _ray(spread) as ray:
        workers = spread.workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        parts = -(-len(rows) // CHUNK)
        given = ray.data.from_items(rows, override_num_blocks=parts).map_batches(
            _Worker,
            fn_constructor_args=(tools, json.dumps(dict(made), sort_keys=True), widths, task),
            batch_size=CHUNK,
            compute=ray.data.ActorPoolStrategy(size=min(workers, parts)),
            num_cpus=1,
            ray_remote_args_fn=partial(dict, max_restarts=TRIES, max_task_retries=TRIES),
        )
        try:
            for row in given.iter_rows():
                with pa.ipc.open_stream(row["rows"]) as stream:
                    new = photos_of(stream.read_all(), task.config.size)
                yield int(row["photos"]), new, [(file, reason) for file, reason in json.loads(row["refused"])]
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            last = str(cause).strip().splitlines()[-1][:300]
            raise PdsnError(
                f"the workers gave up ({last}): what they had done is enrolled; give the same command again, or leave --workers and "
                "--ray out"
            ) from error


class _Worker:
    """Makes parts ready, in a process of its own."""

    def __init__(self, tools: Callable[[], Tools], made: str, widths: Sequence[int], task: Task) -> None:
        import torch

        torch.set_num_threads(1)
        self._tools = tools()
        if json.loads(json.dumps(dict(self._tools.made))) != json.loads(made):
            raise RuntimeError("the run is another one where a worker looks for it")
        self._task = task
        self._widths = list(widths)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        import pyarrow as pa

        from pdsn.store.lance.rows import table_of

        part = [
            PhotoFile(os.fsdecode(person), os.fsdecode(file), 0, 0)
            for person, file in zip(batch["person"], batch["file"], strict=True)
        ]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            candidates, refused = self._task.search(part, self._tools.detect)
        new, more = self._task.make(candidates, self._tools.maker)
        table, sink = table_of(new, self._widths), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return {
            "photos": [len(part)],
            "refused": [json.dumps([*refused, *more])],
            "rows": [sink.getvalue().to_pybytes()],
        }


@contextmanager
def _ray(spread: Spread) -> Iterator[Any]:
    """Ray, ready for work, and gone afterwards with all its processes and files. It tells nobody of its use."""
    spread.check()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Ray's own, 15, leaves workers hardly any time beside other work: they get what this process gets.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if spread.address is None and "RAY_AUTH_TOKEN" not in os.environ:
        # Without a token of this call Ray writes one into the home folder.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray
    import ray.data

    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it complains of is raised, too
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    folder = tempfile.mkdtemp(prefix="ray-")  # short: sockets lie in it
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is deprecated.*")  # see the bound of ray in pyproject.toml
        warnings.filterwarnings(
            "ignore", "lancedb fork", RuntimeWarning
        )  # Ray starts programs: nothing forks on
        with _started(spread, folder, quiet):
            yield ray


@contextmanager
def _started(spread: Spread, folder: str, quiet: Mapping[str, Any]) -> Iterator[None]:
    """A cluster to work on, reached or started in a folder."""
    import ray
    import ray.data

    try:
        if spread.address is not None:
            _check_answers(spread.address)
            ray.init(address=spread.address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=spread.workers or os.cpu_count(),
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=MEMORY,
                _temp_dir=folder,
                runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
                **quiet,
            )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        yield
    except (ConnectionError, TimeoutError) as error:
        raise _nobody_answers(spread.address, error) from error
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _check_answers(address: str) -> None:
    """Raise PdsnError where nobody answers at a host and port: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise _nobody_answers(address, error) from error


def _nobody_answers(address: str | None, error: Exception) -> PdsnError:
    return PdsnError(
        f"--ray {address}: no cluster of Ray answers there ({str(error).splitlines()[0][:200]}): "
        "start one with `ray start --head`, or give --workers alone for processes on this machine"
    )
