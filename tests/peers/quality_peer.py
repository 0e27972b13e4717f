#!/usr/bin/env python3
"""Lays `retort eval` beside llama-perplexity on the same files: perplexity and KL divergence, with ratios.

    quality_peer.py --root LLAMA_ROOT --seen-as OUTSIDE=INSIDE --retort build/release/bin/retort --text TEXT \
        --work FOLDER ORIGINAL.gguf [--levels Q8_0 Q4_K_M …] [--chunks 40] [--imatrix IM.gguf] [--ours]

llama-quantize makes each level of the original (with --ours, `retort quantize` makes it); both programs measure it. The
activations of llama.cpp are rounded to 8 bits, so its figures are compared with `--activations q8`; the f32 figures stand
beside them. `--root` and `--seen-as`: see quantize_peer.py. FOLDER must lie below OUTSIDE.
"""
import argparse
import json
import pathlib
import re

from programs import LlamaCpp, output_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("original")
    parser.add_argument("--root")
    parser.add_argument("--seen-as")
    parser.add_argument("--retort", default="build/release/bin/retort")
    parser.add_argument("--text", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--levels", nargs="*", default=["Q8_0", "Q4_K_M", "Q4_0"])
    parser.add_argument("--chunks", default="40")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--imatrix")
    parser.add_argument("--ours", action="store_true")
    options = parser.parse_args()
    work = pathlib.Path(options.work).absolute()
    work.mkdir(parents=True, exist_ok=True)

    llama = LlamaCpp(options.root, options.seen_as)
    inside, peer = llama.inside, llama.run

    def ours(model, task, activations, *words):
        command = [options.retort, "eval", str(model), "--task", task, "--data", options.text, "--chunks", options.chunks,
                   "--threads", options.threads, "--activations", activations, "--json", *words]
        return json.loads(output_of(command).stdout)

    text = work / "text.txt"
    text.write_bytes(pathlib.Path(options.text).read_bytes())
    base = work / "base.kld"
    shared = ["-c", 512, "-b", 512, "-t", options.threads]
    out = peer("llama-perplexity", "-m", inside(options.original), "-f", inside(text), "--chunks", options.chunks, *shared,
               "--save-all-logits", inside(base))
    theirs = float(re.search(r"Final estimate: PPL = ([\d.]+)", out).group(1))
    mine = ours(options.original, "perplexity", "f32")["perplexity"]["value"]
    print(f"{'original':10} perplexity {theirs:9.4f} llama.cpp {mine:9.4f} retort f32   ratio {mine / theirs:.5f}")

    for level in options.levels:
        file = work / f"{level}.gguf"
        if options.ours:
            words = ["--imatrix", options.imatrix] if options.imatrix else []
            output_of([options.retort, "quantize", options.original, "--type", level, "-o", file, *words])
        else:
            words = ["--imatrix", inside(options.imatrix)] if options.imatrix else []
            peer("llama-quantize", *words, inside(options.original), inside(file), level, options.threads)
        out = peer("llama-perplexity", "-m", inside(file), "-f", inside(text), *shared, "--kl-divergence", "--kl-divergence-base",
                   inside(base))
        perplexity = float(re.search(r"Mean PPL\(Q\)\s*:\s*([\d.]+)", out).group(1))
        kld = float(re.search(r"Mean\s+KLD:\s*([\d.]+)", out).group(1))
        for activations in ("q8", "f32"):
            figures = ours(file, "kld", activations, "--reference", options.original)
            p, k = figures["perplexity"]["value"], figures["kld_mean"]["value"]
            print(f"{level:10} perplexity {perplexity:9.4f} llama.cpp {p:9.4f} retort {activations:4} ratio {p / perplexity:.5f}"
                  f"   KLD {kld:.6f} llama.cpp {k:.6f} retort   ratio {k / kld:.4f}", flush=True)
        file.unlink()


main()
