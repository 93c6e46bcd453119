// What every binding needs of torch's stable ABI. Kernels do not include this: they take raw pointers and sizes.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <vector>

namespace podium {

using torch::stable::Tensor;
using torch::headeronly::ScalarType;

// float64 is computed in float64, everything else in float32.
inline ScalarType compute_type(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// `tensor` as a contiguous tensor of `type`; itself where it is one already.
inline Tensor dense(const Tensor& tensor, ScalarType type) {
  Tensor typed = tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type);
  return torch::stable::contiguous(typed);
}

inline Tensor new_tensor(const Tensor& like, std::vector<int64_t> sizes, ScalarType type) {
  return torch::stable::new_empty(like, sizes, type);
}

template <class T>
const T* read(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <class T>
T* write(Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

}  // namespace podium
