#include "core/onnx/fuse.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/onnx/convolution.h"

namespace retort::onnx {
namespace {

constexpr std::int64_t kLargestFolded = std::int64_t{1} << 26;   // elements of a constant made from constants

class Fuser {
 public:
  Fuser(const Plan& plan, Memory& memory, const Device& device) : plan_(std::make_shared<Plan>(plan)), memory_(memory), device_(device) {}

  Result<std::shared_ptr<const Plan>> make() {
    RETORT_CHECK(fold_constants());
    note_users();
    for (std::size_t i = 0; i < plan_->steps.size(); ++i)
      if (!gone_[i]) RETORT_CHECK(fuse(i));
    drop_gone();
    mark_last_uses(*plan_);
    return std::shared_ptr<const Plan>(plan_);
  }

 private:
  const Plan::Value& value(int number) const { return plan_->values[static_cast<std::size_t>(number)]; }
  // The constant behind an input; null when it isn't one.
  const Tensor* constant(const Step& step, std::size_t input) const {
    if (input >= step.inputs.size() || step.inputs[input] < 0 || !value(step.inputs[input]).is_constant) return nullptr;
    return &value(step.inputs[input]).constant;
  }

  Result<void> fold_constants() {
    std::vector<Step> kept;
    for (Step& step : plan_->steps) {
      const bool folds = !step.inputs.empty() && std::all_of(step.inputs.begin(), step.inputs.end(), [&](int i) { return i < 0 || (value(i).is_constant && value(i).constant.elements() <= kLargestFolded); }) &&
                         step.node->op != "ConstantOfShape" && step.node->op != "Expand" && step.node->op != "Tile" && step.node->op != "Range";
      if (!folds) {
        kept.push_back(std::move(step));
        continue;
      }
      RETORT_CHECK(compute(step));
    }
    plan_->steps = std::move(kept);
    return {};
  }

  Result<void> compute(const Step& step) {
    std::vector<const Tensor*> inputs;
    for (const int input : step.inputs) inputs.push_back(input < 0 ? nullptr : &value(input).constant);
    std::vector<Tensor> outputs(std::max(step.outputs.size(), step.row->outputs.size()));
    const auto wanted = std::make_unique<bool[]>(outputs.size());
    for (std::size_t i = 0; i < step.outputs.size(); ++i) wanted[i] = step.outputs[i] >= 0;
    const JobContext job;
    const Call call{.node = *step.node, .attributes = Attributes(*step.node), .opset = plan_->opset, .inputs = inputs, .outputs = outputs,
                    .memory = memory_, .device = device_, .job = job, .wanted = {wanted.get(), outputs.size()}};
    if (auto done = step.row->run(call); !done) {
      Error error = std::move(done).error();
      error.place = step.node->label() + (error.place.empty() ? "" : ", " + error.place);
      error.file = plan_->file->path.string();
      return error;
    }
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      if (step.outputs[i] < 0) continue;
      Plan::Value& made = plan_->values[static_cast<std::size_t>(step.outputs[i])];
      made.is_constant = true;
      made.constant = std::move(outputs[i]);
    }
    return {};
  }

  void note_users() {
    users_.assign(plan_->values.size(), {});
    is_output_.assign(plan_->values.size(), false);
    gone_.assign(plan_->steps.size(), false);
    for (std::size_t i = 0; i < plan_->steps.size(); ++i)
      for (const int input : plan_->steps[i].inputs)
        if (input >= 0) users_[static_cast<std::size_t>(input)].push_back(i);
    for (const int output : plan_->outputs)
      if (output >= 0) is_output_[static_cast<std::size_t>(output)] = true;
  }

  // The only step that reads a value; null when there are others, or the graph gives it out.
  const Step* only_user(int number) const {
    const auto& users = users_[static_cast<std::size_t>(number)];
    return users.size() == 1 && !is_output_[static_cast<std::size_t>(number)] ? &plan_->steps[users.front()] : nullptr;
  }
  void remove(const Step& step) { gone_[static_cast<std::size_t>(&step - plan_->steps.data())] = true; }

  // What a run of steps behind a convolution makes of each channel: x · scale + shift.
  struct Affine {
    std::vector<double> scale, shift;
    bool changed = false;
  };

  // A constant as one number for each channel of images of `rank` dimensions (0: of matrices, whose channels are their columns);
  // nullopt: it varies otherwise.
  std::optional<std::vector<double>> by_channel(const Tensor* x, std::size_t rank, std::size_t channels) const {
    if (!x || x->type() != ElementType::kFloat || (rank > 0 && x->rank() > rank)) return std::nullopt;
    // More dimensions than the product's would give the sum more, too: only as many as every product has.
    if (rank == 0 && x->rank() > 1) return std::nullopt;
    if (x->elements() == 1) return std::vector<double>(channels, static_cast<double>(*x->data<float>()));
    if (rank == 0) rank = x->rank() + 1;
    if (x->elements() != static_cast<std::int64_t>(channels) || x->rank() + 1 < rank || x->size(x->rank() - (rank - 1)) != x->elements()) return std::nullopt;
    const auto values = x->values<float>();
    return std::vector<double>(values.begin(), values.end());
  }

  bool take_in(const Step& step, int from, std::size_t rank, Affine& affine) const {
    const std::string& op = step.node->op;
    const std::size_t channels = affine.scale.size();
    if (!step.node->domain.empty() || step.outputs.empty() || step.outputs[0] < 0) return false;
    if (op == "BatchNormalization") return rank > 0 && step.inputs[0] == from && take_in_normalization(step, affine);
    if (step.inputs.size() != 2 || (op != "Add" && op != "Sub" && op != "Mul" && op != "Div")) return false;
    const std::size_t at = step.inputs[0] == from ? 1 : 0;
    if (step.inputs[0] == step.inputs[1] || (at == 0 && (op == "Sub" || op == "Div"))) return false;
    const auto other = by_channel(constant(step, at), rank, channels);
    if (!other) return false;
    for (std::size_t c = 0; c < channels; ++c) {
      const double k = (*other)[c];
      if (op == "Add") affine.shift[c] += k;
      if (op == "Sub") affine.shift[c] -= k;
      if (op == "Mul") affine.scale[c] *= k, affine.shift[c] *= k;
      if (op == "Div") affine.scale[c] /= k, affine.shift[c] /= k;
    }
    affine.changed = true;
    return true;
  }

  bool take_in_normalization(const Step& step, Affine& affine) const {
    for (std::size_t i = 1; i < 5; ++i) {
      const Tensor* x = constant(step, i);
      if (!x || x->type() != ElementType::kFloat || x->elements() != static_cast<std::int64_t>(affine.scale.size())) return false;
    }
    for (std::size_t i = 1; i < step.outputs.size(); ++i)
      if (step.outputs[i] >= 0) return false;
    const double epsilon = static_cast<double>(Attributes(*step.node).real("epsilon", 1e-5f));
    const auto at = [&](std::size_t input, std::size_t c) { return static_cast<double>(constant(step, input)->data<float>()[c]); };
    for (std::size_t c = 0; c < affine.scale.size(); ++c) {
      const double k = at(1, c) / std::sqrt(at(4, c) + epsilon);
      affine.scale[c] *= k;
      affine.shift[c] = (affine.shift[c] - at(3, c)) * k + at(2, c);
    }
    affine.changed = true;
    return true;
  }

  // The number behind an input; nullopt when it isn't one constant f32.
  std::optional<float> number(const Step& step, std::size_t input) const {
    const Tensor* x = constant(step, input);
    if (!x || x->type() != ElementType::kFloat || x->elements() != 1) return std::nullopt;
    return *x->data<float>();
  }

  std::optional<Afterwards> pointwise(const Step& step) const {
    using enum kernels::ConvAfter;
    const Attributes attributes(*step.node);
    const std::string& op = step.node->op;
    if (!step.node->domain.empty()) return std::nullopt;
    if (op == "Relu") return Afterwards{kRelu};
    if (op == "Sigmoid") return Afterwards{kSigmoid};
    if (op == "HardSwish") return Afterwards{kHardSwish};
    if (op == "Gelu" && attributes.text("approximate", "none") == "none") return Afterwards{kGelu};
    if (op == "LeakyRelu") return Afterwards{kLeakyRelu, attributes.real("alpha", 0.01f)};
    if (op != "Clip") return std::nullopt;
    constexpr float kMost = std::numeric_limits<float>::max();
    float low = attributes.real("min", -kMost), high = attributes.real("max", kMost);
    for (const std::size_t i : {1u, 2u}) {
      if (i >= step.inputs.size() || step.inputs[i] < 0) continue;
      const auto bound = number(step, i);
      if (!bound) return std::nullopt;
      (i == 1 ? low : high) = *bound;
    }
    return Afterwards{kClip, low, high};
  }

  // x · f(x) written as several steps: f is Sigmoid, HardSigmoid of 1/6 and 1/2, or Clip(x + 3, 0, 6) with a division by 6 before
  // or after the product. Returns the last step; `inner` are the others.
  const Step* product_with_itself(int from, Afterwards& after, std::vector<const Step*>& inner) const {
    const auto& users = users_[static_cast<std::size_t>(from)];
    if (users.size() != 2 || is_output_[static_cast<std::size_t>(from)]) return nullptr;
    for (const std::size_t first : {users[0], users[1]}) {
      inner.clear();
      const Step* step = &plan_->steps[first];
      bool divided = false;
      if (step->node->op == "Sigmoid") {
        after = {kernels::ConvAfter::kSilu};
        divided = true;
      } else if (step->node->op == "HardSigmoid") {
        const Attributes a(*step->node);
        if (std::abs(a.real("alpha", 0.2f) - 1.0f / 6) > 1e-6f || a.real("beta", 0.5f) != 0.5f) continue;
        after = {kernels::ConvAfter::kHardSwish};
        divided = true;
      } else {
        if (!adds_three(*step, from)) continue;
        inner.push_back(step);
        step = only_user(step->outputs[0]);
        const auto clip = step ? pointwise(*step) : std::nullopt;
        if (!clip || step->node->op != "Clip" || clip->alpha != 0 || clip->beta != 6) continue;
        after = {kernels::ConvAfter::kHardSwish};
      }
      inner.push_back(step);
      const Step* next = only_user(step->outputs[0]);
      if (next && !divided && divides_by_six(*next, step->outputs[0])) {
        divided = true;
        inner.push_back(next);
        step = next;
        next = only_user(step->outputs[0]);
      }
      if (!next || next->node->op != "Mul" || !reads(*next, from) || !reads(*next, step->outputs[0])) continue;
      if (divided) return next;
      inner.push_back(next);
      const Step* last = only_user(next->outputs[0]);
      if (last && divides_by_six(*last, next->outputs[0])) return last;
    }
    return nullptr;
  }
  // x · (1 + erf(x / √2)) · ½ as exporters write it, the half before or after the product. Returns the last step.
  const Step* gelu(int from, std::vector<const Step*>& inner) const {
    const auto& users = users_[static_cast<std::size_t>(from)];
    if (users.size() != 2 || is_output_[static_cast<std::size_t>(from)]) return nullptr;
    for (const std::size_t first : {users[0], users[1]}) {
      inner.clear();
      const Step* step = &plan_->steps[first];
      const auto factor = step->inputs.size() == 2 ? number(*step, step->inputs[0] == from ? 1 : 0) : std::nullopt;
      if (!factor || !((step->node->op == "Div" && step->inputs[0] == from && std::abs(*factor - 1.4142135f) < 1e-6f) || (step->node->op == "Mul" && std::abs(*factor - 0.70710678f) < 1e-6f))) continue;
      inner.push_back(step);
      step = only_user(step->outputs[0]);
      if (!step || step->node->op != "Erf") continue;
      inner.push_back(step);
      const int erf = step->outputs[0];
      step = only_user(erf);
      if (!step || step->node->op != "Add" || !reads(*step, erf) || number(*step, step->inputs[0] == erf ? 1 : 0) != 1.0f) continue;
      inner.push_back(step);
      const int sum = step->outputs[0];
      step = only_user(sum);
      if (!step || step->node->op != "Mul" || !reads(*step, sum) || !reads(*step, from)) continue;
      inner.push_back(step);
      const int product = step->outputs[0];
      const Step* last = only_user(product);
      if (last && last->node->op == "Mul" && reads(*last, product) && number(*last, last->inputs[0] == product ? 1 : 0) == 0.5f) return last;
    }
    return nullptr;
  }
  static bool reads(const Step& step, int value) { return step.inputs.size() == 2 && (step.inputs[0] == value || step.inputs[1] == value); }
  bool adds_three(const Step& step, int from) const {
    if (step.node->op != "Add" || !reads(step, from)) return false;
    return number(step, step.inputs[0] == from ? 1 : 0) == 3.0f;
  }
  bool divides_by_six(const Step& step, int from) const {
    if (!reads(step, from)) return false;
    const std::size_t at = step.inputs[0] == from ? 1 : 0;
    if (step.node->op == "Div") return at == 1 && number(step, 1) == 6.0f;
    const auto factor = number(step, at);
    return step.node->op == "Mul" && factor && std::abs(*factor - 1.0f / 6) < 1e-7f;
  }

  Result<void> fuse(std::size_t index) {
    Step& step = plan_->steps[index];
    if (!step.node->domain.empty()) return {};
    if (step.node->op == "Conv") return fuse_convolution(step);
    if (step.node->op == "MatMul" || step.node->op == "Gemm") return fuse_product(step);
    return {};
  }

  // What is computed along with a step: an affine function of each channel, then a pointwise one. `out` becomes the value that
  // the last of them makes.
  Afterwards follow(int& out, std::size_t rank, Affine& affine, std::vector<const Step*>& taken) const {
    for (const Step* next = only_user(out); next && take_in(*next, out, rank, affine); next = only_user(out)) {
      taken.push_back(next);
      out = next->outputs[0];
    }
    Afterwards after;
    if (const Step* next = only_user(out)) {
      const auto function = pointwise(*next);
      if (!function || next->inputs[0] != out) return {};
      taken.push_back(next);
      out = next->outputs[0];
      return *function;
    }
    std::vector<const Step*> inner;
    const Step* last = product_with_itself(out, after, inner);
    if (!last) {
      last = gelu(out, inner);
      after = {kernels::ConvAfter::kGelu};
    }
    if (!last) return {};
    taken.insert(taken.end(), inner.begin(), inner.end());
    taken.push_back(last);
    out = last->outputs[0];
    return after;
  }

  void put(Step& step, std::shared_ptr<Convolution> made, int out, const std::vector<const Step*>& taken) {
    if (!made->has_kernel()) return;
    for (const Step* gone : taken) remove(*gone);
    step.convolution = std::move(made);
    step.inputs.resize(1);
    step.outputs[0] = out;
  }

  Result<void> fuse_convolution(Step& step) {
    const Tensor* weights = constant(step, 1);
    const bool has_bias = step.inputs.size() > 2 && step.inputs[2] >= 0;
    const Tensor* bias = has_bias ? constant(step, 2) : nullptr;
    if (!weights || weights->type() != ElementType::kFloat || weights->rank() < 3 || weights->elements() == 0 || (has_bias && (!bias || bias->elements() != weights->size(0)))) return {};
    const auto channels = static_cast<std::size_t>(weights->size(0));
    Affine affine{std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
    std::vector<const Step*> taken;
    int out = step.outputs[0];
    const Afterwards after = follow(out, weights->rank(), affine, taken);
    RETORT_TRY(Tensor own_weights, scaled(*weights, affine));
    RETORT_TRY(Tensor own_bias, shifted(bias, affine));
    put(step, std::make_shared<Convolution>(std::move(own_weights), std::move(own_bias), Attributes(*step.node), after), out, taken);
    return {};
  }

  // A product of rows with a constant matrix is a convolution without space.
  Result<void> fuse_product(Step& step) {
    const Tensor* matrix = constant(step, 1);
    const Attributes attributes(*step.node);
    const bool gemm = step.node->op == "Gemm", transposed = gemm && attributes.whole("transB", 0) != 0;
    if (!matrix || matrix->type() != ElementType::kFloat || matrix->rank() != 2 || matrix->elements() == 0 || matrix->elements() > kLargestFolded || constant(step, 0)) return {};
    if (gemm && (attributes.whole("transA", 0) != 0 || attributes.real("alpha", 1) != 1 || attributes.real("beta", 1) != 1)) return {};
    const std::int64_t outputs = matrix->size(transposed ? 0 : 1);
    const bool has_bias = step.inputs.size() > 2 && step.inputs[2] >= 0;
    const Tensor* bias = has_bias ? constant(step, 2) : nullptr;
    if (has_bias && (!bias || bias->elements() != outputs || bias->rank() != 1)) return {};
    Affine affine{std::vector<double>(static_cast<std::size_t>(outputs), 1.0), std::vector<double>(static_cast<std::size_t>(outputs), 0.0)};
    std::vector<const Step*> taken;
    int out = step.outputs[0];
    const Afterwards after = follow(out, 0, affine, taken);
    RETORT_TRY(Tensor own_weights, scaled(*matrix, affine, transposed ? 0 : 1));
    RETORT_TRY(Tensor own_bias, shifted(bias, affine));
    put(step, std::make_shared<Convolution>(std::move(own_weights), transposed, std::move(own_bias), after), out, taken);
    return {};
  }

  // `axis`: of the weights' channels. The weights themselves where nothing scales them.
  Result<Tensor> scaled(const Tensor& weights, const Affine& affine, std::size_t axis = 0) {
    if (std::all_of(affine.scale.begin(), affine.scale.end(), [](double scale) { return scale == 1; })) return weights;
    RETORT_TRY(Tensor out, Tensor::make(memory_, ElementType::kFloat, weights.shape()));
    std::int64_t inner = 1;
    for (std::size_t d = axis + 1; d < weights.rank(); ++d) inner *= weights.size(d);
    for (std::int64_t i = 0; i < weights.elements(); ++i)
      out.write<float>()[i] = static_cast<float>(static_cast<double>(weights.data<float>()[i]) * affine.scale[static_cast<std::size_t>(i / inner % weights.size(axis))]);
    return out;
  }
  // Empty where there is no bias at all.
  Result<Tensor> shifted(const Tensor* bias, const Affine& affine) {
    if (!affine.changed) return bias ? *bias : Tensor();
    RETORT_TRY(Tensor out, Tensor::make(memory_, ElementType::kFloat, {static_cast<std::int64_t>(affine.shift.size())}));
    for (std::size_t c = 0; c < affine.shift.size(); ++c)
      out.write<float>()[c] = static_cast<float>((bias ? static_cast<double>(bias->data<float>()[c]) : 0) * affine.scale[c] + affine.shift[c]);
    return out;
  }

  void drop_gone() {
    std::vector<Step> kept;
    for (std::size_t i = 0; i < plan_->steps.size(); ++i)
      if (!gone_[i]) kept.push_back(std::move(plan_->steps[i]));
    plan_->steps = std::move(kept);
  }

  std::shared_ptr<Plan> plan_;
  Memory& memory_;
  const Device& device_;
  std::vector<std::vector<std::size_t>> users_;   // by value: the steps that read it
  std::vector<bool> is_output_, gone_;
};

}  // namespace

Result<std::shared_ptr<const Plan>> fused_plan(const Plan& plan, Memory& memory, const Device& device) { return Fuser(plan, memory, device).make(); }

}  // namespace retort::onnx
