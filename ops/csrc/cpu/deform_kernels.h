#pragma once

#include <cstdint>

#include "isa.h"

namespace podium {

// A convolution whose taps are moved: sizes of one image, and where output pixel (i, j) starts to look.
struct DeformShape {
  int64_t channels, height, width;          // of the input
  int64_t kernel_height, kernel_width;
  int64_t stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
  int64_t groups;                           // of channels that share their offsets
  int64_t out_height, out_width;
  int64_t taps() const { return kernel_height * kernel_width; }
  int64_t pixels() const { return out_height * out_width; }
  int64_t group_channels() const { return channels / groups; }
};

// For one image; `at` is group * taps + tap. input (channels, height, width), offset (groups * taps * 2, pixels) as y
// and x, mask (groups * taps, pixels) or null, columns (channels, taps, pixels).
//
// columns: fills the columns of one `at`; `room` has space for 8 * pixels numbers.
// coordinates: gradients of offset and mask (unless null) of one `at`; room: 11 * pixels.
// image: adds to the gradient of the channels [first, last) of one group, in the order of its taps; room: 8 * pixels.
#define PODIUM_DEFORM(T, suffix)                                                                                      \
  void deform_columns_##suffix(const DeformShape& shape, const T* input, const T* offset, const T* mask, int64_t at,  \
                               T* columns, T* room);                                                                  \
  void deform_coordinates_##suffix(const DeformShape& shape, const T* grad, const T* input, const T* offset,          \
                                   const T* mask, int64_t at, T* grad_offset, T* grad_mask, T* room);                 \
  void deform_image_##suffix(const DeformShape& shape, const T* grad, const T* offset, const T* mask, int64_t group,  \
                             int64_t first, int64_t last, T* grad_input, T* room);
PODIUM_EACH_ISA(PODIUM_DEFORM(float, f32) PODIUM_DEFORM(double, f64))
#undef PODIUM_DEFORM

}  // namespace podium
