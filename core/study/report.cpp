// The report: one HTML page that needs nothing beside it: charts, table, settings, digests, limits of what was measured.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "core/base/files.h"
#include "core/base/version.h"
#include "core/study/report_charts.h"
#include "core/study/study.h"

namespace retort {
namespace {

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ground:#fbfbf9;--surface:#fff;--text:#1d2226;--muted:#5f6a72;--rule:#dde1e3;--accent:#0072b2;--chosen:#d55e00;--s0:#0072b2;--s1:#e69f00;--s2:#009e73}
@media (prefers-color-scheme:dark){:root{--ground:#15181b;--surface:#1c2024;--text:#e6e9eb;--muted:#9aa5ad;--rule:#343b41;--accent:#56b4e9;--chosen:#f0803c;--s0:#56b4e9;--s1:#e69f00;--s2:#2fbf95}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,"Noto Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 24px 64px}h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 8px}
p{margin:6px 0;max-width:78ch}.muted{color:var(--muted)}section.take{background:var(--surface);border:1px solid var(--rule);border-left:4px solid var(--chosen);border-radius:6px;padding:14px 18px;margin:20px 0}
section.take .what{font-size:18px;font-weight:600}.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:16px}
figure{margin:0;background:var(--surface);border:1px solid var(--rule);border-radius:6px;padding:12px}figure.wide{grid-column:1/-1}figcaption{color:var(--muted);font-size:13px;margin-top:6px}
svg{width:100%;height:auto;display:block}svg text{font:12px system-ui,"Noto Sans",sans-serif;fill:var(--text)}svg .tick,svg .axis-label{fill:var(--muted);font-variant-numeric:tabular-nums}
svg .grid{stroke:var(--rule)}svg .axis{stroke:var(--muted)}svg .whisker{stroke:var(--text);stroke-width:1.2}svg .leader{stroke:var(--muted);stroke-width:.7}svg .front{fill:none;stroke:var(--accent);stroke-width:1.5;stroke-dasharray:5 4}
svg .point{fill:var(--accent)}svg .beaten{fill:var(--muted)}svg .chosen{fill:var(--chosen)}svg .chosen-text{font-weight:700}svg .part0{fill:var(--s0)}svg .part1{fill:var(--s1)}svg .part2{fill:var(--s2)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;color:var(--muted);vertical-align:bottom}th:first-child,td:first-child{text-align:left}tr.chosen td{font-weight:600}tr.chosen td:first-child::before{content:"◆ ";color:var(--chosen)}td small{color:var(--muted);font-weight:400}
td.text{text-align:left;white-space:normal}code{font:13px ui-monospace,"Noto Sans Mono",monospace;overflow-wrap:anywhere}
@media print{body{background:#fff}main{max-width:none;padding:0}figure,section.take,tr{break-inside:avoid}.charts{grid-template-columns:1fr 1fr}}
)";

constexpr double kMega = 1e6;

bool is_chosen(const StudySnapshot& snapshot, const CandidateInfo& candidate) {
  return snapshot.recommendation.candidate == candidate.id;
}

std::string figure_html(const std::string& svg, const std::string& caption, bool wide) {
  if (svg.empty()) return {};
  return fmt::format("<figure{}>{}<figcaption>{}</figcaption></figure>\n", wide ? " class=\"wide\"" : "", svg, escaped(caption));
}

// "Q4_K_M im": the mark that the window's charts use as well, where a whole name would lie on its neighbours.
std::string chart_label(std::string name) {
  constexpr std::string_view kLong = " + importance matrix";
  if (name.ends_with(kLong)) name.replace(name.size() - kLong.size(), kLong.size(), " im");
  return name;
}

// What is lost: of text the divergence, of classes the share of wrong answers, in percent.
std::optional<Figure> loss_of(const CandidateInfo& candidate, bool answers) {
  if (!answers) return candidate.figure("kld_mean");
  const auto accuracy = candidate.figure("accuracy");
  if (!accuracy) return std::nullopt;
  return Figure{100 * (1 - accuracy->value), 100 * (1 - accuracy->high), 100 * (1 - accuracy->low)};
}

std::string pareto_chart(const StudySnapshot& snapshot) {
  const bool answers = answers_decide(snapshot);
  std::vector<ChartPoint> points;
  std::vector<std::pair<std::int64_t, std::pair<double, double>>> places;
  std::vector<std::int64_t> ids;
  for (const CandidateInfo& candidate : snapshot.candidates) {
    const auto kld = loss_of(candidate, answers);
    if (!kld || candidate.bytes == 0) continue;
    const double size = static_cast<double>(candidate.bytes) / kMega;
    points.push_back({chart_label(candidate.name), size, *kld, false, is_chosen(snapshot, candidate)});
    places.push_back({candidate.id, {size, kld->value}});
    ids.push_back(candidate.id);
  }
  if (points.size() < 2) return {};
  const auto front = pareto_front(places);
  for (std::size_t i = 0; i < points.size(); ++i) points[i].front = std::find(front.begin(), front.end(), ids[i]) != front.end();
  return figure_html(scatter_svg("Quality against size", "size, MB", answers ? "wrong answers, %" : "KL divergence, nats per token", points),
                     std::string("Quality against size. Lower and further left is better; the dashed line joins candidates that none beats in "
                                 "both. Bars: 95 % intervals, ") + (answers ? "Wilson's." : "resampled by chunk."), true);
}

std::string decode_chart(const StudySnapshot& snapshot) {
  std::vector<ChartBar> bars;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (const auto rate = candidate.figure("decode")) {
      bars.push_back({candidate.name, {rate->value}, rate, fmt::format("{:.0f}", rate->value), is_chosen(snapshot, candidate)});
    }
  if (bars.empty()) return {};
  return figure_html(bars_svg("Decode rate", "tokens/s", {"decode"}, bars),
                     "Decode: tokens per second, one after another. Whiskers: 95 % interval of the mean over 300 tokens.", false);
}

std::string first_token_chart(const StudySnapshot& snapshot) {
  std::vector<ChartBar> bars;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (candidate.bench && !candidate.bench->encoder()) {
      const double milliseconds = 1000 * candidate.bench->time_to_first_token_seconds;
      bars.push_back({candidate.name, {milliseconds}, std::nullopt, fmt::format("{:.0f} ms · {:.0f}/s", milliseconds, candidate.bench->prefill_tokens_per_second), is_chosen(snapshot, candidate)});
    }
  if (bars.empty()) return {};
  return figure_html(bars_svg("Time to first token", "ms", {"first token after 512"}, bars),
                     "Time to the first token after a prompt of 512 tokens, and the prefill rate.", false);
}

std::string example_chart(const StudySnapshot& snapshot) {
  std::vector<ChartBar> bars;
  std::int64_t tokens = 0;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (candidate.bench && candidate.bench->encoder()) {
      const BenchResult& bench = *candidate.bench;
      tokens = bench.example_tokens;
      bars.push_back({candidate.name, {1000 * bench.p50}, Figure{1000 * bench.p50, 1000 * bench.p50, 1000 * bench.p99},
                      fmt::format("{:.1f} ms · {:.0f}/s", 1000 * bench.p50, bench.prefill_tokens_per_second), is_chosen(snapshot, candidate)});
    }
  if (bars.empty()) return {};
  return figure_html(bars_svg("Time per text", "ms", {"one text, alone"}, bars),
                     fmt::format("Time of one text of {} tokens, alone: the middle of 300, whisker to the 99th percentile; behind it tokens per second of many at once.", tokens), false);
}

std::string memory_chart(const StudySnapshot& snapshot) {
  std::vector<ChartBar> bars;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (candidate.bench) {
      const MemoryByPart& memory = candidate.bench->memory;
      bars.push_back({candidate.name,
                      {static_cast<double>(memory.weights) / kMega, static_cast<double>(memory.kv_cache) / kMega, static_cast<double>(memory.work_space) / kMega},
                      std::nullopt, fmt::format("peak {:.0f}", static_cast<double>(candidate.bench->peak_memory_bytes) / kMega), is_chosen(snapshot, candidate)});
    }
  if (bars.empty()) return {};
  return figure_html(bars_svg("Memory", "MB", {"weights", "KV cache", "work space"}, bars),
                     "Memory by part while running alone, and the peak of the whole process.", false);
}

std::string accuracy_chart(const StudySnapshot& snapshot) {
  std::vector<ChartBar> bars;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (const auto accuracy = candidate.figure("accuracy")) {
      const Figure percent{100 * accuracy->value, 100 * accuracy->low, 100 * accuracy->high};
      bars.push_back({candidate.name, {percent.value}, percent, fmt::format("{:.1f} %", percent.value), is_chosen(snapshot, candidate)});
    }
  if (bars.empty()) return {};
  return figure_html(bars_svg("Right answers", "%", {"answered rightly"}, bars), "Labelled prompts or texts answered rightly, with 95 % Wilson intervals.", false);
}

std::string cell(const std::optional<Figure>& figure, double scale, const char* format, bool interval) {
  if (!figure) return "<td>–</td>";
  std::string text = fmt::format(fmt::runtime(format), scale * figure->value);
  if (interval && figure->high > figure->low)
    text += fmt::format(" <small>{} – {}</small>", fmt::format(fmt::runtime(format), scale * figure->low), fmt::format(fmt::runtime(format), scale * figure->high));
  return "<td>" + text + "</td>";
}

std::string classes_row(const CandidateInfo& candidate) {
  return cell(candidate.figure("size"), 1 / kMega, "{:.1f}", false) + cell(candidate.figure("bits_per_weight"), 1, "{:.2f}", false) +
         cell(candidate.figure("accuracy"), 100, "{:.2f}", true) + cell(candidate.figure("macro_f1"), 100, "{:.2f}", true) +
         cell(candidate.figure("top1_agreement"), 100, "{:.1f}", true) + cell(candidate.figure("kld_mean"), 1, "{:.5f}", true) +
         (candidate.bench ? fmt::format("<td>{:.2f} / {:.2f} / {:.2f}</td>", 1000 * candidate.bench->p50, 1000 * candidate.bench->p95, 1000 * candidate.bench->p99) : "<td>–</td>") +
         cell(candidate.figure("prefill"), 1, "{:.0f}", false) + cell(candidate.figure("peak_memory"), 1 / kMega, "{:.0f}", false);
}

std::string classes_table(const StudySnapshot& snapshot) {
  std::string html =
      "<div class=\"scroll\"><table><thead><tr><th>candidate</th><th>MB</th><th>bits per<br>weight</th><th>right<br>answers, %</th><th>macro F1<br>%</th>"
      "<th>same answer<br>as the original, %</th><th>KL divergence<br><small>nats per text</small></th><th>one text, p50 / p95 / p99<br>ms</th><th>many<br>tok/s</th>"
      "<th>peak<br>MB</th></tr></thead><tbody>\n";
  for (const CandidateInfo& candidate : snapshot.candidates) {
    html += fmt::format("<tr{}><td title=\"{}\">{}</td>{}</tr>\n", is_chosen(snapshot, candidate) ? " class=\"chosen\"" : "", escaped(candidate.plain), escaped(candidate.name), classes_row(candidate));
    if (!candidate.failure.empty()) html += fmt::format("<tr><td class=\"text muted\" colspan=\"10\">{} failed: {}</td></tr>\n", escaped(candidate.name), escaped(candidate.failure));
  }
  return html + "</tbody></table></div>\n";
}

// What each stage of a student cost and kept.
std::string staircase(const CandidateInfo& candidate) {
  const auto figure = [](const StageInfo& stage, const char* name) -> std::optional<Figure> {
    const auto found = stage.figures.find(name);
    return found == stage.figures.end() ? std::nullopt : std::optional(found->second);
  };
  std::string rows;
  std::vector<ChartBar> sizes, answers;
  for (const StageInfo& stage : candidate.stages) {
    const auto right = figure(stage, "accuracy");
    const std::optional<Figure> bytes = stage.bytes > 0 ? std::optional(Figure{static_cast<double>(stage.bytes), 0, 0}) : std::nullopt;
    rows += fmt::format("<tr><td>{}</td>", escaped(stage.name)) + cell(bytes, 1 / kMega, "{:.1f}", false) + cell(right, 100, "{:.2f}", true) +
            cell(figure(stage, "top1_agreement"), 100, "{:.1f}", false) + cell(figure(stage, "kld_mean"), 1, "{:.5f}", true) + cell(figure(stage, "p50"), 1000, "{:.2f}", false) +
            cell(figure(stage, "prefill"), 1, "{:.0f}", false) + cell(figure(stage, "peak_memory"), 1 / kMega, "{:.0f}", false) +
            fmt::format("<td class=\"text\">{}</td></tr>\n", escaped(stage.warning));
    if (stage.bytes > 0) sizes.push_back({stage.name, {bytes->value / kMega}, std::nullopt, fmt::format("{:.1f}", bytes->value / kMega), false});
    if (right) answers.push_back({stage.name, {100 * right->value}, Figure{100 * right->value, 100 * right->low, 100 * right->high}, fmt::format("{:.1f} %", 100 * right->value), false});
  }
  std::string html = fmt::format("<h2>Stages of {}</h2>\n<div class=\"charts\">", escaped(candidate.name));
  if (sizes.size() > 1) html += figure_html(bars_svg("Size after each stage", "MB", {"file"}, sizes), "Size of the weights' file after each stage.", false);
  if (answers.size() > 1) html += figure_html(bars_svg("Right answers after each stage", "%", {"answered rightly"}, answers), "Answered rightly after each stage, with 95 % Wilson intervals.", false);
  return html + "</div><div class=\"scroll\"><table><thead><tr><th>stage</th><th>MB</th><th>right, %</th><th>same as the<br>original, %</th><th>KL divergence</th><th>p50, ms</th>"
                "<th>tok/s<br>at once</th><th>peak MB</th><th>note</th></tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
}

std::string table(const StudySnapshot& snapshot) {
  if (answers_decide(snapshot)) return classes_table(snapshot);
  std::string html =
      "<div class=\"scroll\"><table><thead><tr><th>candidate</th><th>MB</th><th>bits per<br>weight</th><th>KL divergence<br><small>nats, 95 %</small></th>"
      "<th>perplexity</th><th>same next<br>word, %</th><th>right<br>answers, %</th><th>first token<br>ms</th><th>prefill<br>tok/s</th>"
      "<th>decode<br>tok/s</th><th>p50 / p95 / p99<br>ms</th><th>peak<br>MB</th></tr></thead><tbody>\n";
  for (const CandidateInfo& candidate : snapshot.candidates) {
    html += fmt::format("<tr{}><td title=\"{}\">{}</td>", is_chosen(snapshot, candidate) ? " class=\"chosen\"" : "", escaped(candidate.plain), escaped(candidate.name));
    html += cell(candidate.figure("size"), 1 / kMega, "{:.1f}", false) + cell(candidate.figure("bits_per_weight"), 1, "{:.2f}", false);
    html += cell(candidate.figure("kld_mean"), 1, "{:.5f}", true) + cell(candidate.figure("perplexity"), 1, "{:.3f}", true);
    html += cell(candidate.figure("top1_agreement"), 100, "{:.1f}", false) + cell(candidate.figure("accuracy"), 100, "{:.1f}", true);
    html += cell(candidate.figure("time_to_first_token"), 1000, "{:.0f}", false) + cell(candidate.figure("prefill"), 1, "{:.0f}", false);
    html += cell(candidate.figure("decode"), 1, "{:.1f}", false);
    html += candidate.bench ? fmt::format("<td>{:.1f} / {:.1f} / {:.1f}</td>", 1000 * candidate.bench->p50, 1000 * candidate.bench->p95, 1000 * candidate.bench->p99) : "<td>–</td>";
    html += cell(candidate.figure("peak_memory"), 1 / kMega, "{:.0f}", false) + "</tr>\n";
    if (!candidate.failure.empty()) html += fmt::format("<tr><td class=\"text muted\" colspan=\"12\">{} failed: {}</td></tr>\n", escaped(candidate.name), escaped(candidate.failure));
  }
  return html + "</tbody></table></div>\n";
}

// The processor's figures beside those of the study's GPU; empty where nothing was measured there.
std::string devices_table(const StudySnapshot& snapshot) {
  std::string rows;
  for (const CandidateInfo& candidate : snapshot.candidates) {
    if (!candidate.device_bench) continue;
    const MemoryByPart& memory = candidate.device_bench->memory;
    rows += fmt::format("<tr><td title=\"{}\">{}</td>", escaped(candidate.device_bench->device), escaped(candidate.name));
    for (const std::string device : {"", "device_"})
      rows += cell(candidate.figure(device + "time_to_first_token"), 1000, "{:.1f}", false) + cell(candidate.figure(device + "prefill"), 1, "{:.0f}", false) +
              cell(candidate.figure(device + "decode"), 1, "{:.1f}", false) + cell(candidate.figure(device + "p50"), 1000, "{:.2f}", false);
    rows += fmt::format("<td>{:.1f} / {:.1f} / {:.1f}</td>", static_cast<double>(memory.weights) / kMega, static_cast<double>(memory.kv_cache) / kMega, static_cast<double>(memory.work_space) / kMega);
    rows += cell(candidate.figure("device_energy"), 1000, "{:.2f}", false) + "</tr>\n";
  }
  if (rows.empty()) return {};
  return "<h2>On the GPU</h2>\n<div class=\"scroll\"><table><thead><tr><th>candidate</th><th>processor:<br>first token, ms</th><th>prefill<br>tok/s</th><th>decode<br>tok/s</th><th>p50<br>ms</th>"
         "<th>GPU:<br>first token, ms</th><th>prefill<br>tok/s</th><th>decode<br>tok/s</th><th>p50<br>ms</th><th>weights / KV cache /<br>work space on it, MB</th><th>mJ<br>a token</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string pair_row(std::string_view name, const std::string& value) {
  return fmt::format("<tr><td>{}</td><td class=\"text\">{}</td></tr>\n", escaped(name), value);
}

std::string settings(const StudySnapshot& snapshot) {
  std::string html = "<h2>Settings and provenance</h2><div class=\"scroll\"><table><tbody>\n";
  if (snapshot.source) {
    const SourceInfo& source = *snapshot.source;
    html += pair_row("Source", fmt::format("{} · {} · {:.1f} M parameters · {:.1f} MB · {:.2f} bits per weight{}{}", escaped(source.name), escaped(source.architecture),
                                           static_cast<double>(source.parameters) / 1e6, static_cast<double>(source.bytes) / kMega, source.bits_per_weight,
                                           source.licence.empty() ? "" : " · licence " + escaped(source.licence), source.quantized ? " · already quantized: " + escaped(*source.quantized) : ""));
    html += pair_row("Digest of the source", "<code>SHA-256 " + source.digest.hex() + "</code>");
  }
  for (const DataInfo& data : snapshot.data)
    html += pair_row(std::string(data_role_name(data.role)), fmt::format("{} · {} · {} examples · {} tokens{}", escaped(data.name), data_kind_name(data.kind), data.examples, data.tokens,
                                                                        data.overlap_warning.empty() ? "" : " · <b>" + escaped(data.overlap_warning) + "</b>"));
  html += pair_row("Context", fmt::format("{} tokens, the second half of each chunk scored", snapshot.context));
  html += pair_row("Device", escaped(snapshot.device));
  html += pair_row("Made with", fmt::format("Retort {} · {:%Y-%m-%d %H:%M} UTC", kVersion, fmt::gmtime(std::time(nullptr))));
  html += "</tbody></table></div>\n<h2>How each was made</h2><div class=\"scroll\"><table><tbody>\n";
  for (const CandidateInfo& candidate : snapshot.candidates)
    html += fmt::format("<tr><td>{}<br><small class=\"muted\">{}</small></td><td class=\"text\"><code>{}</code></td></tr>\n", escaped(candidate.name), escaped(candidate.plain), escaped(candidate.command_line));
  return html + "</tbody></table></div>\n";
}

std::string recommendation(const StudySnapshot& snapshot) {
  const Recommendation& take = snapshot.recommendation;
  std::string html = "<section class=\"take\">";
  const auto paragraph = [&](const char* css, const std::string& text) {
    if (!text.empty()) html += fmt::format("<p class=\"{}\">{}</p>", css, escaped(text));
  };
  paragraph("what", take.what);
  paragraph("", take.why);
  paragraph("", take.missing);
  paragraph("muted", take.runner_up.empty() ? "" : "Runner-up: " + take.runner_up);
  paragraph("muted", take.would_change);
  return html + "</section>\n";
}

constexpr std::string_view kLimits = R"(<h2>What these figures do and do not say</h2>
<p>Quality is measured with activations in f32, so it is that of the weights; speed and memory are measured as each candidate is run, activations rounded to 8 bits per block unless its recipe says otherwise, each in a process of its own that had the machine to itself.</p>
<p>Intervals are 95 %: of text by resampling chunks, of answers by Wilson's formula, of classes' divergence and F1 by resampling texts. They tell how much another text of the same kind would change a figure, not what a text of another kind would give. Candidates are called better or worse only where a paired test on the same chunks or prompts says so.</p>
<p>KL divergence says how far the probabilities of the next word, or of the classes, moved from the original's; it does not say whether the original was right.</p>
)";

}  // namespace

Result<void> write_report(const StudySnapshot& snapshot, const std::filesystem::path& path) {
  std::string html = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">";
  html += fmt::format("<title>{} – Retort</title><style>{}</style></head><body><main>\n", escaped(snapshot.name), kStyle);
  html += fmt::format("<h1>{}</h1><p class=\"muted\">{}</p>\n", escaped(snapshot.name), snapshot.source ? escaped(snapshot.source->name) + " on " + escaped(snapshot.device) : "no model yet");
  html += recommendation(snapshot) + "<div class=\"charts\">\n" + pareto_chart(snapshot) + accuracy_chart(snapshot) + decode_chart(snapshot) +
          first_token_chart(snapshot) + example_chart(snapshot) + memory_chart(snapshot) + "</div>\n";
  html += "<h2>All figures</h2>\n" + table(snapshot) + devices_table(snapshot);
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (!candidate.stages.empty()) html += staircase(candidate);
  html += settings(snapshot) + std::string(kLimits) + "</main></body></html>\n";
  return write_text_file(path, html);
}

}  // namespace retort
