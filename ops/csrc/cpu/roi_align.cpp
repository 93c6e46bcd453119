#include "roi_tasks.h"

namespace podium {
namespace {

auto align_planner(int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  return [=](auto zero) {
    using T = decltype(zero);
    return [=](Plan<T>& plan, const T* corners, T scale, int64_t height, int64_t width) {
      const T offset = aligned ? T(0.5) : T(0);
      const T x1 = corners[0] * scale - offset, y1 = corners[1] * scale - offset;
      const T x2 = corners[2] * scale - offset, y2 = corners[3] * scale - offset;
      add_roi(plan, SampledAxis<T>(y1, y2, !aligned, pooled_height, sampling_ratio, height),
              SampledAxis<T>(x1, x2, !aligned, pooled_width, sampling_ratio, width), pooled_height, pooled_width);
    };
  };
}

Tensor roi_align(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                 int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  return pool_images({input}, rois, nullptr, {spatial_scale}, pooled_height, pooled_width, false,
                     align_planner(pooled_height, pooled_width, sampling_ratio, aligned));
}

bool direct_rois_valid(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                       int64_t pooled_width, int64_t sampling_ratio) {
  try {
    checked_rois(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  } catch (const std::runtime_error&) {
    return false;
  }
  return true;
}

Tensor direct_roi_align(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                        int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  return roi_align(input, checked_rois(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio),
                   spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned);
}

Tensor roi_align_backward(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                          int64_t pooled_width, int64_t sampling_ratio, bool aligned, int64_t batch, int64_t channels,
                          int64_t height, int64_t width) {
  return spread_images(grad, {{batch, channels, height, width}}, rois, nullptr, {spatial_scale}, pooled_height,
                       pooled_width, false, align_planner(pooled_height, pooled_width, sampling_ratio, aligned))[0];
}

Tensor multiscale_roi_align(const std::vector<Tensor>& inputs, const Tensor& rois, const Tensor& levels,
                            const std::vector<double>& scales, int64_t pooled_height, int64_t pooled_width,
                            int64_t sampling_ratio, bool aligned) {
  return pool_images(inputs, rois, &levels, scales, pooled_height, pooled_width, false,
                     align_planner(pooled_height, pooled_width, sampling_ratio, aligned));
}

std::vector<Tensor> multiscale_roi_align_backward(const Tensor& grad, const std::vector<Tensor>& inputs,
                                                  const Tensor& rois, const Tensor& levels,
                                                  const std::vector<double>& scales, int64_t pooled_height,
                                                  int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  std::vector<std::array<int64_t, 4>> sizes;
  for (const Tensor& input : inputs) {
    check_roi(input.dim() == 4, "inputs must be (N, C, H, W)");
    sizes.push_back({input.size(0), input.size(1), input.size(2), input.size(3)});
  }
  return spread_images(grad, sizes, rois, &levels, scales, pooled_height, pooled_width, false,
                       align_planner(pooled_height, pooled_width, sampling_ratio, aligned));
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("direct_rois_valid", TORCH_BOX(&direct_rois_valid));
  m.impl("direct_roi_align", TORCH_BOX(&direct_roi_align));
  m.impl("roi_align", TORCH_BOX(&roi_align));
  m.impl("roi_align_backward", TORCH_BOX(&roi_align_backward));
  m.impl("multiscale_roi_align", TORCH_BOX(&multiscale_roi_align));
  m.impl("multiscale_roi_align_backward", TORCH_BOX(&multiscale_roi_align_backward));
}

}  // namespace podium
