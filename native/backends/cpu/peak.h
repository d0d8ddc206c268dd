#pragma once

namespace resnet_native::cpu {

// What this machine can do at best with the row of kernels that computes each data type: the roofline that
// they are held against. A multiply-add counts as two.
struct Peak {
  double float32_gflops;
  double bfloat16_gflops;
  double int8_gops;
  double bandwidth;  // GB/s of reading memory that no cache holds
};

// Blocks for about a second, in which it keeps `threads` CPUs busy and holds 256 MB. Throws Error,
// kInvalidArgument for threads below 1.
Peak MeasurePeak(int threads);

}  // namespace resnet_native::cpu
