#pragma once

#include <cstdint>

namespace resnet_native::cpu {

// While it lives, its thread treats denormal numbers as zero: they cost a hundred cycles each and carry
// nothing. The thread's own mode comes back with its end.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint64_t saved_ = 0;
};

}  // namespace resnet_native::cpu
