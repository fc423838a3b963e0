"""What of a whole run goes into `docs/`: figures as JSON, a picture, and the tables themselves."""

import json
from pathlib import Path
from typing import Any

from tests.support.server import REPOSITORY

from .chart import bars, svg
from .contestants import Contestant
from .figures import MIB
from .run import Result
from .tables import rows_table, servers_table
from .verdicts import Row

DOCUMENT = REPOSITORY / "docs" / "performance.md"
FOLDER = REPOSITORY / "docs" / "benchmarks"
BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench has written -->"


def publish(result: Result, document: Path = DOCUMENT, folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    as_json = json.dumps(as_data(result), indent=2, ensure_ascii=False)
    (folder / "results.json").write_text(as_json + "\n")
    picture = svg(bars(result.contestants, result.rates), f"a file of {result.size // MIB} MiB")
    (folder / "chart.svg").write_text(picture)
    document.write_text(renewed(document.read_text(), as_text(result)))


def renewed(document: str, text: str) -> str:
    """With `text` between the two marks. Raises ValueError without them."""
    before, found, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"the document has no place between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def as_text(result: Result) -> str:
    machine = ", ".join(
        f"{result.machine[key]}{suffix}"
        for key, suffix in (("processor", ""), ("cores", " cores"), ("memory", ""), ("system", ""))
    )
    others = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    parts = [
        f"{result.when}; {machine}. {result.rounds} rounds; Python {result.machine['python']}, "
        f"{others}."
    ]
    if result.rates:
        parts += [
            f"A file of {result.size // MIB} MiB, in memory:",
            servers_table(result.entries),
        ]
    if result.rows:
        parts += ["What is to be reached:", rows_table(result.rows)]
    return "\n\n".join(parts)


def as_data(result: Result) -> dict[str, Any]:
    return {
        "when": result.when,
        "machine": result.machine,
        "versions": result.versions,
        "rounds": result.rounds,
        "size_bytes": result.size,
        "servers": [_server(each, result) for each in result.contestants],
        "absent": result.absent,
        "rows": [_row(row) for row in result.rows],
    }


def _server(contestant: Contestant, result: Result) -> dict[str, Any]:
    spread = result.rates[contestant.key]
    return {
        "key": contestant.key,
        "name": contestant.name,
        "group": contestant.group,
        "checks": contestant.checks,
        "mib_per_second": {
            "median": round(spread.median, 1),
            "lowest": round(spread.low, 1),
            "highest": round(spread.high, 1),
            "samples": [round(sample, 1) for sample in spread.samples],
        },
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "reached": row.reached,
        "note": row.note,
        "conditions": [
            {
                "what": condition.label,
                "seen": None if condition.seen is None else round(condition.seen, 4),
                "at_least" if condition.at_least else "at_most": condition.bound,
                "unit": condition.unit,
                "verdict": condition.verdict,
            }
            for condition in row.conditions
        ],
    }
