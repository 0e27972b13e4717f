#include "core/text/chat_template_render.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text/chat_template_builtins.h"

namespace retort::text::jinja {
namespace {

// Statements and expressions, with what they produce: a long conversation needs thousands, and the bound on what can be
// alive at once is 256 MB.
constexpr std::size_t kMaxSteps = 4'000'000;
constexpr std::size_t kBytesPerStep = 64, kItemsPerStep = 4, kStepsPerRound = 10;
constexpr int kMaxDepth = 1500;               // of the evaluation's recursion

struct Deeper {
  explicit Deeper(int& depth, int line) : depth_(depth) {
    if (++depth_ > kMaxDepth) fail(ErrorCode::kUnsupported, "recursion deeper than 1500", line);
  }
  ~Deeper() { --depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  int& depth_;
};

// What `loop` is in round `i` over `items`.
Value loop_value(const List& items, std::size_t i) {
  const auto n = static_cast<std::int64_t>(items.size()), at = static_cast<std::int64_t>(i);
  auto loop = std::make_shared<Dict>();
  const auto add = [&loop](const char* name, Value value) { loop->items.emplace_back(make_string(name), std::move(value)); };
  add("index", {at + 1});
  add("index0", {at});
  add("revindex", {n - at});
  add("revindex0", {n - at - 1});
  add("first", {i == 0});
  add("last", {i + 1 == items.size()});
  add("length", {n});
  add("depth", {std::int64_t{1}});  // of recursive loops, which are not supported
  add("depth0", {std::int64_t{0}});
  add("previtem", i > 0 ? items[i - 1] : Value{Undefined{"there is no previous item"}});
  add("nextitem", i + 1 < items.size() ? items[i + 1] : Value{Undefined{"there is no next item"}});
  add("cycle", make_callable("cycle", [at](const Arguments& a) {
        if (a.positional.empty()) fail(ErrorCode::kCorrupt, "cycle without values");
        return a.positional[static_cast<std::size_t>(at) % a.positional.size()];
      }));
  return make_dict(std::move(loop));
}

}  // namespace

Renderer::~Renderer() {
  for (const auto& dict : namespaces_) dict->items.clear();
}

std::string Renderer::render(const Body& body) {
  std::string out;
  scopes_.emplace_back();
  run(body, out);
  return out;
}

void Renderer::step(int line, std::size_t cost) {
  steps_ += cost;
  if (steps_ > kMaxSteps) fail(ErrorCode::kOutOfMemory, "a template that does not come to an end", line);
}

void Renderer::emit(std::string& out, std::string_view text) {
  if (out.size() + text.size() > kMaxText) fail(ErrorCode::kOutOfMemory, "output above 16 MiB");
  out += text;
}

Renderer::Flow Renderer::run(const Body& body, std::string& out) {
  for (const auto& s : body) {
    step(s->line);
    try {
      if (const Flow flow = run_statement(*s, out); flow != Flow::kNext) return flow;
    } catch (Failure& failure) {  // the innermost statement knows the line best
      if (failure.error.place.empty()) failure.error.place = "chat template, line " + std::to_string(s->line);
      throw;
    }
  }
  return Flow::kNext;
}

Renderer::Flow Renderer::run_statement(const Statement& s, std::string& out) {
  const Deeper deeper(depth_, s.line);
  switch (s.kind) {
    case StatementKind::kText: emit(out, s.text); return Flow::kNext;
    case StatementKind::kOutput: emit(out, to_text(evaluate(*s.expressions[0]))); return Flow::kNext;
    case StatementKind::kIf: return run(evaluate(*s.expressions[0]).truthy() ? s.body : s.otherwise, out);
    case StatementKind::kFor: return run_for(s, out);
    case StatementKind::kSet: assign(s.targets[0], evaluate(*s.expressions[0])); return Flow::kNext;
    case StatementKind::kWith: return run_with(s, out);
    case StatementKind::kMacro: define_macro(s); return Flow::kNext;
    case StatementKind::kCallBlock: run_call_block(s, out); return Flow::kNext;
    case StatementKind::kBreak: return Flow::kBreak;
    case StatementKind::kContinue: return Flow::kContinue;
    case StatementKind::kScope: {
      scopes_.emplace_back();
      const Flow flow = run(s.body, out);
      scopes_.pop_back();
      return flow;
    }
    case StatementKind::kSetBlock:
    case StatementKind::kFilter: {
      std::string text;
      scopes_.emplace_back();
      run(s.body, text);
      scopes_.pop_back();
      Value value = filtered(s.filters, make_string(std::move(text)));
      if (s.kind == StatementKind::kFilter) emit(out, to_text(value));
      else assign(s.targets[0], std::move(value));
      return Flow::kNext;
    }
  }
  return Flow::kNext;
}

Value Renderer::filtered(const std::vector<ExpressionPtr>& filters, Value value) {
  for (const ExpressionPtr& filter : filters) value = apply_filter(filter->name, value, arguments_of(*filter));
  return value;
}

Renderer::Flow Renderer::run_for(const Statement& s, std::string& out) {
  List items = elements(evaluate(*s.expressions[0]));
  if (s.expressions.size() > 1) {
    List kept;
    scopes_.emplace_back();
    for (Value& item : items) {
      step(s.line);
      assign(s.targets[0], item);
      if (evaluate(*s.expressions[1]).truthy()) kept.push_back(std::move(item));
    }
    scopes_.pop_back();
    items = std::move(kept);
  }
  if (items.empty()) return run(s.otherwise, out);
  Flow flow = Flow::kNext;
  for (std::size_t i = 0; i < items.size() && flow != Flow::kBreak; ++i) {
    step(s.line, kStepsPerRound);
    scopes_.emplace_back();  // what a round sets is gone in the next
    scopes_.back()["loop"] = loop_value(items, i);
    assign(s.targets[0], items[i]);
    flow = run(s.body, out);
    scopes_.pop_back();
  }
  return Flow::kNext;
}

Renderer::Flow Renderer::run_with(const Statement& s, std::string& out) {
  std::vector<Value> values;
  for (const ExpressionPtr& e : s.expressions) values.push_back(evaluate(*e));
  scopes_.emplace_back();
  for (std::size_t i = 0; i < values.size(); ++i) assign(s.targets[i], std::move(values[i]));
  const Flow flow = run(s.body, out);
  scopes_.pop_back();
  return flow;
}

Value Renderer::run_body(const Statement& s, const Arguments& arguments) {
  scopes_.emplace_back();
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const Parameter& parameter = s.parameters[i];
    const Value* given = arguments.find(i, parameter.name);
    scopes_.back()[parameter.name] = given               ? *given
                                     : parameter.otherwise ? evaluate(*parameter.otherwise)
                                                           : Value{Undefined{parameter.name}};
  }
  for (const auto& [name, value] : arguments.named)
    if (name == "caller") scopes_.back()["caller"] = value;
  std::string out;
  run(s.body, out);
  scopes_.pop_back();
  return make_string(std::move(out));
}

Value Renderer::body_callable(const Statement& s, std::string name, std::size_t depth) {
  return make_callable(std::move(name), [this, &s, depth](const Arguments& arguments) {
    const Deeper deeper(depth_, s.line);
    // The body sees the scopes of its definition, not those of its caller.
    std::vector<Scope> hidden;
    const std::size_t visible = std::min(depth, scopes_.size());
    std::move(scopes_.begin() + static_cast<std::ptrdiff_t>(visible), scopes_.end(), std::back_inserter(hidden));
    scopes_.resize(visible);
    Value out = run_body(s, arguments);
    std::move(hidden.begin(), hidden.end(), std::back_inserter(scopes_));
    return out;
  });
}

void Renderer::define_macro(const Statement& s) { scopes_.back()[s.text] = body_callable(s, s.text, scopes_.size()); }

void Renderer::run_call_block(const Statement& s, std::string& out) {
  const Expression& call = *s.expressions[0];
  const Value callee = evaluate(*call.children[0]);
  if (callee.callable() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("a call of {}", type_name(callee)));
  Arguments arguments = arguments_of(call);
  arguments.named.emplace_back("caller", make_callable("caller", [this, &s, scopes = scopes_](const Arguments& given) {
    std::vector<Scope> hidden = std::exchange(scopes_, scopes);
    Value text = run_body(s, given);
    scopes_ = std::move(hidden);
    return text;
  }));
  emit(out, to_text(callee.callable()->call(arguments)));
}

void Renderer::assign(const Target& target, Value value) {
  if (!target.parts.empty()) {
    List values = elements(value);
    if (values.size() != target.parts.size())
      fail(ErrorCode::kCorrupt, fmt::format("{} values for {} names", values.size(), target.parts.size()));
    for (std::size_t i = 0; i < values.size(); ++i) assign(target.parts[i], std::move(values[i]));
    return;
  }
  if (target.attribute.empty()) {
    scopes_.back()[target.name] = std::move(value);
    return;
  }
  const Value space = look_up(target.name);
  if (space.dict() == nullptr || !space.dict()->is_namespace)
    fail(ErrorCode::kCorrupt, fmt::format("an attribute set on {}, which is no namespace", target.name));
  namespaces_.insert(std::get<std::shared_ptr<Dict>>(space.v));
  space.dict()->set(make_string(target.attribute), std::move(value));
}

Value Renderer::look_up(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
    if (const auto it = scope->find(name); it != scope->end()) return it->second;
  if (std::optional<Value> function = find_function(name)) return *std::move(function);
  return {Undefined{name}};
}

Arguments Renderer::arguments_of(const Expression& e) {
  Arguments out;
  for (std::size_t i = 1; i < e.children.size(); ++i) out.positional.push_back(evaluate(*e.children[i]));
  for (const auto& [name, value] : e.named) out.named.emplace_back(name, evaluate(*value));
  return out;
}

Value Renderer::evaluate(const Expression& e) {
  const Deeper deeper(depth_, e.line);
  Value value = evaluate_node(e);
  step(e.line, 1 + (value.string() ? value.string()->size() / kBytesPerStep : value.list() ? value.list()->size() / kItemsPerStep : 0));
  return value;
}

Value Renderer::evaluate_node(const Expression& e) {
  const auto child = [&](std::size_t i) { return evaluate(*e.children[i]); };
  switch (e.kind) {
    case ExpressionKind::kConstant: return e.constant;
    case ExpressionKind::kName: return look_up(e.name);
    case ExpressionKind::kAttribute: return get_attribute(child(0), e.name);
    case ExpressionKind::kItem: return get_item(child(0), child(1));
    case ExpressionKind::kSlice: return evaluate_slice(e);
    case ExpressionKind::kCall: return evaluate_call(e);
    case ExpressionKind::kFilter: return apply_filter(e.name, child(0), arguments_of(e));
    case ExpressionKind::kTest: return {apply_test(e.name, child(0), arguments_of(e))};
    case ExpressionKind::kNot: return {!child(0).truthy()};
    case ExpressionKind::kNegative: return binary("-", {std::int64_t{0}}, child(0));
    case ExpressionKind::kPositive: return binary("+", {std::int64_t{0}}, child(0));
    case ExpressionKind::kBinary: return binary(e.name, child(0), child(1));
    case ExpressionKind::kCompare: return evaluate_compare(e);
    case ExpressionKind::kAnd: {
      Value left = child(0);
      return left.truthy() ? child(1) : left;
    }
    case ExpressionKind::kOr: {
      Value left = child(0);
      return left.truthy() ? left : child(1);
    }
    case ExpressionKind::kConditional:
      if (child(1).truthy()) return child(0);
      return e.children[2] ? child(2) : Value{Undefined{"an if without else"}};
    case ExpressionKind::kList:
    case ExpressionKind::kTuple: {
      List items;
      for (const ExpressionPtr& item : e.children) items.push_back(evaluate(*item));
      return e.kind == ExpressionKind::kTuple ? make_tuple(std::move(items)) : make_list(std::move(items));
    }
    case ExpressionKind::kDict: {
      auto dict = std::make_shared<Dict>();
      for (std::size_t i = 0; i + 1 < e.children.size(); i += 2) {
        const Value key = child(i);
        dict->set(key, child(i + 1));
      }
      return make_dict(std::move(dict));
    }
  }
  return {};
}

Value Renderer::evaluate_call(const Expression& e) {
  const Value callee = evaluate(*e.children[0]);
  if (const auto* u = std::get_if<Undefined>(&callee.v))
    fail(ErrorCode::kUnsupported, "a call of " + u->name + ", which is undefined", e.line);
  if (callee.callable() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("a call of {}", type_name(callee)), e.line);
  return callee.callable()->call(arguments_of(e));
}

Value Renderer::evaluate_compare(const Expression& e) {
  Value left = evaluate(*e.children[0]);
  for (std::size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(*e.children[i + 1]);
    const std::string& op = e.operators[i];
    bool holds = false;
    if (op == "in" || op == "not in") holds = contains(right, left) == (op == "in");
    else holds = apply_test(op, left, Arguments{.positional = {right}, .named = {}});
    if (!holds) return {false};
    left = std::move(right);
  }
  return {true};
}

Value Renderer::evaluate_slice(const Expression& e) {
  const Value from = evaluate(*e.children[0]);
  const auto bound = [&](std::size_t i) -> std::optional<std::int64_t> {
    if (!e.children[i]) return std::nullopt;
    const Value v = evaluate(*e.children[i]);
    if (v.is_none()) return std::nullopt;
    if (v.integer() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("a slice by {}", type_name(v)), e.line);
    return *v.integer();
  };
  if (from.list() == nullptr && from.string() == nullptr)
    fail(ErrorCode::kCorrupt, fmt::format("a slice of {}", type_name(from)), e.line);
  const List items = elements(from);
  const auto n = static_cast<std::int64_t>(items.size());
  const std::int64_t stride = bound(3).value_or(1);
  if (stride == 0) fail(ErrorCode::kCorrupt, "a slice with a step of 0", e.line);
  // Python's rules: negative bounds count from the end, and all are clamped.
  const auto clamped = [n, stride](std::optional<std::int64_t> v, std::int64_t otherwise) {
    if (!v) return otherwise;
    std::int64_t at = *v;
    if (at < 0) at = at < -n ? -1 : at + n;
    const std::int64_t low = stride < 0 ? -1 : 0, high = stride < 0 ? n - 1 : n;
    return std::clamp(at, low, std::max(low, high));
  };
  const std::int64_t start = clamped(bound(1), stride < 0 ? n - 1 : 0), stop = clamped(bound(2), stride < 0 ? -1 : n);
  List out;
  for (std::int64_t i = start; stride > 0 ? i < stop : i > stop;) {
    out.push_back(items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  if (from.list()) return make_list(std::move(out));
  std::string text;
  for (const Value& c : out) text += *c.string();
  return make_string(std::move(text));
}

}  // namespace retort::text::jinja
