#include "native/addon/memory.h"

#include <cstring>
#include <string>

#include "native/addon/environment.h"
#include "native/addon/js_values.h"
#include "native/error.h"

namespace resnet_native {
namespace {

// A small result costs less to copy than to keep track of.
constexpr size_t kCopyBelow = 64 * 1024;

Napi::ArrayBuffer CopyToArrayBuffer(Napi::Env env, const MemoryBlock& block) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, block.size());
  if (block.size() > 0) std::memcpy(buffer.Data(), block.data(), block.size());
  return buffer;
}

Napi::ArrayBuffer WrapInArrayBuffer(Napi::Env env, const std::shared_ptr<MemoryBlock>& block) {
  auto held = std::make_unique<std::shared_ptr<MemoryBlock>>(block);
  const auto release = [](napi_env, void*, void* hint) {
    delete static_cast<std::shared_ptr<MemoryBlock>*>(hint);
  };
  napi_value buffer;
  const napi_status status =
      napi_create_external_arraybuffer(env, block->data(), block->size(), release, held.get(), &buffer);
  if (status == napi_no_external_buffers_allowed) return CopyToArrayBuffer(env, *block);
  NAPI_THROW_IF_FAILED(env, status, Napi::ArrayBuffer());
  held.release();
  return Napi::ArrayBuffer(env, buffer);
}

}  // namespace

void CheckBufferSize(Napi::Env env, uint64_t bytes) {
  const size_t most = Environment::Of(env).max_buffer_bytes;
  if (bytes <= most) return;
  throw Error(ErrorCode::kOutOfMemory, "one buffer of JavaScript holds at most " + std::to_string(most) +
                                           " bytes, but " + std::to_string(bytes) +
                                           " are needed; use smaller batches, images or files");
}

HeldBytes Hold(const Napi::TypedArray& array) {
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &data, nullptr, nullptr);
  NAPI_THROW_IF_FAILED(array.Env(), status, HeldBytes());
  const size_t size = array.ByteLength();
  if (size == 0) return {};
  if (auto block = MemoryBlock::FindShared(data, size)) return {std::move(block), data, size};
  auto copy = MemoryBlock::Allocate(size);
  std::memcpy(copy->data(), data, size);
  const void* copied = copy->data();
  return {std::move(copy), copied, size};
}

Napi::ArrayBuffer ToArrayBuffer(Napi::Env env, const std::shared_ptr<MemoryBlock>& block) {
  return block->size() < kCopyBelow ? CopyToArrayBuffer(env, *block) : WrapInArrayBuffer(env, block);
}

Napi::Value Allocate(const Napi::CallbackInfo& info) {
  const int64_t bytes = ToInteger(info[0], "bytes", 0, kMaxSafeInteger);
  CheckBufferSize(info.Env(), static_cast<uint64_t>(bytes));
  const auto block = MemoryBlock::AllocateShared(static_cast<size_t>(bytes));
  if (bytes == 0) return Napi::ArrayBuffer::New(info.Env(), 0);
  return WrapInArrayBuffer(info.Env(), block);
}

Napi::Value Discard(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer())
    throw Error(ErrorCode::kInvalidArgument, "expected an ArrayBuffer to discard");
  info[0].As<Napi::ArrayBuffer>().Detach();
  return info.Env().Undefined();
}

}  // namespace resnet_native
