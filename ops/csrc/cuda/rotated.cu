#include "rotated_kernels.cuh"

namespace podium::cuda {

#define PODIUM_TYPE(T)                                                                                             \
  template void nms_keys<T>(const T*, int64_t, bool, T*, cudaStream_t);                                            \
  template void rotated_pairs<T>(const T*, const T*, int64_t, int64_t, Rotated<T>*, T*, cudaStream_t);             \
  template void nms<RotatedOverlaps<T>, T>(const T*, const int64_t*, const int64_t*, const int64_t*, const NmsShape&, \
                                           const RotatedOverlaps<T>&, void*, int64_t*, int64_t*, cudaStream_t);
PODIUM_TYPE(float)
PODIUM_TYPE(double)
#undef PODIUM_TYPE

}  // namespace podium::cuda

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "binding.cuh"

namespace podium::cuda {

Tensor box_iou_rotated_op(const Tensor& boxes1, const Tensor& boxes2) {
  require_shape(boxes1, {-1, 5}, "boxes1");
  require_shape(boxes2, {-1, 5}, "boxes2");
  require_device(boxes1, {&boxes2});
  const Scope scope(boxes1);
  const ScalarType type = compute_type(boxes1);
  const Tensor first = dense(boxes1, type), second = dense(boxes2, type);
  const int64_t n1 = first.size(0), n2 = second.size(0);
  Tensor out = new_tensor(first, {n1, n2}, type);
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    Tensor room = bytes(first, (n1 + n2) * int64_t(sizeof(Rotated<T>)));
    rotated_pairs(read<T>(first), read<T>(second), n1, n2, write<Rotated<T>>(room), write<T>(out), scope.stream);
  };
  type == ScalarType::Double ? go(double(0)) : go(float(0));
  return out;
}

Tensor nms_rotated_op(const Tensor& boxes, const Tensor& scores, double iou_threshold) {
  require_shape(boxes, {-1, 5}, "boxes");
  const int64_t n = boxes.size(0);
  require_shape(scores, {n}, "scores");
  require_device(boxes, {&scores});
  const Scope scope(boxes);
  Tensor out = new_tensor(boxes, {n}, ScalarType::Long), counts = new_tensor(boxes, {1}, ScalarType::Long);
  if (n == 0) return out;
  const ScalarType type = compute_type(boxes);
  const Tensor rows = dense(boxes, type), typed_scores = dense(scores, type);
  const NmsShape shape(1, n, n, false);
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    Tensor keys = torch::stable::empty_like(typed_scores);
    nms_keys(read<T>(typed_scores), n, true, write<T>(keys), scope.stream);
    const Tensor order = stable_sort(keys, true).second;
    Tensor workspace = bytes(boxes, NmsBuffers<Rotated<T>>(shape, nullptr).size);
    nms(read<T>(rows), read<int64_t>(order), nullptr, nullptr, shape, RotatedOverlaps<T>(iou_threshold),
        write<char>(workspace), write<int64_t>(out), write<int64_t>(counts), scope.stream);
  };
  type == ScalarType::Double ? go(double(0)) : go(float(0));
  return first_rows(out, fetch(read<int64_t>(counts), scope.stream));
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) {
  m.impl("box_iou_rotated", TORCH_BOX(&box_iou_rotated_op));
  m.impl("nms_rotated", TORCH_BOX(&nms_rotated_op));
}

}  // namespace podium::cuda

#endif
