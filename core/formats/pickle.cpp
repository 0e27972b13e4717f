#include "core/formats/pickle.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "core/formats/byte_reader.h"

namespace retort::formats {
namespace {

using kernels::TensorType;

enum class Kind : std::uint8_t { kNone, kBool, kInteger, kFloat, kText, kSequence, kDict, kGlobal, kStorage, kTensor, kMark };

// What a global means here; index into kGlobals.
enum class Meaning : std::uint8_t { kOrderedDict, kRebuildTensor, kRebuildTensorV3, kRebuildParameter, kSize, kStorageType, kDtype, kUntyped };

struct Global {
  std::string_view module, name;
  Meaning meaning;
  TensorType type = TensorType::kU8;
};
constexpr std::array kGlobals = {
    Global{"collections", "OrderedDict", Meaning::kOrderedDict},
    Global{"torch._utils", "_rebuild_tensor", Meaning::kRebuildTensor},
    Global{"torch._utils", "_rebuild_tensor_v2", Meaning::kRebuildTensor},
    Global{"torch._utils", "_rebuild_tensor_v3", Meaning::kRebuildTensorV3},
    Global{"torch._utils", "_rebuild_parameter", Meaning::kRebuildParameter},
    Global{"torch", "Size", Meaning::kSize},
    Global{"torch", "FloatStorage", Meaning::kStorageType, TensorType::kF32},
    Global{"torch", "HalfStorage", Meaning::kStorageType, TensorType::kF16},
    Global{"torch", "BFloat16Storage", Meaning::kStorageType, TensorType::kBF16},
    Global{"torch", "DoubleStorage", Meaning::kStorageType, TensorType::kF64},
    Global{"torch", "CharStorage", Meaning::kStorageType, TensorType::kI8},
    Global{"torch", "ShortStorage", Meaning::kStorageType, TensorType::kI16},
    Global{"torch", "IntStorage", Meaning::kStorageType, TensorType::kI32},
    Global{"torch", "LongStorage", Meaning::kStorageType, TensorType::kI64},
    Global{"torch", "ByteStorage", Meaning::kStorageType, TensorType::kU8},
    Global{"torch", "BoolStorage", Meaning::kStorageType, TensorType::kU8},
    Global{"torch.storage", "UntypedStorage", Meaning::kUntyped},
    Global{"torch", "UntypedStorage", Meaning::kUntyped},
    Global{"torch", "float8_e4m3fn", Meaning::kDtype, TensorType::kF8_E4M3},
    Global{"torch", "float8_e5m2", Meaning::kDtype, TensorType::kF8_E5M2},
    Global{"torch", "uint16", Meaning::kDtype, TensorType::kU16},
    Global{"torch", "uint32", Meaning::kDtype, TensorType::kU32},
    Global{"torch", "uint64", Meaning::kDtype, TensorType::kU64},
};

// Far above any state dictionary: a tensor takes some 40 bytes and 25 values, a value 64 bytes of memory.
constexpr std::size_t kMostPickleBytes = 16u << 20, kMostValues = 4u << 20, kMostArguments = 64;

using Ref = std::uint32_t;   // of a value in the machine's arena: no value owns another, so nothing recurses

struct Value {
  Kind kind = Kind::kNone;
  std::int64_t number = 0;           // bool, integer; global: index into kGlobals; tensor: index into tensors_
  std::string_view text{};           // text; storage: its key
  std::vector<Ref> items{};          // sequence; dict: key, value, key, value …
  std::uint64_t elements = 0;        // storage
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& file) : reader_(bytes, file) {}

  Result<std::vector<PickledTensor>> run() {
    for (;;) {
      at_ = reader_.position();
      RETORT_TRY(const auto opcode, reader_.number<std::uint8_t>("pickle"));
      if (opcode == '.') break;
      RETORT_CHECK(step(opcode));
    }
    if (stack_.size() != 1 || values_[stack_[0]].kind != Kind::kDict) return corrupt("a dictionary of tensors", "another object");
    return collect(stack_[0]);
  }

 private:
  Error corrupt(std::string expected, std::string found) const {
    return reader_.error(ErrorCode::kCorrupt, "pickle", at_, std::move(expected), std::move(found));
  }
  Error refuse(std::string what) const {
    return reader_.error(ErrorCode::kUnsupported, "pickle", at_, "tensors and dictionaries of them only", std::move(what),
                         "load the model where it was made and save its state_dict as safetensors; nothing in this file was run");
  }

  Ref add(Value value) {
    values_.push_back(std::move(value));
    return static_cast<Ref>(values_.size() - 1);
  }
  Result<void> push(Value value) {
    if (values_.size() >= kMostValues) return refuse("more than " + std::to_string(kMostValues) + " values");
    stack_.push_back(add(std::move(value)));
    return {};
  }
  Result<void> push_integer(std::int64_t number) { return push({.kind = Kind::kInteger, .number = number}); }
  Result<Ref> pop() {
    if (stack_.empty() || values_[stack_.back()].kind == Kind::kMark) return corrupt("a value", "an empty stack");
    const Ref top = stack_.back();
    stack_.pop_back();
    return top;
  }
  // What lies above the last mark, which goes too.
  Result<std::vector<Ref>> pop_to_mark() {
    std::size_t mark = stack_.size();
    while (mark > 0 && values_[stack_[mark - 1]].kind != Kind::kMark) --mark;
    if (mark == 0) return corrupt("a mark", "none");
    std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return items;
  }
  Result<void> push_sequence(std::size_t count) {
    std::vector<Ref> items(count);
    for (std::size_t i = count; i > 0; --i) {
      RETORT_TRY(items[i - 1], pop());
    }
    return push({.kind = Kind::kSequence, .items = std::move(items)});
  }

  template <class T>
  Result<void> integer() {
    RETORT_TRY(const T number, reader_.number<T>("pickle"));
    return push_integer(static_cast<std::int64_t>(number));
  }
  template <class Length>
  Result<void> text() {
    RETORT_TRY(const Length length, reader_.number<Length>("pickle"));
    RETORT_TRY(const auto bytes, reader_.take(length, "pickle"));
    return push({.kind = Kind::kText, .text = bytes});
  }
  template <class Index>
  Result<void> remember() {
    RETORT_TRY(const Index index, reader_.number<Index>("pickle"));
    return remember_as(index);
  }
  Result<void> remember_as(std::uint64_t index) {
    if (stack_.empty()) return corrupt("a value", "an empty stack");
    memo_[index] = stack_.back();
    return {};
  }
  template <class Index>
  Result<void> recall() {
    RETORT_TRY(const Index index, reader_.number<Index>("pickle"));
    const auto found = memo_.find(index);
    if (found == memo_.end()) return corrupt("a remembered value", "number " + std::to_string(index));
    stack_.push_back(found->second);
    return {};
  }

  Result<void> step(std::uint8_t opcode) {
    switch (opcode) {
      case 0x80: return protocol();
      case 0x95: return reader_.take(8, "pickle").ok() ? Result<void>() : Result<void>(reader_.truncated("pickle", 8));   // FRAME
      case '(': return push({.kind = Kind::kMark});
      case 'N': return push({});
      case 0x88: return push({.kind = Kind::kBool, .number = 1});
      case 0x89: return push({.kind = Kind::kBool});
      case 'J': return integer<std::int32_t>();
      case 'K': return integer<std::uint8_t>();
      case 'M': return integer<std::uint16_t>();
      case 0x8a: return long_integer();
      case 'G': return reader_.take(8, "pickle").ok() ? push({.kind = Kind::kFloat}) : Result<void>(reader_.truncated("pickle", 8));
      case 'X': return text<std::uint32_t>();       // BINUNICODE
      case 0x8c: return text<std::uint8_t>();       // SHORT_BINUNICODE
      case 'T': return text<std::uint32_t>();       // BINSTRING
      case 'U': return text<std::uint8_t>();        // SHORT_BINSTRING
      case ')': case ']': return push({.kind = Kind::kSequence});
      case '}': return push({.kind = Kind::kDict});
      case 0x85: return push_sequence(1);
      case 0x86: return push_sequence(2);
      case 0x87: return push_sequence(3);
      case 't': {
        RETORT_TRY(auto items, pop_to_mark());
        return push({.kind = Kind::kSequence, .items = std::move(items)});
      }
      case 'q': return remember<std::uint8_t>();
      case 'r': return remember<std::uint32_t>();
      case 0x94: return remember_as(memo_.size());
      case 'h': return recall<std::uint8_t>();
      case 'j': return recall<std::uint32_t>();
      case 'c': return global();
      case 0x93: return stack_global();
      case 'Q': return persistent();
      case 'R': return reduce();
      case 'b': return build();
      case 'a': return append();
      case 'e': return extend(Kind::kSequence);
      case 's': return set_item();
      case 'u': return extend(Kind::kDict);
      case '0': return pop().ok() ? Result<void>() : Result<void>(corrupt("a value", "an empty stack"));
      default: return refuse("pickle opcode " + std::to_string(opcode));
    }
  }

  Result<void> protocol() {
    RETORT_TRY(const auto version, reader_.number<std::uint8_t>("pickle"));
    return version >= 2 && version <= 5 ? Result<void>() : Result<void>(refuse("pickle protocol " + std::to_string(version)));
  }

  Result<void> long_integer() {
    RETORT_TRY(const auto length, reader_.number<std::uint8_t>("pickle"));
    RETORT_TRY(const auto bytes, reader_.take(length, "pickle"));
    if (length > 8) return refuse("an integer of " + std::to_string(length) + " bytes");
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    if (length > 0 && length < 8 && (static_cast<unsigned char>(bytes.back()) & 0x80u) != 0) number |= ~std::uint64_t{0} << (8 * length);
    return push_integer(static_cast<std::int64_t>(number));
  }

  Result<void> push_global(std::string_view module, std::string_view name) {
    const auto found = std::find_if(kGlobals.begin(), kGlobals.end(), [&](const Global& g) { return g.module == module && g.name == name; });
    if (found == kGlobals.end()) return refuse("the global " + printable(module) + "." + printable(name));
    return push({.kind = Kind::kGlobal, .number = found - kGlobals.begin()});
  }
  // GLOBAL: two lines.
  Result<void> global() {
    std::string_view lines[2];
    for (std::string_view& line : lines) {
      const std::uint64_t start = reader_.position();
      std::uint64_t length = 0;
      for (;; ++length) {
        RETORT_TRY(const auto byte, reader_.number<std::uint8_t>("pickle"));
        if (byte == '\n') break;
        if (length > 200) return refuse("a global with a long name");
      }
      line = std::string_view(reinterpret_cast<const char*>(reader_.bytes().data()) + start, length);
    }
    return push_global(lines[0], lines[1]);
  }
  Result<void> stack_global() {
    RETORT_TRY(const Ref name, pop());
    RETORT_TRY(const Ref module, pop());
    if (values_[name].kind != Kind::kText || values_[module].kind != Kind::kText) return corrupt("a global's name", "another value");
    return push_global(values_[module].text, values_[name].text);
  }

  // ("storage", its type, key, location, elements): a reference to bytes outside.
  Result<void> persistent() {
    RETORT_TRY(const Ref id, pop());
    const std::vector<Ref>& parts = values_[id].items;
    if (values_[id].kind != Kind::kSequence || parts.size() != 5 || values_[parts[0]].text != "storage" ||
        values_[parts[1]].kind != Kind::kGlobal || values_[parts[2]].kind != Kind::kText || values_[parts[4]].kind != Kind::kInteger ||
        values_[parts[4]].number < 0)
      return corrupt("a reference to a storage", "something else");
    const Global& type = kGlobals[static_cast<std::size_t>(values_[parts[1]].number)];
    if (type.meaning != Meaning::kStorageType && type.meaning != Meaning::kUntyped) return corrupt("a storage type", std::string(type.name));
    return push({.kind = Kind::kStorage, .number = values_[parts[1]].number, .text = values_[parts[2]].text,
                 .elements = static_cast<std::uint64_t>(values_[parts[4]].number)});
  }

  Result<void> reduce() {
    RETORT_TRY(const Ref arguments, pop());
    RETORT_TRY(const Ref callee, pop());
    if (values_[callee].kind != Kind::kGlobal || values_[arguments].kind != Kind::kSequence) return corrupt("a call of a global", "another value");
    const Global& global = kGlobals[static_cast<std::size_t>(values_[callee].number)];
    if (values_[arguments].items.size() > kMostArguments) return refuse("a call with " + std::to_string(values_[arguments].items.size()) + " arguments");
    const std::vector<Ref> items = values_[arguments].items;   // a copy: push() moves the arena
    switch (global.meaning) {
      case Meaning::kOrderedDict: return items.empty() ? push({.kind = Kind::kDict}) : refuse("an OrderedDict with arguments");
      case Meaning::kRebuildTensor: return tensor(items, std::nullopt);
      case Meaning::kRebuildTensorV3: return typed_tensor(items);
      case Meaning::kRebuildParameter:
        if (items.empty() || values_[items[0]].kind != Kind::kTensor) return corrupt("a parameter's tensor", "another value");
        stack_.push_back(items[0]);
        return {};
      case Meaning::kSize:
        if (items.size() != 1 || values_[items[0]].kind != Kind::kSequence) return corrupt("a size", "another value");
        stack_.push_back(items[0]);
        return {};
      case Meaning::kStorageType: case Meaning::kDtype: case Meaning::kUntyped: break;
    }
    return refuse("a call of " + std::string(global.module) + "." + std::string(global.name));
  }

  // (storage, offset, size, stride, requires_grad, hooks, dtype …)
  Result<void> typed_tensor(const std::vector<Ref>& items) {
    if (items.size() < 7 || values_[items[6]].kind != Kind::kGlobal) return corrupt("a tensor with its dtype", "another value");
    const Global& type = kGlobals[static_cast<std::size_t>(values_[items[6]].number)];
    if (type.meaning != Meaning::kDtype) return corrupt("a dtype", std::string(type.name));
    return tensor(items, type.type);
  }

  // (storage, offset, size, stride, …)
  Result<void> tensor(const std::vector<Ref>& items, std::optional<TensorType> type) {
    if (items.size() < 4 || values_[items[0]].kind != Kind::kStorage || values_[items[1]].kind != Kind::kInteger ||
        values_[items[1]].number < 0 || values_[items[2]].kind != Kind::kSequence || values_[items[3]].kind != Kind::kSequence)
      return corrupt("a tensor's storage, offset, size and stride", "other values");
    const Value& storage = values_[items[0]];
    const Global& stored = kGlobals[static_cast<std::size_t>(storage.number)];
    if ((stored.meaning == Meaning::kUntyped) != type.has_value()) return corrupt("a storage that fits its tensor", std::string(stored.name));
    PickledTensor out;
    out.type = type.value_or(stored.type);
    out.storage = std::string(storage.text);
    // Untyped storages count bytes.
    out.storage_elements = storage.elements / (type ? kernels::traits(*type).block_bytes : 1);
    out.offset = static_cast<std::uint64_t>(values_[items[1]].number);
    for (const auto& [from, to] : {std::pair(items[2], &out.shape), std::pair(items[3], &out.strides)})
      for (const Ref size : values_[from].items) {
        if (values_[size].kind != Kind::kInteger || values_[size].number < 0) return corrupt("sizes from 0", "other values");
        to->push_back(values_[size].number);
      }
    if (out.shape.size() != out.strides.size() || out.shape.size() > 8) return corrupt("up to 8 sizes, each with a stride", "others");
    tensors_.push_back(std::move(out));
    return push({.kind = Kind::kTensor, .number = static_cast<std::int64_t>(tensors_.size()) - 1});
  }

  // The attributes of a dictionary (_metadata: versions of modules) have no use here.
  Result<void> build() {
    RETORT_TRY([[maybe_unused]] const Ref state, pop());
    if (stack_.empty() || values_[stack_.back()].kind != Kind::kDict) return refuse("an object with a state of its own");
    return {};
  }

  Result<void> append() {
    RETORT_TRY(const Ref item, pop());
    if (stack_.empty() || values_[stack_.back()].kind != Kind::kSequence) return corrupt("a list", "another value");
    values_[stack_.back()].items.push_back(item);
    return {};
  }
  Result<void> set_item() {
    RETORT_TRY(const Ref value, pop());
    RETORT_TRY(const Ref key, pop());
    if (stack_.empty() || values_[stack_.back()].kind != Kind::kDict) return corrupt("a dictionary", "another value");
    values_[stack_.back()].items.insert(values_[stack_.back()].items.end(), {key, value});
    return {};
  }
  Result<void> extend(Kind kind) {
    RETORT_TRY(const auto items, pop_to_mark());
    if (stack_.empty() || values_[stack_.back()].kind != kind || (kind == Kind::kDict && items.size() % 2 != 0))
      return corrupt(kind == Kind::kDict ? "a dictionary and pairs" : "a list", "another value");
    auto& into = values_[stack_.back()].items;
    into.insert(into.end(), items.begin(), items.end());
    return {};
  }

  // The dictionary's tensors; "state_dict" in a training checkpoint counts as the whole.
  Result<std::vector<PickledTensor>> collect(Ref root) {
    const std::vector<Ref>* items = &values_[root].items;
    for (std::size_t i = 0; i + 1 < values_[root].items.size(); i += 2) {
      const Value &key = values_[values_[root].items[i]], &value = values_[values_[root].items[i + 1]];
      if (key.kind == Kind::kText && key.text == "state_dict" && value.kind == Kind::kDict) items = &value.items;
    }
    std::vector<PickledTensor> out;
    for (std::size_t i = 0; i + 1 < items->size(); i += 2) {
      const Value &key = values_[(*items)[i]], &value = values_[(*items)[i + 1]];
      if (key.kind != Kind::kText || key.text.empty() || !is_clean_utf8(key.text)) return corrupt("a name in UTF-8", "another key");
      if (value.kind != Kind::kTensor) return refuse("the entry " + printable(key.text) + ", which is no tensor");
      out.push_back(tensors_[static_cast<std::size_t>(value.number)]);
      out.back().name = std::string(key.text);
    }
    return out;
  }

  ByteReader reader_;
  std::uint64_t at_ = 0;                 // of the opcode in work
  std::vector<Value> values_;
  std::vector<Ref> stack_;
  std::unordered_map<std::uint64_t, Ref> memo_;
  std::vector<PickledTensor> tensors_;
};

}  // namespace

Result<std::vector<PickledTensor>> read_pickle(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() > kMostPickleBytes)
    return Error{.code = ErrorCode::kUnsupported, .file = file, .place = "pickle",
                 .expected = "at most " + std::to_string(kMostPickleBytes) + " bytes", .found = std::to_string(bytes.size())};
  return Machine(bytes, file).run();
}

}  // namespace retort::formats
