#include <array>

#include "roi_binding.h"
#include "roi_plan.h"
#include "roi_pool_kernels.h"

namespace podium {
namespace {

template <class T>
void pool(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height, int64_t pooled_width,
          Tensor& out, Tensor& argmax) {
  constexpr int64_t L = lanes<T>;
  const int64_t images = input.size(0), channels = input.size(1), height = input.size(2), width = input.size(3);
  const int64_t k = rois.size(0), bins = pooled_height * pooled_width, blocks = (channels + L - 1) / L;
  const T* corners = read<T>(rois);
  const T scale = T(spatial_scale);
  std::vector<RoiBins> plan(k);
  std::vector<int64_t> bounds;
  bounds.reserve(k * 2 * (pooled_height + pooled_width));
  std::vector<std::vector<int64_t>> members(images);
  for (int64_t i = 0; i < k; ++i) {
    const T* roi = corners + 5 * i;
    const int64_t image = image_of(roi, images);
    members[std::max<int64_t>(image, 0)].push_back(i);
    plan[i].bounds = int64_t(bounds.size());
    bounds.resize(bounds.size() + 2 * (pooled_height + pooled_width), 0);
    if (image < 0) {
      plan[i].window = {};
      continue;
    }
    const PixelAxis<T> y(roi[2] * scale, roi[4] * scale, true, pooled_height, height);
    const PixelAxis<T> x(roi[1] * scale, roi[3] * scale, true, pooled_width, width);
    int64_t* at = bounds.data() + plan[i].bounds;
    Rect window{INT64_MAX, INT64_MAX, 0, 0};
    for (int64_t p = 0; p < pooled_height; ++p, at += 2) {
      y.bounds(p, at[0], at[1]);
      window.y0 = std::min(window.y0, at[0]), window.y1 = std::max(window.y1, at[1]);
    }
    for (int64_t q = 0; q < pooled_width; ++q, at += 2) {
      x.bounds(q, at[0], at[1]);
      window.x0 = std::min(window.x0, at[0]), window.x1 = std::max(window.x1, at[1]);
    }
    plan[i].window = window;
  }
  std::vector<RoiMaxWork> works(images);
  int64_t scratch_size = 0;
  for (int64_t n = 0; n < images; ++n) {
    Rect rect{INT64_MAX, INT64_MAX, 0, 0};
    int64_t windows = 0, largest = 0;
    for (const int64_t i : members[n]) {
      const Rect& window = plan[i].window;
      if (window.area() == 0) continue;
      rect = {std::min(rect.y0, window.y0), std::min(rect.x0, window.x0), std::max(rect.y1, window.y1),
              std::max(rect.x1, window.x1)};
      windows += window.area();
      largest = std::max(largest, window.area());
    }
    if (rect.y1 == 0) rect = {};
    const bool one_by_one = windows < rect.area();
    works[n] = {plan.data(), bounds.data(), members[n].data(), int64_t(members[n].size()), pooled_height, pooled_width,
                width, rect, one_by_one};
    scratch_size = std::max(scratch_size, roi_max_scratch<T>(one_by_one ? largest : rect.area(), bins));
  }
  int32_t* positions = write<int32_t>(argmax);
  torch::stable::parallel_for(0, blocks * images, 1, [&](int64_t first, int64_t last) {
    const auto scratch = aligned_memory<T>(scratch_size);
    for (int64_t task = first; task < last; ++task) {
      const int64_t n = task % images, channel = task / images * L, taken = std::min(L, channels - channel);
      if (works[n].count == 0) continue;
      const auto from = planes_of<const T>(read<T>(input), input, n, channel, 1, taken);
      const auto to = planes_of<T>(write<T>(out), out, 0, channel, 1, taken);
      int32_t* where = positions + channel * argmax.stride(1);
      if constexpr (sizeof(T) == 8)
        PODIUM_SELECT(roi_max_f64)(works[n], from, to, where, out.stride(0), scratch.get());
      else
        PODIUM_SELECT(roi_max_f32)(works[n], from, to, where, out.stride(0), scratch.get());
    }
  });
}

std::tuple<Tensor, Tensor> roi_pool(const Tensor& input, const Tensor& rois, double spatial_scale,
                                    int64_t pooled_height, int64_t pooled_width) {
  check_roi(input.dim() == 4, "input must be (N, C, H, W)");
  check_roi(rois.dim() == 2 && rois.size(1) == 5, "rois must have shape (K, 5)");
  check_roi(pooled_height > 0 && pooled_width > 0, "the output size must be positive");
  check_roi(input.size(2) * input.size(3) <= INT32_MAX, "input must have fewer than 2**31 pixels");
  const ScalarType type = compute_type(input);
  const bool last = channels_last(input);
  const int64_t k = rois.size(0), channels = input.size(1);
  Tensor out = new_planes(input, k, channels, pooled_height, pooled_width, type, last);
  Tensor argmax = new_planes(input, k, channels, pooled_height, pooled_width, ScalarType::Int, last);
  if (out.numel() > 0 && input.size(0) == 0) {
    torch::stable::zero_(out);
    torch::stable::fill_(argmax, -1);
  } else if (out.numel() > 0) {
    const Tensor images = typed(input, type), dense_rois = dense(rois, type);
    if (type == ScalarType::Double)
      pool<double>(images, dense_rois, spatial_scale, pooled_height, pooled_width, out, argmax);
    else
      pool<float>(images, dense_rois, spatial_scale, pooled_height, pooled_width, out, argmax);
  }
  return {typed(out, input.scalar_type()), argmax};
}

Tensor direct_roi_pool(const Tensor& input, const Tensor& rois, double spatial_scale, int64_t pooled_height,
                       int64_t pooled_width) {
  const Tensor source = checked_rois(input, rois, spatial_scale, pooled_height, pooled_width, 0);
  return std::get<0>(roi_pool(input, source, spatial_scale, pooled_height, pooled_width));
}

// Threads share the channels, so no two add to one plane and sums are in the order of the RoIs.
template <class T>
void spread(const Tensor& grad, const Tensor& argmax, const Tensor& rois, Tensor& image) {
  const int64_t channels = image.size(1), pixels = image.size(2) * image.size(3), width = image.size(3);
  const int64_t k = grad.size(0), rows = grad.size(2), columns = grad.size(3), images = image.size(0);
  const T* corners = read<T>(rois);
  // Read once: each is a call into torch.
  const Planes<const T> from = planes_of<const T>(read<T>(grad), grad, 0, 0, 1, channels);
  const Planes<const int32_t> at = planes_of<const int32_t>(read<int32_t>(argmax), argmax, 0, 0, 1, channels);
  const Planes<T> planes = planes_of<T>(write<T>(image), image, 0, 0, 1, channels);
  const int64_t grad_step = grad.stride(0), argmax_step = argmax.stride(0), image_step = image.stride(0);
  const bool usual = planes.column == 1 && planes.row == width;
  constexpr int64_t together = 16;  // channels whose planes stay cached while all RoIs pass
  const int64_t blocks = (channels + together - 1) / together;
  torch::stable::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t task = first * k; task < last * k; ++task) {
      const int64_t i = task % k, block = task / k;
      const int64_t n = image_of(corners + 5 * i, images);
      if (n < 0) continue;
      for (int64_t c = block * together; c < std::min(channels, (block + 1) * together); ++c) {
        T* plane = planes.data + n * image_step + c * planes.channel;
        const T* values = from.data + i * grad_step + c * from.channel;
        const int32_t* positions = at.data + i * argmax_step + c * at.channel;
        for (int64_t p = 0; p < rows; ++p)
          for (int64_t q = 0; q < columns; ++q) {
            const int64_t pixel = positions[p * at.row + q * at.column];
            if (pixel < 0 || pixel >= pixels) continue;
            plane[usual ? pixel : pixel / width * planes.row + pixel % width * planes.column] +=
                values[p * from.row + q * from.column];
          }
      }
    }
  });
}

Tensor roi_pool_backward(const Tensor& grad, const Tensor& argmax, const Tensor& rois, int64_t batch, int64_t channels,
                         int64_t height, int64_t width) {
  check_roi(rois.dim() == 2 && rois.size(1) == 5, "rois must have shape (K, 5)");
  bool same = grad.dim() == 4 && argmax.dim() == 4 && grad.size(0) == rois.size(0) && grad.size(1) == channels;
  for (int64_t d = 0; same && d < 4; ++d) same = grad.size(d) == argmax.size(d);
  check_roi(same, "grad and argmax must be (K, C, height, width) alike");
  check_roi(argmax.scalar_type() == ScalarType::Int, "argmax must be int32");
  const ScalarType type = compute_type(grad);
  Tensor image = new_planes(grad, batch, channels, height, width, type, channels_last(grad));
  torch::stable::zero_(image);
  if (grad.numel() > 0 && image.numel() > 0) {
    const Tensor typed_grad = typed(grad, type), dense_rois = dense(rois, type);
    if (type == ScalarType::Double)
      spread<double>(typed_grad, argmax, dense_rois, image);
    else
      spread<float>(typed_grad, argmax, dense_rois, image);
  }
  return typed(image, grad.scalar_type());
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("direct_roi_pool", TORCH_BOX(&direct_roi_pool));
  m.impl("roi_pool", TORCH_BOX(&roi_pool));
  m.impl("roi_pool_backward", TORCH_BOX(&roi_pool_backward));
}

}  // namespace podium
