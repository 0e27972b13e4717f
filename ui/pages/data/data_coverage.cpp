#include "ui/pages/data/data_coverage.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/evaluate/statistics.h"
#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

constexpr std::size_t kMostText = 4 << 20;
constexpr std::size_t kShown = 40;
constexpr std::size_t kBins = 24;

QString scriptName(QChar::Script script) {
  switch (script) {
    case QChar::Script_Latin: return tr("Latin");
    case QChar::Script_Cyrillic: return tr("Cyrillic");
    case QChar::Script_Greek: return tr("Greek");
    case QChar::Script_Han: return tr("Han");
    case QChar::Script_Hiragana:
    case QChar::Script_Katakana: return tr("Kana");
    case QChar::Script_Hangul: return tr("Hangul");
    case QChar::Script_Arabic: return tr("Arabic");
    case QChar::Script_Hebrew: return tr("Hebrew");
    case QChar::Script_Devanagari: return tr("Devanagari");
    case QChar::Script_Thai: return tr("Thai");
    default: return tr("other scripts");
  }
}

// What the model reads of an example.
std::string textOf(const Example& example) {
  std::string text = example.text;
  for (const std::string& choice : example.choices) text += "\n" + choice;
  if (!example.target.empty()) text += "\n" + example.target;
  return text;
}

QStringList rowOf(const Example& example) {
  QString expected = toQString(example.target);
  if (!example.choices.empty() && example.answer >= 0 && example.answer < static_cast<std::int64_t>(example.choices.size())) {
    QStringList others;
    for (std::size_t i = 0; i < example.choices.size(); ++i)
      if (static_cast<std::int64_t>(i) != example.answer) others << toQString(example.choices[i]).simplified();
    expected = tr("%1   not %2").arg(toQString(example.choices[static_cast<std::size_t>(example.answer)]).simplified(), others.join(QStringLiteral(", ")));
  } else if (example.answer >= 0 && expected.isEmpty()) {
    expected = QString::number(example.answer);
  }
  return {toQString(example.text).left(400).simplified(), expected.left(200).simplified(), toQString(example.group)};
}

// A plain text is one example: its paragraphs are what a person looks at.
std::vector<QStringList> firstRows(const DataSet& set) {
  std::vector<QStringList> rows;
  if (set.kind == DataKind::kText && set.examples.size() == 1) {
    for (const QString& paragraph : toQString(std::string_view(set.examples.front().text).substr(0, 16384)).split(QStringLiteral("\n\n"), Qt::SkipEmptyParts)) {
      if (rows.size() == kShown) break;
      // A rule between parts is no example.
      if (const QString words = paragraph.simplified(); std::any_of(words.begin(), words.end(), [](QChar c) { return c.isLetterOrNumber(); })) rows.push_back({words.left(400), QString(), QString()});
    }
    return rows;
  }
  for (std::size_t i = 0; i < std::min(set.examples.size(), kShown); ++i) rows.push_back(rowOf(set.examples[i]));
  return rows;
}

void describeText(DataCoverage& coverage, const QString& text) {
  QStringList shares;
  const auto scripts = scriptShares(text);
  for (std::size_t i = 0; i < std::min<std::size_t>(scripts.size(), 3); ++i)
    if (scripts[i].second >= 0.0005) shares << QStringLiteral("%1 %2").arg(scripts[i].first, percent(scripts[i].second, scripts[i].second > 0.9995 ? 0 : 1));
  if (!shares.isEmpty()) coverage.lines.push_back({tr("Letters"), shares.join(QStringLiteral(" · ")), {}, tr("By script: a first hint of the languages")});
  qsizetype digits = 0, signs = 0;
  for (const QChar c : text) {
    digits += c.isDigit();
    signs += QStringView(u"{}[]()<>=;_#/\\|&*+").contains(c);
  }
  const double n = static_cast<double>(std::max<qsizetype>(text.size(), 1));
  coverage.lines.push_back({tr("Digits · code signs"), QStringLiteral("%1 · %2").arg(percent(static_cast<double>(digits) / n), percent(static_cast<double>(signs) / n)), {}, tr("Share of all characters: numbers, and signs that are frequent in code")});
  const QStringList words = text.toLower().split(QLatin1Char(' '), Qt::SkipEmptyParts);
  const QSet<QString> distinct(words.begin(), words.end());
  coverage.lines.push_back({tr("Words"), tr("%1, %2 different").arg(integer(words.size()), integer(distinct.size())), {}, {}});
}

void describeTokens(DataCoverage& coverage, const DataSet& set, const Tokenizer& tokenizer) {
  std::set<TokenId> used;
  std::vector<double> lengths;
  std::int64_t special = 0;
  std::size_t read = 0;
  for (const Example& example : set.examples) {
    const std::string text = textOf(example);
    if (read += text.size(); read > kMostText && !lengths.empty()) break;
    const auto ids = tokenizer.encode(std::string_view(text).substr(0, kMostText), false);
    used.insert(ids.begin(), ids.end());
    special += std::count_if(ids.begin(), ids.end(), [&](TokenId id) { return tokenizer.is_special(id); });
    lengths.push_back(static_cast<double>(ids.size()));
  }
  if (lengths.empty()) return;
  coverage.lines.push_back({tr("Vocabulary met"), percent(static_cast<double>(used.size()) / static_cast<double>(std::max<std::size_t>(tokenizer.size(), 1))), {},
                            tr("%1 of %2 tokens of the model occur").arg(integer(static_cast<std::int64_t>(used.size())), integer(static_cast<std::int64_t>(tokenizer.size())))});
  coverage.lines.push_back({tr("Special tokens"), special == 0 ? tr("none") : integer(special), {}, tr("Control tokens written in the text, as of a chat template")});
  std::vector<double> sorted = lengths;
  std::sort(sorted.begin(), sorted.end());
  coverage.longest = static_cast<std::int64_t>(sorted.back());
  if (lengths.size() < 2) return;
  coverage.lines.push_back({tr("Tokens, half · 95 % · all"), QStringLiteral("%1 · %2 · %3").arg(significant(quantile(sorted, 0.5), 3), significant(quantile(sorted, 0.95), 3), integer(coverage.longest)), {},
                            tr("So long are the shorter half of the examples, 95 of 100, and the longest")});
  coverage.lengths.assign(kBins, 0);
  for (const double length : lengths)
    coverage.lengths[std::min(kBins - 1, static_cast<std::size_t>(length * static_cast<double>(kBins) / (sorted.back() + 1)))] += 1;
}

// Which groups there are, and whether the right answer stands in one place too often.
void describeAnswers(DataCoverage& coverage, const DataSet& set) {
  std::map<std::string, std::int64_t> groups;
  std::map<std::int64_t, std::int64_t> places;
  for (const Example& example : set.examples) {
    if (!example.group.empty()) ++groups[example.group];
    if (!example.choices.empty()) ++places[example.answer];
  }
  QStringList words;
  for (const auto& [group, n] : groups) words << QStringLiteral("%1 %2").arg(toQString(group)).arg(n);
  if (!words.isEmpty()) coverage.lines.push_back({tr("Groups"), words.join(QStringLiteral(" · ")), {}, tr("The \"kind\" field: results are cut by it on Compare, Slices")});
  QStringList counts;
  for (const auto& [place, n] : places) counts << QStringLiteral("%1 %2").arg(QChar(static_cast<char16_t>(u'A' + std::clamp<std::int64_t>(place, 0, 25)))).arg(n);
  if (!counts.isEmpty()) coverage.lines.push_back({tr("Right answer stands at"), counts.join(QStringLiteral(" · ")), {}, tr("A model that always takes one place gets the share of that place right")});
}

}  // namespace

std::vector<std::pair<QString, double>> scriptShares(const QString& text) {
  std::map<QString, double> counts;
  double letters = 0;
  for (const char32_t c : text.toUcs4()) {
    if (!QChar::isLetter(c)) continue;
    counts[scriptName(QChar::script(c))] += 1;
    letters += 1;
  }
  std::vector<std::pair<QString, double>> shares;
  for (const auto& [name, n] : counts) shares.emplace_back(name, n / letters);
  std::stable_sort(shares.begin(), shares.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return shares;
}

DataCoverage coverageOf(const CoreApi& api, const DataInfo& info, const LoadedModelPtr& loaded) {
  DataCoverage coverage;
  coverage.name = toQString(info.name);
  if (!api.readData) {
    coverage.failure = failureOf(Error{.code = ErrorCode::kUnsupported, .place = "this build"});
    return coverage;
  }
  const auto sets = api.readData(info.path, {});
  if (!sets) {
    coverage.failure = failureOf(sets.error());
    return coverage;
  }
  const auto set = std::find_if(sets->begin(), sets->end(), [&](const DataSet& one) { return one.kind == info.kind; });
  if (set == sets->end()) {
    coverage.failure = failureOf(Error{.code = ErrorCode::kBadData, .file = info.path.string(), .found = "no examples of this kind with guessed columns"});
    return coverage;
  }
  coverage.examples = firstRows(*set);
  std::string all;
  for (const Example& example : set->examples) {
    if (all.size() > kMostText) break;
    all += textOf(example) + " ";
  }
  describeText(coverage, toQString(std::string_view(all).substr(0, kMostText)).simplified());
  if (loaded && loaded->model->tokenizer) describeTokens(coverage, *set, *loaded->model->tokenizer);
  describeAnswers(coverage, *set);
  return coverage;
}

}  // namespace retort::ui
