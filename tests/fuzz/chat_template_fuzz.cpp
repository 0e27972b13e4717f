// Chat templates: parsing and rendering a short conversation.
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"
#include "fuzz_target.h"

RETORT_FUZZ_TARGET(chat_template) {
  const std::vector<retort::ChatMessage> messages = {
      {"system", "Be brief."}, {"user", "Hi {{ there }} <|im_end|>"}, {"assistant", "Hello."}, {"user", "\xff second"}};
  static_cast<void>(retort::render_chat({reinterpret_cast<const char*>(data), size}, messages, true, "<s>", "</s>").ok());
  return 0;
}
