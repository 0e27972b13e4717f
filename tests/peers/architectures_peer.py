#!/usr/bin/env python3
"""Random models of every decoder that Retort writes as GGUF, loaded by stock llama.cpp: the same perplexity, the same tensor types.

    pip install torch transformers safetensors numpy
    architectures_peer.py --root /tmp/llama-root --seen-as /tmp/peer=/data --retort build/release/bin/retort \
        --tokenizer FOLDER_WITH_TOKENIZER_JSON --work /tmp/peer/architectures --text TEXT [--chunks 4] [NAME …]

Each model (transformers, hidden 256, four layers, a byte-level tokenizer, weights wide enough that a wrong row order, norm or scale
moves the loss by far more than the tolerance) is written by Retort as it is (F32) and as Q4_K_M. Compared: llama-perplexity of the F32
file against Retort's of the folder, and the type of each tensor of our Q4_K_M against llama-quantize's of our F32 file. `--root` and
`--seen-as` as in quantize_peer.py; TEXT must lie where llama.cpp sees it. Exit code 1 when anything differs.
"""
import argparse
import json
import pathlib
import re
import shutil
import sys

import torch
import transformers as t

from programs import LlamaCpp, Retort

TOLERANCE = 0.0002   # weights and cache in f32 on both sides: what is left is the order of sums, and ggml's GELU, a table of f16
BASE = dict(hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=1024,
            bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.08)
GROUPED = dict(BASE, num_key_value_heads=2)
EXPERTS = dict(GROUPED, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=256)
LONGROPE = {"rope_type": "longrope", "short_factor": [1 + i / 64 for i in range(32)], "long_factor": [1 + i / 8 for i in range(32)]}

MODELS = {
    "llama": (t.LlamaForCausalLM, t.LlamaConfig, GROUPED),
    "mistral": (t.MistralForCausalLM, t.MistralConfig, dict(GROUPED, sliding_window=None)),
    "mixtral": (t.MixtralForCausalLM, t.MixtralConfig, dict(GROUPED, num_local_experts=8, sliding_window=None)),
    "qwen2": (t.Qwen2ForCausalLM, t.Qwen2Config, GROUPED),
    "qwen2moe": (t.Qwen2MoeForCausalLM, t.Qwen2MoeConfig, dict(EXPERTS, shared_expert_intermediate_size=256)),
    "qwen3": (t.Qwen3ForCausalLM, t.Qwen3Config, dict(GROUPED, head_dim=64)),
    "qwen3moe": (t.Qwen3MoeForCausalLM, t.Qwen3MoeConfig, dict(EXPERTS, head_dim=64, norm_topk_prob=True)),
    "gemma": (t.GemmaForCausalLM, t.GemmaConfig, dict(GROUPED, head_dim=64)),
    "gemma2": (t.Gemma2ForCausalLM, t.Gemma2Config, dict(GROUPED, head_dim=64, query_pre_attn_scalar=64, sliding_window=128)),
    "gemma3": (t.Gemma3ForCausalLM, t.Gemma3TextConfig, dict(GROUPED, num_hidden_layers=6, head_dim=64, query_pre_attn_scalar=64, sliding_window=128)),
    "phi2": (t.PhiForCausalLM, t.PhiConfig, BASE),
    "phi3": (t.Phi3ForCausalLM, t.Phi3Config, GROUPED),
    "phi3-longrope": (t.Phi3ForCausalLM, t.Phi3Config, dict(GROUPED, original_max_position_embeddings=512, rope_parameters={**LONGROPE, "rope_theta": 10000.0})),
    "smollm3": (t.SmolLM3ForCausalLM, t.SmolLM3Config, dict(GROUPED, use_sliding_window=False)),
    "olmo2": (t.Olmo2ForCausalLM, t.Olmo2Config, GROUPED),
    "granite": (t.GraniteForCausalLM, t.GraniteConfig, dict(GROUPED, embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.1, logits_scaling=1.7)),
    "starcoder2": (t.Starcoder2ForCausalLM, t.Starcoder2Config, dict(GROUPED, sliding_window=None)),
    "stablelm": (t.StableLmForCausalLM, t.StableLmConfig, dict(GROUPED, use_qkv_bias=True)),
    "cohere": (t.CohereForCausalLM, t.CohereConfig, dict(GROUPED, logit_scale=0.3)),
    "gpt2": (t.GPT2LMHeadModel, t.GPT2Config, dict(n_embd=256, n_layer=4, n_head=4, n_positions=1024, bos_token_id=1, eos_token_id=2, initializer_range=0.08)),
    "gptneox": (t.GPTNeoXForCausalLM, t.GPTNeoXConfig, BASE),
}


def add_tokens(path, texts):
    """llama.cpp looks these up in every file that is called Phi-3."""
    tokenizer = json.loads(path.read_text())
    taken = dict(tokenizer["model"]["vocab"], **{token["content"]: token["id"] for token in tokenizer["added_tokens"]})
    for text in texts:
        if text not in taken:
            taken[text] = max(taken.values()) + 1
            tokenizer["added_tokens"].append({"id": taken[text], "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                                              "normalized": False, "special": True})
    path.write_text(json.dumps(tokenizer))


class Peer(LlamaCpp):
    def __init__(self, options):
        super().__init__(options.root, options.seen_as)
        self.options, self.work, self.retort = options, pathlib.Path(options.work), Retort(options.retort)

    def types(self, path):
        return {tensor["name"]: tensor["type"] for tensor in self.retort("inspect", path)["tensors"]}

    def make(self, name):
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        model_class, config_class, options = MODELS[name]
        torch.manual_seed(7)
        vocabulary = 64 * -(-(8 + len(t.PreTrainedTokenizerFast(tokenizer_file=f"{self.options.tokenizer}/tokenizer.json"))) // 64)
        model = model_class(config_class(vocab_size=vocabulary, **options))
        with torch.no_grad():   # norms and biases that are all ones and zeros would hide mistakes
            for key, value in model.named_parameters():
                if value.ndim == 1:
                    value += 0.1 * torch.randn_like(value)
        model.save_pretrained(folder)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            if (pathlib.Path(self.options.tokenizer) / file).exists():
                shutil.copy(pathlib.Path(self.options.tokenizer) / file, folder)
        if name.startswith("phi3"):
            add_tokens(folder / "tokenizer.json", ["<unk>", "<s>", "</s>", "<|endoftext|>"])
        return folder

    def perplexity(self, path):
        chunks = self.options.chunks
        for _ in range(5):   # its last lines are lost now and then
            out = self.run("llama-perplexity", "-m", self.inside(path), "-f", self.inside(self.options.text), "-c", "512", "-b", "512", "--chunks", chunks,
                           "-ctk", "f32", "-ctv", "f32")
            found = re.search(rf"\[{chunks}\]([0-9.]+),", out)
            if found:
                return float(found.group(1))
        raise RuntimeError("llama-perplexity prints no result")

    def compare(self, name):
        folder = self.make(name)
        f32, ours, theirs = (self.work / f"{name}.{kind}.gguf" for kind in ("f32", "ours", "theirs"))
        self.retort("export", folder, "-o", f32)
        self.retort("quantize", folder, "--type", "Q4_K_M", "-o", ours)
        mine = self.retort("eval", folder, "--task", "perplexity", "--data", self.options.text, "--context", "512", "--chunks", self.options.chunks,
                           "--activations", "f32")["perplexity"]["value"]
        peer = self.perplexity(f32)
        self.run("llama-quantize", self.inside(f32), self.inside(theirs), "Q4_K_M", "2")
        left, right = self.types(ours), self.types(theirs)
        other = [f"{n} {left.get(n)}/{right.get(n)}" for n in sorted(set(left) | set(right)) if left.get(n) != right.get(n)]
        apart = mine / peer - 1
        good = abs(apart) <= TOLERANCE and not other
        print(f"{name:<14} {peer:>14.4f} {mine:>14.4f} {100 * apart:>+8.4f}%  {len(left) - len(other)}/{len(left)} types"
              f"{'' if not other else '  ' + other[0]}{'' if good else '  FAIL'}", flush=True)
        return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--root", default="")
    parser.add_argument("--seen-as", default="")
    parser.add_argument("--retort", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--chunks", type=int, default=4)
    options = parser.parse_args()
    pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
    peer, failures = Peer(options), 0
    print(f"{'model':<14} {'llama.cpp':>14} {'retort':>14} {'apart':>9}")
    for name in options.names or MODELS:
        try:
            failures += not peer.compare(name)
        except Exception as error:   # the others still tell something
            print(f"{name:<14} {error}  FAIL", flush=True)
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
