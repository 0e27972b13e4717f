#!/usr/bin/env python3
"""Expanding a packed model to F16, against the rate at which this disk takes the same bytes.

    expand_rate.py --retort build/release/bin/retort --work FOLDER MODEL.gguf [--rounds 3] [--threads 2]

Alternates `dd` (zeros are not compressed by common file systems; conv=fsync) and `retort quantize MODEL --type F16`. Both write a new
file of the same size and end when it is synced to the disk; Retort's time has the start of the program and the opening of the model
in it, and the model is in the page cache (it is read once before), so that only writing touches the disk. Prints the best of each and
their ratio. FOLDER must lie on the disk in question. Exit code 1 below 0.8.
"""
import argparse
import pathlib
import subprocess
import sys
import time

LEAST = 0.8


def timed(command):
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--retort", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="2")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    ours, plain = options.work / "expanded.gguf", options.work / "plain.bin"
    expand, write = [], []
    source = sum(len(block) for block in iter(lambda f=open(options.model, "rb"): f.read(1 << 24), b""))
    for _ in range(options.rounds):
        ours.unlink(missing_ok=True)
        expand.append(timed([options.retort, "quantize", options.model, "--type", "F16", "-o", ours, "--threads", options.threads]))
        megabytes = ours.stat().st_size / 1e6
        plain.unlink(missing_ok=True)
        write.append(timed(["dd", "if=/dev/zero", f"of={plain}", "bs=1M", f"count={ours.stat().st_size // 2**20}", "conv=fsync"]))
    ours.unlink()
    plain.unlink()
    rate, limit = megabytes / min(expand), megabytes / min(write)
    print(f"expanded {source / 1e6:.0f} MB, in the page cache, to {megabytes:.0f} MB, both files new and synced, best of {options.rounds}: {rate:.0f} MB/s, the disk takes {limit:.0f} MB/s, ratio {rate / limit:.2f} (at least {LEAST})")
    return 0 if rate / limit >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
