// RoIAlign of turned boxes, as in detectron2 (RRPN, arXiv 1703.01086): the samples of a bin lie on a turned grid, so that
// their taps are no product of rows and columns. The samples of all bins at one place of the grid go together: where
// they are is worked out once for all channels, over whose planes the inner loop then gathers.
#include "roi_rotated_kernels.h"

#include <type_traits>

namespace podium {
namespace PODIUM_ISA {
namespace {

template <class T>
using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// What one sample of each bin takes of four pixels; nothing where it is more than a pixel outside.
template <class T>
struct Taps {
  Place<T>* place[4];
  T* weight[4];

  Taps(T* room, int64_t bins) {
    for (int i = 0; i < 4; ++i) {
      place[i] = reinterpret_cast<Place<T>*>(room + i * bins);
      weight[i] = room + (4 + i) * bins;
    }
  }

  void find(const TurnedShape& shape, const TurnedRoi<T>& roi, int64_t down, int64_t across, T share, int64_t row_step,
            int64_t column_step) {
    const T bin_height = roi.height / T(shape.pooled_height), bin_width = roi.width / T(shape.pooled_width);
    const T height = T(shape.height), width = T(shape.width);
    for (int64_t p = 0, b = 0; p < shape.pooled_height; ++p) {
      const T v = -roi.height / T(2) + T(p) * bin_height + (T(down) + T(.5)) * bin_height / T(roi.down);
      for (int64_t q = 0; q < shape.pooled_width; ++q, ++b) {
        const T u = -roi.width / T(2) + T(q) * bin_width + (T(across) + T(.5)) * bin_width / T(roi.across);
        T y = v * roi.cosine - u * roi.sine + roi.y, x = v * roi.sine + u * roi.cosine + roi.x;
        const bool inside = y >= T(-1) && y <= height && x >= T(-1) && x <= width;  // false for NaN, too
        y = inside && y > T(0) ? y : T(0), x = inside && x > T(0) ? x : T(0);
        int64_t top = int64_t(y), left = int64_t(x), bottom = top + 1, right = left + 1;
        if (top >= shape.height - 1) bottom = top = shape.height - 1, y = T(top);
        if (left >= shape.width - 1) right = left = shape.width - 1, x = T(left);
        const T dy = y - T(top), dx = x - T(left), whole = inside ? share : T(0);
        place[0][b] = Place<T>(top * row_step + left * column_step);
        place[1][b] = Place<T>(top * row_step + right * column_step);
        place[2][b] = Place<T>(bottom * row_step + left * column_step);
        place[3][b] = Place<T>(bottom * row_step + right * column_step);
        weight[0][b] = (1 - dy) * (1 - dx) * whole, weight[1][b] = (1 - dy) * dx * whole;
        weight[2][b] = dy * (1 - dx) * whole, weight[3][b] = dy * dx * whole;
      }
    }
  }
};

// A weight of 0 takes nothing, not even NaN.
template <class T>
inline __attribute__((always_inline)) T taken(const T* plane, Place<T> place, T weight) {
  return weight == T(0) ? T(0) : weight * plane[place];
}

template <class T>
void pool(const TurnedShape& shape, const TurnedRoi<T>& roi, const Planes<const T>& image, T* out, T* room) {
  const int64_t bins = shape.bins();
  for (int64_t k = 0; k < image.channels * bins; ++k) out[k] = 0;
  Taps<T> taps(room, bins);
  const T share = T(1) / T(roi.down * roi.across);
  for (int64_t down = 0; down < roi.down; ++down)
    for (int64_t across = 0; across < roi.across; ++across) {
      taps.find(shape, roi, down, across, share, image.row, image.column);
      const auto [p0, p1, p2, p3] = taps.place;
      const auto [w0, w1, w2, w3] = taps.weight;
      for (int64_t c = 0; c < image.channels; ++c) {
        const T* plane = image.data + c * image.channel;
        T* to = out + c * bins;
#pragma GCC ivdep
        for (int64_t b = 0; b < bins; ++b)
          to[b] += taken(plane, p0[b], w0[b]) + taken(plane, p1[b], w1[b]) + taken(plane, p2[b], w2[b]) +
                   taken(plane, p3[b], w3[b]);
      }
    }
}

template <class T>
void spread(const TurnedShape& shape, const TurnedRoi<T>& roi, const T* grad, const Planes<T>& image, T* room) {
  const int64_t bins = shape.bins();
  Taps<T> taps(room, bins);
  const T share = T(1) / T(roi.down * roi.across);
  for (int64_t down = 0; down < roi.down; ++down)
    for (int64_t across = 0; across < roi.across; ++across) {
      taps.find(shape, roi, down, across, share, image.row, image.column);
      for (int64_t c = 0; c < image.channels; ++c) {
        T* plane = image.data + c * image.channel;
        const T* from = grad + c * bins;
        for (int64_t b = 0; b < bins; ++b)
          for (int i = 0; i < 4; ++i)
            if (taps.weight[i][b] != T(0)) plane[taps.place[i][b]] += taps.weight[i][b] * from[b];
      }
    }
}

}  // namespace

#define PODIUM_TURNED(T, suffix)                                                                                     \
  void turned_pool_##suffix(const TurnedShape& shape, const TurnedRoi<T>& roi, const Planes<const T>& image, T* out, \
                            T* room) {                                                                               \
    pool(shape, roi, image, out, room);                                                                              \
  }                                                                                                                  \
  void turned_spread_##suffix(const TurnedShape& shape, const TurnedRoi<T>& roi, const T* grad,                      \
                              const Planes<T>& image, T* room) {                                                     \
    spread(shape, roi, grad, image, room);                                                                           \
  }
PODIUM_TURNED(float, f32)
PODIUM_TURNED(double, f64)
#undef PODIUM_TURNED

}  // namespace PODIUM_ISA
}  // namespace podium
