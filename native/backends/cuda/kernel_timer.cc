#include "native/backends/cuda/kernel_timer.h"

#include <algorithm>
#include <exception>
#include <random>

#include "native/half.h"

namespace resnet_native::cuda {
namespace {

constexpr int kRounds = 3;
constexpr int kMaxLaunches = 20;
constexpr double kMillisecondsPerRound = 2;
constexpr size_t kPatternBytes = size_t{4} << 20;

size_t Aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// What most of the operands hold; the pattern is made for it, and harmless for the others.
DType DTypeOf(const Operation& operation) {
  if (const auto* conv = std::get_if<Convolution>(&operation)) return conv->dtype;
  if (const auto* linear = std::get_if<Linear>(&operation)) return linear->dtype;
  return DType::kFloat32;
}

void FillPattern(DType dtype, void* data, size_t bytes) {
  std::minstd_rand random(1);
  if (ElementSize(dtype) == 1) {
    auto* to = static_cast<uint8_t*>(data);
    for (size_t i = 0; i < bytes; ++i) to[i] = static_cast<uint8_t>(random() >> 8);
    return;
  }
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (size_t i = 0; i < bytes / ElementSize(dtype); ++i) {
    StoreAs(dtype, data, static_cast<int64_t>(i), uniform(random));
  }
}

}  // namespace

KernelTimer::KernelTimer(std::shared_ptr<Device> device, std::shared_ptr<DeviceMemory> memory)
    : device_(std::move(device)),
      memory_(std::move(memory)),
      stream_(device_->NewStream()),
      start_(device_->NewEvent()),
      end_(device_->NewEvent()) {}

double KernelTimer::Time(const Operation& operation, const Kernel& kernel) {
  Reserve(operation, kernel.workspace_bytes());
  TimeLaunches(kernel, 1);  // the first launch loads code
  const double once = TimeLaunches(kernel, 1);
  const int launches =
      std::clamp(static_cast<int>(kMillisecondsPerRound / std::max(once, 1e-3)), 1, kMaxLaunches);
  double best = once;
  for (int round = 0; round < kRounds; ++round) best = std::min(best, TimeLaunches(kernel, launches));
  return best;
}

double KernelTimer::TimeLaunches(const Kernel& kernel, int launches) {
  stream_->Record(*start_);
  std::exception_ptr error;
  try {
    for (int i = 0; i < launches; ++i) stream_->Launch(kernel, operands_);
  } catch (...) {
    error = std::current_exception();
  }
  // Whatever happened, what was queued uses the kernel and the memory.
  stream_->Record(*end_);
  end_->Synchronize();
  if (error) std::rethrow_exception(error);
  return end_->MillisecondsSince(*start_) / launches;
}

// Every operand has memory of its own, the workspace lies last.
void KernelTimer::Reserve(const Operation& operation, size_t workspace_bytes) {
  const OperandBytes bytes = BytesOf(operation);
  size_t end = 0;
  const auto place = [&end](size_t bytes) {
    const size_t begin = end;
    end += Aligned(bytes);
    return begin;
  };
  const size_t x = place(bytes.x), residual = place(bytes.residual), filters = place(bytes.filters),
               scale = place(bytes.scale), shift = place(bytes.shift), typed_shift = place(bytes.typed_shift),
               table = place(bytes.table), y = place(bytes.y), workspace = place(workspace_bytes);
  const std::string key = ToString(operation);
  if (!block_ || block_->bytes() < end) {
    block_.reset();  // not both at once
    filled_for_.clear();
    block_ = memory_->Allocate(end, "measuring " + key);
  }
  if (filled_for_ != key) FillWithMadeData(DTypeOf(operation), y);
  filled_for_ = key;
  const auto at = [&](size_t place, size_t bytes) { return bytes == 0 ? nullptr : block_->data() + place; };
  operands_ = Operands();
  operands_.x = at(x, bytes.x);
  operands_.residual = at(residual, bytes.residual);
  operands_.y = at(y, bytes.y);
  operands_.filters = at(filters, bytes.filters);
  operands_.scale = reinterpret_cast<const float*>(at(scale, bytes.scale));
  operands_.shift = reinterpret_cast<const float*>(at(shift, bytes.shift));
  operands_.typed_shift = at(typed_shift, bytes.typed_shift);
  operands_.table = reinterpret_cast<const int8_t*>(at(table, bytes.table));
  operands_.workspace = at(workspace, workspace_bytes);
}

void KernelTimer::FillWithMadeData(DType dtype, size_t bytes) {
  const std::unique_ptr<Buffer> pattern = device_->AllocatePinned(std::min(bytes, kPatternBytes));
  FillPattern(dtype, pattern->data(), pattern->bytes());
  for (size_t done = 0; done < bytes; done += kPatternBytes) {
    stream_->CopyToDevice(block_->data() + done, pattern->data(), std::min(bytes - done, kPatternBytes));
  }
  stream_->Record(*end_);
  end_->Synchronize();
}

}  // namespace resnet_native::cuda
