#include <algorithm>
#include <array>
#include <optional>

#include "../binding.h"
#include "buffer.h"
#include "deform_kernels.h"

namespace podium {
namespace {

struct Inputs {
  Tensor input, offset, mask;
  bool masked;
  DeformShape shape;
  int64_t images;
};

Inputs inputs_of(const Tensor& input, const Tensor& offset, const std::optional<Tensor>& mask, int64_t kernel_height,
                 int64_t kernel_width, int64_t stride_y, int64_t stride_x, int64_t padding_y, int64_t padding_x,
                 int64_t dilation_y, int64_t dilation_x) {
  const int64_t taps = kernel_height * kernel_width;
  STD_TORCH_CHECK(input.dim() == 4 && offset.dim() == 4 && kernel_height > 0 && kernel_width > 0 && stride_y > 0 &&
                      stride_x > 0 && padding_y >= 0 && padding_x >= 0 && dilation_y > 0 && dilation_x > 0,
                  "input and offset must be 4-d, and sizes positive");
  const int64_t groups = offset.size(1) / (2 * taps);
  DeformShape shape{input.size(1), input.size(2), input.size(3), kernel_height, kernel_width, stride_y, stride_x,
                    padding_y, padding_x, dilation_y, dilation_x, groups, offset.size(2), offset.size(3)};
  STD_TORCH_CHECK(groups > 0 && offset.size(1) == 2 * taps * groups && shape.channels % groups == 0 &&
                      offset.size(0) == input.size(0),
                  "offset must have 2 channels for each tap of each group, and a row for each image");
  STD_TORCH_CHECK(shape.height * shape.width < INT32_MAX, "input must have fewer than 2**31 - 1 pixels");
  if (mask)
    STD_TORCH_CHECK(mask->dim() == 4 && mask->size(0) == input.size(0) && mask->size(1) == taps * groups &&
                        mask->size(2) == shape.out_height && mask->size(3) == shape.out_width,
                    "mask must have a channel for each tap of each group");
  const ScalarType type = compute_type(input);
  return {dense(input, type), dense(offset, type), mask ? dense(*mask, type) : offset, mask.has_value(), shape,
          input.size(0)};
}

template <class T>
void fill_columns(const Inputs& from, Tensor& out) {
  const DeformShape& shape = from.shape;
  const int64_t places = shape.groups * shape.taps(), pixels = shape.pixels();
  T* columns = write<T>(out);
  torch::stable::parallel_for(0, from.images * places, 1, [&](int64_t begin, int64_t end) {
    const Buffer<T> room(8 * pixels);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / places;
      const T* input = read<T>(from.input) + n * shape.channels * shape.height * shape.width;
      const T* offset = read<T>(from.offset) + n * 2 * places * pixels;
      const T* mask = from.masked ? read<T>(from.mask) + n * places * pixels : nullptr;
      T* to = columns + n * shape.channels * shape.taps() * pixels;
      if constexpr (sizeof(T) == 8)
        PODIUM_SELECT(deform_columns_f64)(shape, input, offset, mask, task % places, to, room.get());
      else
        PODIUM_SELECT(deform_columns_f32)(shape, input, offset, mask, task % places, to, room.get());
    }
  });
}

Tensor deform_columns(const Tensor& input, const Tensor& offset, const std::optional<Tensor>& mask,
                      int64_t kernel_height, int64_t kernel_width, int64_t stride_y, int64_t stride_x,
                      int64_t padding_y, int64_t padding_x, int64_t dilation_y, int64_t dilation_x) {
  const Inputs from = inputs_of(input, offset, mask, kernel_height, kernel_width, stride_y, stride_x, padding_y,
                                padding_x, dilation_y, dilation_x);
  const DeformShape& shape = from.shape;
  Tensor out = new_tensor(from.input, {from.images, shape.channels * shape.taps(), shape.pixels()},
                          from.input.scalar_type());
  if (out.numel() == 0) return out;
  from.input.scalar_type() == ScalarType::Double ? fill_columns<double>(from, out) : fill_columns<float>(from, out);
  return out;
}

template <class T>
void spread_columns(const Inputs& from, const Tensor& grad, Tensor& image, Tensor& moved, Tensor& scaled) {
  const DeformShape& shape = from.shape;
  const int64_t places = shape.groups * shape.taps(), pixels = shape.pixels(), own = shape.group_channels();
  const int64_t image_size = shape.channels * shape.height * shape.width, size = shape.channels * shape.taps() * pixels;
  T *to_image = write<T>(image), *to_offset = write<T>(moved), *to_mask = from.masked ? write<T>(scaled) : nullptr;
  const auto mask_of = [&](int64_t n) { return from.masked ? read<T>(from.mask) + n * places * pixels : nullptr; };
  const auto offset_of = [&](int64_t n) { return read<T>(from.offset) + n * 2 * places * pixels; };
  torch::stable::parallel_for(0, from.images * places, 1, [&](int64_t begin, int64_t end) {
    const Buffer<T> room(11 * pixels);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / places;
      const auto run = [&](auto kernel) {
        kernel(shape, read<T>(grad) + n * size, read<T>(from.input) + n * image_size, offset_of(n), mask_of(n),
               task % places, to_offset + n * 2 * places * pixels, to_mask ? to_mask + n * places * pixels : nullptr,
               room.get());
      };
      if constexpr (sizeof(T) == 8) run(PODIUM_SELECT(deform_coordinates_f64));
      else run(PODIUM_SELECT(deform_coordinates_f32));
    }
  });
  // Threads share the channels, so that each sum is one thread's. Some at once: where samples are is worked out for each.
  const int64_t together = std::min<int64_t>(16, own), blocks = (own + together - 1) / together;
  torch::stable::parallel_for(0, from.images * shape.groups * blocks, 1, [&](int64_t begin, int64_t end) {
    const Buffer<T> room(8 * pixels);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / blocks / shape.groups, group = task / blocks % shape.groups;
      const int64_t first = group * own + task % blocks * together, last = std::min(first + together, (group + 1) * own);
      const auto run = [&](auto kernel) {
        kernel(shape, read<T>(grad) + n * size, offset_of(n), mask_of(n), group, first, last, to_image + n * image_size,
               room.get());
      };
      if constexpr (sizeof(T) == 8) run(PODIUM_SELECT(deform_image_f64));
      else run(PODIUM_SELECT(deform_image_f32));
    }
  });
}

// The gradients of input, offset and mask; of no mask an empty tensor.
std::tuple<Tensor, Tensor, Tensor> deform_columns_backward(const Tensor& grad, const Tensor& input,
                                                           const Tensor& offset, const std::optional<Tensor>& mask,
                                                           int64_t kernel_height, int64_t kernel_width,
                                                           int64_t stride_y, int64_t stride_x, int64_t padding_y,
                                                           int64_t padding_x, int64_t dilation_y, int64_t dilation_x) {
  const Inputs from = inputs_of(input, offset, mask, kernel_height, kernel_width, stride_y, stride_x, padding_y,
                                padding_x, dilation_y, dilation_x);
  const DeformShape& shape = from.shape;
  STD_TORCH_CHECK(grad.dim() == 3 && grad.size(0) == from.images &&
                      grad.size(1) == shape.channels * shape.taps() && grad.size(2) == shape.pixels(),
                  "grad must have the shape of the columns");
  const ScalarType type = from.input.scalar_type();
  Tensor image = new_tensor(from.input, {from.images, shape.channels, shape.height, shape.width}, type);
  Tensor moved = new_tensor(from.input, {from.images, offset.size(1), shape.out_height, shape.out_width}, type);
  Tensor scaled = from.masked
                      ? new_tensor(from.input, {from.images, offset.size(1) / 2, shape.out_height, shape.out_width}, type)
                      : new_tensor(from.input, {0}, type);
  torch::stable::zero_(image);
  if (grad.numel() == 0) {
    torch::stable::zero_(moved);
    torch::stable::zero_(scaled);
    return {image, moved, scaled};
  }
  const Tensor typed_grad = dense(grad, type);
  if (type == ScalarType::Double) spread_columns<double>(from, typed_grad, image, moved, scaled);
  else spread_columns<float>(from, typed_grad, image, moved, scaled);
  return {image, moved, scaled};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(podium, CPU, m) {
  m.impl("deform_columns", TORCH_BOX(&deform_columns));
  m.impl("deform_columns_backward", TORCH_BOX(&deform_columns_backward));
}

}  // namespace podium
