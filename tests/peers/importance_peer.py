#!/usr/bin/env python3
"""Lays importance_bench beside llama-imatrix: entries, mean squares, seconds; then has each program read the other's file.

    importance_peer.py --root /tmp/llama-root --seen-as /tmp/peer=/data --bench build/dev/bin/importance_bench \
        --quantize-bench build/dev/bin/quantize_bench --work /tmp/peer/out MODEL.gguf TEXT [--chunks 4] [--threads 2]

llama.cpp rounds what enters an F16 product to F16 and caches keys and values in F16, so the sums differ a little; they
must agree within --tolerance: the largest difference of a column, relative to it or to the mean of its weight's columns,
whichever is larger.
Exit code 1 when they don't, when entries differ, or when llama-quantize and quantize_bench make different bytes from
either file.
"""
import argparse
import pathlib
import subprocess
import sys
import time

import gguf
import numpy


def means(path):
    tensors = {t.name: t.data for t in gguf.GGUFReader(path).tensors}
    ending = ".in_sum2"
    return {n[: -len(ending)]: tensors[n].ravel() / tensors[n[: -len(ending)] + ".counts"].ravel()
            for n in tensors if n.endswith(ending)}


def packed(path):
    return {t.name: t.data.tobytes() for t in gguf.GGUFReader(path).tensors}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--root", default="")
    parser.add_argument("--seen-as", default="")
    parser.add_argument("--bench", required=True)
    parser.add_argument("--quantize-bench", default="")
    parser.add_argument("--work", required=True)
    parser.add_argument("--chunks", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--level", default="Q4_K_M")
    parser.add_argument("--tolerance", type=float, default=0.005)
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    ours, theirs = work / "ours-imatrix.gguf", work / "peer-imatrix.gguf"

    def inside(path):
        path = str(pathlib.Path(path).absolute())
        outside, _, within = options.seen_as.partition("=")
        return path.replace(outside, within, 1) if options.seen_as else path

    def peer(*words):
        prefix = ["chroot", options.root] if options.root else []
        subprocess.run(prefix + list(words), check=True, capture_output=True)

    start = time.monotonic()
    peer("llama-imatrix", "-m", inside(options.model), "-f", inside(options.text), "-c", "512", "--chunks", str(options.chunks),
         "--no-ppl", "-t", str(options.threads), "-o", inside(theirs))
    peer_seconds = time.monotonic() - start
    start = time.monotonic()
    subprocess.run([options.bench, options.model, options.text, ours, "--chunks", str(options.chunks), "--threads",
                    str(options.threads)], check=True, capture_output=True)
    our_seconds = time.monotonic() - start

    a, b = means(ours), means(theirs)
    worst = max(float((numpy.abs(a[n] - b[n]) / numpy.maximum(b[n], b[n].mean())).max()) for n in b if n in a)
    total = max(abs(float(a[n].sum() / b[n].sum()) - 1) for n in b if n in a)
    print(f"entries {len(a)} and {len(b)}, same names {set(a) == set(b)}; largest difference of a column {worst:.2e}, "
          f"of a weight's sum {total:.2e}")
    print(f"seconds {our_seconds:.1f}, peer {peer_seconds:.1f}, ratio {peer_seconds / our_seconds:.2f}")
    failed = set(a) != set(b) or worst > options.tolerance

    for matrix in (ours, theirs) if options.quantize_bench else ():
        peer("llama-quantize", "--imatrix", inside(matrix), inside(options.model), inside(work / "peer.gguf"), options.level, "2")
        subprocess.run([options.quantize_bench, options.model, work / "ours.gguf", options.level, "--imatrix", matrix], check=True,
                       capture_output=True)
        same = packed(work / "ours.gguf") == packed(work / "peer.gguf")
        print(f"{options.level} from {matrix.name}: {'the same bytes' if same else 'DIFFERENT BYTES'}")
        failed = failed or not same
    sys.exit(1 if failed else 0)


main()
