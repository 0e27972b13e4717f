#!/usr/bin/env python3
"""Lays encoders beside PyTorch with transformers, in two parts:

    encoder_peer.py classify MODEL DATA.jsonl [--retort build/release/bin/retort] [--rounds 3] [--threads 2] [--max-tokens 64]
        accuracy of both over the labelled texts, and their times, turn by turn: PyTorch one text at a time, and in padded
        batches of 32 sorted by length, its best case. Ratios above 1: Retort is faster. Processor time is printed too, for
        machines that others use at the same time.
    encoder_peer.py embed MODEL TEXTS [--retort …] [--texts 64]
        sentence embeddings (mean over the tokens, normalised, as modules.json says) of a text file's lines; the greatest
        difference, relative to the greatest value.

Needs torch, transformers, numpy and safetensors.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def padded(tokenizer, texts, limit):
    return tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")


def classify_with_torch(model, tokenizer, texts, limit, batch):
    order = sorted(range(len(texts)), key=lambda i: len(texts[i])) if batch > 1 else range(len(texts))
    order, answers = list(order), [0] * len(texts)
    with torch.inference_mode():
        for at in range(0, len(order), batch):
            picks = order[at:at + batch]
            logits = model(**padded(tokenizer, [texts[i] for i in picks], limit)).logits
            for i, answer in zip(picks, logits.argmax(-1).tolist()):
                answers[i] = answer
    return answers


def classify(options):
    rows = [json.loads(l) for l in open(options.data, encoding="utf-8") if l.strip()]
    texts, labels = [r["text"] for r in rows], [r["label"] for r in rows]
    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, dtype=torch.float32).eval()
    command = [options.retort, "eval", options.model, "--task", "classification", "--data", options.data, "--max-tokens",
               str(options.max_tokens), "--threads", str(options.threads), "--json"]
    times = {}

    def timed(what, work):
        usage = lambda: sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        processor, wall = usage(), time.perf_counter()
        out = work()
        times.setdefault(what, []).append((time.perf_counter() - wall, usage() - processor))
        return out

    for _ in range(options.rounds):   # in turn, so that a drifting machine touches all
        ours = timed("retort", lambda: json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        times["retort"][-1] = (ours["seconds"], times["retort"][-1][1])   # without starting and loading, as the others
        for batch in (1, 32):
            answers = timed(f"torch {torch.__version__}, batch {batch}",
                            lambda: classify_with_torch(model, tokenizer, texts, options.max_tokens, batch))
    theirs = sum(a == l for a, l in zip(answers, labels)) / len(labels)
    print(f"{len(texts)} texts, {options.threads} threads; accuracy: retort {ours['accuracy']['value']:.6f}, torch {theirs:.6f}")
    mine = [statistics.median(t[i] for t in times["retort"]) for i in (0, 1)]
    print(f"{'':28} {'seconds':>9} {'processor':>10} {'ratio':>6} {'ratio':>6}")
    for what, taken in times.items():
        wall, processor = (statistics.median(t[i] for t in taken) for i in (0, 1))
        print(f"{what:28} {wall:9.2f} {processor:10.2f} {wall / mine[0]:6.2f} {processor / mine[1]:6.2f}")


def embed(options):
    lines = [l.strip() for l in open(options.data, encoding="utf-8") if l.strip()][:options.texts]
    limit = json.loads(pathlib.Path(options.model, "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer, model = AutoTokenizer.from_pretrained(options.model), AutoModel.from_pretrained(options.model, dtype=torch.float32).eval()
    given = padded(tokenizer, lines, limit)
    with torch.inference_mode():
        hidden = model(**given).last_hidden_state
    mask = given["attention_mask"].unsqueeze(-1).float()
    mean = (hidden * mask).sum(1) / mask.sum(1)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    with tempfile.TemporaryDirectory() as scratch:
        source, out = pathlib.Path(scratch, "in.safetensors"), pathlib.Path(scratch, "out.safetensors")
        save_file({k: v.numpy() for k, v in given.items()}, source)
        subprocess.run([options.retort, "forward", options.model, "--input", source, "--output", out], check=True)
        found = load_file(out)["sentence_embedding"]
    far = float(np.abs(found - expected).max() / np.abs(expected).max())
    # The ids too: what the tokenizer makes of each line.
    spoken = subprocess.run([options.retort, "tokenize", options.model, "--json"], check=True, capture_output=True, text=True,
                            input="".join(json.dumps(l) + "\n" for l in lines)).stdout.strip("\n").split("\n")
    equal = sum(json.loads(s)["ids"][:limit - 1] == tokenizer(l)["input_ids"][:limit - 1] for s, l in zip(spoken, lines))
    print(f"{len(lines)} lines: embeddings differ by at most {far:.1e} of the greatest value; ids of {equal} are equal")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("classify", "embed"))
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--retort", default="build/release/bin/retort")
    for name, value in (("rounds", 3), ("threads", 2), ("max-tokens", 64), ("texts", 64)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    (classify if options.part == "classify" else embed)(options)


main()
