#pragma once

#include "native/tensor.h"

namespace resnet_native::cpu {

// An activation: elements of `dtype` in NHWC order.
struct TensorView {
  char* data = nullptr;
  TensorShape shape;
  DType dtype = DType::kFloat32;

  template <class T>
  T* As() const {
    return reinterpret_cast<T*>(data);
  }
  // Where the element with this index is, counted through.
  char* At(int64_t element) const { return data + element * ElementBytes(dtype); }
  // What begins there, if this is anything. Its shape stays that of the whole.
  TensorView From(int64_t element) const { return {data ? At(element) : nullptr, shape, dtype}; }
};

}  // namespace resnet_native::cpu
