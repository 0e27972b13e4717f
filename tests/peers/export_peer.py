#!/usr/bin/env python3
"""Writes levels with Retort, loads them in llama.cpp, and compares tokens and perplexity.

    export_peer.py --root /tmp/llama-root --seen-as /tmp/peer=/data --retort build/release/bin/retort \
        --work /tmp/peer/out --text wikitext2_raw_test.txt [--chunks 8] [--levels Q8_0,Q4_K_M] MODEL [MODEL …]

MODEL is a GGUF file or a Hugging Face folder; "as it is" exports it unchanged. llama.cpp rounds activations of packed
weights to 8 bits, so Retort is asked for `--activations q8`; the two must agree within 0.5 %. `--root` and `--seen-as`
as in quantize_peer.py. Exit code 1 when a file does not load, tokens differ or perplexity is further apart.
"""
import argparse
import json
import pathlib
import re
import sys

from programs import LlamaCpp, output_of

TOLERANCE = 0.005
TEXTS = ["Hello,  world! It's 3.14159 or 1234567890.", " leading and trailing ", "def f(x):\n\treturn x  # tab\n\n\n",
         "Straße, naïve café, Привет, 你好世界, こんにちは, 😀👩‍👧", "I'LL you're we've", "a<|im_start|>user\nhi<|im_end|>"]


class Peer(LlamaCpp):
    def __init__(self, options):
        super().__init__(options.root, options.seen_as)
        self.options = options

    def perplexity(self, model, text):
        out = self.run("llama-perplexity", "-m", self.inside(model), "-f", self.inside(text), "-c", "512", "-b", "512",
                       "--chunks", str(self.options.chunks), "-t", str(self.options.threads))
        return float(re.search(r"Final estimate: PPL = ([0-9.]+)", out).group(1))

    def tokens(self, model, text):
        prompt = pathlib.Path(self.options.work) / "prompt.txt"
        prompt.write_bytes(text.encode())
        out = self.run("llama-tokenize", "-m", self.inside(model), "-f", self.inside(prompt), "--ids")
        return json.loads(re.findall(r"^\[[0-9, ]*\]$", out, re.M)[-1])


def ours(options, *arguments, text=None):
    return output_of([options.retort, *arguments], input=text).stdout


def write(options, model, level, output):
    if level == "as it is":
        return json.loads(ours(options, "export", model, "-o", output, "--json"))
    return json.loads(ours(options, "quantize", model, "--type", level, "-o", output, "--json"))


def same_tokens(options, peer, path):
    lines = "".join(json.dumps(text) + "\n" for text in TEXTS)
    found = [json.loads(line)["ids"] for line in ours(options, "tokenize", path, "--json", text=lines).splitlines()]
    return sum(ids == peer.tokens(path, text) for ids, text in zip(found, TEXTS))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--root", default="")
    parser.add_argument("--seen-as", default="")
    parser.add_argument("--retort", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--text", required=True, help="must lie where llama.cpp sees it")
    parser.add_argument("--chunks", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--levels", default="as it is,Q8_0,Q6_K,Q5_K_M,Q4_K_M,Q4_0,Q3_K_M,Q2_K")
    options = parser.parse_args()
    pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
    peer, failures = Peer(options), 0
    print(f"{'model':<28} {'level':<9} {'bytes':>12} {'tokens':>7} {'llama.cpp':>10} {'retort':>10} {'apart':>8}")
    for model in options.models:
        for level in options.levels.split(","):
            output = str(pathlib.Path(options.work) / "export_peer.gguf")
            size = write(options, model, level, output)["bytes"]
            tokens = same_tokens(options, peer, output)
            theirs = peer.perplexity(output, options.text)
            mine = json.loads(ours(options, "eval", output, "--task", "perplexity", "--data", options.text, "--context", "512",
                                   "--chunks", str(options.chunks), "--activations", "q8", "--threads", str(options.threads),
                                   "--json"))["perplexity"]["value"]
            apart = mine / theirs - 1
            good = tokens == len(TEXTS) and abs(apart) <= TOLERANCE
            failures += not good
            print(f"{pathlib.Path(model).name:<28} {level:<9} {size:>12,} {tokens:>3}/{len(TEXTS)} {theirs:>10.4f} {mine:>10.4f} "
                  f"{100 * apart:>+7.3f}%{'' if good else '  FAIL'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
