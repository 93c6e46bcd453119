#include "roi_rotated_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(T)                                                                                        \
  template void turned_pool<T>(const TurnedPooling&, const T*, const T*, bool, T*, cudaStream_t); \
  template void turned_spread<T>(const TurnedPooling&, const T*, const T*, T*, bool, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "roi_binding.cuh"

namespace podium::cuda {
namespace {

TurnedPooling turned_pooling(const Tensor& image, const Tensor& rois, double scale, int64_t pooled_height,
                             int64_t pooled_width, int64_t sampling_ratio) {
  require_shape(rois, {-1, 6}, "rois");
  require(pooled_height > 0 && pooled_width > 0, "podium: the output size must be positive");
  require(image.size(2) * image.size(3) < INT32_MAX, "podium: input must have fewer than 2**31 - 1 pixels");
  return {image.size(0), image.size(1), image.size(2), image.size(3), image.stride(0), image.stride(1),
          image.stride(2), image.stride(3), rois.size(0), pooled_height, pooled_width, sampling_ratio, scale};
}

}  // namespace

Tensor roi_align_rotated_op(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                            int64_t pooled_width, int64_t sampling_ratio) {
  require_shape(input, {-1, -1, -1, -1}, "input");
  require_device(input, {&rois});
  const Scope scope(input);
  const ScalarType type = compute_type(input);
  const Tensor images = typed(input, type), boxes = dense(rois, type);
  const TurnedPooling how =
      turned_pooling(images, boxes, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  Tensor out = new_tensor(images, {how.boxes, how.channels, pooled_height, pooled_width}, type);
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    const T* pixels = images.numel() > 0 ? read<T>(images) : nullptr;
    turned_pool(how, read<T>(boxes), pixels, channels_last(images), write<T>(out), scope.stream);
  };
  if (out.numel() > 0) type == ScalarType::Double ? go(double(0)) : go(float(0));
  return typed(out, input.scalar_type());
}

Tensor roi_align_rotated_backward_op(const Tensor& grad, const Tensor& rois, double spatial_scale,
                                     int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio, int64_t batch,
                                     int64_t channels, int64_t height, int64_t width) {
  require_shape(grad, {rois.size(0), channels, pooled_height, pooled_width}, "grad");
  require_device(grad, {&rois});
  const Scope scope(grad);
  const ScalarType type = compute_type(grad);
  const Tensor bins = dense(grad, type), boxes = dense(rois, type);
  Tensor image = new_tensor(grad, {batch, channels, height, width}, type);
  torch::stable::zero_(image);
  const TurnedPooling how = turned_pooling(image, boxes, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    turned_spread(how, read<T>(boxes), read<T>(bins), write<T>(image), wants_determinism(), scope.stream);
  };
  if (grad.numel() > 0 && image.numel() > 0) type == ScalarType::Double ? go(double(0)) : go(float(0));
  return typed(image, grad.scalar_type());
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("roi_align_rotated", TORCH_BOX(&roi_align_rotated_op));
  m.impl("roi_align_rotated_backward", TORCH_BOX(&roi_align_rotated_backward_op));
}

}  // namespace podium::cuda

#endif
