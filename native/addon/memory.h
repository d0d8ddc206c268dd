#pragma once

#include <napi.h>

#include <memory>
#include <span>

#include "native/memory_block.h"

namespace resnet_native {

// The bytes of a typed array and what keeps them alive, whatever JavaScript does to its buffer.
struct HeldBytes {
  std::shared_ptr<const void> owner;
  const void* data = nullptr;
  size_t size = 0;
};

// Throws kOutOfMemory if JavaScript cannot have a buffer of so many bytes: V8 ends the process when it is
// given one.
void CheckBufferSize(Napi::Env env, uint64_t bytes);

// Memory of allocate() is referenced; everything else is copied.
HeldBytes Hold(const Napi::TypedArray& array);

// A buffer over the block, which lives as long as the buffer; a copy where the runtime allows no external
// buffers. Node tells V8 of the memory, so that garbage collection keeps up.
Napi::ArrayBuffer ToArrayBuffer(Napi::Env env, const std::shared_ptr<MemoryBlock>& block);

// (bytes: number) => ArrayBuffer, zeroed: memory that sessions read in place.
Napi::Value Allocate(const Napi::CallbackInfo& info);

// (buffer: ArrayBuffer) => void: detaches it, which frees its memory unless a run still reads it.
Napi::Value Discard(const Napi::CallbackInfo& info);

}  // namespace resnet_native
