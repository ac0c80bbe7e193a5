"""Stage `eval`: the table of recognition under occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from stages.session import Session

if TYPE_CHECKING:
    from torch import Tensor

    from pdsn.occlusion.occluders import Occluder
    from pdsn.recognition.evaluation import Evaluation
    from pdsn.recognition.recogniser import PDSN


def main(session: Session, strategies: Sequence[str] | None, *, skip_done: bool = False) -> None:
    """Evaluate some strategies (default: all that have a dictionary) beside no FDM, and print the table.

    With `skip_done`, a table that was made from the same inputs and settings is printed again.
    """
    from pdsn.artefact import describe, done_from, plain
    from pdsn.files import sha256_of
    from pdsn.models.encoder import Encoder
    from pdsn.occlusion.occluders import BANDS, find_occluder, make_occluders
    from pdsn.progress import progress_bar
    from pdsn.recognition.evaluation import NO_FDM, evaluate
    from pdsn.recognition.recogniser import PDSN, MapMemory
    from pdsn.recognition.report import write_report

    asked, seed, floor = session.settings.eval, session.settings.seed, session.settings.regions.floor
    names = list(dict.fromkeys(strategies)) if strategies else session.run.dictionaries()
    names = [name for name in names if name != NO_FDM]
    for name in names:
        session.check_strategy(name)
    known = make_occluders(session.statistics, floor)
    wanted = [part for name in asked.occlusions for part in (known if name == "all" else [name])]
    occluders = {name: find_occluder(name, session.statistics, floor) for name in dict.fromkeys(wanted)}
    model, base = session.base()
    dictionaries = {name: session.dictionary(name, base) for name in names}
    session.begin()
    if not session.accelerator.is_main_process:
        return
    config = {
        **plain(asked),
        "occlusions": list(occluders),
        "strategies": names,
        "floor": floor,
        "seed": seed,
    }
    inputs = {"base": base, "data set": session.dataset.sha256}
    inputs |= {f"dictionary {name}": sha256_of(session.run.dictionary(name)) for name in names}
    table = done_from(session.run.eval / "table.json", config, inputs) if skip_done else None
    if table is None:
        memory = MapMemory(Encoder(model.net, session.accelerator), mirror=asked.mirror)
        recognisers = {NO_FDM: PDSN(memory, None, asked.share)}
        recognisers |= {name: PDSN(memory, dictionaries[name], asked.share) for name in names}

        def regions(strategy: str, covered: Tensor) -> list[list[str]]:
            return recognisers[strategy].region_names(covered)

        with progress_bar("eval", len(occluders) * len(recognisers), "answers") as advance:
            evaluation = evaluate(
                session.dataset, recognisers, occluders, split=asked.split, seed=seed, describe=regions,
                on_answer=lambda answer: advance(1, note=f"{answer.occlusion}, {answer.strategy}"),
            )  # fmt: skip
        bands = [name for name in BANDS if name in occluders]
        table = {
            "records": evaluation.records(bootstrap=asked.bootstrap, seed=seed),
            "segmentation": [],
            "mean_gain": evaluation.mean_gains(bands, bootstrap=asked.bootstrap, seed=seed),
            "left_out": evaluation.left_out,
            **describe(config, inputs),
        }
        _draw(session, evaluation, recognisers, occluders, table["records"])
        write_report(session.run.eval, evaluation, table)
    _show(session, table)


def _draw(
    session: Session,
    evaluation: Evaluation,
    recognisers: dict[str, PDSN],
    occluders: dict[str, Occluder],
    records: list[dict[str, Any]],
) -> None:
    """A grid of probes for each occlusion, by LM2 or else by the first strategy that there is."""
    from pdsn.explain.figures import plot_probes, plot_regions, plot_table
    from pdsn.occlusion.occluders import occlude

    folder, dataset = session.run.eval / "figures", session.dataset
    shown = "LM2" if "LM2" in recognisers else list(recognisers)[-1]
    dictionary = recognisers[shown].dictionary
    for name, occluder in occluders.items():
        answer = evaluation.find(name, shown)
        if answer is not None:
            faces, _ = occlude(
                occluder, dataset.tensor(answer.rows), dataset.landmarks[answer.rows],
                seed=session.settings.seed, name=name, rows=answer.rows.tolist(),
            )  # fmt: skip
            strategy = None if dictionary is None else dictionary.strategy
            file = name.replace("/", "-").replace(":", "-")
            plot_probes(evaluation, answer, faces, strategy, folder / f"probes-{file}.png")
    plot_table(records, folder / "table.png")
    used = {r.dictionary.strategy.name: r.dictionary.strategy for r in recognisers.values() if r.dictionary}
    if used:
        landmarks = dataset.landmarks[dataset.rows("train")]
        plot_regions(list(used.values()), session.example_face(), landmarks, folder / "regions.png")


def _show(session: Session, made: dict[str, Any]) -> None:
    from pdsn.recognition.report import cell, heading, strategies_of, table_rows

    records, split = made["records"], made["config"]["split"]
    title = f"Rank-1, % of {records[0]['probes']} {split} photos (distance to no FDM)"
    table = Table("occlusion", title=title)
    for name in strategies_of(records):
        table.add_column(heading(name), justify="right")
    for occlusion, row in table_rows(records):
        table.add_row(occlusion, *(cell(record) for record in row))
    session.console.print(table)
    for name, gain in made["mean_gain"].items():
        low, high = gain["ci95"]
        session.say(
            f"{name}: {100 * gain['gain']:+.1f} points over no FDM, mean of {', '.join(gain['occlusions'])} "
            f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
        )
    if made["left_out"]:
        session.say(f"left out: {made['left_out']} {split} photos of people without a gallery photo")
    session.say(f"table, probes and pictures: {session.run.eval}")
