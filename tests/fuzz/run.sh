#!/usr/bin/env bash
# run.sh SEEDS OUT RUNS [TARGET …]: runs the fuzzers of build/fuzz/bin one after the other, each for RUNS executions counted over
# all calls with the same OUT. OUT/TARGET is the corpus, OUT/crashes what was found; OUT/counts.tsv sums the executions.
# RETORT_FUZZ_SECONDS bounds one call of a target (default 600), RETORT_FUZZ_LENGTH the length of an input (default 4096).
set -uo pipefail
seeds=$1 out=$2 runs=$3
shift 3
bin=$(cd "$(dirname "$0")/../.." && pwd)/build/fuzz/bin
[ $# -gt 0 ] || set -- chat_template config gguf older_tokenizers onnx pickle pytorch quantized safetensors sentencepiece tokenizer folder
mkdir -p "$out/crashes"
touch "$out/counts.tsv"
failed=0
for target; do
  mkdir -p "$out/$target"
  done_so_far=$(awk -v t="$target" '$1 == t {n += $2} END {print n + 0}' "$out/counts.tsv")
  left=$((runs - done_so_far))
  if [ $left -gt 0 ]; then
    "$bin/${target}_fuzz" "$out/$target" "$seeds/$target" -runs=$left -max_total_time="${RETORT_FUZZ_SECONDS:-600}" \
      -max_len="${RETORT_FUZZ_LENGTH:-4096}" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$out/crashes/$target-" > "$out/$target.log" 2>&1 || failed=1
    made=$(awk '/stat::number_of_executed_units/ {print $2}' "$out/$target.log")
    printf '%s\t%s\n' "$target" "${made:-0}" >> "$out/counts.tsv"
  fi
  total=$(awk -v t="$target" '$1 == t {n += $2} END {print n + 0}' "$out/counts.tsv")
  echo "$target: $total executions, $(find "$out/crashes" -name "$target-*" | wc -l) findings, $(find "$out/$target" -type f | wc -l) inputs kept"
done
exit $failed
