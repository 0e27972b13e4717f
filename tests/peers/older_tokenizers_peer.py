#!/usr/bin/env python3
"""Makes tests/data/older_tokenizers: small tokenizers in the files from before tokenizer.json, with ids and decoded text from
the libraries sentencepiece and transformers. Usage: older_tokenizers_peer.py tests/data/older_tokenizers"""
import io
import json
import pathlib
import sys

import sentencepiece as spm
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

CORPUS = [l.strip() for m in (json, io, spm, pathlib) for l in open(m.__file__, encoding="utf-8") if l.strip()]
CORPUS += ["Größe und Übermut tun selten gut.", "Le cœur a ses raisons que la raison ne connaît point.", "東京は夜の七時です。",
           "Быстрая лиса прыгает.", "naïve café ﬁnd Ⅷ ½ ２３"] * 4
TEXTS = ["", " ", "  ", "a", "Hello world", " Hello  world ", "\tTabs\nand\r\nlines\n\n", "the quick brown fox",
         "HELLO Wörld", "Größe Übermut", "naïve café", "ﬁnd ﬀ Ⅷ ½ ２３ ①", "東京は夜の七時です。", "Быстрая лиса", "emoji 🙂🙃 👩‍👩‍👧",
         "x=1+2*(3-4)/5", "don't we'll I'm", "a" * 50, "… — ‘quotes’ “here”", "\u200bzero\u200bwidth", "\u00a0nbsp\u00a0",
         "\u3000ideographic\u3000space", "e\u0301 combining", "한국어 텍스트", "مرحبا بالعالم", "mixed 東京 and 한국 text", "1234567890 3.14",
         "snake_case CamelCase kebab-case", "<0x41> <unk2>", "▁already▁marked", "a  b   c    d", "trailing   ", "\u2028line\u2029sep",
         "ÀÉÎÕÜ àéîõü ß ẞ İ ı", "\ufeffbom", "null\u0001control\u007f", "sym@bol#here", "a<sep>b <sep> c<sep>", "<sep>", "xx<tab>yy"]


def cases(encode, decode):
    return [{"text": t, "ids": encode(t), "decoded": decode(encode(t))} for t in TEXTS]


def write(folder, name, data, config=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def sentencepiece(root, name, config, **options):
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=out, hard_vocab_limit=False, minloglevel=2, **options)
    folder = pathlib.Path(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(out.getvalue())
    processor = spm.SentencePieceProcessor(model_proto=out.getvalue())
    write(folder, name, cases(processor.encode, processor.decode), config)


def wordpiece(root, name, flags):
    from transformers import BertTokenizer
    folder = pathlib.Path(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer(lowercase=flags.get("do_lower_case", True), strip_accents=flags.get("strip_accents"),
                                                    handle_chinese_chars=flags.get("tokenize_chinese_chars", True))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    vocab = sorted(trained.get_vocab().items(), key=lambda e: e[1])
    (folder / "vocab.txt").write_text("".join(piece + "\n" for piece, _ in vocab), encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer"} | flags
    write(folder, name, [], config)
    library = BertTokenizer.from_pretrained(folder)
    write(folder, name, cases(lambda t: library(t)["input_ids"],
                              lambda ids: library.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)), config)


def byte_level(root, name, kind, flags):
    from transformers import AutoTokenizer
    folder = pathlib.Path(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if kind == "RobertaTokenizer" else ["<|endoftext|>"]
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=500, special_tokens=special,
                                                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    trained.model.save(str(folder))
    config = {"tokenizer_class": kind} | flags
    write(folder, name, [], config)
    library = AutoTokenizer.from_pretrained(folder)
    write(folder, name, cases(lambda t: library(t)["input_ids"],
                              lambda ids: library.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)), config)


def main():
    root = sys.argv[1]
    plain = {"tokenizer_class": "PreTrainedTokenizer"}
    sentencepiece(root, "unigram-nfkc", plain, model_type="unigram", vocab_size=400, character_coverage=0.98)
    sentencepiece(root, "unigram-raw", plain, model_type="unigram", vocab_size=400, normalization_rule_name="identity",
                  add_dummy_prefix=False, remove_extra_whitespaces=False, byte_fallback=True, user_defined_symbols=["<sep>", "<tab>", "▁▁"])
    sentencepiece(root, "bpe-bytes", plain, model_type="bpe", vocab_size=600, normalization_rule_name="identity",
                  remove_extra_whitespaces=False, byte_fallback=True, user_defined_symbols=["<sep>", "<tab>"])
    sentencepiece(root, "bpe-unknown", plain, model_type="bpe", vocab_size=400, normalization_rule_name="identity", character_coverage=0.98)
    wordpiece(root, "wordpiece", {})
    wordpiece(root, "wordpiece-cased", {"do_lower_case": False, "tokenize_chinese_chars": False})
    wordpiece(root, "wordpiece-accents", {"do_lower_case": True, "strip_accents": False})
    byte_level(root, "gpt2", "GPT2Tokenizer", {})
    byte_level(root, "roberta", "RobertaTokenizer", {})


main()
