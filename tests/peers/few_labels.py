#!/usr/bin/env python3
"""1,000 labels and the rest of the text without labels, against the same student trained on the labels alone.

    few_labels.py --retort build/release/bin/retort --shared ../shared --work /tmp/few [--seeds 3] [--threads 2]

Teacher: models/minilm-sst2. Student: three of its six layers, the same start for both. Each seed draws its own 1,000
labelled examples. "labels": cross-entropy on those, 6 epochs. "soft": the same examples with cross-entropy, and all other
texts of the training set, up to --steps batches of 32, with the teacher's soft targets (T = 2). Both are judged after their
last step on the 872 texts of sst2_dev.jsonl, which neither saw. Prints each seed's accuracies and their paired difference
with a 95 % interval (resampled by example, all seeds together). Exit code 1 when soft targets don't win in every seed.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import sys
import time

from programs import Retort


class Bench:
    def __init__(self, options):
        self.options, self.work, self.shared = options, pathlib.Path(options.work), pathlib.Path(options.shared)
        self.work.mkdir(parents=True, exist_ok=True)
        self.program = Retort(options.retort, dict(os.environ, XDG_CACHE_HOME=str(self.work / "cache")))

    def retort(self, *arguments):
        return self.program(*arguments, "--threads", self.options.threads)

    def train(self, name, seed, soft):
        train = self.shared / "data/sst2_train.jsonl"
        data = {"train": str(train), "most_examples": self.options.labels, "max_tokens": 64, "validation_share": 0}
        if soft:
            data["unlabelled"] = str(train)   # texts that stand among the labelled ones are left out
        per_epoch = -(-self.options.labels // 32)
        recipe = {"kind": "distill", "teacher": str(self.shared / "models/minilm-sst2"), "type": "f32", "student": {"layers": 3},
                  "data": data, "loss": {"cross_entropy": 0.3, "forward_kl": 0.7, "temperature": 2} if soft else {"cross_entropy": 1},
                  "training": {"steps": self.options.steps if soft else 6 * per_epoch, "batch": 32, "rate": 1e-4, "seed": seed}}
        path, output = self.work / f"{name}.json", self.work / name
        path.write_text(json.dumps(recipe))
        shutil.rmtree(f"{output}.training", ignore_errors=True)
        start = time.time()
        self.retort("distill", "--recipe", path, "-o", output)
        return output, time.time() - start

    def right(self, model):
        """Whether each text of the development set was answered like its label."""
        examples = self.work / "examples.jsonl"
        self.retort("eval", model, "--task", "classification", "--data", self.shared / "data/sst2_dev.jsonl", "--examples", examples)
        return [bool(json.loads(line)["correct"]) for line in examples.read_text().splitlines()]


def interval(differences, resamples=2000):
    """95 % of the mean over seeds and examples, resampled by example."""
    generator = random.Random(1)
    count = len(differences)
    means = sorted(sum(differences[generator.randrange(count)] for _ in range(count)) / count for _ in range(resamples))
    return means[int(0.025 * resamples)], means[int(0.975 * resamples)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--retort", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=2)
    bench = Bench(parser.parse_args())
    print(f"{'seed':>4} {'labels alone':>14} {'soft targets':>14} {'difference':>11} {'time':>14}", flush=True)
    sums, wins = None, 0
    for seed in range(1, bench.options.seeds + 1):
        (alone, first), (soft, second) = bench.train(f"labels-{seed}", seed, False), bench.train(f"soft-{seed}", seed, True)
        a, b = bench.right(alone), bench.right(soft)
        differences = [int(y) - int(x) for x, y in zip(a, b)]
        sums = differences if sums is None else [x + y for x, y in zip(sums, differences)]
        wins += sum(differences) > 0
        print(f"{seed:>4} {100 * sum(a) / len(a):>12.2f} % {100 * sum(b) / len(b):>12.2f} % {100 * sum(differences) / len(a):>+9.2f} %"
              f" {first:>6.0f} + {second:.0f} s", flush=True)
    low, high = interval([x / bench.options.seeds for x in sums])
    print(f"mean difference {100 * sum(sums) / len(sums) / bench.options.seeds:+.2f} points (95 % {100 * low:+.2f} … {100 * high:+.2f})")
    return 0 if wins == bench.options.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
