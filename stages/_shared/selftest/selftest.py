"""Asks Core ML on this Mac, and compares with what mlbuild's reference runtime said.

    python3 selftest.py                     the model beside this file, all compute units
    python3 selftest.py --model Dogs.mlpackage --unit CPU_ONLY --json found.json

Needs macOS, Python 3.10 or later, coremltools and numpy; a model that takes pictures also Pillow.
Exit codes: 0 every output is within its tolerance; 1 one is not; 2 it could not be tried.
"""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments=None) -> int:
    """Run it and print a table."""
    given = _arguments(arguments)
    if sys.version_info < (3, 10):  # noqa: UP036 - on a Mac it may be any
        sys.stderr.write(f"Python 3.10 or later is needed, this is {sys.version.split()[0]}\n")
        return 2
    sys.dont_write_bytecode = True  # a release's folder stays as it was signed
    sys.path.insert(0, str(HERE))
    from mlbuild_selftest.errors import CoreMLError  # after the look at Python's version

    try:
        from mlbuild_selftest.golden.selfcheck import run_selftest  # it needs numpy

        found = run_selftest(
            HERE, model=given.model, units=given.unit or (), other_model=given.other_model
        )
    except (CoreMLError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if given.json:
        text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
        Path(given.json).write_text(text + "\n", encoding="utf-8")
    sys.stdout.write("\n".join([*table(found), ""]))
    return 0 if found["within"] else 1


def table(found) -> list:
    """Lines for the screen."""
    system = found["system"]
    told = ", ".join(str(system[key]) for key in ("os", "chip", "coremltools") if key in system)
    lines = [f"{found['name']}: {found['samples']} samples, {told}"]
    for finding in found["findings"]:
        lines.append(
            f"  {'ok  ' if finding['within'] else 'FAIL'} {finding['unit']:<11} "
            f"{finding['output']}: {finding['psnr_db']:.1f} dB (at least {finding['least_db']:g}), "
            f"largest difference {finding['max_abs']:.3g}"
            + ("" if finding["within"] else f" in {finding['worst']}: {finding['why']}")
        )
    reasons = dict.fromkeys(finding["reason"] for finding in found["findings"])
    lines += [f"  tolerance: {reason}" for reason in reasons]
    lines.append("all within tolerance" if found["within"] else "NOT within tolerance")
    return lines


def _arguments(arguments):
    parser = argparse.ArgumentParser(
        description="Compare Core ML's answers on this Mac with the recorded ones."
    )
    parser.add_argument("--model", help="where the model lies, if not beside this file")
    parser.add_argument("--unit", action="append", help="a compute unit; may be repeated")
    parser.add_argument("--json", help="also write the findings to this file")
    parser.add_argument(
        "--other-model",
        action="store_true",
        help="accept a model that is not the recorded one, byte for byte",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
