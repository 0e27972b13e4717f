#!/usr/bin/env python3
"""Lays quantize_bench beside llama-quantize: types, sizes and bytes of every tensor, seconds, ratios.

    quantize_peer.py --root /tmp/llama-root --seen-as /tmp/peer=/data --bench build/release/bin/quantize_bench \
        --work /tmp/peer/out MODEL.gguf [MODEL.gguf …] [--imatrix IM.gguf] [--rounds 3]

`--root` holds llama.cpp's tools (shared/peers/llama_cpp_root.sh makes one); without it llama-quantize is taken from the
path. `--seen-as OUTSIDE=INSIDE` says how a folder outside is named inside that root. Needs the Python package gguf.
Exit code 1 when a type, size or byte differs.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

import gguf

LEVELS = ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"]


def tensors(path):
    return {t.name: (t.tensor_type.name, t.data.tobytes()) for t in gguf.GGUFReader(path).tensors}


def run_peer(options, source, target, level, imatrix):
    def inside(path):
        path = str(pathlib.Path(path).absolute())
        if options.seen_as:
            outside, within = options.seen_as.split("=")
            path = path.replace(outside, within, 1)
        return path

    command = ["chroot", options.root] if options.root else []
    command += ["llama-quantize"] + (["--imatrix", inside(imatrix)] if imatrix else [])
    command += [inside(source), inside(target), level, str(options.threads)]
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - start


def run_ours(options, source, target, level, imatrix):
    command = [options.bench, source, target, level, "--threads", str(options.threads)]
    command += ["--imatrix", imatrix] if imatrix else []
    start = time.monotonic()
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.monotonic() - start, json.loads(out)


def compare(ours, theirs):
    a, b = tensors(ours), tensors(theirs)
    types = sum(a.get(name, ("",))[0] != b[name][0] for name in b) + len(set(a) ^ set(b))
    same = sum(name in a and a[name] == b[name] for name in b)
    return types, same, len(b)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--root", default="")
    parser.add_argument("--seen-as", default="")
    parser.add_argument("--bench", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--imatrix", default="")
    parser.add_argument("--levels", default=",".join(LEVELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    failed = False
    print(f"{'level':<18}{'bytes':>12}{'same size':>10}{'types':>7}{'tensors equal':>15}{'ours s':>8}{'packing':>8}{'peer s':>8}{'ratio':>7}")
    for model in options.models:
        print(model)
        for level in options.levels.split(","):
            for imatrix in [""] + ([options.imatrix] if options.imatrix else []):
                ours, theirs = str(work / "ours.gguf"), str(work / "peer.gguf")
                best_ours, best_peer, report = 1e9, 1e9, {}
                for _ in range(options.rounds):
                    best_peer = min(best_peer, run_peer(options, model, theirs, level, imatrix))
                    seconds, report = run_ours(options, model, ours, level, imatrix)
                    best_ours = min(best_ours, seconds)
                wrong, same, count = compare(ours, theirs)
                size, peer_size = pathlib.Path(ours).stat().st_size, pathlib.Path(theirs).stat().st_size
                # The texts about the matrix differ where its path is another inside the root: size is then told, not judged.
                equal = size == peer_size == report["planned_bytes"]
                judged = equal or (imatrix and options.seen_as and size == report["planned_bytes"] and abs(size - peer_size) <= 256)
                failed = failed or wrong > 0 or same < count or not judged
                print(f"{level + (' +imatrix' if imatrix else ''):<18}{size:>12}{str(equal):>10}{wrong:>7}{f'{same}/{count}':>15}"
                      f"{best_ours:>8.2f}{report['packing_seconds']:>8.2f}{best_peer:>8.2f}{best_peer / best_ours:>6.1f}x")
    sys.exit(1 if failed else 0)


main()
