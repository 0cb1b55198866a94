"""Every tenth recorded run, trained again: its scores beside the recorded ones. ``make bench``

On the machine that recorded them the scores are equal; on another, rounding makes a run differ as
another seed would. What came out is kept in ``data/results/again.json``. Runs are kept in
``runs/again`` and not trained twice.
"""

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import yaml

from m3l.files import write_json
from m3l_book.execute import execute
from m3l_book.recorded import Recorded, load_recorded
from m3l_book.records import planning
from m3l_book.records.run import PARTS, commit, load_run, processor

RUNS = Path("runs/again")


def train(name: str, plan: planning.Plan, data: str) -> None:
    """Train a run as the plan says, its teacher first, unless it is there."""
    values = plan.runs[name]
    if values.get("teacher"):
        train(values["teacher"], plan, data)
    if not (RUNS / name / "metrics.json").exists():
        own = {k: v for k, v in values.items() if k not in planning.OWN_FIELDS}
        where = {"data": data, "runs": str(RUNS), "run": name}
        execute(f"book/{values['chapter']}.ipynb", f"build/again/{name}.ipynb", {**where, **own})


def differences(name: str, recorded: Recorded) -> list[tuple[str, float, float]]:
    """Part and direction, recorded score and that of the run trained again."""
    kept = recorded.scores[recorded.scores["run"] == name]
    known = {(r.part, r.query, r.item): r.score for r in kept.itertuples()}
    found = []
    for part in PARTS:
        called = "test" if part == "scores" else part
        for row in load_run(RUNS / name).metrics.get(part, []):
            where = called, row["query"], row["item"]
            found.append((f"{called} {row['query']} → {row['item']}", known[where], row["score"]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="full")
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    recorded = load_recorded(f"data/results/{options.profile}")
    path = Path(f"workflow/profiles/{options.profile}.yaml")
    plan = planning.make_plan(yaml.safe_load(path.read_text(encoding="utf-8")))
    subprocess.run([sys.executable, "workflow/build.py", options.profile, "embeddings"], check=True)
    names = sorted(recorded.scores["run"].unique())[:: options.every]
    worst, lines = 0.0, []
    for name in names:
        train(name, plan, f"data/{options.profile}")
        rows = differences(name, recorded)
        where, kept, again = max(rows, key=lambda row: abs(row[1] - row[2]))
        worst = max(worst, abs(kept - again))
        lines.append({"run": name, "where": where, "recorded": kept, "again": again})
        print(f"{name}: farthest in {where}, recorded {kept:.4f}, now {again:.4f}", flush=True)
    print(f"{len(names)} runs trained again; the largest difference is {worst:.4f}")
    about = {"profile": options.profile, "processor": processor(), "commit": commit()}
    about["date"] = datetime.now(UTC).date().isoformat()
    write_json("data/results/again.json", {**about, "largest": worst, "runs": lines})
    return 0


if __name__ == "__main__":
    sys.exit(main())
