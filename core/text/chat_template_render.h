// Runs a parsed template.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/text/chat_template_ast.h"

namespace retort::text::jinja {

class Renderer {
 public:
  explicit Renderer(std::map<std::string, Value> globals) { scopes_.push_back(std::move(globals)); }
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;
  // Throws Failure. Ends on any template: work, depth and output are limited.
  std::string render(const Body& body);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  using Scope = std::map<std::string, Value>;

  Flow run(const Body& body, std::string& out);
  Flow run_statement(const Statement& s, std::string& out);
  Flow run_for(const Statement& s, std::string& out);
  Flow run_with(const Statement& s, std::string& out);
  void define_macro(const Statement& s);
  void run_call_block(const Statement& s, std::string& out);
  // A callable that runs the body of `s` with its parameters bound, over the scopes that `visible` returns.
  Value body_callable(const Statement& s, std::string name, std::size_t depth);
  Value run_body(const Statement& s, const Arguments& arguments);
  Value filtered(const std::vector<ExpressionPtr>& filters, Value value);
  void assign(const Target& target, Value value);
  void emit(std::string& out, std::string_view text);

  Value evaluate(const Expression& e);
  Value evaluate_node(const Expression& e);
  Value evaluate_call(const Expression& e);
  Value evaluate_compare(const Expression& e);
  Value evaluate_slice(const Expression& e);
  Arguments arguments_of(const Expression& e);
  Value look_up(const std::string& name) const;
  void step(int line, std::size_t cost = 1);

  std::vector<Scope> scopes_;
  std::set<std::shared_ptr<Dict>> namespaces_;  // written to; emptied at the end, since they may hold each other
  std::size_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace retort::text::jinja
