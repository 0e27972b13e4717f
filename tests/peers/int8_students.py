#!/usr/bin/env python3
"""What INT8 costs a student: the same answers, the same accuracy?

    int8_students.py --retort build/release/bin/retort --shared ../shared --work /tmp/int8 [--seeds 5] [--steps 300] [--threads 2]

Teacher: models/minilm-sst2; each seed draws another order of the training set for a student of three of its six layers. The
student is written in f32, then rounded to INT8 (a scale per row; the linears alone, nothing trains). Both answer the 872
texts of sst2_dev.jsonl, which no student saw. Prints per seed both accuracies and the share of equal answers, then the
mean. Students that stand in --work from an earlier run are taken as they are; --students names folders to take instead of
making any. Exit code 1 when the mean loss is above 0.5
points or any student gives the same answer on less than 97.5 %.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys

from programs import Retort

LEAST_AGREEMENT, MOST_LOSS = 0.975, 0.005


class Bench:
    def __init__(self, options):
        self.options, self.work, self.shared = options, pathlib.Path(options.work), pathlib.Path(options.shared)
        self.work.mkdir(parents=True, exist_ok=True)
        self.program = Retort(options.retort, dict(os.environ, XDG_CACHE_HOME=str(self.work / "cache")))

    def retort(self, *arguments):
        return self.program(*arguments, "--threads", self.options.threads)

    def make(self, name, recipe):
        """The student of a recipe; one that was finished before is not made again."""
        path, output = self.work / f"{name}.json", self.work / name
        text = json.dumps(recipe)
        if path.exists() and path.read_text() == text and (output / "config.json").exists():
            return output
        if path.exists() and path.read_text() != text:
            shutil.rmtree(f"{output}.training", ignore_errors=True)
        path.write_text(text)
        self.retort("distill", "--recipe", path, "-o", output)
        return output

    def student(self, seed):
        if self.options.students:
            return self.pair(seed, pathlib.Path(self.options.students[seed - 1]).resolve())
        train = str(self.shared / "data/sst2_train.jsonl")
        dense = self.make(f"dense-{seed}", {
            "kind": "distill", "teacher": str(self.shared / "models/minilm-sst2"), "type": "f32", "student": {"layers": 3},
            "data": {"train": train, "max_tokens": 64, "validation_share": 0},
            "loss": {"cross_entropy": 0.2, "forward_kl": 0.8, "temperature": 2},
            "training": {"batch": 32, "checkpoint_every": 50, "seed": seed, "steps": self.options.steps, "rate": 1.5e-4, "warmup": 0.05}})
        return self.pair(seed, dense)

    def pair(self, seed, dense):
        return dense, self.make(f"int8-{seed}", {
            "kind": "distill", "teacher": str(dense), "loss": {"cross_entropy": 1}, "training": {"steps": 1},
            "data": {"train": str(self.shared / "data/sst2_train.jsonl"), "most_examples": 64, "max_tokens": 64, "validation_share": 0},
            "stages": [{"kind": "quantize", "level": "INT8"}]})

    def answers(self, model):
        examples = self.work / "examples.jsonl"
        self.retort("eval", model, "--task", "classification", "--data", self.shared / "data/sst2_dev.jsonl", "--examples", examples)
        rows = [json.loads(line) for line in examples.read_text().splitlines()]
        return [row["answer"] for row in rows], [bool(row["correct"]) for row in rows]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--retort", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--students", nargs="+", default=[])
    parser.add_argument("--threads", type=int, default=2)
    bench = Bench(parser.parse_args())
    print(f"{'seed':>4} {'f32':>9} {'INT8':>9} {'change':>10} {'same answer':>12}", flush=True)
    changes, agreements = [], []
    for seed in range(1, (len(bench.options.students) or bench.options.seeds) + 1):
        dense, packed = bench.student(seed)
        (a, right_a), (b, right_b) = bench.answers(dense), bench.answers(packed)
        n = len(a)
        agreements.append(sum(x == y for x, y in zip(a, b)) / n)
        changes.append((sum(right_b) - sum(right_a)) / n)
        print(f"{seed:>4} {100 * sum(right_a) / n:>7.2f} % {100 * sum(right_b) / n:>7.2f} % {100 * changes[-1]:>+7.2f} pt {100 * agreements[-1]:>10.2f} %", flush=True)
    mean = sum(changes) / len(changes)
    print(f"mean change {100 * mean:+.2f} points (at least {-100 * MOST_LOSS:+.2f} wanted), least agreement {100 * min(agreements):.2f} % (at least {100 * LEAST_AGREEMENT:.1f} % wanted)")
    return 0 if mean >= -MOST_LOSS and min(agreements) >= LEAST_AGREEMENT else 1


if __name__ == "__main__":
    sys.exit(main())
