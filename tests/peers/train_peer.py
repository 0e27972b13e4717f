#!/usr/bin/env python3
"""Lays `retort distill` beside PyTorch on the same training: a Llama of SmolLM2's shape with random weights, plain
cross-entropy, batch 4 x 256, AdamW, f32. Prints tokens a second and peak memory of both, and their ratios.

    train_peer.py --retort build/release/bin/retort --work /tmp/peer/train [--threads 2] [--steps 4] [--layers 30]

Needs torch, transformers, safetensors and numpy. Each side runs in a process of its own; the first step of each is left out of
neither side's favour: Retort's rate is over all its steps, PyTorch's over all after one to warm up. Tokens per second of
processor time (of all threads together; Retort's counts the whole process, loading and writing included) bear a busy machine
better than tokens per second of the clock.
Exit code 1 when Retort is below --least times PyTorch's rate or above --most times its memory.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import sys

CONFIG = dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_attention_heads=9, num_key_value_heads=3,
              max_position_embeddings=2048, rms_norm_eps=1e-5, rope_theta=100000.0, tie_word_embeddings=True)

TORCH = """
import json, resource, sys, time
import torch
from transformers import LlamaConfig, LlamaForCausalLM
config, threads, steps, batch, context, folder = json.loads(sys.argv[1])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(**config)).float()
if folder:
    model.save_pretrained(folder)
    sys.exit()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
ids = torch.randint(0, config["vocab_size"], (batch, context))
times, busy = [], []
for step in range(steps + 1):
    start, worked = time.perf_counter(), time.process_time()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    times.append(time.perf_counter() - start)
    busy.append(time.process_time() - worked)
rate = batch * context * steps / sum(times[1:])
print(json.dumps({"rate": rate, "cpu_rate": batch * context * steps / sum(busy[1:]), "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def torch_run(*arguments):
    done = subprocess.run([sys.executable, "-c", TORCH, json.dumps(arguments)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout.strip() else None


def write_tokenizer(folder):
    """One piece a letter: what the text says doesn't change how long a step takes."""
    pieces = {chr(ord("a") + i): i for i in range(26)}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "unk_token": None, "vocab": pieces, "merges": []}}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--retort", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--least", type=float, default=1.3)
    parser.add_argument("--most", type=float, default=0.7)
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    config = dict(CONFIG, num_hidden_layers=options.layers)
    model = work / "model"
    if not (model / "tokenizer.json").exists():
        torch_run(config, options.threads, 0, 1, 1, str(model))
        write_tokenizer(model)

    text = work / "text.txt"
    text.write_text("abcdefgh" * (options.context * options.batch // 4))
    recipe = work / "recipe.json"
    recipe.write_text(json.dumps({
        "teacher": str(model), "data": {"train": str(text), "validation_share": 0, "context": options.context},
        "loss": {"cross_entropy": 1}, "type": "f32",
        "training": {"steps": options.steps, "batch": options.batch, "rate": 1e-5, "checkpoint_every": 1000000}}))
    for left in (work / "out.training" / "1-distill" / "state.safetensors",):
        left.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([options.retort, "distill", "--recipe", str(recipe), "-o", str(work / "out"), "--threads",
                           str(options.threads), "--json"], check=True, capture_output=True, text=True)
    ours = json.loads(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cpu_rate = ours["tokens"] / worked
    theirs = torch_run(config, options.threads, options.steps, options.batch, options.context, "")

    rate = ours["training_tokens_per_second"] / theirs["rate"]
    memory = ours["peak_memory_bytes"] / theirs["memory"]
    print(f"tokens/s      Retort {ours['training_tokens_per_second']:8.1f}   PyTorch {theirs['rate']:8.1f}   ratio {rate:.2f} (at least {options.least})")
    print(f"tokens/cpu-s  Retort {cpu_rate:8.1f}   PyTorch {theirs['cpu_rate']:8.1f}   ratio {cpu_rate / theirs['cpu_rate']:.2f}")
    print(f"peak memory   Retort {ours['peak_memory_bytes'] / 1e6:6.0f} MB   PyTorch {theirs['memory'] / 1e6:6.0f} MB   ratio {memory:.2f} (at most {options.most})")
    return 0 if rate >= options.least and memory <= options.most else 1


if __name__ == "__main__":
    sys.exit(main())
