// Pooling by separable taps: RoIAlign (arXiv 1703.06870), its position-sensitive form and average pooling differ only in
// their taps. An image is taken a cache line of channels at a time: those planes are packed to lines of channels, which
// for usual maps stay in the second-level cache while all RoIs of the image read them.
#include "roi_align_kernels.h"

#include "roi_lanes.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

// sums[s] (+)= the R row taps of column s.
template <class T, int R, bool fresh>
inline void reduce_rows(const T* lines, int64_t pitch, const Tap<T>* taps, int64_t y0, const int64_t* columns, int64_t x0,
                        int64_t count, T* sums) {
  constexpr int64_t L = lanes<T>;
  const T* row[R];
  T weight[R];
  for (int r = 0; r < R; ++r) row[r] = lines + (taps[r].at - y0) * pitch, weight[r] = taps[r].weight;
  for (int64_t s = 0; s < count; ++s) {
    const int64_t at = (columns[s] - x0) * L;
    Line<T> sum = fresh ? splat(T(0)) : load(sums + s * L);
    for (int r = 0; r < R; ++r) add_scaled(sum, weight[r], load(row[r] + at));
    store(sums + s * L, sum);
  }
}

template <class T, bool fresh>
inline void reduce_some(int64_t rows, const T* lines, int64_t pitch, const Tap<T>* taps, int64_t y0,
                        const int64_t* columns, int64_t x0, int64_t count, T* sums) {
  if (rows >= 4) return reduce_rows<T, 4, fresh>(lines, pitch, taps, y0, columns, x0, count, sums);
  if (rows == 3) return reduce_rows<T, 3, fresh>(lines, pitch, taps, y0, columns, x0, count, sums);
  if (rows == 2) return reduce_rows<T, 2, fresh>(lines, pitch, taps, y0, columns, x0, count, sums);
  return reduce_rows<T, 1, fresh>(lines, pitch, taps, y0, columns, x0, count, sums);
}

// One row of bins: tile[q] = the `width` column taps of bin q. W is the width where it is known to the compiler.
template <class T, int W>
inline void reduce_columns(const T* sums, const Tap<T>* taps, int64_t width, int64_t first, int64_t last, T* tile) {
  constexpr int64_t L = lanes<T>;
  if (W) width = W;
  for (int64_t q = first; q < last; ++q) {
    Line<T> sum = splat(T(0));
    for (int64_t i = 0; i < width; ++i) {
      const Tap<T>& tap = taps[q * width + i];
      add_scaled(sum, tap.weight, load(sums + tap.at * L));
    }
    store(tile + q * L, sum);
  }
}

template <class T>
void pool(const RoiWork<T>& work, const Planes<const T>& image, const Planes<T>& out, int64_t roi_step, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t pooled_width = work.pooled_width;
  const Rect bins{work.row_first, work.column_first, work.row_last, work.column_last};
  Rect rect = work.rect;
  T* tile = scratch;
  T* turned = tile + work.pooled_height * pooled_width * L;
  T* sums = turned + work.pooled_height * pooled_width * L;
  if (!work.one_by_one && rect.area() > 0) {
    int64_t most = 0;
    for (int64_t i = 0; i < work.count; ++i) {
      const int64_t count = work.rois[work.members[i]].count;
      most = count > most ? count : most;
    }
    pack(image, rect, sums + (most + 1) * L);
    scratch = sums + (most + 1) * L;
  }
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiTaps& roi = work.rois[work.members[i]];
    const int64_t* columns = work.ends + roi.columns;
    const Tap<T>* column_taps = work.taps + roi.column_taps;
    T* lines = scratch;
    if (work.one_by_one) {
      rect = roi.window;
      lines = sums + (roi.count + 1) * L;
      pack(image, rect, lines);
    }
    const int64_t pitch = (rect.x1 - rect.x0) * L;
    store(sums + roi.count * L, splat(T(0)));  // what the padding of the column taps reads
    for (int64_t p = bins.y0; p < bins.y1; ++p) {
      const Tap<T>* taps = work.taps + work.ends[roi.row_ends + p];
      int64_t rows = work.ends[roi.row_ends + p + 1] - work.ends[roi.row_ends + p];
      T* tile_row = tile + p * pooled_width * L;
      if (rows == 0 || roi.count == 0) {
        std::memset(tile_row, 0, pooled_width * L * sizeof(T));
        continue;
      }
      reduce_some<T, true>(rows, lines, pitch, taps, rect.y0, columns, rect.x0, roi.count, sums);
      for (; rows > 4; rows -= 4)
        reduce_some<T, false>(rows - 4, lines, pitch, taps += 4, rect.y0, columns, rect.x0, roi.count, sums);
      auto reduce = &reduce_columns<T, 0>;
      if (roi.width == 2) reduce = &reduce_columns<T, 2>;
      if (roi.width == 3) reduce = &reduce_columns<T, 3>;
      if (roi.width == 4) reduce = &reduce_columns<T, 4>;
      reduce(sums, column_taps, roi.width, bins.x0, bins.x1, tile_row);
    }
    const Planes<T> to{out.data + work.members[i] * roi_step, out.channels, out.channel, out.row, out.column};
    if (bins.area() == work.pooled_height * pooled_width && out.row == pooled_width * out.column) {
      unpack_row(tile, bins.area(), to, turned);  // bins follow each other: one long row
    } else {
      for (int64_t p = bins.y0; p < bins.y1; ++p)
        unpack(tile + (p * pooled_width + bins.x0) * L, Rect{p, bins.x0, p + 1, bins.x1}, to);
    }
  }
}

// lines += weight * sums, R rows at once.
template <class T, int R>
inline void spread_rows(T* lines, int64_t pitch, const Tap<T>* taps, int64_t y0, const int64_t* columns, int64_t x0,
                        int64_t count, const T* sums) {
  constexpr int64_t L = lanes<T>;
  T* row[R];
  T weight[R];
  for (int r = 0; r < R; ++r) row[r] = lines + (taps[r].at - y0) * pitch, weight[r] = taps[r].weight;
  for (int64_t s = 0; s < count; ++s) {
    const int64_t at = (columns[s] - x0) * L;
    const Line<T> sum = load(sums + s * L);
    for (int r = 0; r < R; ++r) {
      Line<T> line = load(row[r] + at);
      add_scaled(line, weight[r], sum);
      store(row[r] + at, line);
    }
  }
}

// Zero in pixels [first, last) of a row, all channels.
template <class T>
void clear(const Planes<T>& image, int64_t y, int64_t first, int64_t last) {
  T* row = image.data + y * image.row;
  if (image.channel == 1) {
    for (int64_t x = first; x < last; ++x) std::memset(row + x * image.column, 0, image.channels * sizeof(T));
    return;
  }
  for (int64_t c = 0; c < image.channels; ++c)
    for (int64_t x = first; x < last; ++x) row[c * image.channel + x * image.column] = 0;
}

template <class T>
void spread(const RoiWork<T>& work, const Planes<const T>& grad, int64_t roi_step, const Planes<T>& image, int64_t height,
            int64_t width, bool add, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t pooled_width = work.pooled_width;
  const Rect bins{work.row_first, work.column_first, work.row_last, work.column_last};
  const Rect& rect = work.rect;
  const int64_t pitch = (rect.x1 - rect.x0) * L;
  if (!add)
    for (int64_t y = 0; y < height; ++y) {
      const bool inside = y >= rect.y0 && y < rect.y1;
      clear(image, y, 0, inside ? rect.x0 : width);
      clear(image, y, inside ? rect.x1 : width, width);
    }
  if (rect.area() == 0) return;
  T* lines = scratch;
  T* tile = lines + rect.area() * L;
  T* sums = tile + work.pooled_height * pooled_width * L;
  if (add)
    pack(Planes<const T>{image.data, image.channels, image.channel, image.row, image.column}, rect, lines);
  else
    std::memset(lines, 0, rect.area() * L * sizeof(T));
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiTaps& roi = work.rois[work.members[i]];
    if (roi.count == 0) continue;
    const int64_t* columns = work.ends + roi.columns;
    const Planes<const T> from{grad.data + work.members[i] * roi_step, grad.channels, grad.channel, grad.row, grad.column};
    if (bins.area() == work.pooled_height * pooled_width && grad.row == pooled_width * grad.column) {
      pack(from, Rect{0, 0, 1, bins.area()}, tile);
    } else {
      for (int64_t p = bins.y0; p < bins.y1; ++p)
        pack(from, Rect{p, bins.x0, p + 1, bins.x1}, tile + (p * pooled_width + bins.x0) * L);
    }
    for (int64_t p = bins.y0; p < bins.y1; ++p) {
      const Tap<T>* taps = work.taps + work.ends[roi.row_ends + p];
      int64_t rows = work.ends[roi.row_ends + p + 1] - work.ends[roi.row_ends + p];
      if (rows == 0) continue;
      std::memset(sums, 0, (roi.count + 1) * L * sizeof(T));
      for (int64_t q = bins.x0; q < bins.x1; ++q) {
        const Line<T> value = load(tile + (p * pooled_width + q) * L);
        const Tap<T>* tap = work.taps + roi.column_taps + q * roi.width;
        for (int64_t j = 0; j < roi.width; ++j) {
          Line<T> sum = load(sums + tap[j].at * L);
          add_scaled(sum, tap[j].weight, value);
          store(sums + tap[j].at * L, sum);
        }
      }
      for (; rows >= 2; rows -= 2, taps += 2)
        spread_rows<T, 2>(lines, pitch, taps, rect.y0, columns, rect.x0, roi.count, sums);
      if (rows) spread_rows<T, 1>(lines, pitch, taps, rect.y0, columns, rect.x0, roi.count, sums);
    }
  }
  unpack(lines, rect, image);
}

}  // namespace

void roi_pool_taps_f32(const RoiWork<float>& work, const Planes<const float>& image, const Planes<float>& out,
                       int64_t roi_step, float* scratch) {
  pool(work, image, out, roi_step, scratch);
}

void roi_pool_taps_f64(const RoiWork<double>& work, const Planes<const double>& image, const Planes<double>& out,
                       int64_t roi_step, double* scratch) {
  pool(work, image, out, roi_step, scratch);
}

void roi_spread_taps_f32(const RoiWork<float>& work, const Planes<const float>& grad, int64_t roi_step,
                         const Planes<float>& image, int64_t height, int64_t width, bool add, float* scratch) {
  spread(work, grad, roi_step, image, height, width, add, scratch);
}

void roi_spread_taps_f64(const RoiWork<double>& work, const Planes<const double>& grad, int64_t roi_step,
                         const Planes<double>& image, int64_t height, int64_t width, bool add, double* scratch) {
  spread(work, grad, roi_step, image, height, width, add, scratch);
}

}  // namespace PODIUM_ISA
}  // namespace podium
