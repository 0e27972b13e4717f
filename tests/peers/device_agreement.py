#!/usr/bin/env python3
"""Holds a GPU to the processor's reference on a language model, and prints what is aimed at beside what was found:

    device_agreement.py MODEL [MODEL …] [--text TEXT] [--backend cuda] [--retort build/release/bin/retort]
                        [--prompts 20] [--tokens 64] [--chunks 40] [--context 512]

logits      over each prompt, activations in f32: the greatest difference relative to the greatest logit (2e-3), and
            what the faster q8, one f16 an activation on a device, makes of it
greedy      the same tokens after each prompt; where they part, the reference's logits of the two must be closer than
            2e-3 of the greatest
perplexity  of TEXT: the ratio of both (within 0.2 %)
start       from the program's start until a token is there, of a second run: the device's plug-in, driver and upload

Ends with 1 where one of the first three is missed. RETORT_CUDA_PLUGIN and RETORT_CUDA_DRIVER work as ever, so that a few
tokens can be tried on the simulated device.
"""
import argparse
import array
import json
import pathlib
import struct
import sys
import tempfile
import time

from programs import Retort, output_of

PROMPTS = [
    "The capital of France is", "Once upon a time, in a village by the sea,", "def fibonacci(n):\n", "The boiling point of water is",
    "To make bread you need flour,", "My favourite season is autumn because", "In 1969, two people", "The opposite of hot is",
    "Dear Sir or Madam,", "Photosynthesis is the process by which", "import numpy as np\n\n", "She opened the old letter and read:",
    "The three primary colours are", "A triangle has", "If it rains tomorrow,", "The recipe calls for two eggs and",
    "SELECT name FROM users WHERE", "Long division works by", "The moon goes round the earth", "Question: What is 7 times 8?\nAnswer:",
]
BAR, PERPLEXITY_BAR = 2e-3, 2e-3


def write_ids(path, ids):
    data = struct.pack(f"<{len(ids)}q", *ids)
    header = json.dumps({"input_ids": {"dtype": "I64", "shape": [1, len(ids)], "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def read_logits(path):
    """Rows of logits."""
    whole = path.read_bytes()
    size = struct.unpack("<Q", whole[:8])[0]
    entry = json.loads(whole[8:8 + size])["logits"]
    begin, end = entry["data_offsets"]
    values, width = array.array("f", whole[8 + size + begin:8 + size + end]), entry["shape"][-1]
    return [values[i:i + width] for i in range(0, len(values), width)]


def largest(values):
    return max(map(abs, values))


class Agreement:
    def __init__(self, options, model, work):
        self.options, self.model, self.work, self.retort, self.missed = options, model, work, Retort(options.retort), False

    def verdict(self, name, text, kept):
        self.missed |= not kept
        print(f"  {name:<12}{text}{'' if kept else '   MISSED'}", flush=True)

    def logits(self, ids, *how):
        given, found = self.work / "ids.safetensors", self.work / "logits.safetensors"
        write_ids(given, ids)
        output_of([self.options.retort, "forward", self.model, "--input", given, "--output", found, *how])
        return read_logits(found)

    def check_logits(self, prompts):
        worst = {"f32": 0.0, "q8": 0.0}
        for ids in prompts:
            wanted = self.logits(ids, "--backend", "reference")
            for activations in worst:
                found = self.logits(ids, "--backend", self.options.backend, "--activations", activations)
                apart = max(abs(a - b) for f, w in zip(found, wanted) for a, b in zip(f, w))
                worst[activations] = max(worst[activations], apart / max(map(largest, wanted)))
        self.verdict("logits", f"{worst['f32']:.2e} of the greatest over {len(prompts)} prompts, q8 {worst['q8']:.2e} ({BAR:.0e})", worst["f32"] <= BAR)

    def generated(self, prompt, *how):
        return [t["id"] for t in self.retort("generate", self.model, "--prompt", prompt, "--tokens", self.options.tokens, "--greedy", "--activations", "f32", *how)["tokens"]]

    def check_greedy(self, prompts, texts):
        same, closest, wrong = 0, 0.0, 0
        for ids, prompt in zip(prompts, texts):
            wanted, found = self.generated(prompt, "--backend", "cpu"), self.generated(prompt, "--backend", self.options.backend)
            if wanted == found:
                same += 1
                continue
            at = next((i for i, (a, b) in enumerate(zip(wanted, found)) if a != b), None)
            if at is None:
                wrong += 1
                continue
            last = self.logits(ids + wanted[:at], "--backend", "reference")[-1]
            apart = abs(last[wanted[at]] - last[found[at]]) / largest(last)
            closest, wrong = max(closest, apart), wrong + (apart > BAR)
        parted = f", the others part where two are within {closest:.1e} of each other" if same < len(prompts) else ""
        self.verdict("greedy", f"{same} of {len(prompts)} prompts give the same {self.options.tokens} tokens{parted}", wrong == 0)

    def check_perplexity(self):
        value = {backend: self.retort("eval", self.model, "--task", "perplexity", "--data", self.options.text, "--chunks", self.options.chunks, "--context",
                                      self.options.context, "--backend", backend)["perplexity"]["value"] for backend in ("cpu", self.options.backend)}
        ratio = value[self.options.backend] / value["cpu"]
        self.verdict("perplexity", f"{value[self.options.backend]:.4f} for {value['cpu']:.4f}: x{ratio:.5f} (within {PERPLEXITY_BAR:.1%})", abs(ratio - 1) <= PERPLEXITY_BAR)

    def start(self):
        took = {}
        for backend in ("cpu", self.options.backend):
            for _ in range(2):
                begin = time.perf_counter()
                self.retort("generate", self.model, "--prompt", "The", "--tokens", 1, "--greedy", "--backend", backend)
                took[backend] = time.perf_counter() - begin
        print(f"  {'start':<12}{took[self.options.backend]:.2f} s, the processor {took['cpu']:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--text")
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--retort", default="build/release/bin/retort")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--context", type=int, default=512)
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            print(model, flush=True)
            agreement = Agreement(options, model, pathlib.Path(folder))
            texts = PROMPTS[:options.prompts]
            prompts = [agreement.retort("tokenize", model, text)["ids"] for text in texts]
            agreement.check_logits(prompts)
            agreement.check_greedy(prompts, texts)
            if options.text:
                agreement.check_perplexity()
            agreement.start()
            missed |= agreement.missed
    return missed


if __name__ == "__main__":
    sys.exit(main())
