#include "../binding.h"
#include "boxes_kernels.h"

namespace podium {

Tensor pairwise_iou(const Tensor& boxes1, const Tensor& boxes2, int64_t kind) {
  const ScalarType type = compute_type(boxes1);
  const Tensor first = dense(boxes1, type), second = dense(boxes2, type);
  const int64_t n1 = first.size(0), n2 = second.size(0);
  Tensor out = new_tensor(first, {n1, n2}, type);
  if (n1 == 0 || n2 == 0) return out;
  void* data = out.mutable_data_ptr();
  const int64_t grain = 1 + 20000 / n2;  // a thread should get a few microseconds of work
  torch::stable::parallel_for(0, n1, grain, [&](int64_t begin, int64_t end) {
    if (type == ScalarType::Double)
      PODIUM_SELECT(pairwise_iou_f64)(read<double>(first), read<double>(second), n2, IouKind(kind),
                                      static_cast<double*>(data), begin, end);
    else
      PODIUM_SELECT(pairwise_iou_f32)(read<float>(first), read<float>(second), n2, IouKind(kind),
                                      static_cast<float*>(data), begin, end);
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) { m.impl("pairwise_iou", TORCH_BOX(&pairwise_iou)); }

}  // namespace podium
