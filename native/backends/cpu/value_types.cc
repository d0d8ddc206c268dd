#include "native/backends/cpu/value_types.h"

#include <algorithm>

namespace resnet_native::cpu {

std::vector<DType> ResultTypes(const Graph& graph, DType compute) {
  if (compute == DType::kInt8) {
    std::vector<DType> types;
    for (const Node& node : graph.nodes) {
      types.push_back(node.quantization ? DType::kUint8 : DType::kFloat32);
    }
    return types;
  }
  std::vector<bool> read(graph.nodes.size(), false);
  for (const Node& node : graph.nodes) {
    for (NodeId input : node.inputs) read[input] = true;
  }
  std::vector<DType> types(graph.nodes.size(), compute);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!read[i] && std::holds_alternative<LinearOp>(graph.nodes[i].op)) types[i] = DType::kFloat32;
  }
  return types;
}

}  // namespace resnet_native::cpu
