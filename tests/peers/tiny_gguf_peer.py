#!/usr/bin/env python3
"""Tiny models as GGUF, with the tensor names that the gguf package (llama.cpp's own) gives them, for comparing with the
folders that they were made of.

    pip install gguf safetensors numpy
    tiny_gguf_peer.py OUT FOLDER ...            writes OUT/NAME.gguf and OUT/NAME.safetensors (the reference)
    tiny_gguf_peer.py OUT FOLDER ... --retort R also runs `R forward` on each and prints how far its logits are

What llama.cpp's converter changes is changed here too: rotary pairs of Llama's relatives, 1 + w of Gemma's norms, GPT-2's
transposed weights, the order of GPT-NeoX's q, k, v, stacked experts.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import tempfile

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

A = gguf.MODEL_ARCH
ARCHITECTURES = {
    "LlamaForCausalLM": A.LLAMA, "MistralForCausalLM": A.LLAMA, "MixtralForCausalLM": A.LLAMA, "PhiForCausalLM": A.PHI2,
    "Phi3ForCausalLM": A.PHI3, "SmolLM3ForCausalLM": A.SMOLLM3, "Olmo2ForCausalLM": A.OLMO2, "GraniteForCausalLM": A.GRANITE,
    "Starcoder2ForCausalLM": A.STARCODER2, "StableLmForCausalLM": A.STABLELM, "CohereForCausalLM": A.COMMAND_R,
    "GemmaForCausalLM": A.GEMMA, "Gemma2ForCausalLM": A.GEMMA2, "Gemma3ForCausalLM": A.GEMMA3,
    "Qwen2ForCausalLM": A.QWEN2, "Qwen3ForCausalLM": A.QWEN3, "Qwen2MoeForCausalLM": A.QWEN2MOE,
    "Qwen3MoeForCausalLM": A.QWEN3MOE, "GPTNeoXForCausalLM": A.GPTNEOX, "GPT2LMHeadModel": A.GPT2, "BertModel": A.BERT,
}
INTERLEAVED = (A.LLAMA, A.SMOLLM3, A.GRANITE)
EXPERT = re.compile(r"(.*layers\.\d+\..*experts)\.(\d+)\.(w1|w2|w3|gate_proj|up_proj|down_proj)\.weight")
PLAIN_NAMES = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


def pairs_adjacent(weight, heads):
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def first(config, *keys):
    return next((config[k] for k in keys if config.get(k) is not None), None)


def add_metadata(writer, arch, config):
    hidden, heads = first(config, "hidden_size", "n_embd"), first(config, "num_attention_heads", "n_head")
    head = config.get("head_dim") or hidden // heads
    writer.add_block_count(first(config, "num_hidden_layers", "n_layer"))
    writer.add_embedding_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_context_length(first(config, "max_position_embeddings", "n_positions"))
    writer.add_feed_forward_length(first(config, "intermediate_size", "n_inner") or 4 * hidden)
    if config.get("head_dim"):
        writer.add_key_length(head)
        writer.add_value_length(head)
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    epsilon = first(config, "layer_norm_eps", "norm_epsilon", "layer_norm_epsilon")
    if epsilon:
        writer.add_layer_norm_eps(epsilon)
    for key, add in (("attn_logit_softcapping", writer.add_attn_logit_softcapping),
                     ("final_logit_softcapping", writer.add_final_logit_softcapping),
                     ("embedding_multiplier", writer.add_embedding_scale), ("residual_multiplier", writer.add_residual_scale),
                     ("attention_multiplier", writer.add_attention_scale), ("logits_scaling", writer.add_logit_scale),
                     ("logit_scale", writer.add_logit_scale), ("num_local_experts", writer.add_expert_count),
                     ("num_experts", writer.add_expert_count), ("num_experts_per_tok", writer.add_expert_used_count),
                     ("moe_intermediate_size", writer.add_expert_feed_forward_length),
                     ("shared_expert_intermediate_size", writer.add_expert_shared_feed_forward_length)):
        if config.get(key):
            add(config[key])
    if config.get("sliding_window") and config.get("use_sliding_window", True):
        writer.add_sliding_window(config["sliding_window"])
    if arch is A.GPTNEOX:
        writer.add_parallel_residual(config["use_parallel_residual"])
    if arch is A.BERT:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
        writer.add_causal_attention(False)
    if arch not in (A.GPT2, A.BERT):
        add_rope(writer, config, head)


def add_rope(writer, config, head):
    rope = config.get("rope_parameters") or {}
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(first(rope, "rope_theta") or first(config, "rope_theta", "rotary_emb_base"))
    part = first(rope, "partial_rotary_factor") or first(config, "partial_rotary_factor", "rotary_pct") or 1
    writer.add_rope_dimension_count(int(head * part))
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if rope.get("rope_type") == "longrope":
        original = config["original_max_position_embeddings"]
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(original)
        factor = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(factor) / math.log(original)))
        for kind in ("long", "short"):
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(rope[f"{kind}_factor"], np.float32))


def converted(name, tensor, arch, config):
    heads = first(config, "num_attention_heads", "n_head")
    keys = config.get("num_key_value_heads") or heads
    if arch in INTERLEAVED and ".q_proj." in name:
        return pairs_adjacent(tensor, heads)
    if arch in INTERLEAVED and ".k_proj." in name:
        return pairs_adjacent(tensor, keys)
    if arch in (A.GEMMA, A.GEMMA2, A.GEMMA3) and "norm" in name:
        return tensor + 1
    if arch is A.GPT2 and re.search(r"(c_attn|c_proj|c_fc)\.weight$", name):
        return tensor.T.copy()
    if arch is A.GPTNEOX and "query_key_value" in name:
        return tensor.reshape(heads, 3, -1, *tensor.shape[1:]).swapaxes(0, 1).reshape(tensor.shape).copy()
    return tensor.squeeze() if "shared_expert_gate" in name else tensor


def convert(folder, path):
    config = json.loads((folder / "config.json").read_text())
    arch = ARCHITECTURES[config["architectures"][0]]
    names = gguf.get_tensor_name_map(arch, first(config, "num_hidden_layers", "n_layer"))
    writer = gguf.GGUFWriter(str(path), gguf.MODEL_ARCH_NAMES[arch])
    writer.add_name(folder.name)
    add_metadata(writer, arch, config)

    def add(tensor, *spellings):
        name = next(filter(None, (names.get_name(s, try_suffixes=(".weight", ".bias")) for s in spellings)), None)
        if name is None:
            raise KeyError(spellings[0])
        writer.add_tensor(name, tensor.astype(np.float16 if tensor.ndim > 1 else np.float32))

    experts = {}
    for shard in sorted(folder.glob("model*.safetensors")):
        for name, tensor in load_file(shard).items():
            if match := EXPERT.match(name):
                experts.setdefault((match[1], match[3]), {})[int(match[2])] = tensor
            elif not (arch is A.BERT and ("pooler" in name or "position_ids" in name)):
                add(converted(name, tensor.astype(np.float32), arch, config), name)
    for (base, kind), parts in experts.items():
        plain = base.replace("block_sparse_moe", "mlp") + f".{PLAIN_NAMES.get(kind, kind)}.weight"
        add(np.stack([parts[i] for i in range(len(parts))]), f"{base}.{kind}.weight", plain)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def compare(retort, path, reference):
    with tempfile.TemporaryDirectory() as work:
        save_file({"input_ids": reference["input_ids"]}, f"{work}/in.safetensors")
        subprocess.run([retort, "forward", path, "--input", f"{work}/in.safetensors", "--output", f"{work}/out.safetensors"], check=True)
        out = load_file(f"{work}/out.safetensors")
    key = "logits" if "logits" in out else "last_hidden_state"
    apart = np.abs(out[key] - reference[key]).max() / np.abs(reference[key]).max()
    print(f"{path.name}: {key} {apart:.1e} apart")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--retort")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for folder in options.folders:
        path = options.out / f"{folder.name}.gguf"
        convert(folder, path)
        reference = load_file(folder / "reference.safetensors")
        save_file({k: v for k, v in reference.items() if k in ("input_ids", "logits", "last_hidden_state", "greedy")},
                  options.out / f"{folder.name}.safetensors")
        if options.retort:
            compare(options.retort, path, reference)


if __name__ == "__main__":
    main()
