#pragma once

namespace resnet_native::cpu {

// What this machine can do at best: the roofline that kernels are held against.
struct Peak {
  double float32_gflops;  // a multiply-add counts as two
  double int8_gops;       // of the kernels on tiles in the first-level cache
  double bandwidth;       // GB/s of reading memory that no cache holds
};

// Blocks for about half a second, in which it keeps `threads` CPUs busy and holds 256 MB. Throws Error,
// kInvalidArgument for threads below 1.
Peak MeasurePeak(int threads);

}  // namespace resnet_native::cpu
