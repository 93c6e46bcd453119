#include "deform_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(T)                                                          \
  template void deform_columns<T>(const DeformInputs<T>&, T*, cudaStream_t); \
  template void deform_gradients<T>(const DeformInputs<T>&, const T*, T*, T*, T*, bool, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include <optional>

#include "binding.cuh"

namespace podium::cuda {
namespace {

struct DeformTensors {
  Tensor input, offset;
  std::optional<Tensor> mask;
  DeformSizes size;
  ScalarType type;

  template <class T>
  DeformInputs<T> as() const {
    return {size, read<T>(input), read<T>(offset), mask ? read<T>(*mask) : nullptr};
  }
};

DeformTensors deform_tensors(const Tensor& input, const Tensor& offset, const std::optional<Tensor>& mask,
                             int64_t kernel_height, int64_t kernel_width, int64_t stride_y, int64_t stride_x,
                             int64_t padding_y, int64_t padding_x, int64_t dilation_y, int64_t dilation_x) {
  require_shape(input, {-1, -1, -1, -1}, "input");
  require_shape(offset, {input.size(0), -1, -1, -1}, "offset");
  for (const int64_t size : {kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x})
    require(size > 0, "podium: sizes must be positive");
  require(padding_y >= 0 && padding_x >= 0, "podium: padding must not be negative");
  const int64_t taps = kernel_height * kernel_width, groups = offset.size(1) / (2 * taps);
  require(groups > 0 && offset.size(1) == 2 * taps * groups && input.size(1) % groups == 0,
          "podium: offset must have 2 channels for each tap of each group");
  require(input.size(2) * input.size(3) < INT32_MAX, "podium: input must have fewer than 2**31 - 1 pixels");
  if (mask) require_shape(*mask, {input.size(0), taps * groups, offset.size(2), offset.size(3)}, "mask");
  require_device(input, {&offset, mask ? &*mask : &offset});
  const ScalarType type = compute_type(input);
  std::optional<Tensor> factors;
  if (mask) factors = dense(*mask, type);
  return {dense(input, type), dense(offset, type), factors,
          {input.size(0), input.size(1), input.size(2), input.size(3), kernel_height, kernel_width, stride_y, stride_x,
           padding_y, padding_x, dilation_y, dilation_x, groups, offset.size(2), offset.size(3)},
          type};
}

}  // namespace

Tensor deform_columns_op(const Tensor& input, const Tensor& offset, const std::optional<Tensor>& mask,
                         int64_t kernel_height, int64_t kernel_width, int64_t stride_y, int64_t stride_x,
                         int64_t padding_y, int64_t padding_x, int64_t dilation_y, int64_t dilation_x) {
  const Scope scope(input);
  const DeformTensors from = deform_tensors(input, offset, mask, kernel_height, kernel_width, stride_y, stride_x,
                                            padding_y, padding_x, dilation_y, dilation_x);
  const DeformSizes& size = from.size;
  Tensor out = new_tensor(from.input, {size.images, size.channels * size.taps(), size.pixels()}, from.type);
  if (out.numel() == 0) return out;
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    deform_columns(from.as<T>(), write<T>(out), scope.stream);
  };
  from.type == ScalarType::Double ? go(double(0)) : go(float(0));
  return out;
}

// The gradients of input, offset and mask; of no mask an empty tensor.
std::tuple<Tensor, Tensor, Tensor> deform_columns_backward_op(
    const Tensor& grad, const Tensor& input, const Tensor& offset, const std::optional<Tensor>& mask,
    int64_t kernel_height, int64_t kernel_width, int64_t stride_y, int64_t stride_x, int64_t padding_y,
    int64_t padding_x, int64_t dilation_y, int64_t dilation_x) {
  const Scope scope(input);
  const DeformTensors from = deform_tensors(input, offset, mask, kernel_height, kernel_width, stride_y, stride_x,
                                            padding_y, padding_x, dilation_y, dilation_x);
  const DeformSizes& size = from.size;
  require_shape(grad, {size.images, size.channels * size.taps(), size.pixels()}, "grad");
  require_device(input, {&grad});
  const int64_t rows = size.out_height, columns = size.out_width;
  Tensor image = new_tensor(from.input, {size.images, size.channels, size.height, size.width}, from.type);
  Tensor moved = new_tensor(from.input, {size.images, 2 * size.places(), rows, columns}, from.type);
  Tensor scaled = mask ? new_tensor(from.input, {size.images, size.places(), rows, columns}, from.type)
                       : new_tensor(from.input, {0}, from.type);
  torch::stable::zero_(image);
  if (grad.numel() == 0) {
    torch::stable::zero_(moved);
    torch::stable::zero_(scaled);
    return {image, moved, scaled};
  }
  const Tensor typed_grad = dense(grad, from.type);
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    deform_gradients(from.as<T>(), read<T>(typed_grad), write<T>(image), write<T>(moved),
                     mask ? write<T>(scaled) : nullptr, wants_determinism(), scope.stream);
  };
  from.type == ScalarType::Double ? go(double(0)) : go(float(0));
  return {image, moved, scaled};
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("deform_columns", TORCH_BOX(&deform_columns_op));
  m.impl("deform_columns_backward", TORCH_BOX(&deform_columns_backward_op));
}

}  // namespace podium::cuda

#endif
