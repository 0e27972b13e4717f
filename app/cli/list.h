// Every command, one line each, in the order of --help.
#pragma once

#include "app/cli/commands.h"

namespace retort::cli {

using AddCommand = void (*)(CLI::App& app, Context& context);

void add_inspect(CLI::App& app, Context& context);
void add_tokenize(CLI::App& app, Context& context);
void add_forward(CLI::App& app, Context& context);
void add_generate(CLI::App& app, Context& context);
void add_eval(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_quantize(CLI::App& app, Context& context);
void add_distill(CLI::App& app, Context& context);
void add_study(CLI::App& app, Context& context);
void add_onnx(CLI::App& app, Context& context);
void add_devices(CLI::App& app, Context& context);

inline constexpr AddCommand kCommands[] = {
    add_inspect,
    add_tokenize,
    add_forward,
    add_generate,
    add_eval,
    add_bench,
    add_export,
    add_verify,
    add_quantize,
    add_distill,
    add_study,
    add_onnx,
    add_devices,
};

}  // namespace retort::cli
