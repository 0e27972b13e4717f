// The parts of the template parser that statements and expressions share.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/chat_template_ast.h"
#include "core/text/chat_template_lexer.h"

namespace retort::text::jinja {

// A place in the tokens, with the checks that every parser needs.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token next() {
    Token token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is_operator(std::string_view text) const { return peek().kind == TokenKind::kOperator && peek().text == text; }
  bool is_name(std::string_view text) const { return peek().kind == TokenKind::kName && peek().text == text; }
  bool take_operator(std::string_view text) { return is_operator(text) && (next(), true); }
  bool take_name(std::string_view text) { return is_name(text) && (next(), true); }
  void expect_operator(std::string_view text) {
    if (!take_operator(text)) unexpected("'" + std::string(text) + "'");
  }
  void expect_name(std::string_view text) {
    if (!take_name(text)) unexpected(std::string(text));
  }
  std::string expect_any_name() {
    if (peek().kind != TokenKind::kName) unexpected("a name");
    return next().text;
  }
  [[noreturn]] void unexpected(const std::string& wanted) const;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

// Counts how deep the parser has gone; hostile templates nest without end.
class Depth {
 public:
  explicit Depth(int& depth, int line) : depth_(depth) {
    if (++depth_ > 200) fail(ErrorCode::kUnsupported, "nesting deeper than 200", line);
  }
  ~Depth() { --depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  int& depth_;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}
  ExpressionPtr expression();          // with "a if b else c"
  ExpressionPtr without_condition();   // what stands between "in" and "if" of a for
  ExpressionPtr expression_or_tuple(); // "a, b" is a tuple
  ExpressionPtr postfix_expression();  // a name with calls behind it, without filters
  ExpressionPtr filter_tail();         // "name(…)" of a filter block; children[0] is null
  std::vector<Parameter> parameters(); // "(a, b=1)" of a macro

 private:
  ExpressionPtr condition();
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr binary(int level);
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr string_literal();
  ExpressionPtr sequence(std::string_view closing, ExpressionKind kind, int line);
  ExpressionPtr dictionary(int line);
  ExpressionPtr postfix(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr filters_and_tests(ExpressionPtr node);
  ExpressionPtr test(ExpressionPtr node);
  void arguments(Expression& call);

  TokenStream& tokens_;
  int depth_ = 0;
};

}  // namespace retort::text::jinja
