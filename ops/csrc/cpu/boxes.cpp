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

// Of boxes that are dense and of a type to compute in.
bool all_valid(const Tensor& boxes, bool finite, bool sizes) {
  const int64_t count = boxes.numel() / 4;
  return boxes.scalar_type() == ScalarType::Double
             ? PODIUM_SELECT(boxes_valid_f64)(read<double>(boxes), count, finite, sizes)
             : PODIUM_SELECT(boxes_valid_f32)(read<float>(boxes), count, finite, sizes);
}

// Dense boxes in the type to compute in, checked.
Tensor checked_boxes(const Tensor& boxes, bool finite, bool sizes) {
  require(boxes.is_cpu() && is_float(boxes) && boxes.dim() > 0 && boxes.size(-1) == 4);
  Tensor source = dense(boxes, compute_type(boxes));
  require(all_valid(source, finite, sizes));
  return source;
}

bool direct_boxes_valid(const Tensor& boxes, bool finite, bool sizes) {
  if (!boxes.is_cpu() || !is_float(boxes) || boxes.dim() == 0 || boxes.size(-1) != 4) return false;
  return all_valid(dense(boxes, compute_type(boxes)), finite, sizes);
}

Tensor direct_pairwise_iou(const Tensor& boxes1, const Tensor& boxes2, int64_t kind) {
  require(boxes1.dim() == 2 && boxes2.dim() == 2 && boxes1.scalar_type() == boxes2.scalar_type());
  return pairwise_iou(checked_boxes(boxes1, true, false), checked_boxes(boxes2, true, false), kind);
}

Tensor direct_box_area(const Tensor& boxes) {
  const Tensor source = checked_boxes(boxes, false, false);
  std::vector<int64_t> sizes;
  for (int64_t d = 0; d + 1 < source.dim(); ++d) sizes.push_back(source.size(d));
  Tensor out = new_tensor(source, sizes, source.scalar_type());
  if (source.scalar_type() == ScalarType::Double)
    PODIUM_SELECT(box_area_f64)(read<double>(source), source.numel() / 4, write<double>(out));
  else
    PODIUM_SELECT(box_area_f32)(read<float>(source), source.numel() / 4, write<float>(out));
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("pairwise_iou", TORCH_BOX(&pairwise_iou));
  m.impl("direct_boxes_valid", TORCH_BOX(&direct_boxes_valid));
  m.impl("direct_pairwise_iou", TORCH_BOX(&direct_pairwise_iou));
  m.impl("direct_box_area", TORCH_BOX(&direct_box_area));
}

}  // namespace podium
