#pragma once

// Loops over the registers of a tile leave no trace in the code.
#define RESNET_NATIVE_UNROLL _Pragma("GCC unroll 16")
