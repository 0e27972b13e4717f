// The tokenizers library's UnicodeScripts: a word ends where the script changes. Hiragana and Katakana count as Han, spaces and
// unassigned characters belong to whatever came before; those in front of everything vanish.
#include <array>

#include "core/text/pre_tokenizers.h"

namespace retort::text {
namespace {

// All of Unicode 14 but Common, Han, Hiragana and Katakana.
constexpr std::array<std::string_view, 157> kScripts = {
    "Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "Bassa_Vah",
    "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid", "Canadian_Aboriginal",
    "Carian", "Caucasian_Albanian", "Chakma", "Cham", "Cherokee", "Chorasmian", "Coptic", "Cuneiform", "Cypriot",
    "Cypro_Minoan", "Cyrillic", "Deseret", "Devanagari", "Dives_Akuru", "Dogra", "Duployan", "Egyptian_Hieroglyphs",
    "Elbasan", "Elymaic", "Ethiopic", "Georgian", "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati",
    "Gunjala_Gondi", "Gurmukhi", "Hangul", "Hanifi_Rohingya", "Hanunoo", "Hatran", "Hebrew", "Imperial_Aramaic",
    "Inherited", "Inscriptional_Pahlavi", "Inscriptional_Parthian", "Javanese", "Kaithi", "Kannada", "Kayah_Li",
    "Kharoshthi", "Khitan_Small_Script", "Khmer", "Khojki", "Khudawadi", "Lao", "Latin", "Lepcha", "Limbu",
    "Linear_A", "Linear_B", "Lisu", "Lycian", "Lydian", "Mahajani", "Makasar", "Malayalam", "Mandaic", "Manichaean",
    "Marchen", "Masaram_Gondi", "Medefaidrin", "Meetei_Mayek", "Mende_Kikakui", "Meroitic_Cursive",
    "Meroitic_Hieroglyphs", "Miao", "Modi", "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean", "Nandinagari",
    "New_Tai_Lue", "Newa", "Nko", "Nushu", "Nyiakeng_Puachue_Hmong", "Ogham", "Ol_Chiki", "Old_Hungarian",
    "Old_Italic", "Old_North_Arabian", "Old_Permic", "Old_Persian", "Old_Sogdian", "Old_South_Arabian", "Old_Turkic",
    "Old_Uyghur", "Oriya", "Osage", "Osmanya", "Pahawh_Hmong", "Palmyrene", "Pau_Cin_Hau", "Phags_Pa", "Phoenician",
    "Psalter_Pahlavi", "Rejang", "Runic", "Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham", "SignWriting",
    "Sinhala", "Sogdian", "Sora_Sompeng", "Soyombo", "Sundanese", "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa",
    "Tai_Le", "Tai_Tham", "Tai_Viet", "Takri", "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan",
    "Tifinagh", "Tirhuta", "Toto", "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Warang_Citi", "Yezidi", "Yi",
    "Zanabazar_Square",};

std::string run_of(const std::string& first, const std::string& more) {
  return first + "(?:" + more + "|[ \\p{Unknown}])*";
}

std::string pattern() {
  const std::string han = R"([\p{Han}\p{Hiragana}\p{Katakana}ー])";
  std::string out = run_of(han, han) + "|" + run_of(R"((?![ ー])\p{Common})", R"((?!ー)\p{Common})");
  for (const std::string_view script : kScripts) {
    const std::string one = "\\p{" + std::string(script) + "}";
    out += "|" + run_of(one, one);
  }
  return out;
}

}  // namespace

Result<PreTokenizerPtr> make_unicode_scripts() {
  RETORT_TRY(Regex regex, Regex::compile(pattern(), "UnicodeScripts"));
  return make_split(std::move(regex), SplitBehavior::kRemoved, true);
}

}  // namespace retort::text
