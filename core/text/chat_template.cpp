// render_chat: the conversation as the values that transformers hands to a chat template.
#include "core/text/chat_template_render.h"
#include "core/text/tokenizer.h"
#include "core/text/unicode.h"

namespace retort {

Result<std::string> render_chat(std::string_view chat_template, std::span<const ChatMessage> messages,
                                bool add_generation_prompt, std::string_view bos_token, std::string_view eos_token) {
  using namespace text;
  using namespace text::jinja;
  try {
    const Body body = parse(to_valid_utf8(chat_template));
    List list;
    for (const ChatMessage& message : messages) {
      auto dict = std::make_shared<Dict>();
      dict->set(make_string("role"), make_string(to_valid_utf8(message.role)));
      dict->set(make_string("content"), make_string(to_valid_utf8(message.content)));
      list.push_back(make_dict(std::move(dict)));
    }
    std::map<std::string, Value> globals;
    globals["messages"] = make_list(std::move(list));
    globals["add_generation_prompt"] = {add_generation_prompt};
    globals["bos_token"] = make_string(to_valid_utf8(bos_token));
    globals["eos_token"] = make_string(to_valid_utf8(eos_token));
    globals["tools"] = {None{}};
    globals["documents"] = {None{}};
    Renderer renderer(std::move(globals));
    return renderer.render(body);
  } catch (const Failure& failure) {
    return failure.error;
  }
}

}  // namespace retort
