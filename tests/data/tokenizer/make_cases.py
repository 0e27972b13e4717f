"""Writes the tokenizer fixtures: small tokenizers of our own, and what the tokenizers library makes of hard strings.

Usage: python make_cases.py   (needs tokenizers 0.23.3)
  NAME/tokenizer.json, NAME/cases.json  trained on the sentences below
  steps.json                            one step each, over a model that spells words out byte by byte
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent

CORPUS = """The workbench opens a model, measures it, and writes a smaller one beside it.
Nothing is better before the baseline has been measured; nothing is shown that was not counted.
A quantized weight is a small number with a scale that it shares with its neighbours.
When the file is cut short, the reader says where, and what it had expected to find there.
Numbers such as 3, 14 and 159 stand next to words; so do tabs, new lines and "quotation marks".
for i in range(10): print(i * i, 'and', i ** 2)  # a line of code
Der Hund läuft über die Straße, und die Katze schaut ihm nach. Größe und Maß zählen.
L'été dernier, les élèves ont dû réviser leurs leçons à la bibliothèque. Ça va bien.
Быстрая лиса прыгает через ленивую собаку. Модель стала меньше, а ошибка почти не выросла.
モデルを小さくして、精度を測ります。小さいモデルは速いです。
""" * 4

TEXTS = [
    "", " ", "  ", "\n", "\t\n ", "a", "Hello, world!", " leading", "trailing ", "two  spaces   three", "the model's weights aren't DON'T",
    "1234567 3.14159 1,000 ½ ² Ⅷ ٣٤", "naïve café déjà vu", "cafe\u0301 A\u030a \u1e9b\u0323", "ﬁ ﬀ ① ㎏ ｱ Ａ", "İstanbul DŽ ẞ ſ K Σίσυφος", "日本語のテキスト。中文字符，한국어", "👩‍👩‍👧‍👦 🇩🇪 👍🏽 emoji",
    "\u200b\u200c\u200d\ufeff\u00ad zero", "\u00a0\u2003\u3000\u202f wide", "tab\tnew\nline\r\nend\r", "a_b-c.d/e\\f|g", "$100 + 5% = €105 ^~`<>", "\x00\x01\x1f\x7f\x80 control", "\ufffd \ue000x"[:2],
    "https://example.org/a?b=c&d=%20#e", "CamelCaseWord snake_case_word", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "<s>hi</s> <mask> <mask>  <word>x <word> a<word>b <norm> <NORM>Norm", "▁under▁ ▁▁line", "नमस्ते दुनिया ไทย עברית العربية",
    "x" * 150, "for (int i = 0; i < n; ++i) {\n\t\treturn a[i];\n}\n", "e\u0301\u0323\u0327 o\u0308\u0304", "A.B,C;D:E!F?G(H)I[J]K{L}", "  \n\n  x  \n", "'s 'S 'll 'LL 've x's",
]


def save(name, tokenizer):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cases = []
    for text in TEXTS:
        encoding = tokenizer.encode(text)
        cases.append({"text": text, "ids": encoding.ids,
                      "ids_no_special": tokenizer.encode(text, add_special_tokens=False).ids,
                      "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=True),
                      "decoded_keep_special": tokenizer.decode(encoding.ids, skip_special_tokens=False)})
    (folder / "cases.json").write_text("[" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "]\n", encoding="utf-8")


ADDED = [AddedToken("<mask>", lstrip=True, rstrip=False, normalized=False, special=True),
         AddedToken("<word>", single_word=True, normalized=False), AddedToken("<norm>", normalized=True, rstrip=True)]


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator([CORPUS], trainers.BpeTrainer(vocab_size=420, special_tokens=["<s>", "</s>"], show_progress=False,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.Sequence([processors.ByteLevel(), processors.RobertaProcessing(("</s>", 1), ("<s>", 0))])
    t.add_tokens(ADDED)
    save("bpe-byte-level", t)


def byte_fallback():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(CORPUS.splitlines(), trainers.BpeTrainer(vocab_size=560, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, show_progress=False,
                                                                    limit_alphabet=60, max_token_length=12))
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    t = Tokenizer.from_str(json.dumps(data))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    t.add_tokens(ADDED)
    save("bpe-byte-fallback", t)


def suffix_bpe():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="@", end_of_word_suffix="</w>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_previous")])
    t.decoder = decoders.BPEDecoder("</w>")
    t.train_from_iterator([CORPUS], trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], continuing_subword_prefix="@",
                                                        end_of_word_suffix="</w>", limit_alphabet=40, show_progress=False))
    save("bpe-suffix", t)


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    t.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator([CORPUS], trainers.WordPieceTrainer(vocab_size=350, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.add_tokens(ADDED)
    save("wordpiece", t)


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(left=False)])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(CORPUS.splitlines(), trainers.UnigramTrainer(vocab_size=600, special_tokens=["<unk>", "</s>"] + bytes_, unk_token="<unk>", show_progress=False))
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:2]
    data["model"]["byte_fallback"] = True
    t = Tokenizer.from_str(json.dumps(data))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[("</s>", 1)])
    t.add_tokens(ADDED)
    save("unigram", t)


MARK = "\ue000"  # written before every character of a word but the first
WORD = "\ue001"  # between the words of an expected string


def spelled(ids):
    text = bytes(ids).decode("utf-8", "replace")
    words, i = [], 0
    while i < len(text):
        if text[i] == MARK:
            words[-1] += text[i + 1]
            i += 2
        else:
            words.append(text[i])
            i += 1
    return WORD.join(words)


def steps():
    base = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "byte_fallback": True, "continuing_subword_prefix": MARK, "fuse_unk": False, "unk_token": None,
                      "end_of_word_suffix": None, "dropout": None, "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": []}}
    N, P = normalizers, pre_tokenizers
    norm = [N.NFC(), N.NFD(), N.NFKC(), N.NFKD(), N.Lowercase(), N.Strip(), N.Strip(left=True, right=False), N.StripAccents(), N.Nmt(),
            N.Replace("a", "bb"), N.Replace(Regex("[aeiou]+"), "_"), N.Replace(Regex(r"\s+"), ""), N.Prepend("> "), N.ByteLevel(),
            N.BertNormalizer(), N.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
            N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase()])]
    behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    pre = [P.Split(Regex(r"\s|[aeiou]"), b, invert) for b in behaviors for invert in (False, True)]
    pre += [P.Split(" ", b) for b in behaviors]
    pre += [P.Split(Regex(p), "isolated") for p in
            (r"\w+", r"\b", r"[^\W\d]+", r"[\p{L}&&[^a-m]]+", r"[a-f[x-z]\d]", r"\p{N}{1,3}+", r"(?i:'s|'t|'ll)", r"(?=\d{3})", r"^.|.$", r"\h+", r"[[:punct:]]+", r"[\s\S]{3}", r"(?m:a.b)|\R", r"\u0061|\x62", r"[^\S\n]+", r"\p{Han}+|\p{Hiragana}",
             r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    pre += [P.Digits(), P.Digits(individual_digits=True), P.Whitespace(), P.WhitespaceSplit(), P.Punctuation(), P.Punctuation("contiguous"),
            P.BertPreTokenizer(), P.CharDelimiterSplit("e"), P.FixedLength(4), P.UnicodeScripts(), P.Metaspace(), P.Metaspace(prepend_scheme="first", split=False), P.Metaspace(prepend_scheme="never"),
            P.ByteLevel(), P.ByteLevel(add_prefix_space=False, use_regex=False),
            P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme="first")]), P.Sequence([P.ByteLevel(add_prefix_space=False), P.Digits()])]
    configurations = [("normalizer", n) for n in norm] + [("pre_tokenizer", p) for p in pre]
    configurations.append(("both", (N.Strip(), P.Metaspace(prepend_scheme="first"))))
    configurations.append(("both", (N.Prepend("a"), P.Sequence([P.Split("a", "isolated"), P.Metaspace(prepend_scheme="first")]))))
    out = []
    for part, step in configurations:
        t = Tokenizer.from_str(json.dumps(base))
        if part in ("normalizer", "both"):
            t.normalizer = step[0] if part == "both" else step
        if part in ("pre_tokenizer", "both"):
            t.pre_tokenizer = step[1] if part == "both" else step
        data = json.loads(t.to_str())
        out.append({"normalizer": data["normalizer"], "pre_tokenizer": data["pre_tokenizer"],
                    "expected": [spelled(t.encode(text).ids) for text in TEXTS]})
    with open(HERE / "steps.json", "w", encoding="utf-8") as file:
        file.write('{"base": ' + json.dumps(base, ensure_ascii=True) + ',\n"texts": ' + json.dumps(TEXTS, ensure_ascii=True) + ',\n"steps": [\n')
        file.write(",\n".join(json.dumps(o, ensure_ascii=False) for o in out) + "]}\n")


for make in (byte_level, byte_fallback, suffix_bpe, wordpiece, unigram, steps):
    make()
