"""Print how long the steps of a build took beside what is recorded: ``python benchmarks/steps.py
laptop``. Part of ``make bench``; nothing fails.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from m3l.files import read_json  # noqa: E402
from m3l_book.apparatus.times import SLOW, recorded_seconds, relative_times  # noqa: E402


def main(profile: str) -> None:
    """Print a line per step of the last build of a profile, the slowest for this machine first."""
    done = read_json(ROOT / "build" / profile / "report.json")
    taken = {step: seconds for step, (_, seconds) in done.items()}
    recorded = recorded_seconds(ROOT / "book" / "seconds.csv")
    usual, ratios = relative_times(taken, recorded, profile)
    print(f"this machine takes {usual:.2f} times what is recorded, by the median of the steps")
    for step, ratio in sorted(ratios.items(), key=lambda entry: -entry[1]):
        mark = f"  more than {SLOW} times" if ratio > SLOW else ""
        print(f"{step:<40}{taken[step]:>8.1f} s{ratio:>8.2f}{mark}")


if __name__ == "__main__":
    main(sys.argv[1])
