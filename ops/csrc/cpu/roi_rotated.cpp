#include <cmath>
#include <numbers>

#include "buffer.h"
#include "roi_binding.h"
#include "roi_rotated_kernels.h"

namespace podium {
namespace {

constexpr double most_samples = 4096;  // along a side of a bin, where their number is up to its size

// The RoIs (K, 6) as image, cx, cy, w, h, degrees; one without samples where it names no image or is not finite.
template <class T>
std::vector<TurnedRoi<T>> turned(const Tensor& rois, const TurnedShape& shape, int64_t images, T scale,
                                 int64_t sampling_ratio) {
  std::vector<TurnedRoi<T>> out;
  out.reserve(rois.size(0));
  const auto samples = [&](T side, int64_t pooled) {
    if (sampling_ratio > 0) return sampling_ratio;
    return int64_t(std::min(std::ceil(double(side / T(pooled))), most_samples));
  };
  const T* values = read<T>(rois);
  for (int64_t k = 0; k < rois.size(0); ++k, values += 6) {
    const T x = values[1] * scale - T(.5), y = values[2] * scale - T(.5);
    const T width = values[3] * scale, height = values[4] * scale;
    const T angle = values[5] * T(std::numbers::pi / 180);
    bool good = image_of(values, images) >= 0 && width >= 0 && height >= 0 && shape.height > 0 && shape.width > 0;
    for (const T value : {x, y, width, height, angle}) good = good && std::isfinite(value);
    TurnedRoi<T> roi{x, y, width, height, std::sin(angle), std::cos(angle), 0, 0};
    if (good) roi.down = samples(height, shape.pooled_height), roi.across = samples(width, shape.pooled_width);
    out.push_back(roi);
  }
  return out;
}

void check_turned(const Tensor& rois, int64_t pooled_height, int64_t pooled_width, int64_t height, int64_t width) {
  check_roi(rois.dim() == 2 && rois.size(1) == 6, "rois must have shape (K, 6)");
  check_roi(pooled_height > 0 && pooled_width > 0, "the output size must be positive");
  check_roi(height * width < INT32_MAX, "input must have fewer than 2**31 - 1 pixels");
}

template <class T>
void pool_all(const Tensor& input, const Tensor& rois, double scale, int64_t sampling_ratio, Tensor& out) {
  const TurnedShape shape{input.size(2), input.size(3), out.size(2), out.size(3)};
  const int64_t channels = input.size(1), size = channels * shape.bins();
  const auto all = turned<T>(rois, shape, input.size(0), T(scale), sampling_ratio);
  const T* corners = read<T>(rois);
  T* bins = write<T>(out);
  torch::stable::parallel_for(0, int64_t(all.size()), 1, [&](int64_t begin, int64_t end) {
    const Buffer<T> room(9 * shape.bins());
    for (int64_t k = begin; k < end; ++k) {
      if (all[k].down * all[k].across == 0) {
        std::fill_n(bins + k * size, size, T(0));
        continue;
      }
      const auto planes = planes_of<const T>(read<T>(input), input, image_of(corners + 6 * k, input.size(0)), 0, 1,
                                             channels);
      if constexpr (sizeof(T) == 8)
        PODIUM_SELECT(turned_pool_f64)(shape, all[k], planes, bins + k * size, room.get());
      else
        PODIUM_SELECT(turned_pool_f32)(shape, all[k], planes, bins + k * size, room.get());
    }
  });
}

Tensor roi_align_rotated(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                         int64_t pooled_width, int64_t sampling_ratio) {
  check_roi(input.dim() == 4, "input must be (N, C, H, W)");
  check_turned(rois, pooled_height, pooled_width, input.size(2), input.size(3));
  const ScalarType type = compute_type(input);
  const Tensor images = dense(input, type), dense_rois = dense(rois, type);
  Tensor out = new_tensor(input, {rois.size(0), input.size(1), pooled_height, pooled_width}, type);
  if (out.numel() > 0) {
    if (type == ScalarType::Double) pool_all<double>(images, dense_rois, spatial_scale, sampling_ratio, out);
    else pool_all<float>(images, dense_rois, spatial_scale, sampling_ratio, out);
  }
  return typed(out, input.scalar_type());
}

// Threads share the channels, so that each sum is one thread's.
template <class T>
void spread_all(const Tensor& grad, const Tensor& rois, double scale, int64_t sampling_ratio, Tensor& image) {
  const TurnedShape shape{image.size(2), image.size(3), grad.size(2), grad.size(3)};
  const int64_t channels = image.size(1), together = 16, blocks = (channels + together - 1) / together;
  const auto all = turned<T>(rois, shape, image.size(0), T(scale), sampling_ratio);
  const T *corners = read<T>(rois), *bins = read<T>(grad);
  T* data = write<T>(image);
  torch::stable::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    const Buffer<T> room(9 * shape.bins());
    for (int64_t task = begin * int64_t(all.size()); task < end * int64_t(all.size()); ++task) {
      const int64_t k = task % int64_t(all.size()), first = task / int64_t(all.size()) * together;
      if (all[k].down * all[k].across == 0) continue;
      const auto planes = planes_of<T>(data, image, image_of(corners + 6 * k, image.size(0)), first, 1,
                                       std::min(together, channels - first));
      const T* from = bins + (k * channels + first) * shape.bins();
      if constexpr (sizeof(T) == 8)
        PODIUM_SELECT(turned_spread_f64)(shape, all[k], from, planes, room.get());
      else
        PODIUM_SELECT(turned_spread_f32)(shape, all[k], from, planes, room.get());
    }
  });
}

Tensor roi_align_rotated_backward(const Tensor& grad, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                                  int64_t pooled_width, int64_t sampling_ratio, int64_t batch, int64_t channels,
                                  int64_t height, int64_t width) {
  check_turned(rois, pooled_height, pooled_width, height, width);
  check_roi(grad.dim() == 4 && grad.size(0) == rois.size(0) && grad.size(1) == channels &&
                grad.size(2) == pooled_height && grad.size(3) == pooled_width,
            "grad must be (K, C, pooled_height, pooled_width)");
  const ScalarType type = compute_type(grad);
  Tensor image = new_tensor(grad, {batch, channels, height, width}, type);
  torch::stable::zero_(image);
  if (grad.numel() > 0 && image.numel() > 0) {
    const Tensor dense_grad = dense(grad, type), dense_rois = dense(rois, type);
    if (type == ScalarType::Double) spread_all<double>(dense_grad, dense_rois, spatial_scale, sampling_ratio, image);
    else spread_all<float>(dense_grad, dense_rois, spatial_scale, sampling_ratio, image);
  }
  return typed(image, grad.scalar_type());
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("roi_align_rotated", TORCH_BOX(&roi_align_rotated));
  m.impl("roi_align_rotated_backward", TORCH_BOX(&roi_align_rotated_backward));
}

}  // namespace podium
