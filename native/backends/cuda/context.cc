#include "native/backends/cuda/context.h"

#include <algorithm>
#include <cstring>

namespace resnet_native::cuda {
namespace {

constexpr size_t kMaxKnown = 32;
constexpr int kMaxCaptureAttempts = 3;
// While one slice of the input goes to the device, the next is copied to pinned memory.
constexpr size_t kSliceBytes = size_t{2} << 20;

void ThrowIfCancelled(const RunRequest& request) {
  if (request.cancelled && request.cancelled->load())
    throw Error(ErrorCode::kAborted, "the run was cancelled");
}

void Grow(std::unique_ptr<Buffer>& pinned, size_t bytes, Device& device) {
  if (pinned && pinned->bytes() >= bytes) return;
  pinned.reset();  // not both at once
  pinned = device.AllocatePinned(bytes);
}

}  // namespace

CudaContext::CudaContext(std::shared_ptr<const CudaPlan> plan)
    : plan_(std::move(plan)),
      done_(plan_->device().NewEvent()),
      step_begin_(plan_->device().NewEvent()),
      step_end_(plan_->device().NewEvent()),
      stream_(plan_->device().NewStream()) {
  if (const auto largest = plan_->largest_program()) Reserve(*largest);
}

CudaContext::~CudaContext() = default;

void CudaContext::Run(const RunRequest& request, Completion done) {
  std::exception_ptr error;
  try {
    plan_->loss().Check();
    CheckRequest(plan_->graph(), request);
    RunOnDevice(request);
  } catch (const std::bad_alloc&) {
    error = std::make_exception_ptr(
        Error(ErrorCode::kOutOfMemory,
              "not enough memory on the host for this batch; use fewer or smaller images"));
  } catch (...) {
    error = std::current_exception();
    plan_->loss().Note(error);
  }
  done(error);  // last, because it may destroy this context
}

void CudaContext::RunOnDevice(const RunRequest& request) {
  ThrowIfCancelled(request);
  const std::shared_ptr<const Program> program = plan_->ProgramFor(request.input);
  Reserve(*program);
  try {
    CopyIn(request, *program);
    ThrowIfCancelled(request);
    if (request.step_ms) {
      LaunchTimed(*program, request.step_ms);
    } else {
      Start(program);
    }
    CopyOut(request, *program);
  } catch (...) {
    // What was queued still uses this context's memory; the next run waits for it, and then knows nothing of
    // it.
    const std::exception_ptr error = std::current_exception();
    WaitForStream();
    std::rethrow_exception(error);
  }
}

// Larger programs take new memory, where no capture fits any more.
void CudaContext::Reserve(const Program& program) {
  Grow(pinned_input_, program.image_bytes * program.key.n, plan_->device());
  Grow(pinned_output_, program.output_bytes, plan_->device());
  if (memory_ && memory_->bytes() >= program.memory_bytes) return;
  known_.clear();
  memory_.reset();
  memory_ = plan_->memory().Allocate(
      program.memory_bytes, "a context for batches of " + std::to_string(program.key.n) + " images of " +
                                std::to_string(program.key.h) + " × " + std::to_string(program.key.w));
}

// Rows of the bucket beyond the batch keep what was there before: no row is read by another.
void CudaContext::CopyIn(const RunRequest& request, const Program& program) {
  const size_t bytes = program.image_bytes * request.input.n;
  auto* pinned = static_cast<char*>(pinned_input_->data());
  size_t filled = 0, sent = 0;
  while (filled < bytes) {
    const auto* image = static_cast<const char*>(request.input.images[filled / program.image_bytes]);
    const size_t at = filled % program.image_bytes;
    const size_t piece = std::min(program.image_bytes - at, kSliceBytes - (filled - sent));
    std::memcpy(pinned + filled, image + at, piece);
    filled += piece;
    if (filled - sent < kSliceBytes && filled < bytes) continue;
    stream_->CopyToDevice(memory_->data() + sent, pinned + sent, filled - sent);
    sent = filled;
  }
}

// The first run launches kernel by kernel, which loads what they need: that cannot be done within a capture,
// and a size that comes once is not worth one.
void CudaContext::Start(const std::shared_ptr<const Program>& program) {
  const auto found = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& known) { return known.program == program; });
  if (found == known_.end()) {
    LaunchAll(*program);
    known_.push_front({program, nullptr, 0});
    if (known_.size() > kMaxKnown) known_.pop_back();
    return;
  }
  known_.splice(known_.begin(), known_, found);
  if (!found->capture) TryToCapture(*found);
  if (found->capture) {
    stream_->Launch(*found->capture);
  } else {
    LaunchAll(*program);
  }
}

// Whoever waits for the whole device meanwhile, as libraries do when a handle of theirs goes, ends a capture
// of any thread: no fault of this run, and the next one tries again.
void CudaContext::TryToCapture(Known& known) {
  if (known.attempts == kMaxCaptureAttempts) return;
  ++known.attempts;
  try {
    known.capture = CaptureLaunches(*known.program);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kDeviceLost) throw;
  }
}

std::unique_ptr<Capture> CudaContext::CaptureLaunches(const Program& program) {
  stream_->BeginCapture();
  try {
    LaunchAll(program);
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    try {
      stream_->EndCapture();
    } catch (const Error&) {  // the first error says more
    }
    std::rethrow_exception(error);
  }
  return stream_->EndCapture();
}

void CudaContext::LaunchAll(const Program& program) {
  for (const Launch& launch : program.launches) {
    stream_->Launch(*launch.kernel, OperandsOf(launch, plan_->network(), program, memory_->data()));
  }
}

// A step is a node's launches: its kernel, and what makes an output of its result.
void CudaContext::LaunchTimed(const Program& program, std::vector<double>* step_ms) {
  step_ms->clear();
  for (size_t i = 0; i < program.launches.size();) {
    const NodeId node = program.launches[i].node;
    stream_->Record(*step_begin_);
    for (; i < program.launches.size() && program.launches[i].node == node; ++i) {
      const Launch& launch = program.launches[i];
      stream_->Launch(*launch.kernel, OperandsOf(launch, plan_->network(), program, memory_->data()));
    }
    stream_->Record(*step_end_);
    step_end_->Synchronize();
    step_ms->push_back(step_end_->MillisecondsSince(*step_begin_));
  }
}

void CudaContext::CopyOut(const RunRequest& request, const Program& program) {
  auto* pinned = static_cast<char*>(pinned_output_->data());
  for (const Program::Output& output : program.outputs) {
    stream_->CopyToHost(pinned + (output.place - program.output_place), memory_->data() + output.place,
                        output.image_bytes * request.input.n);
  }
  stream_->Record(*done_);
  done_->Synchronize();
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const Program::Output& output = program.outputs[i];
    std::memcpy(request.outputs[i], pinned + (output.place - program.output_place),
                output.image_bytes * request.input.n);
  }
}

void CudaContext::WaitForStream() {
  try {
    stream_->Record(*done_);
    done_->Synchronize();
  } catch (const Error&) {
    plan_->loss().Note(std::current_exception());
  }
}

}  // namespace resnet_native::cuda
