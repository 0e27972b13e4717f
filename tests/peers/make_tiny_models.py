#!/usr/bin/env python3
"""Makes the tiny models of tests/data/models: random weights, and what transformers computes with them in float32.

    pip install torch transformers safetensors numpy
    make_tiny_models.py OUT [NAME ...]      the plain ones only if named

Each folder: config.json, model.safetensors (float16, so that a folder stays below 150 KB) and reference.safetensors:
input_ids [2, 20] (encoders also attention_mask with a padded second row, and token_type_ids), logits, last_hidden_state;
decoders also greedy: the 8 tokens that follow row 0, the whole sequence computed anew for each.
"""
import pathlib
import sys

import torch
import transformers as t
from safetensors.torch import save_file

LENGTH, GREEDY, VOCABULARY = 20, 8, 96
SMALL = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
GROUPED = dict(SMALL, num_key_value_heads=2)

DECODERS = {
    "phi2": (t.PhiForCausalLM, t.PhiConfig(**GROUPED)),
    "smollm3": (t.SmolLM3ForCausalLM, t.SmolLM3Config(**dict(GROUPED, num_hidden_layers=3), no_rope_layers=[1, 0, 1],
                                                     use_sliding_window=True, sliding_window=8)),
    "olmo2": (t.Olmo2ForCausalLM, t.Olmo2Config(**GROUPED)),
    "granite": (t.GraniteForCausalLM, t.GraniteConfig(**GROUPED, embedding_multiplier=3.0, residual_multiplier=0.4,
                                                      attention_multiplier=0.2, logits_scaling=1.7)),
    "starcoder2": (t.Starcoder2ForCausalLM, t.Starcoder2Config(**GROUPED, sliding_window=8, tie_word_embeddings=False)),
    "stablelm": (t.StableLmForCausalLM, t.StableLmConfig(**GROUPED, use_qkv_bias=True)),
    "stablelm-parallel": (t.StableLmForCausalLM, t.StableLmConfig(**GROUPED, use_parallel_residual=True)),
    "cohere": (t.CohereForCausalLM, t.CohereConfig(**GROUPED, use_qk_norm=True, logit_scale=0.3)),
    "gemma": (t.GemmaForCausalLM, t.GemmaConfig(**GROUPED, head_dim=12)),
    "gemma3-5layers": (t.Gemma3ForCausalLM, t.Gemma3TextConfig(**dict(GROUPED, num_hidden_layers=3), head_dim=12, sliding_window=8,
                                                              layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                                              final_logit_softcapping=3.0)),
    "mixtral": (t.MixtralForCausalLM, t.MixtralConfig(**GROUPED, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2-moe": (t.Qwen2MoeForCausalLM, t.Qwen2MoeConfig(**GROUPED, num_experts=5, num_experts_per_tok=2,
                                                          moe_intermediate_size=24, shared_expert_intermediate_size=40,
                                                          mlp_only_layers=[0])),
    "qwen3-moe": (t.Qwen3MoeForCausalLM, t.Qwen3MoeConfig(**GROUPED, head_dim=12, num_experts=5, num_experts_per_tok=3,
                                                          moe_intermediate_size=24, norm_topk_prob=True)),
    "gpt-neox-serial": (t.GPTNeoXForCausalLM, t.GPTNeoXConfig(**SMALL, use_parallel_residual=False, attention_bias=False)),
    "qwen2-window": (t.Qwen2ForCausalLM, t.Qwen2Config(**GROUPED, use_sliding_window=True, sliding_window=8, max_window_layers=1)),
}

# Only what GGUF can state: the published models' query scales and layer patterns. For tiny_gguf_peer.py.
PLAIN_DECODERS = {
    "gemma2-plain": (t.Gemma2ForCausalLM, t.Gemma2Config(**GROUPED, head_dim=12, query_pre_attn_scalar=12, sliding_window=8)),
    "gemma3-plain": (t.Gemma3ForCausalLM, t.Gemma3TextConfig(**dict(GROUPED, num_hidden_layers=7), head_dim=12,
                                                            query_pre_attn_scalar=12, sliding_window=8)),
    "smollm3-plain": (t.SmolLM3ForCausalLM, t.SmolLM3Config(**dict(GROUPED, num_hidden_layers=5))),
    "qwen2-moe-plain": (t.Qwen2MoeForCausalLM, t.Qwen2MoeConfig(**GROUPED, num_experts=5, num_experts_per_tok=2,
                                                                moe_intermediate_size=24, shared_expert_intermediate_size=40)),
}

LABELS = dict(id2label={0: "bad", 1: "good", 2: "so so"}, label2id={"bad": 0, "good": 1, "so so": 2})
DISTIL = dict(vocab_size=VOCABULARY, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=64)
PADDED = dict(SMALL, pad_token_id=1, bos_token_id=0)
ENCODERS = {
    "bert-tokens": (t.BertForTokenClassification, t.BertConfig(**SMALL, **LABELS)),
    "distilbert-mlm": (t.DistilBertForMaskedLM, t.DistilBertConfig(**DISTIL)),
    "roberta-mlm": (t.RobertaForMaskedLM, t.RobertaConfig(**PADDED, type_vocab_size=1)),
    "xlm-roberta": (t.XLMRobertaForTokenClassification, t.XLMRobertaConfig(**PADDED, type_vocab_size=1, **LABELS)),
    "electra": (t.ElectraForSequenceClassification, t.ElectraConfig(**SMALL, embedding_size=16, **LABELS)),
    "electra-mlm": (t.ElectraForMaskedLM, t.ElectraConfig(**SMALL, embedding_size=16)),
    "electra-pretraining": (t.ElectraForPreTraining, t.ElectraConfig(**SMALL, embedding_size=32)),
    "albert": (t.AlbertForSequenceClassification, t.AlbertConfig(**dict(SMALL, num_hidden_layers=4), embedding_size=16,
                                                                num_hidden_groups=2, **LABELS)),
    "albert-mlm": (t.AlbertForMaskedLM, t.AlbertConfig(**SMALL, embedding_size=16, inner_group_num=2)),
    "mpnet": (t.MPNetForSequenceClassification, t.MPNetConfig(**PADDED, **LABELS)),
    "mpnet-mlm": (t.MPNetForMaskedLM, t.MPNetConfig(**PADDED)),
}


def make(name, model_class, config, out):
    torch.manual_seed(sum(map(ord, name)))
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            # Norms near 1 (0 where the model adds 1), everything else wide enough to matter.
            wide = 0.3 if tensor.dim() > 1 else 0.2
            tensor.add_(torch.randn_like(tensor) * wide)
        model.half().float()
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    model = model_class.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()

    ids = torch.randint(3, VOCABULARY, (2, LENGTH))
    inputs = {"input_ids": ids}
    if name in ENCODERS:
        mask = torch.ones_like(ids)
        mask[1, 14:] = 0
        ids[1, 14:] = config.pad_token_id
        inputs["attention_mask"] = mask
        if getattr(config, "type_vocab_size", 1) > 1:
            types = torch.zeros_like(ids)
            types[:, 9:] = 1
            inputs["token_type_ids"] = types
    with torch.no_grad():
        logits = model(**inputs).logits
        base = getattr(model, model.base_model_prefix)
        hidden = base(**inputs).last_hidden_state
        if name not in ENCODERS:
            sequence = ids[:1]
            for _ in range(GREEDY):
                sequence = torch.cat([sequence, model(input_ids=sequence).logits[:, -1:].argmax(-1)], 1)
            inputs["greedy"] = sequence[0, LENGTH:].contiguous()
    if name == "electra-pretraining":
        logits = logits[..., None]
    save_file({**{k: v.contiguous() for k, v in inputs.items()}, "logits": logits.contiguous(), "last_hidden_state": hidden.contiguous()},
              folder / "reference.safetensors")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {size} bytes")


def main():
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for name, (model_class, config) in {**DECODERS, **ENCODERS, **PLAIN_DECODERS}.items():
        if name in names or (not names and name not in PLAIN_DECODERS):
            make(name, model_class, config, out)


if __name__ == "__main__":
    main()
