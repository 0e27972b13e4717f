// Expressions of the template language, by recursive descent in Jinja's order of precedence.
#include <charconv>

#include "core/text/chat_template_parser.h"

namespace retort::text::jinja {
namespace {

std::unique_ptr<Expression> node(ExpressionKind kind, int line, std::string name = {}) {
  auto out = std::make_unique<Expression>();
  out->kind = kind;
  out->line = line;
  out->name = std::move(name);
  return out;
}

ExpressionPtr constant(Value value, int line) {
  auto out = node(ExpressionKind::kConstant, line);
  out->constant = std::move(value);
  return out;
}

ExpressionPtr combine(ExpressionKind kind, int line, std::string name, ExpressionPtr left, ExpressionPtr right = nullptr) {
  auto out = node(kind, line, std::move(name));
  out->children.push_back(std::move(left));
  if (right) out->children.push_back(std::move(right));
  return out;
}

// A chain of operators is a tree as deep as it is long; real ones have a dozen links.
void check_chain(int links, int line) {
  if (links > 200) fail(ErrorCode::kUnsupported, "more than 200 links in one chain", line);
}

}  // namespace

void TokenStream::unexpected(const std::string& wanted) const {
  const Token& token = peek();
  std::string found = token.kind == TokenKind::kEnd ? "the end" : "'" + token.text.substr(0, 40) + "'";
  if (token.kind == TokenKind::kBlockEnd || token.kind == TokenKind::kOutputEnd) found = "the end of the tag";
  fail(ErrorCode::kCorrupt, found + " instead of " + wanted, token.line);
}

ExpressionPtr ExpressionParser::expression() { return condition(); }
ExpressionPtr ExpressionParser::without_condition() { return disjunction(); }

ExpressionPtr ExpressionParser::expression_or_tuple() {
  const int line = tokens_.peek().line;
  ExpressionPtr first = expression();
  if (!tokens_.is_operator(",")) return first;
  auto list = node(ExpressionKind::kTuple, line);
  list->children.push_back(std::move(first));
  while (tokens_.take_operator(",")) {
    const TokenKind kind = tokens_.peek().kind;
    if (kind == TokenKind::kBlockEnd || kind == TokenKind::kOutputEnd || tokens_.is_operator(")")) break;
    list->children.push_back(expression());
  }
  return list;
}

ExpressionPtr ExpressionParser::condition() {
  const Depth depth(depth_, tokens_.peek().line);
  ExpressionPtr value = disjunction();
  for (int links = 0; tokens_.is_name("if"); ++links) {
    check_chain(links, tokens_.peek().line);
    auto out = node(ExpressionKind::kConditional, tokens_.next().line);
    out->children.push_back(std::move(value));
    out->children.push_back(disjunction());
    out->children.push_back(tokens_.take_name("else") ? condition() : nullptr);
    value = std::move(out);
  }
  return value;
}

ExpressionPtr ExpressionParser::disjunction() {
  ExpressionPtr left = conjunction();
  for (int links = 0; tokens_.is_name("or"); ++links) {
    check_chain(links, tokens_.peek().line);
    const int line = tokens_.next().line;
    left = combine(ExpressionKind::kOr, line, "", std::move(left), conjunction());
  }
  return left;
}

ExpressionPtr ExpressionParser::conjunction() {
  ExpressionPtr left = negation();
  for (int links = 0; tokens_.is_name("and"); ++links) {
    check_chain(links, tokens_.peek().line);
    const int line = tokens_.next().line;
    left = combine(ExpressionKind::kAnd, line, "", std::move(left), negation());
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  if (!tokens_.is_name("not")) return comparison();
  const Depth depth(depth_, tokens_.peek().line);
  const int line = tokens_.next().line;
  return combine(ExpressionKind::kNot, line, "", negation());
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = tokens_.peek().line;
  ExpressionPtr left = binary(0);
  std::unique_ptr<Expression> out;
  for (;;) {
    std::string op;
    for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"})
      if (tokens_.is_operator(candidate)) op = candidate;
    if (op.empty() && tokens_.is_name("in")) op = "in";
    if (op.empty() && tokens_.is_name("not") && tokens_.peek(1).kind == TokenKind::kName && tokens_.peek(1).text == "in") {
      op = "not in";
      tokens_.next();
    }
    if (op.empty()) break;
    tokens_.next();
    if (!out) {
      out = node(ExpressionKind::kCompare, line);
      out->children.push_back(std::move(left));
    }
    out->operators.push_back(op);
    out->children.push_back(binary(0));
  }
  if (out) return out;
  return left;
}

// Level 0: + and −; 1: ~; 2: * / // %.
ExpressionPtr ExpressionParser::binary(int level) {
  static constexpr std::string_view kLevels[3][4] = {{"+", "-", "", ""}, {"~", "", "", ""}, {"*", "/", "//", "%"}};
  if (level == 3) return power();
  ExpressionPtr left = binary(level + 1);
  for (int links = 0;; ++links) {
    check_chain(links, tokens_.peek().line);
    std::string op;
    for (const std::string_view candidate : kLevels[level])
      if (!candidate.empty() && tokens_.is_operator(candidate)) op = candidate;
    if (op.empty()) return left;
    const int line = tokens_.next().line;
    left = combine(ExpressionKind::kBinary, line, op, std::move(left), binary(level + 1));
  }
}

ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = unary(true);
  for (int links = 0; tokens_.is_operator("**"); ++links) {
    check_chain(links, tokens_.peek().line);
    const int line = tokens_.next().line;
    left = combine(ExpressionKind::kBinary, line, "**", std::move(left), unary(true));
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const Depth depth(depth_, tokens_.peek().line);
  ExpressionPtr out;
  if (tokens_.is_operator("-") || tokens_.is_operator("+")) {
    const Token sign = tokens_.next();
    out = combine(sign.text == "-" ? ExpressionKind::kNegative : ExpressionKind::kPositive, sign.line, "", unary(false));
  } else {
    out = postfix(primary());
  }
  return with_filters ? filters_and_tests(std::move(out)) : std::move(out);
}

ExpressionPtr ExpressionParser::postfix_expression() { return postfix(primary()); }

ExpressionPtr ExpressionParser::primary() {
  const Token& token = tokens_.peek();
  const int line = token.line;
  if (token.kind == TokenKind::kString) return string_literal();
  if (token.kind == TokenKind::kInteger) {
    const std::string text = tokens_.next().text;
    std::int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
      fail(ErrorCode::kUnsupported, "the number " + text, line);
    return constant({value}, line);
  }
  if (token.kind == TokenKind::kReal) {
    const std::string text = tokens_.next().text;
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return constant({value}, line);
  }
  if (token.kind == TokenKind::kName) {
    const std::string name = tokens_.next().text;
    if (name == "true" || name == "True") return constant({true}, line);
    if (name == "false" || name == "False") return constant({false}, line);
    if (name == "none" || name == "None") return constant({None{}}, line);
    return node(ExpressionKind::kName, line, name);
  }
  if (tokens_.take_operator("[")) return sequence("]", ExpressionKind::kList, line);
  if (tokens_.take_operator("{")) return dictionary(line);
  if (tokens_.take_operator("(")) {
    if (tokens_.take_operator(")")) return node(ExpressionKind::kTuple, line);
    ExpressionPtr inner = expression_or_tuple();
    tokens_.expect_operator(")");
    return inner;
  }
  tokens_.unexpected("an expression");
}

ExpressionPtr ExpressionParser::string_literal() {
  const int line = tokens_.peek().line;
  std::string text;
  while (tokens_.peek().kind == TokenKind::kString) text += tokens_.next().text;  // neighbours join
  return constant(make_string(std::move(text)), line);
}

ExpressionPtr ExpressionParser::sequence(std::string_view closing, ExpressionKind kind, int line) {
  auto out = node(kind, line);
  while (!tokens_.take_operator(closing)) {
    if (!out->children.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.take_operator(closing)) break;
    }
    out->children.push_back(expression());
  }
  return out;
}

ExpressionPtr ExpressionParser::dictionary(int line) {
  auto out = node(ExpressionKind::kDict, line);
  while (!tokens_.take_operator("}")) {
    if (!out->children.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.take_operator("}")) break;
    }
    out->children.push_back(expression());
    tokens_.expect_operator(":");
    out->children.push_back(expression());
  }
  return out;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr value) {
  for (int chained = 0;; ++chained) {
    const int line = tokens_.peek().line;
    check_chain(chained, line);
    if (tokens_.take_operator(".")) {
      if (tokens_.peek().kind == TokenKind::kInteger) {
        auto item = node(ExpressionKind::kItem, line);
        item->children.push_back(std::move(value));
        item->children.push_back(primary());
        value = std::move(item);
      } else {
        value = combine(ExpressionKind::kAttribute, line, tokens_.expect_any_name(), std::move(value));
      }
    } else if (tokens_.take_operator("[")) {
      value = subscript(std::move(value));
    } else if (tokens_.is_operator("(")) {
      auto call = node(ExpressionKind::kCall, line);
      call->children.push_back(std::move(value));
      arguments(*call);
      value = std::move(call);
    } else {
      return value;
    }
  }
}

// Behind the "[": an index, or a slice with up to two colons.
ExpressionPtr ExpressionParser::subscript(ExpressionPtr value) {
  const int line = tokens_.peek().line;
  ExpressionPtr parts[3];
  int colons = 0;
  while (!tokens_.take_operator("]")) {
    if (tokens_.take_operator(":")) {
      if (++colons > 2) tokens_.unexpected("']'");
    } else if (parts[colons]) {
      tokens_.unexpected("']'");
    } else {
      parts[colons] = expression();
    }
  }
  if (colons == 0 && !parts[0]) tokens_.unexpected("an index");
  if (colons == 0) return combine(ExpressionKind::kItem, line, "", std::move(value), std::move(parts[0]));
  auto slice = node(ExpressionKind::kSlice, line);
  slice->children.push_back(std::move(value));
  for (ExpressionPtr& part : parts) slice->children.push_back(std::move(part));
  return slice;
}

void ExpressionParser::arguments(Expression& call) {
  tokens_.expect_operator("(");
  bool first = true;
  while (!tokens_.take_operator(")")) {
    if (!first) {
      tokens_.expect_operator(",");
      if (tokens_.take_operator(")")) break;
    }
    first = false;
    if (tokens_.is_operator("*") || tokens_.is_operator("**"))
      fail(ErrorCode::kUnsupported, "unpacked arguments", tokens_.peek().line);
    const bool named = tokens_.peek().kind == TokenKind::kName && tokens_.peek(1).kind == TokenKind::kOperator &&
                       tokens_.peek(1).text == "=";
    if (named) {
      std::string name = tokens_.next().text;
      tokens_.next();
      call.named.emplace_back(std::move(name), expression());
    } else {
      call.children.push_back(expression());
    }
  }
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr value) {
  for (int chained = 0;; ++chained) {
    check_chain(chained, tokens_.peek().line);
    if (tokens_.take_operator("|")) {
      auto filter = node(ExpressionKind::kFilter, tokens_.peek().line, tokens_.expect_any_name());
      filter->children.push_back(std::move(value));
      if (tokens_.is_operator("(")) arguments(*filter);
      value = std::move(filter);
    } else if (tokens_.take_name("is")) {
      value = test(std::move(value));
    } else if (tokens_.is_operator("(")) {
      auto call = node(ExpressionKind::kCall, tokens_.peek().line);
      call->children.push_back(std::move(value));
      arguments(*call);
      value = std::move(call);
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::filter_tail() {
  auto filter = node(ExpressionKind::kFilter, tokens_.peek().line, tokens_.expect_any_name());
  filter->children.push_back(nullptr);
  if (tokens_.is_operator("(")) arguments(*filter);
  return filter;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const int line = tokens_.peek().line;
  const bool negated = tokens_.take_name("not");
  auto out = node(ExpressionKind::kTest, line, tokens_.expect_any_name());
  out->children.push_back(std::move(value));
  const Token& token = tokens_.peek();
  const bool keyword = token.kind == TokenKind::kName &&
                       (token.text == "else" || token.text == "or" || token.text == "and" || token.text == "is" ||
                        token.text == "if" || token.text == "in" || token.text == "not");
  const bool literal = token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
                       token.kind == TokenKind::kInteger || token.kind == TokenKind::kReal ||
                       tokens_.is_operator("[") || tokens_.is_operator("{");
  if (tokens_.is_operator("(")) arguments(*out);
  else if (literal && !keyword) out->children.push_back(postfix(primary()));
  if (negated) return combine(ExpressionKind::kNot, line, "", std::move(out));
  return out;
}

std::vector<Parameter> ExpressionParser::parameters() {
  std::vector<Parameter> out;
  tokens_.expect_operator("(");
  while (!tokens_.take_operator(")")) {
    if (!out.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.take_operator(")")) break;
    }
    Parameter parameter{tokens_.expect_any_name(), nullptr};
    if (tokens_.take_operator("=")) parameter.otherwise = expression();
    out.push_back(std::move(parameter));
  }
  return out;
}

}  // namespace retort::text::jinja
