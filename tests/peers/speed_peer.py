#!/usr/bin/env python3
"""Lays `retort bench` beside llama-bench on the same files and threads, turn by turn, and prints the ratios of medians.

    speed_peer.py --root LLAMA_ROOT --seen-as OUTSIDE=INSIDE --retort build/release/bin/retort MODEL.gguf [MODEL.gguf …]
        [--prompt 512] [--generate 128] [--rounds 3] [--threads 2]

`--root` and `--seen-as`: see quantize_peer.py.
"""
import argparse
import json
import pathlib
import statistics
import subprocess


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--root")
    parser.add_argument("--seen-as")
    parser.add_argument("--retort", default="build/release/bin/retort")
    for name, value in (("prompt", "512"), ("generate", "128"), ("rounds", "3"), ("threads", "2")):
        parser.add_argument("--" + name, default=value)
    options = parser.parse_args()

    def inside(path):
        path = str(pathlib.Path(path).absolute())
        return path.replace(*options.seen_as.split("="), 1) if options.seen_as else path

    def peer(model):
        command = (["chroot", options.root] if options.root else []) + [
            "llama-bench", "-m", inside(model), "-t", options.threads, "-p", options.prompt, "-n", options.generate, "-r", "1",
            "-o", "json"]
        rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return [row["avg_ts"] for row in rows]

    def ours(model):
        command = [options.retort, "bench", model, "--prompt", options.prompt, "--generate", options.generate, "--threads",
                   options.threads, "--json"]
        out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return [out["prefill_tokens_per_second"], out["decode_tokens_per_second"]]

    print(f"{'model':32} {'':8} {'llama.cpp':>10} {'retort':>10}   ratio")
    for model in options.models:
        a, b = [], []
        for _ in range(int(options.rounds)):   # in turn, so that a drifting machine touches both
            a.append(peer(model))
            b.append(ours(model))
        for i, what in enumerate(("prefill", "decode")):
            theirs, mine = statistics.median(r[i] for r in a), statistics.median(r[i] for r in b)
            print(f"{pathlib.Path(model).name:32} {what:8} {theirs:10.1f} {mine:10.1f}   {mine / theirs:.2f}", flush=True)


main()
