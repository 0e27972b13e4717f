// Every architecture, one line each; its file defines the function.
#pragma once

#include "core/model/graph.h"

namespace retort {

Architecture llama_architecture();

}  // namespace retort
