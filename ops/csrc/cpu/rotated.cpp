#include <cmath>

#include "../binding.h"
#include "rotated_kernels.h"

namespace podium {
namespace {

Tensor prepared(const Tensor& boxes, ScalarType type) {
  const Tensor source = dense(boxes, type);
  const int64_t n = source.size(0);
  Tensor columns = new_tensor(source, {kRotatedColumns, n}, type);
  if (type == ScalarType::Double)
    PODIUM_SELECT(rotated_prepare_f64)(read<double>(source), n, write<double>(columns));
  else
    PODIUM_SELECT(rotated_prepare_f32)(read<float>(source), n, write<float>(columns));
  return columns;
}

Tensor box_iou_rotated(const Tensor& boxes1, const Tensor& boxes2) {
  const ScalarType type = compute_type(boxes1);
  const Tensor first = prepared(boxes1, type), second = prepared(boxes2, type);
  const int64_t n1 = first.size(1), n2 = second.size(1);
  Tensor out = new_tensor(first, {n1, n2}, type);
  if (n1 == 0 || n2 == 0) return out;
  void* data = out.mutable_data_ptr();
  torch::stable::parallel_for(0, n1, 1 + 4000 / n2, [&](int64_t begin, int64_t end) {
    if (type == ScalarType::Double)
      PODIUM_SELECT(rotated_iou_f64)(read<double>(first), n1, read<double>(second), n2, static_cast<double*>(data),
                                     begin, end);
    else
      PODIUM_SELECT(rotated_iou_f32)(read<float>(first), n1, read<float>(second), n2, static_cast<float*>(data), begin,
                                     end);
  });
  return out;
}

Tensor checked(const Tensor& boxes) {
  require(boxes.is_cpu() && is_float(boxes) && boxes.dim() == 2 && boxes.size(1) == 5);
  Tensor source = dense(boxes, compute_type(boxes));
  const auto good = [&](const auto* values) {
    int64_t bad = 0;
    for (int64_t k = 0; k < source.size(0); ++k, values += 5) {
      for (int64_t c = 0; c < 5; ++c) bad += !std::isfinite(values[c]);
      bad += (values[2] < 0) | (values[3] < 0);
    }
    return bad == 0;
  };
  require(source.scalar_type() == ScalarType::Double ? good(read<double>(source)) : good(read<float>(source)));
  return source;
}

Tensor direct_box_iou_rotated(const Tensor& boxes1, const Tensor& boxes2) {
  require(boxes1.scalar_type() == boxes2.scalar_type());
  return box_iou_rotated(checked(boxes1), checked(boxes2));
}

Tensor nms_rotated(const Tensor& boxes, const Tensor& scores, double iou_threshold) {
  const ScalarType type = compute_type(boxes);
  const Tensor columns = prepared(boxes, type), score = dense(scores, type);
  const int64_t n = columns.size(1);
  Tensor keep = new_tensor(boxes, {n}, ScalarType::Long);
  const int64_t count = type == ScalarType::Double
                            ? PODIUM_SELECT(rotated_nms_f64)(read<double>(columns), read<double>(score), n,
                                                             iou_threshold, write<int64_t>(keep))
                            : PODIUM_SELECT(rotated_nms_f32)(read<float>(columns), read<float>(score), n,
                                                             iou_threshold, write<int64_t>(keep));
  return torch::stable::clone(torch::stable::narrow(keep, 0, 0, count));  // its own memory, of its own size
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("box_iou_rotated", TORCH_BOX(&box_iou_rotated));
  m.impl("direct_box_iou_rotated", TORCH_BOX(&direct_box_iou_rotated));
  m.impl("nms_rotated", TORCH_BOX(&nms_rotated));
}

}  // namespace podium
