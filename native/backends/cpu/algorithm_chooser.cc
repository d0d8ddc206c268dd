#include "native/backends/cpu/algorithm_chooser.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

#include "native/backends/cpu/aligned_buffer.h"
#include "native/backends/cpu/arithmetic.h"
#include "native/backends/cpu/cpu_info.h"

namespace resnet_native::cpu {
namespace {

// Of the kernels: choices that were measured for others are not looked at.
constexpr const char* kVersion = "1";
// A faster algorithm has to be worth the memory of its filters, and more than noise.
constexpr double kWorthItsMemory = 0.97;
// Images that are measured at most: in larger batches the same algorithm wins, and trying must not need more
// memory than a run.
constexpr int64_t kMostMeasured = 32;

const char* NameOf(Autotune autotune) { return autotune == Autotune::kFull ? "full" : "quick"; }

// All that the time of the convolution depends on.
std::string KeyOf(const Conv2dOp& op, const TensorShape& y, DType dtype, Autotune autotune) {
  const auto text = [](int64_t value) { return std::to_string(value); };
  return "conv " + text(op.window.kernel_h) + "x" + text(op.window.kernel_w) + " " + text(op.in_channels) +
         ">" + text(op.out_channels) + " to " + text(y.n) + "x" + text(y.h) + "x" + text(y.w) +
         (dtype == DType::kBfloat16 ? " bfloat16" : " float32") + (op.has_residual ? " residual " : " ") +
         NameOf(autotune);
}

std::optional<ConvAlgorithm> FindNamed(const std::vector<ConvAlgorithm>& algorithms,
                                       const std::string& name) {
  for (const ConvAlgorithm& algorithm : algorithms) {
    if (NameOf(algorithm) == name) return std::make_optional(algorithm);
  }
  return std::nullopt;
}

std::string Listed(const std::vector<ConvAlgorithm>& algorithms) {
  std::string list;
  for (const ConvAlgorithm& algorithm : algorithms) list += (list.empty() ? "" : ", ") + NameOf(algorithm);
  return list;
}

// What a convolution of stride 1 and no dilation makes y of.
TensorShape InputOf(const Conv2dOp& op, const TensorShape& y) {
  return {y.n, y.h + op.window.kernel_h - 1 - 2 * op.window.pad_h,
          y.w + op.window.kernel_w - 1 - 2 * op.window.pad_w, op.in_channels};
}

AlignedBuffer Zeros(int64_t bytes) {
  AlignedBuffer buffer(static_cast<size_t>(bytes));
  std::fill_n(buffer.data(), buffer.size(), char{0});
  return buffer;
}

// Each thread reads twice what its core's own cache holds, after which nothing else is there.
void EmptyCaches(ThreadPool& pool, const AlignedBuffer& other) {
  pool.ParallelFor(pool.threads(), [&](int64_t, int) {
    for (size_t i = 0; i < other.size(); i += kCacheLine) {
      static_cast<void>(*static_cast<const volatile char*>(other.data() + i));
    }
  });
}

double Milliseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

AlgorithmChooser::AlgorithmChooser(const CompileOptions& options, const std::string& isa, int threads,
                                   StepTimer timer)
    : memory_(options.memory),
      autotune_(options.autotune),
      timer_(std::move(timer)),
      planned_(options.plan.begin(), options.plan.end()),
      remembered_(CpuName() + ", " + isa + ", threads " + std::to_string(threads) + ", version " + kVersion,
                  "cpu", autotune_ == Autotune::kOff ? "" : options.cache_folder) {}

AlgorithmChoice AlgorithmChooser::Choose(const std::string& node, const Conv2dOp& op, TensorShape y,
                                         DType dtype, const StepOptions& step_options) {
  const std::vector<ConvAlgorithm> algorithms = AlgorithmsFor(op, memory_);
  if (const auto planned = planned_.find(node); planned != planned_.end()) {
    if (const auto algorithm = FindNamed(algorithms, planned->second)) return {*algorithm, "the plan given"};
    throw Error(ErrorCode::kInvalidArgument,
                "the plan's algorithm for " + node + ": expected one of " + Listed(algorithms) + " but got " +
                    planned->second + "; give the plan of a session with the same network and options");
  }
  if (algorithms.size() == 1) return {algorithms[0], ""};
  if (autotune_ == Autotune::kOff) return {step_options.algorithm, "the cost model"};
  y.c = op.out_channels;
  y.n = std::min(y.n, kMostMeasured);
  if (const auto name = remembered_.Find(KeyOf(op, y, dtype, autotune_))) {
    if (const auto algorithm = FindNamed(algorithms, *name)) return {*algorithm, "measured before"};
  }
  return Measure(op, y, dtype, algorithms, step_options);
}

AlgorithmChoice AlgorithmChooser::Measure(const Conv2dOp& op, const TensorShape& y, DType dtype,
                                          const std::vector<ConvAlgorithm>& algorithms,
                                          StepOptions step_options) {
  AlgorithmChoice best{std::nullopt, "measured:"};
  double best_ms = 0;
  for (const ConvAlgorithm& algorithm : algorithms) {
    step_options.algorithm = algorithm;
    const std::unique_ptr<Step> step = MakeStep(op, false, {dtype, dtype}, step_options);
    const double ms = timer_(*step, InputOf(op, y), y, dtype, op.has_residual);
    if (&algorithm == &algorithms[0] || ms < best_ms * kWorthItsMemory) {
      best.algorithm = algorithm;
      best_ms = ms;
    }
    char time[32];
    std::snprintf(time, sizeof(time), " %.3f ms", ms);
    best.reason += (&algorithm == &algorithms[0] ? " " : ", ") + NameOf(algorithm) + time;
  }
  if (!remembered_.problem().empty()) best.reason += " (" + remembered_.problem() + ")";
  remembered_.Remember(KeyOf(op, y, dtype, autotune_), NameOf(best.algorithm), best_ms);
  return best;
}

int RoundsOf(Autotune autotune) { return autotune == Autotune::kFull ? 15 : 3; }

StepTimer ColdTimer(ThreadPool& pool, int rounds) {
  return [&pool, rounds](const Step& step, const TensorShape& x, const TensorShape& y, DType dtype,
                         bool has_residual) {
    AlignedBuffer input = Zeros(x.elements() * ElementBytes(dtype));
    AlignedBuffer residual = Zeros(has_residual ? y.elements() * ElementBytes(dtype) : 0);
    AlignedBuffer output = Zeros(y.elements() * ElementBytes(dtype));
    const int64_t scratch_bytes =
        RoundUp(static_cast<int64_t>(step.ScratchBytes(x, y, pool.threads())), kCacheLine);
    AlignedBuffer scratch(static_cast<size_t>(scratch_bytes * pool.threads()));
    const InputBatch none;
    const StepRun run{none,
                      {input.data(), x, dtype},
                      {residual.data(), y, dtype},
                      {output.data(), y, dtype},
                      pool,
                      {scratch.data(), static_cast<size_t>(scratch_bytes)}};
    const AlignedBuffer other = Zeros(static_cast<int64_t>(Caches().l2) * 2);
    std::vector<double> samples;
    for (int round = 0; round < rounds; ++round) {
      EmptyCaches(pool, other);
      const auto start = std::chrono::steady_clock::now();
      step.Run(run);
      samples.push_back(Milliseconds(std::chrono::steady_clock::now() - start));
    }
    std::nth_element(samples.begin(), samples.begin() + rounds / 2, samples.end());
    return samples[rounds / 2];
  };
}

}  // namespace resnet_native::cpu
