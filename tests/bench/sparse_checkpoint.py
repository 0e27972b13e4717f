#!/usr/bin/env python3
"""Makes checkpoints that are large on paper and nearly empty on disk, and times `retort inspect` on them.

    sparse_checkpoint.py make OUT [--gigabytes 10]
        OUT/folder: a Llama in F16, safetensors in shards of 2 GB with their index; OUT/model.gguf: the same in one file.
        Holes read as zeros, so all values are 0: headers, names and sizes are those of a real model.
    sparse_checkpoint.py time OUT [--retort build/release/bin/retort] [--rounds 5]
        wall and processor time and greatest memory of `retort inspect --json`, for both; the best of the rounds. Limits: 0.3 s
        and 100 MB.
    RETORT_OPEN=OUT/model.gguf model_page_test showsEachViewSoon
        prints the time from opening in the window to the first content of each view of the Model page; the limit is 0.3 s.
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import time

HIDDEN, FEED, HEADS, KEY_HEADS, VOCABULARY = 4096, 14336, 32, 8, 128256


def layer(i):
    key = HIDDEN // HEADS * KEY_HEADS
    p = f"model.layers.{i}."
    return [(p + "input_layernorm.weight", [HIDDEN]), (p + "mlp.down_proj.weight", [HIDDEN, FEED]),
            (p + "mlp.gate_proj.weight", [FEED, HIDDEN]), (p + "mlp.up_proj.weight", [FEED, HIDDEN]),
            (p + "post_attention_layernorm.weight", [HIDDEN]), (p + "self_attn.k_proj.weight", [key, HIDDEN]),
            (p + "self_attn.o_proj.weight", [HIDDEN, HIDDEN]), (p + "self_attn.q_proj.weight", [HIDDEN, HIDDEN]),
            (p + "self_attn.v_proj.weight", [key, HIDDEN])]


def elements(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def tensors_for(gigabytes):
    ends = [("model.embed_tokens.weight", [VOCABULARY, HIDDEN]), ("model.norm.weight", [HIDDEN]), ("lm_head.weight", [VOCABULARY, HIDDEN])]
    per_layer = sum(2 * elements(s) for _, s in layer(0))
    layers = max(1, round((gigabytes * 1e9 - sum(2 * elements(s) for _, s in ends)) / per_layer))
    return ends[:1] + [t for i in range(layers) for t in layer(i)] + ends[1:], layers


def vocabulary():
    """Byte-level BPE of the size of Llama 3's: every byte, then merges of two earlier pieces, as a real one has them."""
    letters = [b for b in range(33, 127)] + [b for b in range(161, 173)] + [b for b in range(174, 256)]
    alphabet = [chr(b) for b in letters] + [chr(256 + n) for n in range(256 - len(letters))]
    pieces, seen, merges = list(alphabet), set(alphabet), []
    left = 0
    while len(pieces) < VOCABULARY - 256:
        for right in alphabet:
            joined = pieces[left] + right
            if joined not in seen and len(pieces) < VOCABULARY - 256:
                seen.add(joined)
                pieces.append(joined)
                merges.append(f"{pieces[left]} {right}")
        left += 1
    specials = [f"<|special_{i}|>" for i in range(VOCABULARY - len(pieces))]
    return pieces, specials, merges


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, shape in tensors:
        size = 2 * elements(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    return at


def make_folder(folder, tensors, layers, words):
    folder.mkdir(parents=True, exist_ok=True)
    shards, shard, held = [], [], 0
    for tensor in tensors:
        size = 2 * elements(tensor[1])
        if shard and held + size > 2_000_000_000:
            shards.append(shard)
            shard, held = [], 0
        shard.append(tensor)
        held += size
    shards.append(shard)
    names, total = {}, 0
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        total += write_safetensors(folder / name, shard)
        names.update({t[0]: name for t in shard})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": names}))
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FEED,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "vocab_size": VOCABULARY,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "torch_dtype": "float16",
        "tie_word_embeddings": False}))
    pieces, specials, merges = words
    added = [{"id": len(pieces) + i, "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, s in enumerate(specials)]
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                  "vocab": {p: i for i, p in enumerate(pieces)}, "merges": merges}}, ensure_ascii=False))
    return total


GGUF_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
GGUF_PARTS = {"input_layernorm": "attn_norm", "mlp.down_proj": "ffn_down", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
              "post_attention_layernorm": "ffn_norm", "self_attn.k_proj": "attn_k", "self_attn.o_proj": "attn_output",
              "self_attn.q_proj": "attn_q", "self_attn.v_proj": "attn_v"}


def gguf_name(name):
    base = name.removesuffix(".weight")
    if base in GGUF_NAMES:
        return GGUF_NAMES[base] + ".weight"
    _, _, number, part = base.split(".", 3)
    return f"blk.{number}.{GGUF_PARTS[part]}.weight"


def make_gguf(path, tensors, layers, words):
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    pieces, specials, merges = words
    number = lambda k, v: text(k) + struct.pack("<II", 4, v)
    real = lambda k, v: text(k) + struct.pack("<If", 6, v)
    string = lambda k, v: text(k) + struct.pack("<I", 8) + text(v)
    strings = lambda k, v: text(k) + struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text, v))
    kinds = [1] * len(pieces) + [3] * len(specials)
    keys = [string("general.architecture", "llama"), number("llama.block_count", layers), number("llama.context_length", 8192),
            number("llama.embedding_length", HIDDEN), number("llama.feed_forward_length", FEED),
            number("llama.attention.head_count", HEADS), number("llama.attention.head_count_kv", KEY_HEADS),
            real("llama.attention.layer_norm_rms_epsilon", 1e-5), real("llama.rope.freq_base", 500000.0),
            string("tokenizer.ggml.model", "gpt2"), string("tokenizer.ggml.pre", "llama-bpe"),
            strings("tokenizer.ggml.tokens", pieces + specials), strings("tokenizer.ggml.merges", merges),
            text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, len(kinds)) + struct.pack(f"<{len(kinds)}i", *kinds)]
    infos, at = [], 0
    for name, shape in tensors:
        norm = len(shape) == 1
        infos.append(text(gguf_name(name)) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in reversed(shape)) +
                     struct.pack("<IQ", 0 if norm else 1, at))
        at += (elements(shape) * (4 if norm else 2) + 31) // 32 * 32
    head = struct.pack("<IIQQ", 0x46554747, 3, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    start = (len(head) + 31) // 32 * 32
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(start + at)
    return at


def measure(retort, model, rounds):
    best = None
    for _ in range(rounds):
        start = time.perf_counter()
        child = subprocess.Popen([retort, "inspect", str(model), "--json"], stdout=subprocess.PIPE)
        out = json.loads(child.stdout.read())
        _, status, used = os.wait4(child.pid, 0)
        row = (time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        if status != 0:
            raise RuntimeError(f"{model}: status {status}")
        best = row if best is None else tuple(map(min, best, row))
    fits = best[0] < 0.3 and best[2] < 100
    print(f"{model.name:12} {out['bytes'] / 1e9:6.1f} GB  {len(out['tensors']):4} tensors  {best[0]:.3f} s wall  {best[1]:.3f} s "
          f"processor  {best[2]:.0f} MB  {'within' if fits else 'ABOVE'} 0.3 s and 100 MB", flush=True)
    return fits


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("make", "time"))
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--retort", default="build/release/bin/retort")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.part == "make":
        tensors, layers = tensors_for(options.gigabytes)
        words = vocabulary()
        for what, size in (("folder", make_folder(options.out / "folder", tensors, layers, words)),
                           ("model.gguf", make_gguf(options.out / "model.gguf", tensors, layers, words))):
            print(f"{options.out / what}: {size / 1e9:.2f} GB of weights, {layers} layers")
        return
    sys.exit(not all([measure(options.retort, options.out / name, options.rounds) for name in ("folder", "model.gguf")]))


main()
