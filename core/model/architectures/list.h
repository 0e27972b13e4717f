// Every architecture, one line each; its file defines the function.
#pragma once

#include "core/model/graph.h"

namespace retort {

Architecture llama_architecture();
Architecture mistral_architecture();
Architecture mixtral_architecture();
Architecture qwen2_architecture();
Architecture qwen2_moe_architecture();
Architecture qwen3_architecture();
Architecture qwen3_moe_architecture();
Architecture gemma_architecture();
Architecture gemma2_architecture();
Architecture gemma3_architecture();
Architecture phi2_architecture();
Architecture phi3_architecture();
Architecture smollm3_architecture();
Architecture olmo2_architecture();
Architecture granite_architecture();
Architecture starcoder2_architecture();
Architecture stablelm_architecture();
Architecture cohere_architecture();
Architecture gpt2_architecture();
Architecture gptneox_architecture();
Architecture bert_architecture();
Architecture distilbert_architecture();
Architecture roberta_architecture();
Architecture electra_architecture();
Architecture albert_architecture();
Architecture mpnet_architecture();

}  // namespace retort
