#include "boxes_kernels.cuh"

#ifndef __CUDA_ARCH__  // the passes for device code, one for each architecture, need not read torch's headers

#include "binding.cuh"

namespace podium::cuda {

Tensor pairwise_iou_op(const Tensor& boxes1, const Tensor& boxes2, int64_t kind) {
  require_shape(boxes1, {-1, 4}, "boxes1");
  require_shape(boxes2, {-1, 4}, "boxes2");
  require_device(boxes1, {&boxes2});
  const Scope scope(boxes1);
  const ScalarType type = compute_type(boxes1);
  const Tensor first = dense(boxes1, type), second = dense(boxes2, type);
  const int64_t n1 = first.size(0), n2 = second.size(0);
  Tensor out = new_tensor(first, {n1, n2}, type);
  if (type == ScalarType::Double)
    pairwise_iou(read<double>(first), read<double>(second), n1, n2, kind, write<double>(out), scope.stream);
  else
    pairwise_iou(read<float>(first), read<float>(second), n1, n2, kind, write<float>(out), scope.stream);
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(podium, PODIUM_KEY, m) { m.impl("pairwise_iou", TORCH_BOX(&pairwise_iou_op)); }

}  // namespace podium::cuda

#endif
