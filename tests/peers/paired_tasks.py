#!/usr/bin/env python3
"""Do two files of one model differ on tasks? What "no task significantly worse" is judged by.

    paired_tasks.py --retort build/release/bin/retort --new repaired.gguf --old quantized.gguf --data piqa.jsonl arc.jsonl [--count 300]

Runs `retort eval --task choice` of both on the first --count questions of each file and counts the questions that the new one gained
and lost. Prints accuracies, both counts and the exact two-sided sign test of each task. --examples FOLDER keeps each model's answers
there and takes those that it finds. Exit code 1 when the new one is worse on a task with p < 0.05.
"""
import argparse
import json
import math
import pathlib
import sys
import tempfile

from programs import Retort


def sign_test(gained, lost):
    """Two-sided probability of counts at least as far apart, were both equally likely."""
    n = gained + lost
    tail = sum(math.comb(n, i) for i in range(min(gained, lost) + 1)) / 2 ** n
    return min(1.0, 2 * tail)


def answers(options, model, data, folder):
    kept = folder / f"{pathlib.Path(model).stem}-{data.stem}-{options.count}.jsonl"
    if not kept.exists():
        questions = folder / f"{data.stem}-{options.count}.jsonl"
        questions.write_text("".join(line + "\n" for line in data.read_text().splitlines()[:options.count]))
        unfinished = kept.with_suffix(".part")
        Retort(options.retort)("eval", model, "--task", "choice", "--data", questions, "--examples", unfinished, "--threads", options.threads)
        unfinished.rename(kept)
    return [bool(json.loads(line)["correct"]) for line in kept.read_text().splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retort", required=True)
    parser.add_argument("--new", required=True)
    parser.add_argument("--old", required=True)
    parser.add_argument("--data", required=True, nargs="+", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--examples", type=pathlib.Path)
    options = parser.parse_args()
    worse = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.examples or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for data in options.data:
            new, old = answers(options, options.new, data, folder), answers(options, options.old, data, folder)
            if len(new) != len(old):
                sys.exit(f"{data}: {len(new)} answers of one, {len(old)} of the other; take another --examples folder")
            gained, lost = sum(a and not b for a, b in zip(new, old)), sum(b and not a for a, b in zip(new, old))
            p = sign_test(gained, lost)
            worse = worse or (lost > gained and p < 0.05)
            print(f"{data.stem}: {len(new)} questions, new {100 * sum(new) / len(new):.1f} %, old {100 * sum(old) / len(old):.1f} %, "
                  f"gained {gained}, lost {lost}, p = {p:.2f}", flush=True)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
