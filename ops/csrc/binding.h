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
  const Tensor typed = tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type);
  return typed.is_contiguous() ? typed : torch::stable::contiguous(typed);
}

// Uninitialised. By the allocator itself: new_empty goes through the dispatcher, which takes as long as a small operator.
inline Tensor new_tensor(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType type) {
  std::vector<int64_t> strides(sizes.size());
  int64_t step = 1;
  for (size_t d = sizes.size(); d-- > 0;) strides[d] = step, step *= sizes[d] > 1 ? sizes[d] : 1;
  int32_t device = 0;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device));
  AtenTensorHandle made = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(int64_t(sizes.size()), sizes.data(), strides.data(),
                                                  torch::stable::detail::to<int32_t>(torch::stable::detail::from(type)),
                                                  device, like.get_device_index(), &made));
  return Tensor(made);
}

inline bool is_float(const Tensor& tensor) {
  const ScalarType type = tensor.scalar_type();
  return type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::Half ||
         type == ScalarType::BFloat16;
}

inline bool is_integer(const Tensor& tensor) {
  const ScalarType type = tensor.scalar_type();
  for (const ScalarType one : {ScalarType::Long, ScalarType::Int, ScalarType::Short, ScalarType::Char, ScalarType::Byte,
                               ScalarType::Bool})
    if (type == one) return true;
  return false;
}

// For the operators that check their arguments: Python catches this and says what is wrong.
inline void require(bool good) {
  if (!good) throw std::runtime_error("podium: invalid arguments");
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
