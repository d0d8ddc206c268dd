#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "bench/native/fma_peak.h"
#include "bench/native/networks.h"
#include "native/backend.h"
#include "native/backends/cpu/thread_pool.h"
#include "native/error.h"

// Times a ResNet on the CPU backend step by step: GFLOP/s and share of the machine's peak, which is measured
// between the runs so that both see the same neighbours and the same clock. Every step runs inside the whole
// network: its weights and activations are as cold as they are in use.
//
//   conv_bench [--depth 50] [--groups 1 --width 64] [--batch 1] [--threads 1] [--rounds 15] [--dtype float32]

namespace resnet_native::bench {
namespace {

struct Options {
  NetworkOptions network;
  int batch = 1, threads = 1, rounds = 15;
  DType dtype = DType::kFloat32;
};

constexpr const char* kUsage =
    "usage: conv_bench [--depth 18|50] [--groups N --width CHANNELS] [--batch N] [--threads N] [--rounds N] "
    "[--dtype float32|bfloat16]";

Options ParseOptions(int argc, char** argv) {
  Options options;
  const std::map<std::string, int*> known = {{"--depth", &options.network.depth},
                                             {"--groups", &options.network.groups},
                                             {"--width", &options.network.width_per_group},
                                             {"--batch", &options.batch},
                                             {"--threads", &options.threads},
                                             {"--rounds", &options.rounds}};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && argv[i] == std::string("--dtype")) {
      options.dtype = argv[i + 1] == std::string("bfloat16") ? DType::kBfloat16 : DType::kFloat32;
      continue;
    }
    const auto option = known.find(argv[i]);
    if (option == known.end() || i + 1 == argc || std::atoi(argv[i + 1]) < 1) {
      throw Error(ErrorCode::kInvalidArgument, kUsage);
    }
    *option->second = std::atoi(argv[i + 1]);
  }
  return options;
}

void RunAndWait(Context& context, const RunRequest& request) {
  std::promise<void> finished;
  context.Run(request, [&](std::exception_ptr error) {
    if (error) {
      finished.set_exception(error);
    } else {
      finished.set_value();
    }
  });
  finished.get_future().get();
}

struct Samples {
  std::vector<std::vector<double>> step_ms;  // [step][round]
  std::vector<double> total_ms, peak_gflops;
};

Samples Measure(const Options& options, const Plan& plan, Context& context) {
  const std::vector<uint8_t> pixels(static_cast<size_t>(options.batch) * 224 * 224 * 3, 100);
  std::vector<float> logits(static_cast<size_t>(options.batch) * 1000);
  std::vector<double> step_ms;
  const InputBatch input{pixels.data(), DType::kUint8, Layout::kNhwc, options.batch, 224, 224, 3};
  const RunRequest request{input, {logits.data()}, nullptr, &step_ms};
  RunAndWait(context, request);  // touches the memory
  cpu::ThreadPool pool(options.threads);
  Samples samples;
  samples.step_ms.resize(plan.Describe().size());
  for (int round = 0; round < options.rounds; ++round) {
    samples.peak_gflops.push_back(MeasureFmaGflops(pool));
    const auto start = std::chrono::steady_clock::now();
    RunAndWait(context, request);
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    samples.total_ms.push_back(elapsed.count());
    for (size_t i = 0; i < step_ms.size(); ++i) samples.step_ms[i].push_back(step_ms[i]);
  }
  return samples;
}

double Smallest(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void Print(const Options& options, const std::vector<StepInfo>& steps, const Samples& samples) {
  const double peak = *std::max_element(samples.peak_gflops.begin(), samples.peak_gflops.end());
  std::printf("%-22s %-26s %9s %9s %7s\n", "step", "kernel", "ms", "GFLOP/s", "peak");
  double sum_ms = 0, flops = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const double ms = Smallest(samples.step_ms[i]);
    const double step_flops = 2.0 * static_cast<double>(steps[i].macs) * options.batch;
    sum_ms += ms;
    flops += step_flops;
    const double gflops = step_flops / ms * 1e-6;
    std::printf("%-22s %-26s %9.3f %9.1f %6.1f%%\n", steps[i].name.c_str(), steps[i].kernel.c_str(), ms,
                gflops, 100 * gflops / peak);
  }
  std::printf("\nResNet-%d %dx%d, batch %d, %d threads: peak %.1f GFLOP/s (median %.1f)\n",
              options.network.depth, options.network.groups, options.network.width_per_group, options.batch,
              options.threads, peak, Median(samples.peak_gflops));
  const auto report = [&](const char* what, double ms) {
    std::printf("%-18s %9.2f ms %8.2f images/s %6.1f%% of peak\n", what, ms, options.batch * 1000 / ms,
                100 * flops / ms * 1e-6 / peak);
  };
  report("fastest steps", sum_ms);
  report("fastest run", Smallest(samples.total_ms));
  report("median run", Median(samples.total_ms));
}

}  // namespace
}  // namespace resnet_native::bench

int main(int argc, char** argv) {
  using namespace resnet_native;
  try {
    const bench::Options options = bench::ParseOptions(argc, argv);
    const CompileOptions compile{
        .dtype = options.dtype, .max_batch = options.batch, .threads = options.threads};
    const auto plan = CpuBackend().Compile(bench::BuildResNet(options.network), compile);
    const auto context = plan->NewContext(plan);
    bench::Print(options, plan->Describe(), bench::Measure(options, *plan, *context));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
