#include "test/native/support/cuda_operations.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "native/backends/cuda/gpu/kernels/bodies.h"
#include "test/native/support/run_on_host.h"
#ifdef RESNET_NATIVE_CUDA
#include "native/backends/cuda/gpu/open_gpu.h"
#include "native/backends/cuda/libraries.h"
#endif

namespace resnet_native::cuda::testing {
namespace {

constexpr uint8_t kPoison = 0xfb;  // NaN in half and bfloat16, an unlikely value in the others
constexpr size_t kGuardBytes = 256;
constexpr const char* kOwn = "own";

void CheckGuard(const uint8_t* y, size_t bytes) {
  for (size_t i = bytes; i < bytes + kGuardBytes; ++i) {
    ASSERT_EQ(y[i], kPoison) << "written " << i - bytes << " bytes behind the result";
  }
}

Operands OperandsOf(const OperandData& data, uint8_t* y) {
  return {.x = data.x.data(),
          .residual = data.residual.data(),
          .y = y,
          .filters = data.filters.data(),
          .scale = data.scale.data(),
          .shift = data.shift.data(),
          .typed_shift = data.typed_shift.data(),
          .residual_scale = data.residual_scale,
          .pixel_scale = data.pixel_scale,
          .table = reinterpret_cast<const int8_t*>(data.table.data())};
}

class HostExecutor final : public Executor {
 public:
  std::vector<Result> Run(const Operation& operation, const OperandData& data) override {
    std::vector<uint8_t> y(data.y_bytes + kGuardBytes, kPoison);
    const Operands operands = OperandsOf(data, y.data());
    std::visit([&](const auto& op) { WithBody(op, operands, [](const auto& body) { RunOnHost(body); }); },
               operation);
    CheckGuard(y.data(), data.y_bytes);
    y.resize(data.y_bytes);
    return {{kOwn, std::move(y)}};
  }
};

#ifdef RESNET_NATIVE_CUDA

class GpuExecutor final : public Executor {
 public:
  GpuExecutor()
      : device_(OpenGpu(0, LoadLibraries(RuntimeVersion(), DefaultSearch()))),
        stream_(device_->NewStream()) {}

  std::vector<Result> Run(const Operation& operation, const OperandData& data) override {
    std::vector<Result> results;
    for (const std::string& candidate : CandidatesOf(operation)) {
      try {
        results.push_back({candidate, RunCandidate(operation, candidate, data)});
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kUnsupported) throw;
      }
    }
    EXPECT_FALSE(results.empty()) << "no candidate could be built";
    return results;
  }

 private:
  // Ours too where the device does not offer it, and alone if RESNET_NATIVE_OWN_KERNELS is set: for slow
  // tools.
  std::vector<std::string> CandidatesOf(const Operation& operation) {
    std::vector<std::string> names = {kOwn};
    if (std::getenv("RESNET_NATIVE_OWN_KERNELS")) return names;
    for (const Candidate& candidate : device_->Candidates(operation)) {
      if (candidate.name != kOwn && !candidate.may_crash) names.push_back(candidate.name);
    }
    return names;
  }

  std::vector<uint8_t> RunCandidate(const Operation& operation, const std::string& name,
                                    const OperandData& data) {
    const std::unique_ptr<const Kernel> kernel = device_->Build(operation, name);
    std::vector<std::unique_ptr<Buffer>> buffers;
    const auto upload = [&](const auto& values) {
      return static_cast<void*>(Upload(values.data(), values.size() * sizeof(values[0]), buffers));
    };
    const std::vector<uint8_t> poison(data.y_bytes + kGuardBytes, kPoison);
    Operands operands{.x = upload(data.x),
                      .residual = upload(data.residual),
                      .y = upload(poison),
                      .filters = upload(data.filters),
                      .scale = static_cast<const float*>(upload(data.scale)),
                      .shift = static_cast<const float*>(upload(data.shift)),
                      .typed_shift = upload(data.typed_shift),
                      .residual_scale = data.residual_scale,
                      .pixel_scale = data.pixel_scale,
                      .table = static_cast<const int8_t*>(upload(data.table))};
    buffers.push_back(device_->Allocate(kernel->workspace_bytes()));
    operands.workspace = buffers.back()->data();
    stream_->Launch(*kernel, operands);
    std::vector<uint8_t> y = Download(operands.y, poison.size());
    CheckGuard(y.data(), data.y_bytes);
    y.resize(data.y_bytes);
    return y;
  }

  void* Upload(const void* from, size_t bytes, std::vector<std::unique_ptr<Buffer>>& buffers) {
    const std::unique_ptr<Buffer> staging = device_->AllocatePinned(bytes);
    buffers.push_back(device_->Allocate(bytes));
    if (bytes > 0) {
      std::memcpy(staging->data(), from, bytes);
      stream_->CopyToDevice(buffers.back()->data(), staging->data(), bytes);
      Finish();
    }
    return buffers.back()->data();
  }

  std::vector<uint8_t> Download(const void* from, size_t bytes) {
    const std::unique_ptr<Buffer> staging = device_->AllocatePinned(bytes);
    stream_->CopyToHost(staging->data(), from, bytes);
    Finish();
    const auto* data = static_cast<const uint8_t*>(staging->data());
    return {data, data + bytes};
  }

  void Finish() {
    const std::unique_ptr<Event> event = device_->NewEvent();
    stream_->Record(*event);
    event->Synchronize();
  }

  std::shared_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
};

#endif

}  // namespace

std::vector<uint8_t> Encode(DType dtype, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * ElementSize(dtype));
  WithType(dtype, [&]<class T>(Tag<T>) {
    for (size_t i = 0; i < values.size(); ++i) {
      const T element = FromFloat<T>(values[i]);
      std::memcpy(&bytes[i * sizeof(T)], &element, sizeof(T));
    }
  });
  return bytes;
}

std::vector<float> Decode(DType dtype, const std::vector<uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / ElementSize(dtype));
  WithType(dtype, [&]<class T>(Tag<T>) {
    for (size_t i = 0; i < values.size(); ++i) {
      T element;
      std::memcpy(&element, &bytes[i * sizeof(T)], sizeof(T));
      values[i] = ToFloat(element);
    }
  });
  return values;
}

std::vector<std::string> ExecutorNames() { return {"host", "gpu"}; }

void EachExecutor::SetUp() {
  if (GetParam() == "host") {
    executor_ = std::make_shared<HostExecutor>();
    return;
  }
#ifdef RESNET_NATIVE_CUDA
  try {
    static const auto gpu = std::make_shared<GpuExecutor>();
    executor_ = gpu;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDeviceUnavailable) throw;
    GTEST_SKIP() << error.what();
  }
#else
  GTEST_SKIP() << "built without CUDA";
#endif
}

std::vector<float> Random(DType dtype, int64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::uniform_int_distribution<int> byte(0, 255);
  std::vector<float> values(size);
  for (float& value : values) {
    value = dtype == DType::kInt8 ? static_cast<float>(byte(random)) : uniform(random);
  }
  return Decode(dtype, Encode(dtype, values));
}

std::vector<uint8_t> RandomBytes(int64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

void OperationTest::Expect(const Operation& operation, OperandData data, DType y_dtype,
                           const std::vector<float>& expected, const Bound& bound, bool own_is_exact) {
  SCOPED_TRACE(ToString(operation));
  data.y_bytes = expected.size() * ElementSize(y_dtype);
  for (const Result& result : executor().Run(operation, data)) {
    SCOPED_TRACE(result.candidate);
    const bool exact = own_is_exact && result.candidate == kOwn;
    const std::vector<float> actual = Decode(y_dtype, result.y);
    for (size_t i = 0; i < expected.size(); ++i) {
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(actual[i])) << "at " << i;
      } else {
        ASSERT_LE(std::abs(actual[i] - static_cast<double>(expected[i])), exact ? 0 : bound(i, expected[i]))
            << "at " << i << ": expected " << expected[i] << ", got " << actual[i];
      }
    }
  }
}

void OperationTest::ExpectExact(const Operation& operation, const OperandData& data, DType y_dtype,
                                const std::vector<float>& expected) {
  Expect(operation, data, y_dtype, expected, [](size_t, double) { return 0.0; });
}

}  // namespace resnet_native::cuda::testing
