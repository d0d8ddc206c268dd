#include "native/addon/graph_from_js.h"

#include <unordered_map>
#include <vector>

#include "native/addon/js_values.h"
#include "native/addon/memory.h"
#include "native/error.h"

namespace resnet_native {
namespace {

using Shape = std::vector<int64_t>;

std::string ToString(const Shape& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

int ReadInt(const Napi::Object& node, const char* key) {
  return static_cast<int>(ToInteger(node.Get(key), key, 0, kMaxInt));
}

void ReadPair(const Napi::Object& node, const char* key, int* height, int* width) {
  const Napi::Array pair = ToArray(node.Get(key), key);
  *height = static_cast<int>(ToInteger(pair.Get(0u), std::string(key) + "[0]", 0, kMaxInt));
  *width = static_cast<int>(ToInteger(pair.Get(1u), std::string(key) + "[1]", 0, kMaxInt));
}

Window ReadWindow(const Napi::Object& node) {
  Window window;
  ReadPair(node, "kernelSize", &window.kernel_h, &window.kernel_w);
  ReadPair(node, "stride", &window.stride_h, &window.stride_w);
  ReadPair(node, "padding", &window.pad_h, &window.pad_w);
  ReadPair(node, "dilation", &window.dilation_h, &window.dilation_w);
  return window;
}

std::vector<double> ReadNumbers(const Napi::Object& node, const char* key) {
  const Napi::Array array = ToArray(node.Get(key), key);
  std::vector<double> numbers;
  for (uint32_t i = 0; i < array.Length(); ++i) numbers.push_back(ToFiniteNumber(array.Get(i), key));
  return numbers;
}

Shape ReadShape(const Napi::Object& parameter, const std::string& name) {
  const Napi::Array array = ToArray(parameter.Get("shape"), name + ".shape");
  Shape shape;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    shape.push_back(ToInteger(array.Get(i), name + ".shape", 0, kMaxInt));
  }
  return shape;
}

NormalizeOp ReadNormalize(const Napi::Object& node) {
  const std::vector<double> mean = ReadNumbers(node, "mean"), std = ReadNumbers(node, "std");
  if (mean.size() != std.size()) {
    throw Error(ErrorCode::kInvalidArgument, "mean and std have different numbers of channels");
  }
  NormalizeOp op;
  for (size_t i = 0; i < mean.size(); ++i) {
    op.affine.scale.push_back(static_cast<float>(1.0 / (255.0 * std[i])));
    op.affine.shift.push_back(static_cast<float>(-mean[i] / std[i]));
  }
  return op;
}

class GraphReader {
 public:
  explicit GraphReader(Napi::Object parameters) : parameters_(parameters) {}

  Graph Read(const Napi::Array& nodes, const Napi::Array& outputs) {
    Graph graph;
    for (uint32_t i = 0; i < nodes.Length(); ++i) {
      Napi::HandleScope scope(nodes.Env());
      graph.nodes.push_back(ReadNode(nodes.Get(i), "nodes[" + std::to_string(i) + "]"));
      ids_.emplace(graph.nodes.back().name, static_cast<NodeId>(i));
    }
    for (uint32_t i = 0; i < outputs.Length(); ++i) {
      graph.outputs.push_back(IdOf(ToText(outputs.Get(i), "an output")));
    }
    return graph;
  }

 private:
  Node ReadNode(const Napi::Value& value, std::string place) {
    try {
      const Napi::Object js = ToObject(value, "a node");
      Node node;
      node.name = ToText(js.Get("name"), "name");
      place = node.name;
      const Napi::Array inputs = ToArray(js.Get("inputs"), "inputs");
      for (uint32_t i = 0; i < inputs.Length(); ++i) {
        node.inputs.push_back(IdOf(ToText(inputs.Get(i), "inputs")));
      }
      node.op = ReadOp(js);
      const Napi::Value scale = js.Get("scale");
      if (!scale.IsUndefined()) node.scale = static_cast<float>(ToFiniteNumber(scale, "scale"));
      return node;
    } catch (const Error& error) {
      throw Error(error.code(), place + ": " + error.what());
    }
  }

  NodeId IdOf(const std::string& name) const {
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    throw Error(ErrorCode::kUnknownNode, "there is no earlier node named \"" + name + "\"");
  }

  Op ReadOp(const Napi::Object& node) {
    const std::string op = ToText(node.Get("op"), "op");
    if (op == "input") return InputOp{ReadInt(node, "channels")};
    if (op == "normalize") return ReadNormalize(node);
    if (op == "conv2d") return ReadConv2d(node);
    if (op == "batch_norm") return ReadBatchNorm(node);
    if (op == "relu") return ReluOp{};
    if (op == "max_pool2d") return MaxPool2dOp{ReadWindow(node)};
    if (op == "global_avg_pool") return GlobalAvgPoolOp{};
    if (op == "flatten") return FlattenOp{};
    if (op == "linear") return ReadLinear(node);
    if (op == "add") return AddOp{};
    if (op == "zero_pad_shortcut") {
      return ZeroPadShortcutOp{ReadInt(node, "stride"), ReadInt(node, "outChannels")};
    }
    throw Error(ErrorCode::kUnsupported, "the operation \"" + op + "\" is not known");
  }

  Conv2dOp ReadConv2d(const Napi::Object& node) {
    Conv2dOp op;
    op.window = ReadWindow(node);
    op.in_channels = ReadInt(node, "inChannels");
    op.out_channels = ReadInt(node, "outChannels");
    op.groups = static_cast<int>(ToInteger(node.Get("groups"), "groups", 1, kMaxInt));
    op.filters.values =
        Source(node, "weight",
               {op.out_channels, op.in_channels / op.groups, op.window.kernel_h, op.window.kernel_w});
    ReadWeightScale(node, op.out_channels, &op.filters);
    op.bias = Optional(node, "bias", {op.out_channels});
    return op;
  }

  BatchNormOp ReadBatchNorm(const Napi::Object& node) {
    const Shape features = {ReadInt(node, "features")};
    BatchNormOp op;
    op.weight = Optional(node, "weight", features);
    op.bias = Optional(node, "bias", features);
    op.running_mean = Required(node, "runningMean", features);
    op.running_var = Required(node, "runningVar", features);
    op.eps = ToFiniteNumber(node.Get("eps"), "eps");
    return op;
  }

  LinearOp ReadLinear(const Napi::Object& node) {
    LinearOp op;
    op.in_features = ReadInt(node, "inFeatures");
    op.out_features = ReadInt(node, "outFeatures");
    op.filters.values = Source(node, "weight", {op.out_features, op.in_features});
    ReadWeightScale(node, op.out_features, &op.filters);
    op.bias = Optional(node, "bias", {op.out_features});
    return op;
  }

  // Weights that a file holds as int8 have one.
  void ReadWeightScale(const Napi::Object& node, int out_channels, Filters* filters) {
    const Weight scale = Optional(node, "weightScale", {out_channels});
    filters->channel_scale = {scale.data, scale.data + scale.size};
    filters->int8 = !scale.empty();
  }

  Weight Optional(const Napi::Object& node, const char* key, const Shape& shape) {
    return node.Get(key).IsUndefined() ? Weight{} : Required(node, key, shape);
  }

  // Of vectors, which passes compute with.
  Weight Required(const Napi::Object& node, const char* key, const Shape& shape) {
    return Source(node, key, shape).Read();
  }

  // The parameter whose name the node has under `key`. A parameter of several nodes is held once.
  WeightSource Source(const Napi::Object& node, const char* key, const Shape& shape) {
    const std::string name = ToText(node.Get(key), key);
    const Napi::Object parameter = ToObject(parameters_.Get(name), "the parameter " + name);
    const Shape found = ReadShape(parameter, name);
    if (found != shape) {
      throw Error(ErrorCode::kInvalidArgument,
                  name + ": expected the shape " + ToString(shape) + " but it has " + ToString(found));
    }
    const auto [entry, is_new] = weights_.try_emplace(name);
    if (is_new) entry->second = ReadSource(parameter, name, shape);
    return entry->second;
  }

  WeightSource ReadSource(const Napi::Object& parameter, const std::string& name, const Shape& shape) {
    const Napi::Value stored = parameter.Get("stored");
    if (!stored.IsUndefined()) return StoredIn(ToObject(stored, name + ".stored"), shape);
    const Napi::Value data = parameter.Get("data");
    const bool is_int8 =
        data.IsTypedArray() && data.As<Napi::TypedArray>().TypedArrayType() == napi_int8_array;
    HeldBytes bytes =
        Hold(ToTypedArray(data, name + ".data", is_int8 ? napi_int8_array : napi_float32_array));
    const DType dtype = is_int8 ? DType::kInt8 : DType::kFloat32;
    const size_t size = bytes.size / ElementBytes(dtype);
    // Divided rather than multiplied, because a product of hostile sizes could wrap around.
    size_t left = size;
    bool fits = true;
    for (const int64_t length : shape) {
      fits = fits && length > 0 && left % static_cast<size_t>(length) == 0;
      if (fits) left /= static_cast<size_t>(length);
    }
    if (!fits || left != 1) {
      throw Error(ErrorCode::kInvalidArgument, name + ": the data has " + std::to_string(size) +
                                                   " values, which do not make " + ToString(shape));
    }
    return WeightSource::InMemory(std::move(bytes.owner), bytes.data, dtype, size);
  }

  // What is still in the file that it was loaded from. The file's sizes are checked by every reading.
  WeightSource StoredIn(const Napi::Object& stored, const Shape& shape) {
    const Napi::Object file = ToObject(stored.Get("file"), "file");
    const auto descriptor = static_cast<int>(ToInteger(file.Get("descriptor"), "descriptor", 0, kMaxInt));
    std::shared_ptr<const WeightsFile>& held = files_[descriptor];
    if (!held) {
      const WeightsFile::State state{ToInteger(file.Get("bytes"), "bytes", 0, kMaxSafeInteger),
                                     ToInt64(file.Get("modifiedNs"), "modifiedNs")};
      held = std::make_shared<const WeightsFile>(descriptor, ToText(file.Get("path"), "path"), state);
    }
    size_t size = 1;
    for (const int64_t length : shape) {
      if (length > 0 && size > kMaxSafeInteger / static_cast<size_t>(length)) {
        throw Error(ErrorCode::kInvalidArgument, ToString(shape) + " is too large");
      }
      size *= static_cast<size_t>(length);
    }
    const auto position =
        static_cast<uint64_t>(ToInteger(stored.Get("position"), "position", 0, kMaxSafeInteger));
    return WeightSource::InFile(held, position, FileDType(ToText(stored.Get("dtype"), "dtype")), size);
  }

  static DType FileDType(const std::string& name) {
    if (name == "int8") return DType::kInt8;
    if (name == "float16") return DType::kFloat16;
    return name == "bfloat16" ? DType::kBfloat16 : DType::kFloat32;
  }

  const Napi::Object parameters_;
  std::unordered_map<std::string, NodeId> ids_;
  std::unordered_map<std::string, WeightSource> weights_;
  std::unordered_map<int, std::shared_ptr<const WeightsFile>> files_;  // by JavaScript's descriptor
};

}  // namespace

Graph GraphFromJs(const Napi::Value& nodes, const Napi::Value& outputs, const Napi::Value& parameters) {
  GraphReader reader(ToObject(parameters, "parameters"));
  return reader.Read(ToArray(nodes, "nodes"), ToArray(outputs, "outputs"));
}

}  // namespace resnet_native
