"""How long the steps of a build took, beside what is recorded: ``python benchmarks/steps.py
laptop``. Part of ``make bench``.

Seconds of two machines do not compare. So each step's ratio to what is recorded is divided by the
median ratio of all steps, which is the speed of this machine in that build. Nothing fails.
"""

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from m3l.files import read_json  # noqa: E402
from m3l_book.apparatus.times import SLOW, recorded_seconds  # noqa: E402


def main(profile: str) -> None:
    """Print a line per step of the last build of a profile, the slowest for this machine first."""
    recorded = recorded_seconds(ROOT / "book" / "seconds.csv")
    done = read_json(ROOT / "build" / profile / "report.json")["done"]
    ratios = {
        step: seconds / recorded[step][profile]
        for step, (_, seconds) in done.items()
        if recorded.get(step, {}).get(profile)
    }
    if not ratios:
        print(f"the last build of profile {profile} made no step that is recorded")
        return
    usual = statistics.median(ratios.values())
    print(f"this machine takes {usual:.2f} times what is recorded, by the median of the steps")
    for step, ratio in sorted(ratios.items(), key=lambda entry: -entry[1]):
        mark = f"  more than {SLOW} times" if ratio > SLOW * usual else ""
        print(f"{step:<40}{done[step][1]:>8.1f} s{ratio / usual:>8.2f}{mark}")


if __name__ == "__main__":
    main(sys.argv[1])
