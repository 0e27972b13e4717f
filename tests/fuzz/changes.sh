#!/usr/bin/env bash
# changes.sh RUNS [TARGET …]: fuzz_corpus_test's seeded changes of every kept input under the sanitizers, at least RUNS executions of
# each target, in rounds of other seeds. Prints what was made; stops at the first finding. RETORT_FUZZ_PROGRAM: another build of the test.
set -euo pipefail
runs=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
program=${RETORT_FUZZ_PROGRAM:-$here/../../build/asan/bin/fuzz_corpus_test}
[ $# -gt 0 ] || set -- chat_template config folder gguf older_tokenizers onnx pickle pytorch quantized safetensors sentencepiece tokenizer
export QTEST_FUNCTION_TIMEOUT=100000000
for target; do
  inputs=$(find "$here/../data/fuzz/$target" -type f | wc -l)
  made=0 seed=100
  while [ "$made" -lt "$runs" ]; do
    RETORT_FUZZ_CHANGES=$((20000 / inputs + 1)) RETORT_FUZZ_SEED=$seed "$program" "kept_inputs:$target" > /tmp/retort-changes.$$ 2>&1 ||
      { cat /tmp/retort-changes.$$; echo "$target: a finding with RETORT_FUZZ_SEED=$seed"; exit 1; }
    made=$((made + $(sed -n 's/.*inputs, \([0-9]*\) executions.*/\1/p' /tmp/retort-changes.$$)))
    seed=$((seed + 1))
  done
  echo "$target: $made executions of changes of $inputs inputs, no finding"
done
rm -f /tmp/retort-changes.$$
