// Session: runs a planned ONNX graph on this machine, one node after another, sizes taken from the inputs at hand.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/onnx/plan.h"

namespace retort::onnx {

struct SessionOptions {
  std::string backend = "cpu";            // "reference": the plain definition of every operator
  int threads = 0;                        // 0: all cores
  std::uint64_t memory = 0;               // bytes for values and copied weights; 0: three quarters of the machine's
};

class Session {
 public:
  // Errors: those of make_plan; kBadArgument (an unknown backend, a forced kernel that can't run), kOutOfMemory.
  static Result<std::unique_ptr<Session>> make(std::shared_ptr<const OnnxFile> file, const SessionOptions& options);
  ~Session();

  // As the file says; what runs may be fused.
  const Plan& plan() const noexcept { return *plan_; }
  const char* kernel() const noexcept;    // of products: "onednn", "reference"

  using Values = std::map<std::string, Tensor, std::less<>>;
  // Called with every value that a node makes, in order. For calibration and for finding differences.
  using Tap = std::function<void(const std::string& name, const Tensor& value)>;
  // `inputs` has one tensor for each input of the graph, of the declared type and, where sizes are declared, of those.
  // Errors: kMissingPart (an input), kBadShape, kOutOfMemory, kCanceled; `place` names the node. One run at a time.
  Result<Values> run(const Values& inputs, const JobContext& job, const Tap& tap = {});
  // Makes a variant of plan() ready to run, with weights or roundings of its own. Errors: as make.
  Result<std::shared_ptr<const Plan>> prepare(const Plan& variant);
  Result<Values> run(const Plan& prepared, const Values& inputs, const JobContext& job, const Tap& tap = {});
  // A tensor whose memory counts as this session's.
  Result<Tensor> copy_in(const StoredTensor& stored) { return Tensor::held(memory_, stored, nullptr); }
  std::uint64_t peak_bytes() const noexcept { return memory_.peak(); }

 private:
  explicit Session(std::uint64_t limit) : memory_(limit) {}
  Result<void> take_inputs(const Values& inputs, std::vector<Tensor>& values) const;
  // The step's inputs as its operator takes them; `held` owns what had to be put in another order. Sets `lying` when the
  // operator works on the bytes of images with their channels innermost, as they lie.
  Result<std::vector<const Tensor*>> inputs_of(const Plan& plan, const Step& step, std::vector<Tensor>& values, std::vector<Tensor>& held, bool& lying);
  Result<Tensor> round_values(const Tensor& x, const Step::Rounding& grid);
  Result<void> run_step(const Plan& plan, const Step& step, std::vector<Tensor>& values, const JobContext& job, const Tap& tap);

  Memory memory_;
  std::shared_ptr<const Plan> plan_;
  std::shared_ptr<const Plan> fast_;         // what runs without a tap; plan_ itself on the reference
  Device device_;
  std::unique_ptr<kernels::ThreadPool> pool_;
  std::vector<float> scratch_;
};

}  // namespace retort::onnx
