#pragma once

#include <memory>
#include <vector>

#include "native/backend.h"
#include "native/backends/cuda/device.h"
#include "native/backends/cuda/device_memory.h"
#include "native/backends/cuda/weights.h"
#include "native/graph/graph.h"

namespace resnet_native::cuda {

// How the images of a run come.
struct InputForm {
  DType dtype = DType::kUint8;
  Layout layout = Layout::kNhwc;
  auto operator<=>(const InputForm&) const = default;
};

// A network on a GPU: the graph after the passes, how each node's result is stored, and the parameters in
// device memory. Immutable, thread-safe. What remains open is the size of batch and images.
class Network {
 public:
  // Uploads the weights and lets go of the graph's own. Throws kUnsupported, kOutOfMemory, kDeviceLost.
  Network(Graph graph, DType dtype, Device& device, DeviceMemory& memory);

  const Graph& graph() const { return graph_; }
  // False for the input, where its only readers are normalisations, which take the run's own bytes.
  bool HasStep(NodeId node) const { return node > 0 || input_has_step_; }
  // Whether the node reads the run's input instead of a result.
  bool ReadsInput(NodeId node) const;
  // How its result is stored.
  DType StoredAs(NodeId node) const { return stored_[node].dtype; }
  size_t StoredBytes(NodeId node, const TensorShape& shape) const;

  // What a node computes; `shapes` are those of InferShapes.
  Operation OperationOf(NodeId node, const std::vector<TensorShape>& shapes, InputForm form) const;
  // How its result becomes an output of the run.
  ToNchw OutputOf(NodeId node, const std::vector<TensorShape>& shapes) const;
  // Its parameters, and those of what makes an output of its result; the activations are left open.
  const Operands& ParametersOf(NodeId node) const { return parameters_[node]; }
  const Operands& OutputParametersOf(NodeId node) const { return output_parameters_[node]; }

 private:
  struct Stored {
    DType dtype;
    int padding = 0;  // channels of zeros behind the node's own
  };
  void ChooseStorage();
  void UploadParameters(Device& device, DeviceMemory& memory);
  WeightImage::Places AddParametersOf(NodeId node, WeightImage* image) const;
  DType FloatType() const { return dtype_ == DType::kInt8 ? DType::kFloat32 : dtype_; }
  // How the bytes of a node's first input are held; the default where it reads no bytes.
  Quantization QuantizationOfInput(const Node& node) const;
  int PaddingOfInput(NodeId node) const;
  int PaddingOf(NodeId node) const { return stored_[node].padding; }

  Graph graph_;
  const DType dtype_;
  bool input_has_step_ = false;
  std::vector<Stored> stored_;
  std::vector<Operands> parameters_, output_parameters_;
  std::unique_ptr<DeviceMemory::Block> weights_;
};

// Multiply-adds of an operation.
int64_t MacsOf(const Operation& operation);

}  // namespace resnet_native::cuda
