"""Stage `eval`: the table of recognition under occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from stages.session import Session

if TYPE_CHECKING:
    from torch import Tensor

    from pdsn.recognition.evaluation import Evaluation
    from pdsn.recognition.recogniser import PDSN


def main(session: Session, strategies: Sequence[str] | None) -> list[dict[str, Any]]:
    """Evaluate some strategies (default: all that have a dictionary) beside no FDM; returns the records."""
    from pdsn.artefact import describe
    from pdsn.models.encoder import Encoder
    from pdsn.occlusion.occluders import BANDS, find_occluder, make_occluders
    from pdsn.progress import progress_bar
    from pdsn.recognition.evaluation import NO_FDM, evaluate
    from pdsn.recognition.recogniser import PDSN, MapMemory
    from pdsn.recognition.report import write_report

    config, seed, floor = session.settings.eval, session.settings.seed, session.settings.regions.floor
    names = list(dict.fromkeys(strategies)) if strategies else session.run.dictionaries()
    names = [name for name in names if name != NO_FDM]
    for name in names:
        session.regions_of(name)
    known = make_occluders(session.statistics, floor)
    asked = [part for name in config.occlusions for part in (known if name == "all" else [name])]
    occluders = {name: find_occluder(name, session.statistics, floor) for name in dict.fromkeys(asked)}
    model, base = session.base()
    dictionaries = {name: session.dictionary(name, base) for name in names}
    session.begin()
    if not session.accelerator.is_main_process:
        return []
    memory = MapMemory(Encoder(model.net, session.accelerator), mirror=config.mirror)
    recognisers = {NO_FDM: PDSN(memory, None, config.share)}
    recognisers |= {name: PDSN(memory, dictionaries[name], config.share) for name in names}

    def regions(strategy: str, covered: Tensor) -> list[list[str]]:
        return _names(recognisers[strategy], covered)

    with progress_bar("eval", len(occluders) * len(recognisers), "answers") as advance:
        evaluation = evaluate(
            session.dataset, recognisers, occluders, split=config.split, seed=seed, describe=regions,
            on_answer=lambda answer: advance(1, note=f"{answer.occlusion}, {answer.strategy}"),
        )  # fmt: skip
    records = evaluation.records(bootstrap=config.bootstrap, seed=seed)
    inputs = {"base": base, "data set": session.dataset.sha256}
    inputs |= {f"dictionary {name}": _sha(session, name) for name in names}
    write_report(
        session.run.eval,
        evaluation,
        records,
        {"seed": seed, "left_out": evaluation.left_out, **describe(config, inputs)},
    )
    _draw(session, evaluation, recognisers, occluders, records)
    _show(session, records, evaluation, [name for name in BANDS if name in occluders])
    return records


def _names(recogniser: PDSN, covered: Tensor) -> list[list[str]]:
    if recogniser.dictionary is None:
        return [[] for _ in covered]
    names = list(recogniser.dictionary.strategy.regions)
    return [
        [name for name, bit in zip(names, row, strict=True) if bit]
        for row in recogniser.regions(covered).tolist()
    ]


def _sha(session: Session, name: str) -> str:
    from pdsn.files import sha256_of

    return sha256_of(session.run.dictionary(name))


def _draw(
    session: Session,
    evaluation: Evaluation,
    recognisers: dict[str, PDSN],
    occluders: dict[str, Any],
    records: list[dict[str, Any]],
) -> None:
    from pdsn.explain.figures import plot_probes, plot_regions, plot_table
    from pdsn.occlusion.occluders import occlude

    folder, dataset = session.run.eval / "figures", session.dataset
    best = max(recognisers, key=lambda name: _mean_rank1(records, name))
    shown = "LM2" if "LM2" in recognisers else best
    for name, occluder in occluders.items():
        answer = evaluation.find(name, shown)
        if answer is None:
            continue
        faces, _ = occlude(
            occluder, dataset.tensor(answer.rows), dataset.landmarks[answer.rows],
            seed=session.settings.seed, name=name, rows=answer.rows.tolist(),
        )  # fmt: skip
        dictionary = recognisers[shown].dictionary
        file = name.replace("/", "-").replace(":", "-")
        plot_probes(
            evaluation,
            answer,
            faces,
            None if dictionary is None else dictionary.strategy,
            folder / f"probes-{file}.png",
        )
    plot_table(records, folder / "table.png")
    strategies = {
        r.dictionary.strategy.name: r.dictionary.strategy for r in recognisers.values() if r.dictionary
    }
    if strategies:
        landmarks = dataset.landmarks[dataset.rows("train")]
        plot_regions(list(strategies.values()), session.example_face(), landmarks, folder / "regions.png")


def _mean_rank1(records: list[dict[str, Any]], strategy: str) -> float:
    rates = [record["rank1"] for record in records if record["strategy"] == strategy]
    return sum(rates) / len(rates)


def _show(session: Session, records: list[dict[str, Any]], evaluation: Evaluation, bands: list[str]) -> None:
    from pdsn.recognition.report import cell, heading, strategies_of, table_rows

    config, seed = session.settings.eval, session.settings.seed
    probes = records[0]["probes"]
    table = Table("occlusion", title=f"Rank-1, % of {probes} {config.split} photos (distance to no FDM)")
    for name in strategies_of(records):
        table.add_column(heading(name), justify="right")
    for occlusion, row in table_rows(records):
        table.add_row(occlusion, *(cell(record) for record in row))
    session.console.print(table)
    for name in strategies_of(records)[1:]:
        if len(bands) > 1:
            gain, low, high = evaluation.mean_gain(name, bands, bootstrap=config.bootstrap, seed=seed)
            session.say(
                f"{name}: {100 * gain:+.1f} points over no FDM, mean of {len(bands)} bands "
                f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
            )
    if evaluation.left_out:
        session.say(
            f"left out: {evaluation.left_out} {config.split} photos of people without a gallery photo"
        )
    session.say(f"table, probes and pictures: {session.run.eval}")
