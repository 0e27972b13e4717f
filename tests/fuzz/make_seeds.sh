#!/usr/bin/env bash
# make_seeds.sh OUT: first inputs for every fuzzer, from tests/data, one folder each. Where RETORT_SHARED names the shared
# references, theirs too. Large files are left out: a fuzzer needs the form, not the values.
set -euo pipefail
out=$1
data=$(cd "$(dirname "$0")/../data" && pwd)
shared=${RETORT_SHARED:-}
mkdir -p "$out"/{chat_template,config,folder,gguf,older_tokenizers,onnx,pickle,pytorch,quantized,safetensors,sentencepiece,tokenizer}

put() {   # put TARGET NAME [LIMIT]: standard input, where it isn't too long
  local file="$out/$1/$2"
  cat > "$file"
  [ "$(stat -c %s "$file")" -le "${3:-60000}" ] || rm "$file"
}
name_of() { realpath --relative-to="$data/../.." "$1" | tr '/' '-'; }
joined() {   # files parted by NUL bytes; one that isn't there is empty
  local first=1
  for file in "$@"; do
    [ $first = 1 ] || printf '\0'
    first=0
    [ ! -f "$file" ] || cat "$file"
  done
}

while IFS= read -r file; do
  name=$(name_of "$file")
  folder=$(dirname "$file")
  case "$file" in
    *.gguf) put gguf "$name" 50000 < "$file" ;;
    */config.json)
      put config "$name" < "$file"
      joined "$folder"/{config,tokenizer,tokenizer_config}.json "$folder/model.safetensors.index.json" | put folder "$name"
      if grep -q quantization_config "$file" || [ -f "$folder/quantize_config.json" ]; then
        joined "$file" "$folder/model.safetensors" | put quantized "$name" 40000
      fi ;;
    */tokenizer.json) joined "$file" "$folder/tokenizer_config.json" | put tokenizer "$name" 100000 ;;
    */tokenizer.model | */spiece.model) put sentencepiece "$name" 100000 < "$file" ;;
    */vocab.txt | */vocab.json)
      joined "$folder"/{tokenizer_config.json,vocab.txt,vocab.json,merges.txt,added_tokens.json,special_tokens_map.json} |
        put older_tokenizers "$name" ;;
    *.safetensors) put safetensors "$name" 40000 < "$file" ;;
    *.bin | *.ckpt)
      put pytorch "$name" < "$file"
      unzip -p "$file" '*/data.pkl' 2> /dev/null | put pickle "$name" || true ;;
    *.onnx) put onnx "$name" 20000 < "$file" ;;
    *.jinja) put chat_template "$name" < "$file" ;;
  esac
done < <(find "$data" ${shared:+"$shared/models" "$shared/quantized" "$shared/gguf" "$shared/tokenizers"} -type f -not -path "$data/fuzz/*")
# Templates and tokenizer steps lie in lists; GGUF files of the tests are too large to change fast, so a smaller one is made.
python3 - "$data" "$out" << 'END'
import json, pathlib, struct, sys
data, out = map(pathlib.Path, sys.argv[1:])
for case in json.loads((data / "chat/cases.json").read_text()):
    name = case["name"].split("/")[0]
    (out / "chat_template" / name).write_text(case["template"])
steps = json.loads((data / "tokenizer/steps.json").read_text())
for i, step in enumerate(steps["steps"]):
    (out / "tokenizer" / f"step-{i}").write_text(json.dumps({**steps["base"], "normalizer": step["normalizer"], "pre_tokenizer": step["pre_tokenizer"]}))

text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
key = lambda k, kind, value: text(k) + struct.pack("<I", kind) + value
strings = lambda k, v: key(k, 9, struct.pack("<IQ", 8, len(v)) + b"".join(map(text, v)))
def gguf(tokenizer, pieces, more):
    keys = [key("general.architecture", 8, text("llama")), key("llama.rope.freq_base", 6, struct.pack("<f", 1e4)),
            key("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)), key("tokenizer.ggml.model", 8, text(tokenizer)),
            key("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 0)), strings("tokenizer.ggml.tokens", pieces), *more]
    for name, value in (("block_count", 1), ("context_length", 64), ("embedding_length", 32), ("feed_forward_length", 32),
                        ("attention.head_count", 2), ("attention.head_count_kv", 1)):
        keys.append(key("llama." + name, 4, struct.pack("<I", value)))
    Q4, Q8, F16, F32 = (2, 18), (8, 34), (1, 64), (0, 128)   # number, bytes of 32 values
    b = "blk.0."
    tensors = [("token_embd", [len(pieces), 32], Q8), ("output_norm", [32], F32), (b + "attn_norm", [32], F32), (b + "ffn_norm", [32], F32),
               (b + "attn_q", [32, 32], Q4), (b + "attn_k", [16, 32], Q4), (b + "attn_v", [16, 32], F16), (b + "attn_output", [32, 32], Q4),
               (b + "ffn_gate", [32, 32], Q4), (b + "ffn_up", [32, 32], Q4), (b + "ffn_down", [32, 32], Q4)]
    infos, at = b"", 0
    for name, shape, (kind, size) in tensors:
        infos += text(name + ".weight") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, at)
        at += (size * (shape[0] if len(shape) == 2 else 1) + 31) // 32 * 32
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(keys)) + b"".join(keys) + infos
    return head + b"\0" * (-len(head) % 32 + at)
numbers = lambda k, kind, code, v: key(k, 9, struct.pack("<IQ", kind, len(v)) + struct.pack(f"<{len(v)}{code}", *v))
letters = [chr(c) for c in range(97, 123)]
byte_level = ["<s>", "\u0120", *letters, "th", "the", "he"]
(out / "gguf/small-gpt2").write_bytes(gguf("gpt2", byte_level, [strings("tokenizer.ggml.merges", ["t h", "th e", "h e"]),
    key("tokenizer.ggml.pre", 8, text("llama-bpe")), numbers("tokenizer.ggml.token_type", 5, "i", [3] + [1] * (len(byte_level) - 1))]))
pieces = ["<unk>", "<s>", "</s>", "\u2581", *letters, "th", "\u2581the", "<0x41>"]
scored = [numbers("tokenizer.ggml.scores", 6, "f", [float(-i) for i in range(len(pieces))]),
          numbers("tokenizer.ggml.token_type", 5, "i", [2, 3, 3] + [1] * (len(pieces) - 4) + [6])]
for kind in ("llama", "t5"):
    (out / f"gguf/small-{kind}").write_bytes(gguf(kind, pieces, scored))
(out / "gguf/small-bert").write_bytes(gguf("bert", ["[CLS]", "[SEP]", "[UNK]", *letters, "##e", "\u2581the"], []))
END
find "$out" -type f -empty -delete
for target in "$out"/*/; do echo "$(basename "$target") $(find "$target" -type f | wc -l)"; done
