#!/usr/bin/env python3
"""Trains the small Llama-architecture model of the "Retort tiny" study from scratch, and writes it.

    make_tiny_model.py tokenizer --corpus CORPUS.txt --work DIR
    make_tiny_model.py train     --corpus CORPUS.txt --work DIR [--steps N] [--decay N] [--minutes M]
    make_tiny_model.py export    --work DIR --gguf OUT.gguf [--hf FOLDER]
    make_tiny_model.py score     --work DIR --data FOLDER [--gguf LEVEL.gguf]      perplexity and accuracy

Training is resumable: DIR holds the tokenizer and one checkpoint, written beside and renamed.
Matrices inside the layers are updated by Muon (momentum, orthogonalised by five Newton-Schulz
steps; K. Jordan 2024), embedding and norms by AdamW. The learning rate warms up, stays, and falls
along a cosine in the last `decay` steps, so that the end can be chosen while it runs.

Needs: jax, numpy, tokenizers, gguf, safetensors (PyPI). Everything is float32; weights are
rounded to float16 when written.
"""

import argparse
import json
import math
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

SIZES = {
    # Every row length (256, 768) is a multiple of 256, the super-block of the k-types.
    "tiny": dict(vocab=2048, dim=256, layers=5, heads=4, kv_heads=2, ffn=768, context=512),
    # For unit tests: small enough to commit, grouped-query attention included.
    "micro": dict(vocab=384, dim=64, layers=2, heads=4, kv_heads=2, ffn=192, context=128),
}
ROPE_THETA, EPS, SEED = 10000.0, 1e-5, 7
END = "<|endoftext|>"


# Tokenizer: byte-level BPE; digits stand alone, as llama.cpp's pre-tokenizer "smollm" splits.

def train_tokenizer(text, vocab, path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=[END], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(text.split("\n\n"), trainer)
    tok.save(str(path))
    return tok


def load_tokenizer(work):
    from tokenizers import Tokenizer
    return Tokenizer.from_file(str(Path(work) / "tokenizer.json"))


def token_stream(tok, corpus, work):
    """All documents as one row of ids: usually an empty line between two, each fifth time the end token.
    Returns (ids, where documents start)."""
    cache = Path(work) / "stream.npz"
    if cache.exists():
        saved = np.load(cache)
        return saved["ids"], saved["starts"]
    documents = Path(corpus).read_text().strip().split("\n\n")
    end = tok.token_to_id(END)
    ids, starts = [], []
    for at in range(0, len(documents), 2000):
        batch = [d if i % 5 == 4 else d + "\n\n" for i, d in enumerate(documents[at:at + 2000], at)]
        for i, encoded in enumerate(tok.encode_batch(batch), at):
            starts.append(len(ids))
            ids.extend(encoded.ids)
            if i % 5 == 4:
                ids.append(end)
    ids, starts = np.array(ids, np.uint16), np.array(starts, np.int64)
    np.savez(cache, ids=ids, starts=starts)
    return ids, starts


# Model: plain Llama. Weights are [out, in]; rotary embedding in the half-split form of transformers.

def initial(c, seed):
    rng = np.random.default_rng(seed)

    def normal(rows, cols, scale=1.0):
        return (rng.standard_normal((rows, cols)) * scale / math.sqrt(cols)).astype(np.float32)

    kv, out = c["kv_heads"] * (c["dim"] // c["heads"]), 1 / math.sqrt(2 * c["layers"])
    params = {"embed": (rng.standard_normal((c["vocab"], c["dim"])) * 0.02).astype(np.float32),
              "norm": np.ones(c["dim"], np.float32)}
    for i in range(c["layers"]):
        params |= {f"{i}.attn_norm": np.ones(c["dim"], np.float32), f"{i}.ffn_norm": np.ones(c["dim"], np.float32),
                   f"{i}.q": normal(c["dim"], c["dim"]), f"{i}.k": normal(kv, c["dim"]), f"{i}.v": normal(kv, c["dim"]),
                   f"{i}.o": normal(c["dim"], c["dim"], out), f"{i}.gate": normal(c["ffn"], c["dim"]),
                   f"{i}.up": normal(c["ffn"], c["dim"]), f"{i}.down": normal(c["dim"], c["ffn"], out)}
    return params


def make_forward(c):
    """logits [batch, time, vocab] of ids [batch, time]."""
    import jax
    import jax.numpy as jnp
    h, kv, d = c["heads"], c["kv_heads"], c["dim"] // c["heads"]

    def norm(x, w):
        return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPS) * w

    def rotate(x, cos, sin):  # x: [batch, heads, time, d]
        a, b = x[..., : d // 2], x[..., d // 2:]
        return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(p, ids):
        n, t = ids.shape
        angle = jnp.arange(t)[:, None] * (ROPE_THETA ** (-jnp.arange(0, d, 2) / d))[None]
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        mask = jnp.where(jnp.tril(jnp.ones((t, t), bool)), 0.0, -1e9).astype(jnp.float32)
        x = p["embed"][ids]
        for i in range(c["layers"]):
            y = norm(x, p[f"{i}.attn_norm"])
            q = rotate((y @ p[f"{i}.q"].T).reshape(n, t, h, d).transpose(0, 2, 1, 3), cos, sin)
            k = rotate((y @ p[f"{i}.k"].T).reshape(n, t, kv, d).transpose(0, 2, 1, 3), cos, sin)
            v = (y @ p[f"{i}.v"].T).reshape(n, t, kv, d).transpose(0, 2, 1, 3)
            q = q.reshape(n, kv, h // kv * t, d)  # query heads of one group share their key head
            s = (q @ k.transpose(0, 1, 3, 2)).reshape(n, kv, h // kv, t, t) / math.sqrt(d) + mask
            a = (jax.nn.softmax(s, -1).reshape(n, kv, h // kv * t, t) @ v).reshape(n, h, t, d)
            x = x + a.transpose(0, 2, 1, 3).reshape(n, t, h * d) @ p[f"{i}.o"].T
            y = norm(x, p[f"{i}.ffn_norm"])
            x = x + (jax.nn.silu(y @ p[f"{i}.gate"].T) * (y @ p[f"{i}.up"].T)) @ p[f"{i}.down"].T
        return norm(x, p["norm"]) @ p["embed"].T

    return forward


# Training

def is_matrix(name):
    return "." in name and not name.endswith("norm")


def make_step(c):
    import jax
    import jax.numpy as jnp
    forward = make_forward(c)

    def loss_of(p, ids):
        logits = forward(p, ids[:, :-1])
        picked = jnp.take_along_axis(logits, ids[:, 1:, None].astype(jnp.int32), -1)[..., 0]
        return jnp.mean(jax.nn.logsumexp(logits, -1) - picked)

    def orthogonal(g):  # singular values pushed towards one
        x = g / (jnp.linalg.norm(g, axis=(1, 2), keepdims=True) + 1e-7)
        tall = x.shape[1] > x.shape[2]
        x = x.transpose(0, 2, 1) if tall else x
        for _ in range(5):
            a = x @ x.transpose(0, 2, 1)
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return x.transpose(0, 2, 1) if tall else x

    def step(p, m, v, ids, at, scale):
        """One update; `scale` is the schedule's factor, 0…1."""
        loss, g = jax.value_and_grad(loss_of)(p, ids)
        size = jnp.sqrt(sum(jnp.sum(x * x) for x in g.values()))
        g = jax.tree.map(lambda x: x * jnp.minimum(1.0, 1.0 / (size + 1e-6)), g)
        p, m, v = dict(p), dict(m), dict(v)
        shapes = {}
        for name in p:
            if is_matrix(name):
                m[name] = 0.95 * m[name] + g[name]
                shapes.setdefault(p[name].shape, []).append(name)
                continue
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.98 * v[name] + 0.02 * g[name] ** 2
            update = (m[name] / (1 - 0.9 ** (at + 1))) / (jnp.sqrt(v[name] / (1 - 0.98 ** (at + 1))) + 1e-8)
            p[name] = p[name] - scale * 3e-3 * update
        for shape, names in shapes.items():  # equal shapes in one batch
            nesterov = jnp.stack([g[n] + 0.95 * m[n] for n in names])
            update = orthogonal(nesterov) * math.sqrt(max(1.0, shape[0] / shape[1]))
            for n, u in zip(names, update):
                p[n] = p[n] * (1 - scale * 2e-2 * 0.05) - scale * 2e-2 * u
        return p, m, v, loss

    return jax.jit(step, donate_argnums=(0, 1, 2)), forward


def schedule(at, steps, decay, warm=40):
    if at < warm:
        return (at + 1) / warm
    left = steps - at
    return 1.0 if left > decay else 0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * left / decay))


def windows(ids, starts, at, batch, length, seed):
    """The windows of step `at`: a pass in random order over the stream; every second begins with a document."""
    per_pass = (len(ids) - 2 * length) // length
    rows = []
    for i in range(at * batch, (at + 1) * batch):
        order = np.random.default_rng((seed, i // per_pass)).permutation(per_pass)
        begin = int(order[i % per_pass]) * length + (i // per_pass) * 37 % length
        if i % 2:
            begin = int(starts[min(np.searchsorted(starts, begin), len(starts) - 1)])
        begin = min(begin, len(ids) - length - 1)
        rows.append(ids[begin:begin + length + 1])
    return np.stack(rows).astype(np.int32)


def save_checkpoint(work, at, params, m, v):
    beside = Path(work) / "checkpoint.tmp.npz"
    np.savez(beside, at=at, **{f"{k}/{n}": np.asarray(x) for k, t in (("p", params), ("m", m), ("v", v)) for n, x in t.items()})
    os.replace(beside, Path(work) / "checkpoint.npz")


def load_checkpoint(work):
    saved = np.load(Path(work) / "checkpoint.npz")
    trees = [{n[2:]: saved[n] for n in saved.files if n.startswith(k + "/")} for k in "pmv"]
    return int(saved["at"]), *trees


def train(args, c):
    import jax
    tok = load_tokenizer(args.work)
    ids, starts = token_stream(tok, args.corpus, args.work)
    print(f"{len(ids)} tokens, {len(starts)} documents", flush=True)
    if (Path(args.work) / "checkpoint.npz").exists():
        at, p, m, v = load_checkpoint(args.work)
    else:
        at, p = 0, initial(c, SEED)
        m, v = ({n: np.zeros_like(x) for n, x in p.items()} for _ in range(2))
    p, m, v = jax.tree.map(jax.numpy.asarray, (p, m, v))
    step, _ = make_step(c)
    began, done, recent = time.time(), 0, []
    until = min(args.until or args.steps, args.steps)
    while at < until:
        # Short windows are cheaper; the last quarter sees the whole context.
        length = args.length if at < args.steps - args.long_steps else c["context"]
        batch = args.tokens // length
        p, m, v, loss = step(p, m, v, windows(ids, starts, at, batch, length, SEED), np.float32(at),
                             np.float32(schedule(at, args.steps, args.decay)))
        at, done = at + 1, done + 1
        recent.append(float(loss))
        if at % 10 == 0:
            rate = done * args.tokens / (time.time() - began)
            print(f"step {at}  loss {np.mean(recent[-10:]):.4f}  {rate:.0f} tokens/s", flush=True)
        over = args.minutes and time.time() - began > 60 * args.minutes
        if at % 50 == 0 or at == until or over:
            save_checkpoint(args.work, at, p, m, v)
        if over:
            print("time is up; run again to go on", flush=True)
            break


# Export

def hf_names(c):
    names = {"embed": "model.embed_tokens.weight", "norm": "model.norm.weight"}
    for i in range(c["layers"]):
        at = f"model.layers.{i}."
        names |= {f"{i}.attn_norm": at + "input_layernorm.weight", f"{i}.ffn_norm": at + "post_attention_layernorm.weight",
                  f"{i}.q": at + "self_attn.q_proj.weight", f"{i}.k": at + "self_attn.k_proj.weight",
                  f"{i}.v": at + "self_attn.v_proj.weight", f"{i}.o": at + "self_attn.o_proj.weight",
                  f"{i}.gate": at + "mlp.gate_proj.weight", f"{i}.up": at + "mlp.up_proj.weight",
                  f"{i}.down": at + "mlp.down_proj.weight"}
    return names


def gguf_names(c):
    names = {"embed": "token_embd.weight", "norm": "output_norm.weight"}
    for i in range(c["layers"]):
        names |= {f"{i}.{ours}": f"blk.{i}.{theirs}.weight" for ours, theirs in
                  [("attn_norm", "attn_norm"), ("ffn_norm", "ffn_norm"), ("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"),
                   ("o", "attn_output"), ("gate", "ffn_gate"), ("up", "ffn_up"), ("down", "ffn_down")]}
    return names


def export_hf(c, p, work, folder):
    from safetensors.numpy import save_file
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: p[ours].astype(np.float16) for ours, name in hf_names(c).items()}, str(folder / "model.safetensors"),
              metadata={"format": "pt"})
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=c["dim"], intermediate_size=c["ffn"],
                  num_hidden_layers=c["layers"], num_attention_heads=c["heads"], num_key_value_heads=c["kv_heads"],
                  head_dim=c["dim"] // c["heads"], vocab_size=c["vocab"], max_position_embeddings=c["context"],
                  rms_norm_eps=EPS, rope_theta=ROPE_THETA, hidden_act="silu", tie_word_embeddings=True,
                  attention_bias=False, mlp_bias=False, bos_token_id=0, eos_token_id=0, torch_dtype="float16")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "tokenizer.json").write_bytes((Path(work) / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps(
        dict(tokenizer_class="PreTrainedTokenizerFast", bos_token=END, eos_token=END, add_bos_token=False,
             model_max_length=c["context"]), indent=2) + "\n")


def export_gguf(c, p, work, path, title):
    import gguf
    model = json.loads((Path(work) / "tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_name(title)
    w.add_description("Trained from scratch on text made by Retort's own grammar (docs/data-origin.md)")
    w.add_license("CC0-1.0")
    w.add_context_length(c["context"])
    w.add_embedding_length(c["dim"])
    w.add_block_count(c["layers"])
    w.add_feed_forward_length(c["ffn"])
    w.add_head_count(c["heads"])
    w.add_head_count_kv(c["kv_heads"])
    w.add_rope_dimension_count(c["dim"] // c["heads"])
    w.add_rope_freq_base(ROPE_THETA)
    w.add_layer_norm_rms_eps(EPS)
    w.add_vocab_size(c["vocab"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t == END else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges(merges)
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    w.add_add_bos_token(False)
    for ours, name in gguf_names(c).items():
        x = p[ours]
        if ours.endswith((".q", ".k")):  # ggml rotates neighbouring rows: (half, pair) becomes (pair, half)
            heads = c["heads"] if ours.endswith(".q") else c["kv_heads"]
            x = x.reshape(heads, 2, x.shape[0] // heads // 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape)
        w.add_tensor(name, x.astype(np.float32) if x.ndim == 1 else x.astype(np.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# Scoring, as the program does it: second halves of chunks, choices by likelihood, greedy answers.

def read_gguf(c, path):
    """The weights of an exported file, or of a level that another program made from it."""
    import gguf
    ours = {name: own for own, name in gguf_names(c).items()}
    p = {}
    for tensor in gguf.GGUFReader(path).tensors:
        own, rows = ours[tensor.name], [int(n) for n in reversed(tensor.shape)]
        x = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(rows)
        if own.endswith((".q", ".k")):
            heads = c["heads"] if own.endswith(".q") else c["kv_heads"]
            x = x.reshape(heads, rows[0] // heads // 2, 2, rows[1]).swapaxes(1, 2).reshape(rows)
        p[own] = x
    return p


def score(args, c):
    import jax
    tok = load_tokenizer(args.work)
    if args.gguf:
        p = read_gguf(c, args.gguf)
    else:
        _, p, _, _ = load_checkpoint(args.work)
        p = {n: x.astype(np.float16).astype(np.float32) if x.ndim > 1 else x for n, x in p.items()}
    p = {n: jax.numpy.asarray(x) for n, x in p.items()}
    forward = jax.jit(make_forward(c))

    @jax.jit
    def log_probs(ids):
        return jax.nn.log_softmax(forward(p, ids), -1)

    size = c["context"]
    ids = np.array(tok.encode((Path(args.data) / "evaluation.txt").read_text()).ids, np.int32)
    loss, n = 0.0, 0
    for at in range(0, len(ids) - size + 1, size):
        lp = np.asarray(log_probs(ids[None, at:at + size]))[0]
        picked = lp[np.arange(size // 2, size - 1), ids[at + size // 2 + 1:at + size]]
        loss, n = loss - picked.sum(), n + len(picked)
    print(f"perplexity {math.exp(loss / n):.4f} over {n} tokens of {len(ids)}")

    def padded(row):
        return np.array([row + [0] * (-len(row) % 64)], np.int32)  # few lengths, so few compilations

    right = {}
    for line in open(Path(args.data) / "prompts.jsonl"):
        row = json.loads(line)
        context = tok.encode(row.get("context") or row["prompt"]).ids
        if "choices" in row:
            scores = []
            for choice in row["choices"]:
                more = tok.encode(" " + choice).ids
                lp = np.asarray(log_probs(padded(context + more)))[0]
                scores.append(sum(lp[len(context) + i - 1, t] for i, t in enumerate(more)))
            ok, form = int(np.argmax(scores)) == row["answer"], "choice"
        else:
            made = list(context)
            while len(made) < size and len(made) < len(context) + 16:
                made.append(int(np.argmax(np.asarray(log_probs(padded(made)))[0, len(made) - 1])))
                if made[-1] == 0 or "\n" in tok.decode(made[len(context):]):
                    break
            ok, form = tok.decode(made[len(context):]).split("\n")[0].strip() == row["answer"], "exact"
        right.setdefault((form, row["kind"]), []).append(ok)
    for key, values in sorted(right.items()):
        print(*key, f"{sum(values)}/{len(values)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["tokenizer", "train", "export", "score"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--decay", type=int, default=600)
    parser.add_argument("--until", type=int, help="leave off at this step of the schedule")
    parser.add_argument("--long-steps", type=int, default=300, help="last steps with windows of the whole context")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens a step")
    parser.add_argument("--length", type=int, default=256, help="window before the long steps")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--hf", type=Path)
    args = parser.parse_args()
    c = SIZES[args.size]
    args.work.mkdir(parents=True, exist_ok=True)
    if args.what == "tokenizer":
        train_tokenizer(args.corpus.read_text()[:8_000_000], c["vocab"], args.work / "tokenizer.json")
    elif args.what == "train":
        train(args, c)
    elif args.what == "score":
        score(args, c)
    else:
        _, p, _, _ = load_checkpoint(args.work)
        if args.gguf:
            export_gguf(c, p, args.work, args.gguf, f"Retort {args.size}")
        if args.hf:
            export_hf(c, p, args.work, args.hf)


if __name__ == "__main__":
    sys.exit(main())
