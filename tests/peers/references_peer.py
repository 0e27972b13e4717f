#!/usr/bin/env python3
"""Walks folders of references and prints one row each: what opens and agrees, what is refused and why. Nothing is named here;
every folder that is there is tried.

    references_peer.py FOLDER [--retort build/release/bin/retort] [--tests build/dev/bin]

FOLDER holds any of
    models/*, quantized/*      a checkpoint with reference.safetensors (input_ids, logits, last_hidden_state, greedy …) or
                               expected.json (`first32`: input_ids, logits)
    gguf/*.gguf                with the references in NAME.safetensors
    tokenizers/*               tokenizer.json with cases.json, pairs.json
    ggml_types/*.safetensors   packed blocks: each must be a passing row of decode_test, since only a test sees single blocks;
                               where the file says what quantizing gives, quantizers_test says whether we do
Needs numpy and safetensors. Ends with 1 where anything differs.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

ALLOWED = 1e-4   # of the greatest expected value


class Table:
    def __init__(self):
        self.wrong = 0
        self.count = 0

    def row(self, what, good, text):
        self.count += 1
        self.wrong += not good
        print(f"{'ok ' if good else 'BAD'} {what:52} {text}", flush=True)


def run(retort, *arguments, **more):
    return subprocess.run([retort, *map(str, arguments)], capture_output=True, text=True, **more)


def forward(retort, model, inputs):
    with tempfile.TemporaryDirectory() as scratch:
        given, out = pathlib.Path(scratch, "in.safetensors"), pathlib.Path(scratch, "out.safetensors")
        save_file({k: np.ascontiguousarray(v) for k, v in inputs.items()}, given)
        done = run(retort, "forward", model, "--input", given, "--output", out)
        if done.returncode != 0:
            raise RuntimeError(f"refused ({done.returncode}): {done.stderr.strip()[-300:]}")
        return load_file(out)


def apart(found, expected, seen=None):
    if found.shape != expected.shape:
        return float("inf")
    if seen is not None and expected.ndim == 3:   # masked positions aren't compared
        found, expected = found[seen], expected[seen]
    return float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())


def check_model(table, retort, model, reference, name):
    shown, good = [], True
    try:
        inputs = {k: reference[k] for k in ("input_ids", "attention_mask", "token_type_ids") if k in reference}
        seen = reference["attention_mask"] != 0 if "attention_mask" in reference else None
        found = forward(retort, model, inputs)
        for key in ("logits", "last_hidden_state"):
            if key in reference:
                far = apart(found[key], reference[key], seen)
                good &= far <= ALLOWED
                shown.append(f"{key} {far:.1e}")
        for ids, logits in (("random_input_ids", "random_logits"), ("long_input_ids", "long_logits")):
            if ids in reference:
                far = apart(forward(retort, model, {"input_ids": reference[ids]})["logits"], reference[logits])
                good &= far <= ALLOWED
                shown.append(f"{logits} {far:.1e}")
        if "greedy" in reference:   # each token is the arg-max after all before it
            tokens, start = reference["greedy"].reshape(-1), reference["input_ids"].shape[1]
            row = np.concatenate([reference["input_ids"][0], tokens])[None].astype(np.int64)
            best = forward(retort, model, {"input_ids": row})["logits"][0].argmax(-1)
            equal = int((best[start - 1:-1] == tokens).sum())
            good &= equal == len(tokens)
            shown.append(f"greedy {equal}/{len(tokens)}")
    except (RuntimeError, KeyError) as problem:
        good = False
        shown.append(str(problem))
    table.row(name, good, ", ".join(shown))


def check_expected(table, retort, model, expected, name):
    far, same = 0.0, 0
    rows = expected["first32"]
    greatest = max(abs(x) for r in rows for x in r["logits"])
    try:
        for r in rows:
            found = forward(retort, model, {"input_ids": np.array([r["input_ids"]], np.int64)})["logits"].reshape(-1)
            far = max(far, float(np.abs(found - np.array(r["logits"])).max()) / greatest)
            same += int(found.argmax() == r["pred"])
    except RuntimeError as problem:
        return table.row(name, False, str(problem))
    table.row(name, far <= ALLOWED and same == len(rows), f"{len(rows)} rows of logits {far:.1e}, classes {same}/{len(rows)}")


def tokenized(retort, model, lines, *options):
    done = run(retort, "tokenize", model, "--json", *options, input="".join(json.dumps(l) + "\n" for l in lines))
    if done.returncode != 0:
        raise RuntimeError(f"refused ({done.returncode}): {done.stderr.strip()[-300:]}")
    return [json.loads(l) for l in done.stdout.strip("\n").split("\n")]


def check_tokenizer(table, retort, folder, name):
    cases = json.loads((folder / "cases.json").read_text())
    texts = [c["text"] for c in cases]
    try:
        full, bare = tokenized(retort, folder, texts), tokenized(retort, folder, texts, "--no-special")
        kept = tokenized(retort, folder, [c["ids"] for c in cases], "--decode", "--keep-special")
    except RuntimeError as problem:
        return table.row(name, False, str(problem))
    right = {"ids": sum(a["ids"] == c["ids"] for a, c in zip(full, cases)),
             "decoded": sum(a["decoded"] == c["decoded"] for a, c in zip(full, cases)),
             "ids without special": sum(a["ids"] == c["ids_no_special"] for a, c in zip(bare, cases)),
             "decoded with special": sum(a["decoded"] == c["decoded_keep_special"] for a, c in zip(kept, cases))}
    table.row(name, all(n == len(cases) for n in right.values()) and len(full) == len(cases),
              ", ".join(f"{k} {n}/{len(cases)}" for k, n in right.items()))


def passing(tests, program, environment):
    """Names of the passing rows of a Qt test."""
    done = subprocess.run([tests / program, "-v1"], capture_output=True, text=True, env=environment)
    return re.findall(r"^PASS\s+: \w+::(\w+)\(([^)]*)\)", done.stdout, re.M)


def check_types(table, tests, folder):
    files = sorted((folder / "ggml_types").glob("*.safetensors"))
    if not files or tests is None:
        return
    environment = dict(os.environ, RETORT_SHARED=str(folder), QT_QPA_PLATFORM="offscreen")
    decoded = {row for function, row in passing(tests, "decode_test", environment) if function == "shared_vectors"}
    quantizers = tests / "quantizers_test"
    coded = {row for function, row in passing(tests, "quantizers_test", environment) if function == "matches_shared_vectors"} if quantizers.exists() else None
    for file in files:
        packs = "q_packed" in load_file(file)
        text = "every value to the last bit" if file.stem in decoded else "no passing row of decode_test"
        good = file.stem in decoded
        if packs and coded is not None:   # Retort doesn't write every type that it reads
            text += ", quantizing gives the same bytes" if file.stem in coded else ", not written"
        table.row(f"ggml_types/{file.stem}", good, text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--retort", default="build/release/bin/retort")
    parser.add_argument("--tests", type=pathlib.Path)
    options = parser.parse_args()
    table, root = Table(), options.folder
    for kind in ("models", "quantized"):
        for folder in sorted(p for p in (root / kind).glob("*") if p.is_dir()):
            name = f"{kind}/{folder.name}"
            if (folder / "reference.safetensors").exists():
                check_model(table, options.retort, folder, load_file(folder / "reference.safetensors"), name)
            elif (folder / "expected.json").exists():
                check_expected(table, options.retort, folder, json.loads((folder / "expected.json").read_text()), name)
            else:
                table.row(name, False, "no reference beside it")
    for file in sorted((root / "gguf").glob("*.gguf")):
        check_model(table, options.retort, file, load_file(file.with_suffix(".safetensors")), f"gguf/{file.name}")
    for folder in sorted(p.parent for p in (root / "tokenizers").glob("*/cases.json")):
        check_tokenizer(table, options.retort, folder, f"tokenizers/{folder.name}")
    check_types(table, options.tests, root)
    print(f"{table.count - table.wrong} of {table.count} agree")
    sys.exit(table.wrong != 0)


main()
