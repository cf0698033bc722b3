// Classifies pictures with an exported model through the loader that TensorFlow Serving is built
// on. No Python takes part.
//
//   classify [--signature=NAME] [--maps=FILE] VERSION_FOLDER PICTURE...
//
// All pictures are sent as one batch. Prints one line for each, with tabs between the fields: file,
// label, probability, all probabilities with spaces between them and, where the signature has these
// outputs, whether the picture could be decoded (1 or 0), the decision and the confidence. With
// --maps, writes to FILE what the process has mapped into memory once all is answered.

#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/tstring.h"
#include "tensorflow/core/public/session.h"

namespace {

using Outputs = std::map<std::string, tensorflow::Tensor>;

struct Request {
  std::string signature = "serving_default";
  std::string maps;
  std::string folder;
  std::vector<std::string> pictures;
};

// Returns what follows "--<name>=" in an argument, or nothing.
std::string OptionValue(const std::string& argument, const std::string& name) {
  const std::string start = "--" + name + "=";
  return argument.rfind(start, 0) == 0 ? argument.substr(start.size()) : "";
}

Request ParseArguments(const std::vector<std::string>& arguments) {
  Request request;
  for (const std::string& argument : arguments) {
    const std::string signature = OptionValue(argument, "signature");
    const std::string maps = OptionValue(argument, "maps");
    if (!signature.empty()) {
      request.signature = signature;
    } else if (!maps.empty()) {
      request.maps = maps;
    } else if (argument.rfind("--", 0) == 0) {
      throw std::runtime_error("Unknown option " + argument);
    } else if (request.folder.empty()) {
      request.folder = argument;
    } else {
      request.pictures.push_back(argument);
    }
  }
  if (request.pictures.empty()) {
    throw std::runtime_error(
        "Usage: classify [--signature=NAME] [--maps=FILE] VERSION_FOLDER PICTURE...");
  }
  return request;
}

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("Cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

tensorflow::Tensor ReadPictures(const std::vector<std::string>& paths) {
  const auto count = static_cast<int64_t>(paths.size());
  tensorflow::Tensor batch(tensorflow::DT_STRING, tensorflow::TensorShape({count}));
  for (int64_t row = 0; row < count; ++row) {
    batch.flat<tensorflow::tstring>()(row) = ReadFile(paths[row]);
  }
  return batch;
}

const tensorflow::SignatureDef& FindSignature(const tensorflow::SavedModelBundle& model,
                                              const std::string& name) {
  const auto& signatures = model.GetSignatures();
  const auto found = signatures.find(name);
  if (found == signatures.end()) throw std::runtime_error("No signature " + name);
  if (found->second.inputs().count("image_bytes") == 0) {
    throw std::runtime_error("No input image_bytes in the signature " + name);
  }
  return found->second;
}

Outputs Classify(const tensorflow::SavedModelBundle& model,
                 const tensorflow::SignatureDef& signature, const tensorflow::Tensor& pictures) {
  std::vector<std::string> names;
  std::vector<std::string> tensors;
  for (const auto& [name, info] : signature.outputs()) {
    names.push_back(name);
    tensors.push_back(info.name());
  }
  std::vector<tensorflow::Tensor> values;
  const std::string input = signature.inputs().at("image_bytes").name();
  Require(model.GetSession()->Run({{input, pictures}}, tensors, {}, &values));
  Outputs outputs;
  for (size_t i = 0; i < names.size(); ++i) outputs[names[i]] = values[i];
  return outputs;
}

const tensorflow::Tensor& Output(const Outputs& outputs, const std::string& name) {
  const auto found = outputs.find(name);
  if (found == outputs.end()) throw std::runtime_error("No output " + name);
  return found->second;
}

void PrintAnswers(const std::vector<std::string>& paths, const Outputs& outputs) {
  const auto labels = Output(outputs, "label").vec<tensorflow::tstring>();
  const auto probability = Output(outputs, "probability").vec<float>();
  const auto probabilities = Output(outputs, "probabilities").matrix<float>();
  const auto decoded = outputs.find("decoded");
  const auto decision = outputs.find("decision");
  std::cout.precision(std::numeric_limits<float>::max_digits10);
  for (size_t row = 0; row < paths.size(); ++row) {
    std::cout << paths[row] << '\t' << std::string(labels(row)) << '\t' << probability(row);
    for (int64_t column = 0; column < probabilities.dimension(1); ++column) {
      std::cout << (column == 0 ? '\t' : ' ') << probabilities(row, column);
    }
    if (decoded != outputs.end()) std::cout << '\t' << decoded->second.vec<bool>()(row);
    if (decision != outputs.end()) {
      std::cout << '\t' << std::string(decision->second.vec<tensorflow::tstring>()(row)) << '\t'
                << Output(outputs, "confidence").vec<float>()(row);
    }
    std::cout << '\n';
  }
}

void Run(const Request& request) {
  tensorflow::SavedModelBundle model;
  Require(tensorflow::LoadSavedModel({}, {}, request.folder, {"serve"}, &model));
  const auto& signature = FindSignature(model, request.signature);
  PrintAnswers(request.pictures, Classify(model, signature, ReadPictures(request.pictures)));
  if (!request.maps.empty()) std::ofstream(request.maps) << ReadFile("/proc/self/maps");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    Run(ParseArguments({arguments + 1, arguments + count}));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
