// The syntax tree of a template.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text/chat_template_value.h"

namespace retort::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind {
  kConstant,     // constant
  kName,         // name
  kList,         // children
  kTuple,        // children
  kDict,         // children: key, value, key, value …
  kAttribute,    // children[0].name
  kItem,         // children[0][children[1]]
  kSlice,        // children[0][children[1]:children[2]:children[3]]; null where left out
  kCall,         // children[0](children[1] …, named …)
  kFilter,       // children[0] | name(children[1] …, named …)
  kTest,         // children[0] is name(children[1] …)
  kNot,
  kNegative,
  kPositive,
  kAnd,
  kOr,
  kBinary,       // name: + - * / // % ** ~
  kCompare,      // children[0] names[0] children[1] names[1] children[2] …
  kConditional,  // children[0] if children[1] else children[2] (may be null)
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 0;
  std::string name{};
  Value constant{};
  std::vector<ExpressionPtr> children{};
  std::vector<std::pair<std::string, ExpressionPtr>> named{};
  std::vector<std::string> operators{};  // of kCompare
};

struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

// What a value is assigned to: one name, ns.attribute, or several names (possibly nested).
struct Target {
  std::string name;
  std::string attribute;
  std::vector<Target> parts;
};

enum class StatementKind {
  kText,      // text
  kOutput,    // expressions[0]
  kIf,        // expressions[0], body, otherwise
  kFor,       // target in expressions[0], condition expressions[1] if there is one; body, otherwise
  kSet,       // target = expressions[0]
  kSetBlock,  // target = the output of body, through `filters`
  kWith,      // targets[i] = expressions[i], body
  kMacro,     // text (its name), parameters with defaults, body
  kCallBlock, // expressions[0] is the call; body is what caller() gives
  kFilter,    // body, through `filters`
  kScope,     // body
  kBreak,
  kContinue,
};

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // null: none
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 0;
  std::string text{};
  std::vector<ExpressionPtr> expressions{};
  std::vector<Target> targets{};
  std::vector<Parameter> parameters{};
  std::vector<ExpressionPtr> filters{};  // kFilter nodes whose children[0] is null
  Body body{};
  Body otherwise{};
};

// Throws Failure: kCorrupt (not a template) or kUnsupported (a construct that Retort does not do), with the line.
Body parse(std::string_view source);

}  // namespace retort::text::jinja
