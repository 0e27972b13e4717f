#include "core/export/verify.h"

namespace retort {

// What tokenizers differ on: spaces at every place, digits, contractions, scripts, marks, emoji, controls, special
// tokens written out, code, and long runs.
const std::vector<std::string>& hard_strings() {
  static const std::vector<std::string> kStrings = {
      "",
      " ",
      "  ",
      "a",
      " a",
      "a ",
      "Hello, world!",
      " Hello  world   with    spaces ",
      "The quick brown fox jumps over the lazy dog.",
      "\n",
      "\n\n\n",
      "\r\n line\r\n",
      "tab\tand\t\ttabs",
      "trailing newline\n",
      " \n \n  x",
      "1234567890",
      "3.14159 and 2,718,281 or 0x1F600",
      "\xc2\xb2 \xc2\xbd \xe2\x85\xa7 \xd9\xa3",
      "I'll you're he'd THEY'LL don'T we've it's",
      "\xe2\x80\x99ll \xe2\x80\x98quoted\xe2\x80\x99 \xe2\x80\x9cmore\xe2\x80\x9d",
      "na\xc3\xafve caf\xc3\xa9 \xc3\x85ngstr\xc3\xb6m stra\xc3\x9f\x65",
      "cafe\xcc\x81 combining",
      "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82",
      "\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf \xec\x95\x88\xeb\x85\x95",
      "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xd0\xbc\xd0\xb8\xd1\x80",
      "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
      "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87",
      "\xf0\x9f\x98\x80 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 \xf0\x9f\x87\xa9\xf0\x9f\x87\xaa \xe2\x9d\xa4\xef\xb8\x8f",
      "\xc2\xa0non-breaking\xe2\x80\x83" "em\xe3\x80\x80wide",
      "zero\xe2\x80\x8bwidth \xef\xbb\xbf" "bom",
      "<|endoftext|>",
      "<s></s><unk>",
      "a<|im_start|>user\nhi<|im_end|>\n",
      "<|begin_of_text|>text<|eot_id|>",
      "for (int i = 0; i < n; ++i) { sum += x[i] * y[i]; }",
      "def f(x):\n    return {'a': [1, 2], \"b\": None}\n",
      "https://example.org/path?query=1&other=%20#frag",
      "user@example.org -- ***bold*** __init__ $\\alpha_{i}^{2}$",
      "!!!???...,,,;;;:::",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "supercalifragilisticexpialidocious antidisestablishmentarianism",
      "\xe2\x96\x81metaspace\xe2\x96\x81inside",
      "\x01\x02\x7f control",
      "CamelCaseAndsnake_case-and-kebab",
  };
  return kStrings;
}

}  // namespace retort
