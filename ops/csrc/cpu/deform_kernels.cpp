// Deformable convolution (arXiv 1703.06211, with a mask 1811.11168), as columns for a matrix product: where each tap of
// each output pixel looks is worked out once, for all channels of its group, over which the inner loops then gather.
#include "deform_kernels.h"

#include <cmath>
#include <type_traits>

namespace podium {
namespace PODIUM_ISA {
namespace {

// As wide as the numbers, so that gathering by those fills as many lanes as these have.
template <class T>
using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The four neighbours of each output pixel's sample: corners (y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1), -1 for one
// outside, which counts as 0; and how far the sample is from the first.
template <class T>
struct Samples {
  Place<T>* corner[4];
  T *down, *right, *scale;  // scale: of the mask

  Samples(const DeformShape& shape, const T* offset, const T* mask, int64_t at, T* room) {
    const int64_t pixels = shape.pixels(), tap = at % shape.taps();
    for (int i = 0; i < 4; ++i) corner[i] = reinterpret_cast<Place<T>*>(room + i * pixels);
    down = room + 4 * pixels, right = down + pixels, scale = right + pixels;
    const int64_t ky = tap / shape.kernel_width * shape.dilation_y - shape.padding_y;
    const int64_t kx = tap % shape.kernel_width * shape.dilation_x - shape.padding_x;
    const T *dy = offset + 2 * at * pixels, *dx = dy + pixels;
    const T height = T(shape.height), width = T(shape.width);
    for (int64_t i = 0, p = 0; i < shape.out_height; ++i)
      for (int64_t j = 0; j < shape.out_width; ++j, ++p) {
        const T y = T(i * shape.stride_y + ky) + dy[p], x = T(j * shape.stride_x + kx) + dx[p];
        const bool inside = y > T(-1) && y < height && x > T(-1) && x < width;  // false for NaN, too
        const T top = inside ? std::floor(y) : T(0), left = inside ? std::floor(x) : T(0);
        const Place<T> row = Place<T>(top), column = Place<T>(left), first = row * Place<T>(shape.width) + column;
        const bool upper = inside && row >= 0, lower = inside && row + 1 < Place<T>(shape.height);
        const bool near = column >= 0, far = column + 1 < Place<T>(shape.width);
        corner[0][p] = upper && near ? first : -1;
        corner[1][p] = upper && far ? first + 1 : -1;
        corner[2][p] = lower && near ? first + Place<T>(shape.width) : -1;
        corner[3][p] = lower && far ? first + Place<T>(shape.width) + 1 : -1;
        down[p] = inside ? y - top : T(0);
        right[p] = inside ? x - left : T(0);
        scale[p] = mask ? mask[at * pixels + p] : T(1);
      }
  }
};

template <class T>
inline __attribute__((always_inline)) T value_at(const T* plane, Place<T> place) {
  return place < 0 ? T(0) : plane[place];
}

template <class T>
void columns_of(const DeformShape& shape, const T* input, const T* offset, const T* mask, int64_t at, T* columns,
                T* room) {
  const Samples<T> samples(shape, offset, mask, at, room);
  const int64_t pixels = shape.pixels(), taps = shape.taps(), first = at / taps * shape.group_channels();
  const auto [c0, c1, c2, c3] = samples.corner;
  for (int64_t c = first; c < first + shape.group_channels(); ++c) {
    const T* plane = input + c * shape.height * shape.width;
    T* column = columns + (c * taps + at % taps) * pixels;
#pragma GCC ivdep
    for (int64_t p = 0; p < pixels; ++p) {
      const T down = samples.down[p], right = samples.right[p];
      const T above = (1 - right) * value_at(plane, c0[p]) + right * value_at(plane, c1[p]);
      const T below = (1 - right) * value_at(plane, c2[p]) + right * value_at(plane, c3[p]);
      column[p] = samples.scale[p] * ((1 - down) * above + down * below);
    }
  }
}

template <class T>
void coordinates_of(const DeformShape& shape, const T* grad, const T* input, const T* offset, const T* mask, int64_t at,
                    T* grad_offset, T* grad_mask, T* room) {
  const Samples<T> samples(shape, offset, mask, at, room);
  const int64_t pixels = shape.pixels(), taps = shape.taps(), first = at / taps * shape.group_channels();
  const auto [c0, c1, c2, c3] = samples.corner;
  T *by_y = room + 8 * pixels, *by_x = by_y + pixels, *by_mask = by_x + pixels;
  for (int64_t p = 0; p < 3 * pixels; ++p) by_y[p] = 0;
  for (int64_t c = first; c < first + shape.group_channels(); ++c) {
    const T* plane = input + c * shape.height * shape.width;
    const T* column = grad + (c * taps + at % taps) * pixels;
#pragma GCC ivdep
    for (int64_t p = 0; p < pixels; ++p) {
      const T down = samples.down[p], right = samples.right[p], of_column = column[p];
      const T v0 = value_at(plane, c0[p]), v1 = value_at(plane, c1[p]);
      const T v2 = value_at(plane, c2[p]), v3 = value_at(plane, c3[p]);
      const T above = (1 - right) * v0 + right * v1, below = (1 - right) * v2 + right * v3;
      by_y[p] += of_column * (below - above);
      by_x[p] += of_column * ((1 - down) * (v1 - v0) + down * (v3 - v2));
      by_mask[p] += of_column * ((1 - down) * above + down * below);
    }
  }
  T *to_y = grad_offset + 2 * at * pixels, *to_x = to_y + pixels;
  for (int64_t p = 0; p < pixels; ++p) {
    to_y[p] = samples.scale[p] * by_y[p];
    to_x[p] = samples.scale[p] * by_x[p];
    if (grad_mask) grad_mask[at * pixels + p] = by_mask[p];
  }
}

template <class T>
void image_of(const DeformShape& shape, const T* grad, const T* offset, const T* mask, int64_t group, int64_t first,
              int64_t last, T* grad_input, T* room) {
  const int64_t pixels = shape.pixels(), taps = shape.taps();
  for (int64_t tap = 0; tap < taps; ++tap) {
    const Samples<T> samples(shape, offset, mask, group * taps + tap, room);
    const auto [c0, c1, c2, c3] = samples.corner;
    for (int64_t c = first; c < last; ++c) {
      T* plane = grad_input + c * shape.height * shape.width;
      const T* column = grad + (c * taps + tap) * pixels;
      for (int64_t p = 0; p < pixels; ++p) {
        const T value = samples.scale[p] * column[p], down = samples.down[p], right = samples.right[p];
        const T above = (1 - down) * value, below = down * value;
        if (c0[p] >= 0) plane[c0[p]] += (1 - right) * above;
        if (c1[p] >= 0) plane[c1[p]] += right * above;
        if (c2[p] >= 0) plane[c2[p]] += (1 - right) * below;
        if (c3[p] >= 0) plane[c3[p]] += right * below;
      }
    }
  }
}

}  // namespace

#define PODIUM_DEFORM(T, suffix)                                                                                      \
  void deform_columns_##suffix(const DeformShape& shape, const T* input, const T* offset, const T* mask, int64_t at,  \
                               T* columns, T* room) {                                                                 \
    columns_of(shape, input, offset, mask, at, columns, room);                                                        \
  }                                                                                                                   \
  void deform_coordinates_##suffix(const DeformShape& shape, const T* grad, const T* input, const T* offset,          \
                                   const T* mask, int64_t at, T* grad_offset, T* grad_mask, T* room) {                \
    coordinates_of(shape, grad, input, offset, mask, at, grad_offset, grad_mask, room);                               \
  }                                                                                                                   \
  void deform_image_##suffix(const DeformShape& shape, const T* grad, const T* offset, const T* mask, int64_t group,  \
                             int64_t first, int64_t last, T* grad_input, T* room) {                                   \
    image_of(shape, grad, offset, mask, group, first, last, grad_input, room);                                        \
  }
PODIUM_DEFORM(float, f32)
PODIUM_DEFORM(double, f64)
#undef PODIUM_DEFORM

}  // namespace PODIUM_ISA
}  // namespace podium
