#include "native/backends/cpu/context.h"

#include "native/backends/cpu/denormals.h"

namespace resnet_native::cpu {

void CpuContext::Run(const RunRequest& request, Completion done) {
  std::exception_ptr error;
  try {
    const FlushDenormals flush;
    if (!executor_) executor_.emplace(plan_);
    executor_->Run(request);
  } catch (...) {
    error = TranslateException("the activations of this batch; use fewer or smaller images");
  }
  done(error);  // last, because it may destroy this context
}

}  // namespace resnet_native::cpu
