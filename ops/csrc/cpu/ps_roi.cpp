#include "roi_tasks.h"

namespace podium {
namespace {

// R-FCN (arXiv 1605.06409) with sampled bins; the half pixel is always taken off and sizes are not raised to 1.
auto ps_align_planner(int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio) {
  return [=](auto zero) {
    using T = decltype(zero);
    return [=](Plan<T>& plan, const T* corners, T scale, int64_t height, int64_t width) {
      const T x1 = corners[0] * scale - T(0.5), y1 = corners[1] * scale - T(0.5);
      const T x2 = corners[2] * scale - T(0.5), y2 = corners[3] * scale - T(0.5);
      add_roi(plan, SampledAxis<T>(y1, y2, false, pooled_height, sampling_ratio, height),
              SampledAxis<T>(x1, x2, false, pooled_width, sampling_ratio, width), pooled_height, pooled_width);
    };
  };
}

auto ps_pool_planner(int64_t pooled_height, int64_t pooled_width) {
  return [=](auto zero) {
    using T = decltype(zero);
    return [=](Plan<T>& plan, const T* corners, T scale, int64_t height, int64_t width) {
      add_roi(plan, PixelAxis<T>(corners[1] * scale, corners[3] * scale, false, pooled_height, height),
              PixelAxis<T>(corners[0] * scale, corners[2] * scale, false, pooled_width, width), pooled_height,
              pooled_width);
    };
  };
}

Tensor ps_roi_align(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                    int64_t pooled_width, int64_t sampling_ratio) {
  return pool_images({input}, rois, nullptr, {spatial_scale}, pooled_height, pooled_width, true,
                     ps_align_planner(pooled_height, pooled_width, sampling_ratio));
}

Tensor ps_roi_align_backward(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                             int64_t pooled_width, int64_t sampling_ratio, int64_t batch, int64_t channels,
                             int64_t height, int64_t width) {
  return spread_images(grad, {{batch, channels, height, width}}, rois, nullptr, {spatial_scale}, pooled_height,
                       pooled_width, true, ps_align_planner(pooled_height, pooled_width, sampling_ratio))[0];
}

Tensor ps_roi_pool(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                   int64_t pooled_width) {
  return pool_images({input}, rois, nullptr, {spatial_scale}, pooled_height, pooled_width, true,
                     ps_pool_planner(pooled_height, pooled_width));
}

Tensor ps_roi_pool_backward(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                            int64_t pooled_width, int64_t batch, int64_t channels, int64_t height, int64_t width) {
  return spread_images(grad, {{batch, channels, height, width}}, rois, nullptr, {spatial_scale}, pooled_height,
                       pooled_width, true, ps_pool_planner(pooled_height, pooled_width))[0];
}

Tensor direct_ps_roi_align(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                           int64_t pooled_width, int64_t sampling_ratio) {
  return ps_roi_align(input, checked_rois(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio),
                      spatial_scale, pooled_height, pooled_width, sampling_ratio);
}

Tensor direct_ps_roi_pool(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                          int64_t pooled_width) {
  return ps_roi_pool(input, checked_rois(input, rois, spatial_scale, pooled_height, pooled_width, 0), spatial_scale,
                     pooled_height, pooled_width);
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("direct_ps_roi_align", TORCH_BOX(&direct_ps_roi_align));
  m.impl("direct_ps_roi_pool", TORCH_BOX(&direct_ps_roi_pool));
  m.impl("ps_roi_align", TORCH_BOX(&ps_roi_align));
  m.impl("ps_roi_align_backward", TORCH_BOX(&ps_roi_align_backward));
  m.impl("ps_roi_pool", TORCH_BOX(&ps_roi_pool));
  m.impl("ps_roi_pool_backward", TORCH_BOX(&ps_roi_pool_backward));
}

}  // namespace podium
