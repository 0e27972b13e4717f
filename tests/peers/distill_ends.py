#!/usr/bin/env python3
"""Ends `retort distill` in every rough way that a person or a machine does, and looks at what is left.

    distill_ends.py --retort build/release/bin/retort --shared ../shared --work /tmp/ends [--tmpfs]

kill -9 in the middle, then the same command: the same bytes as the run that nobody stopped. Ctrl-C: exit code 5, then the
same. A rate far too high: the divergence is named, no student is written, the last state stays. Labels outside the classes:
refused by example. --tmpfs (needs root): a full disk is named (exit code 4), and with room the same command finishes.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

TRAINING = {"steps": 24, "batch": 8, "rate": 1e-4, "checkpoint_every": 5, "validate_every": 10}


class Bench:
    def __init__(self, options):
        self.retort, self.shared, self.work = options.retort, pathlib.Path(options.shared), pathlib.Path(options.work)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.work / "cache"))
        self.failed = 0

    def recipe(self, name, data=None, **training):
        path = self.work / f"{name}.json"
        path.write_text(json.dumps({
            "kind": "distill", "teacher": str(self.shared / "models/minilm-sst2"), "type": "f32", "student": {"layers": 1},
            "data": {"train": str(data or self.shared / "data/sst2_train.jsonl"), "max_tokens": 32, "validation_share": 0.02, "most_examples": 2000},
            "loss": {"cross_entropy": 0.5, "forward_kl": 0.5, "temperature": 2}, "training": {**TRAINING, **training}}))
        return path

    def start(self, recipe, output):
        return subprocess.Popen([self.retort, "distill", "--recipe", str(recipe), "-o", str(output), "--threads", "1", "--json"],
                                env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process):
        out, err = process.communicate()
        return process.returncode, out, err.strip().split("\n")[-1]

    def run(self, recipe, output):
        return self.finish(self.start(recipe, output))

    def stop_at(self, recipe, output, step, how):
        """Sends `how` once the curve has `step` steps."""
        process = self.start(recipe, output)
        curve = pathlib.Path(f"{output}.curve.jsonl")
        while process.poll() is None:
            if curve.exists() and curve.read_text().count('"gradient_norm"') >= step:
                process.send_signal(how)
                break
            time.sleep(0.02)
        return self.finish(process)

    def check(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'}  {what}{'  ' + detail if detail else ''}", flush=True)
        self.failed += not good


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def stops(bench):
    recipe, whole = bench.recipe("plain"), bench.work / "whole"
    code, _, said = bench.run(recipe, whole)
    bench.check("an undisturbed run", code == 0, said if code else "")
    for name, how, expected in (("kill -9", signal.SIGKILL, -signal.SIGKILL), ("Ctrl-C", signal.SIGINT, 5)):
        output = bench.work / name.split()[0]
        code, _, said = bench.stop_at(recipe, output, 13, how)
        bench.check(f"{name} stops it", code == expected and not (output / "model.safetensors").exists(), f"exit code {code}")
        code, out, said = bench.run(recipe, output)
        resumed = code == 0 and json.loads(out)["resumed"]
        bench.check(f"after {name} it goes on", resumed, said if code else "")
        bench.check(f"after {name} the student is the same, byte for byte", code == 0 and weights(output) == weights(whole))


def wild(bench):
    output = bench.work / "wild"
    code, _, said = bench.run(bench.recipe("wild", rate=10, steps=300, checkpoint_every=20), output)
    kept = (bench.work / "wild.training/1-distill/state.safetensors").exists()
    bench.check("a run that diverges", code != 0 and kept and not output.exists(), said)


def labels(bench):
    for label in (2, -1, "x"):
        data = bench.work / "bad.jsonl"
        data.write_text(json.dumps({"text": "a", "label": 0}) + "\n" + json.dumps({"text": "b", "label": label}) + "\n")
        code, _, said = bench.run(bench.recipe("bad", data), bench.work / "bad")
        bench.check(f"label {label!r}", code == 3, said)


def full_disk(bench):
    place = bench.work / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=180m", "tmpfs", str(place)], check=True)
    try:
        recipe = bench.recipe("plain")
        # Room for the best values so far, not for the state beside them.
        (place / "other").write_bytes(bytes(40 << 20))
        code, _, said = bench.run(recipe, place / "k")
        bench.check("a full disk", code == 4 and not (place / "k").exists(), said)
        subprocess.run(["mount", "-o", "remount,size=600m", str(place)], check=True)
        code, _, said = bench.run(recipe, place / "k")
        bench.check("with room it goes on", code == 0 and weights(place / "k") == weights(bench.work / "whole"), said if code else "")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--retort", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--tmpfs", action="store_true")
    bench = Bench(options := parser.parse_args())
    stops(bench)
    wild(bench)
    labels(bench)
    if options.tmpfs:
        full_disk(bench)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
