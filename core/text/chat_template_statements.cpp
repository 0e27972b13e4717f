// Statements of the template language.
#include <algorithm>
#include <initializer_list>

#include "core/text/chat_template_parser.h"

namespace retort::text::jinja {
namespace {

std::unique_ptr<Statement> statement(StatementKind kind, int line) {
  auto out = std::make_unique<Statement>();
  out->kind = kind;
  out->line = line;
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)), expressions_(tokens_) {}

  Body document() {
    Body body = until({});
    if (tokens_.peek().kind != TokenKind::kEnd) tokens_.unexpected("the end");
    return body;
  }

 private:
  // Statements up to a block tag that begins with one of `ends`; stands at that name then.
  Body until(std::initializer_list<std::string_view> ends) {
    const Depth depth(depth_, tokens_.peek().line);
    Body body;
    for (;;) {
      const Token& token = tokens_.peek();
      if (token.kind == TokenKind::kEnd) {
        if (ends.size() > 0) fail(ErrorCode::kCorrupt, "the end instead of " + std::string(*(ends.end() - 1)), token.line);
        return body;
      }
      if (token.kind == TokenKind::kText) {
        auto text = statement(StatementKind::kText, token.line);
        text->text = tokens_.next().text;
        body.push_back(std::move(text));
      } else if (token.kind == TokenKind::kOutputBegin) {
        auto output = statement(StatementKind::kOutput, tokens_.next().line);
        output->expressions.push_back(expressions_.expression_or_tuple());
        if (tokens_.peek().kind != TokenKind::kOutputEnd) tokens_.unexpected("}}");
        tokens_.next();
        body.push_back(std::move(output));
      } else {
        tokens_.next();
        const std::string name = tokens_.peek().text;
        if (std::find(ends.begin(), ends.end(), name) != ends.end()) return body;
        if (auto block_statement = block()) body.push_back(std::move(block_statement));
      }
    }
  }

  void end_block() {
    if (tokens_.peek().kind != TokenKind::kBlockEnd) tokens_.unexpected("%}");
    tokens_.next();
  }

  // Behind "{%".
  std::unique_ptr<Statement> block() {
    const int line = tokens_.peek().line;
    const std::string name = tokens_.expect_any_name();
    if (name == "if") return if_block(line);
    if (name == "for") return for_block(line);
    if (name == "set") return set_block(line);
    if (name == "macro") return macro_block(line);
    if (name == "with") return with_block(line);
    if (name == "call") return call_block(line);
    if (name == "filter") return filter_block(line);
    if (name == "generation") {  // transformers marks the assistant's part with it
      end_block();
      return closed(statement(StatementKind::kScope, line), "endgeneration");
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail(ErrorCode::kCorrupt, name + " outside of a loop", line);
      end_block();
      return statement(name == "break" ? StatementKind::kBreak : StatementKind::kContinue, line);
    }
    constexpr std::string_view kKnown[] = {"block", "extends", "include", "import", "from", "autoescape", "do", "trans"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown))
      fail(ErrorCode::kUnsupported, "the statement " + name, line);
    fail(ErrorCode::kCorrupt, "the unknown statement " + name, line);
  }

  // The body up to `end` and its closing.
  std::unique_ptr<Statement> closed(std::unique_ptr<Statement> out, std::string_view end) {
    out->body = until({end});
    tokens_.next();
    end_block();
    return out;
  }

  std::unique_ptr<Statement> if_block(int line) {
    const Depth depth(depth_, line);
    auto out = statement(StatementKind::kIf, line);
    out->expressions.push_back(expressions_.expression_or_tuple());
    end_block();
    out->body = until({"elif", "else", "endif"});
    const Token next = tokens_.next();
    if (next.text == "elif") {
      out->otherwise.push_back(if_block(next.line));
      return out;
    }
    end_block();
    if (next.text == "else") {
      out->otherwise = until({"endif"});
      tokens_.next();
      end_block();
    }
    return out;
  }

  std::unique_ptr<Statement> for_block(int line) {
    auto out = statement(StatementKind::kFor, line);
    out->targets.push_back(target());
    tokens_.expect_name("in");
    ExpressionPtr over = expressions_.without_condition();
    out->expressions.push_back(std::move(over));
    if (tokens_.take_name("if")) out->expressions.push_back(expressions_.expression());
    if (tokens_.is_name("recursive")) fail(ErrorCode::kUnsupported, "recursive loops", line);
    end_block();
    ++loops_;
    out->body = until({"else", "endfor"});
    --loops_;
    const bool otherwise = tokens_.next().text == "else";
    end_block();
    if (otherwise) {
      out->otherwise = until({"endfor"});
      tokens_.next();
      end_block();
    }
    return out;
  }

  Target single_target() {
    Target out;
    if (tokens_.take_operator("(")) {
      out = target();
      tokens_.expect_operator(")");
      return out;
    }
    out.name = tokens_.expect_any_name();
    if (tokens_.take_operator(".")) out.attribute = tokens_.expect_any_name();
    return out;
  }

  Target target() {
    const Depth depth(depth_, tokens_.peek().line);
    Target first = single_target();
    if (!tokens_.is_operator(",")) return first;
    Target out;
    out.parts.push_back(std::move(first));
    while (tokens_.take_operator(",")) {
      if (tokens_.is_name("in") || tokens_.is_operator("=")) break;
      out.parts.push_back(single_target());
    }
    return out;
  }

  std::unique_ptr<Statement> set_block(int line) {
    auto out = statement(StatementKind::kSet, line);
    out->targets.push_back(target());
    if (tokens_.take_operator("=")) {
      out->expressions.push_back(expressions_.expression_or_tuple());
      end_block();
      return out;
    }
    out->kind = StatementKind::kSetBlock;
    while (tokens_.take_operator("|")) out->filters.push_back(expressions_.filter_tail());
    end_block();
    return closed(std::move(out), "endset");
  }

  std::unique_ptr<Statement> macro_block(int line) {
    auto out = statement(StatementKind::kMacro, line);
    out->text = tokens_.expect_any_name();
    out->parameters = expressions_.parameters();
    end_block();
    const int loops = std::exchange(loops_, 0);
    out = closed(std::move(out), "endmacro");
    loops_ = loops;
    return out;
  }

  std::unique_ptr<Statement> with_block(int line) {
    auto out = statement(StatementKind::kWith, line);
    while (tokens_.peek().kind != TokenKind::kBlockEnd) {
      if (!out->targets.empty()) tokens_.expect_operator(",");
      out->targets.push_back(single_target());
      tokens_.expect_operator("=");
      out->expressions.push_back(expressions_.expression());
    }
    end_block();
    return closed(std::move(out), "endwith");
  }

  std::unique_ptr<Statement> call_block(int line) {
    auto out = statement(StatementKind::kCallBlock, line);
    if (tokens_.is_operator("(")) out->parameters = expressions_.parameters();
    out->expressions.push_back(expressions_.postfix_expression());
    if (out->expressions[0]->kind != ExpressionKind::kCall) tokens_.unexpected("a call");
    end_block();
    return closed(std::move(out), "endcall");
  }

  std::unique_ptr<Statement> filter_block(int line) {
    auto out = statement(StatementKind::kFilter, line);
    do out->filters.push_back(expressions_.filter_tail());
    while (tokens_.take_operator("|"));
    end_block();
    return closed(std::move(out), "endfilter");
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Body parse(std::string_view source) { return Parser(source).document(); }

}  // namespace retort::text::jinja
