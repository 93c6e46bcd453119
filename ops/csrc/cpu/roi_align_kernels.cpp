// Pooling by separable taps: RoIAlign (arXiv 1703.06870), its position-sensitive form and average pooling differ only
// in their taps. Work is on lines of channels. Planes are packed to those a cache line of channels at a time, which for
// usual maps stays in the second-level cache while all RoIs of the image read it; an image whose channels are innermost
// is worked on where it is, with all its channels as one long line.
#include "roi_align_kernels.h"

#include "roi_lanes.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

// Lines of `span` channels: that of pixel (y, x) is at row(y) + x * step.
template <class T>
struct Lines {
  T* origin;  // of pixel (0, 0), which need not be there
  int64_t pitch, step, span;

  Lines(T* packed, const Rect& rect) : pitch((rect.x1 - rect.x0) * lanes<T>), step(lanes<T>), span(lanes<T>) {
    origin = packed - rect.y0 * pitch - rect.x0 * step;
  }
  explicit Lines(const Planes<T>& image)
      : origin(image.data), pitch(image.row), step(image.column), span(image.channels) {}

  inline __attribute__((always_inline)) T* row(int64_t y) const { return origin + y * pitch; }
};

// sums[s] (+)= the R row taps of column s. `wide`: lines are longer than a cache line.
template <class T, int R, bool fresh, bool wide>
inline void reduce_rows(const Lines<const T>& lines, const Tap<T>* taps, const int64_t* columns, int64_t count,
                        T* sums) {
  constexpr int64_t L = lanes<T>;
  const int64_t span = wide ? lines.span : L;
  const T* row[R];
  T weight[R];
  for (int r = 0; r < R; ++r) row[r] = lines.row(taps[r].at), weight[r] = taps[r].weight;
  for (int64_t s = 0; s < count; ++s) {
    const int64_t at = columns[s] * lines.step;
    for (int64_t c = 0; c < span; c += L) {
      Line<T> sum = fresh ? splat(T(0)) : load(sums + s * span + c);
      for (int r = 0; r < R; ++r) add_scaled(sum, weight[r], load(row[r] + at + c));
      store(sums + s * span + c, sum);
    }
  }
}

template <class T, bool fresh, bool wide>
inline void reduce_some(int64_t rows, const Lines<const T>& lines, const Tap<T>* taps, const int64_t* columns,
                        int64_t count, T* sums) {
  if (rows >= 4) return reduce_rows<T, 4, fresh, wide>(lines, taps, columns, count, sums);
  if (rows == 3) return reduce_rows<T, 3, fresh, wide>(lines, taps, columns, count, sums);
  if (rows == 2) return reduce_rows<T, 2, fresh, wide>(lines, taps, columns, count, sums);
  return reduce_rows<T, 1, fresh, wide>(lines, taps, columns, count, sums);
}

// One row of bins, `step` apart: bin q is its `width` column taps. W is the width where it is known to the compiler.
template <class T, int W, bool wide>
inline void reduce_columns(const T* sums, const Tap<T>* taps, int64_t width, int64_t first, int64_t last, int64_t span,
                           T* bins, int64_t step) {
  constexpr int64_t L = lanes<T>;
  if (W) width = W;
  if (!wide) span = L;
  for (int64_t q = first; q < last; ++q)
    for (int64_t c = 0; c < span; c += L) {
      Line<T> sum = splat(T(0));
      for (int64_t i = 0; i < width; ++i) {
        const Tap<T>& tap = taps[q * width + i];
        add_scaled(sum, tap.weight, load(sums + tap.at * span + c));
      }
      store(bins + q * step + c, sum);
    }
}

// Row p of bins, `step` apart, of a RoI.
template <class T, bool wide>
inline void pool_row(const RoiWork<T>& work, const RoiTaps& roi, int64_t p, const Lines<const T>& lines, T* sums,
                     T* bins, int64_t step) {
  const Tap<T>* taps = work.taps + work.ends[roi.row_ends + p];
  int64_t rows = work.ends[roi.row_ends + p + 1] - work.ends[roi.row_ends + p];
  if (rows == 0 || roi.count == 0) {
    for (int64_t q = work.column_first; q < work.column_last; ++q)
      std::memset(bins + q * step, 0, lines.span * sizeof(T));
    return;
  }
  const int64_t* columns = work.ends + roi.columns;
  reduce_some<T, true, wide>(rows, lines, taps, columns, roi.count, sums);
  for (; rows > 4; rows -= 4) reduce_some<T, false, wide>(rows - 4, lines, taps += 4, columns, roi.count, sums);
  auto reduce = &reduce_columns<T, 0, wide>;
  if (roi.width == 2) reduce = &reduce_columns<T, 2, wide>;
  if (roi.width == 3) reduce = &reduce_columns<T, 3, wide>;
  if (roi.width == 4) reduce = &reduce_columns<T, 4, wide>;
  reduce(sums, work.taps + roi.column_taps, roi.width, work.column_first, work.column_last, lines.span, bins, step);
}

template <class T>
void pool_direct(const RoiWork<T>& work, const Planes<const T>& image, const Planes<T>& out, int64_t roi_step,
                 T* sums) {
  const Lines<const T> lines(image);
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiTaps& roi = work.rois[work.members[i]];
    std::memset(sums + roi.count * lines.span, 0, lines.span * sizeof(T));  // what padding of the column taps reads
    T* bins = out.data + work.members[i] * roi_step;
    for (int64_t p = 0; p < work.pooled_height; ++p)
      pool_row<T, true>(work, roi, p, lines, sums, bins + p * out.row, out.column);
  }
}

// sums[s] (+)= R row taps of column s, of one channel; `unit`: its columns follow each other.
template <class T, int R, bool unit>
inline void read_rows(const T* plane, const Planes<const T>& image, const Tap<T>* taps, const int64_t* columns,
                      int64_t count, bool fresh, T* sums) {
  const T* row[R];
  T weight[R];
  for (int r = 0; r < R; ++r) row[r] = plane + taps[r].at * image.row, weight[r] = taps[r].weight;
  const int64_t step = unit ? 1 : image.column;
#pragma GCC ivdep
  for (int64_t s = 0; s < count; ++s) {
    const int64_t at = columns[s] * step;
    T sum = 0;
    for (int r = 0; r < R; ++r) sum += weight[r] * row[r][at];
    sums[s] = fresh ? sum : sums[s] + sum;
  }
}

template <class T, bool unit>
inline void read_all_rows(const T* plane, const Planes<const T>& image, const Tap<T>* taps, int64_t rows,
                          const int64_t* columns, int64_t count, T* sums) {
  for (bool fresh = true; rows > 0; fresh = false, taps += 4, rows -= 4) {
    if (rows >= 4) read_rows<T, 4, unit>(plane, image, taps, columns, count, fresh, sums);
    if (rows == 3) read_rows<T, 3, unit>(plane, image, taps, columns, count, fresh, sums);
    if (rows == 2) read_rows<T, 2, unit>(plane, image, taps, columns, count, fresh, sums);
    if (rows == 1) read_rows<T, 1, unit>(plane, image, taps, columns, count, fresh, sums);
  }
}

// Bins [column_first, column_last) of row p, of one channel.
template <class T>
void pool_sparse_row(const RoiWork<T>& work, const RoiTaps& roi, int64_t p, const T* plane, const Planes<const T>& image,
                     T* sums, T* bins, int64_t step) {
  const Tap<T>* taps = work.taps + work.ends[roi.row_ends + p];
  const int64_t rows = work.ends[roi.row_ends + p + 1] - work.ends[roi.row_ends + p];
  const int64_t* columns = work.ends + roi.columns;
  const Tap<T>* of_bin = work.taps + roi.column_taps + work.column_first * roi.width;
  if (rows == 0 || roi.count == 0) {
    for (int64_t q = work.column_first; q < work.column_last; ++q) bins[q * step] = 0;
  } else if (work.column_last - work.column_first == 1) {  // only its own columns are wanted
    T sum = 0;
    for (int64_t i = 0; i < roi.width; ++i) {
      if (of_bin[i].at == roi.count) continue;
      const T* column = plane + columns[of_bin[i].at] * image.column;
      T part = 0;
      for (int64_t r = 0; r < rows; ++r) part += taps[r].weight * column[taps[r].at * image.row];
      sum += of_bin[i].weight * part;
    }
    bins[work.column_first * step] = sum;
  } else {
    const auto read = image.column == 1 ? read_all_rows<T, true> : read_all_rows<T, false>;
    read(plane, image, taps, rows, columns, roi.count, sums);
    sums[roi.count] = 0;  // what padding of the column taps reads
    for (int64_t q = work.column_first; q < work.column_last; ++q, of_bin += roi.width) {
      T sum = 0;
      for (int64_t i = 0; i < roi.width; ++i) sum += of_bin[i].weight * sums[of_bin[i].at];
      bins[q * step] = sum;
    }
  }
}

template <class T>
void pool_sparse(const RoiWork<T>& work, const Planes<const T>& image, const Planes<T>& out, int64_t roi_step,
                 T* sums) {
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiTaps& roi = work.rois[work.members[i]];
    for (int64_t c = 0; c < image.channels; ++c) {
      T* bins = out.data + work.members[i] * roi_step + c * out.channel;
      for (int64_t p = work.row_first; p < work.row_last; ++p)
        pool_sparse_row(work, roi, p, image.data + c * image.channel, image, sums, bins + p * out.row, out.column);
    }
  }
}

template <class T>
void pool(const RoiWork<T>& work, const Planes<const T>& image, const Planes<T>& out, int64_t roi_step, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t pooled_width = work.pooled_width, all = work.pooled_height * pooled_width;
  const Rect bins{work.row_first, work.column_first, work.row_last, work.column_last};
  if (work.direct) return pool_direct(work, image, out, roi_step, scratch);
  if (work.sparse) return pool_sparse(work, image, out, roi_step, scratch);
  T* tile = scratch;
  T* turned = tile + all * L;
  T* sums = turned + all * L;
  int64_t most = 0;
  for (int64_t i = 0; i < work.count; ++i) {
    const int64_t count = work.rois[work.members[i]].count;
    most = count > most ? count : most;
  }
  T* packed = sums + (most + 1) * L;
  if (!work.one_by_one) pack(image, work.rect, packed);
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiTaps& roi = work.rois[work.members[i]];
    if (work.one_by_one) pack(image, roi.window, packed);
    const Lines<const T> lines(packed, work.one_by_one ? roi.window : work.rect);
    store(sums + roi.count * L, splat(T(0)));
    for (int64_t p = bins.y0; p < bins.y1; ++p)
      pool_row<T, false>(work, roi, p, lines, sums, tile + p * pooled_width * L, L);
    const Planes<T> to{out.data + work.members[i] * roi_step, out.channels, out.channel, out.row, out.column};
    if (bins.area() == all && out.row == pooled_width * out.column) {
      unpack_row(tile, all, to, turned);  // bins follow each other: one long row
    } else {
      for (int64_t p = bins.y0; p < bins.y1; ++p)
        unpack(tile + (p * pooled_width + bins.x0) * L, Rect{p, bins.x0, p + 1, bins.x1}, to);
    }
  }
  finish_streaming();
}

// lines += weight * sums, R rows at once.
template <class T, int R, bool wide>
inline void spread_rows(const Lines<T>& lines, const Tap<T>* taps, const int64_t* columns, int64_t count,
                        const T* sums) {
  constexpr int64_t L = lanes<T>;
  const int64_t span = wide ? lines.span : L;
  T* row[R];
  T weight[R];
  for (int r = 0; r < R; ++r) row[r] = lines.row(taps[r].at), weight[r] = taps[r].weight;
  for (int64_t s = 0; s < count; ++s) {
    const int64_t at = columns[s] * lines.step;
    for (int64_t c = 0; c < span; c += L) {
      const Line<T> sum = load(sums + s * span + c);
      for (int r = 0; r < R; ++r) {
        Line<T> line = load(row[r] + at + c);
        add_scaled(line, weight[r], sum);
        store(row[r] + at + c, line);
      }
    }
  }
}

template <class T, bool wide>
inline void spread_row(const RoiWork<T>& work, const RoiTaps& roi, int64_t p, const Lines<T>& lines, T* sums,
                       const T* bins, int64_t step) {
  constexpr int64_t L = lanes<T>;
  const int64_t span = wide ? lines.span : L;
  const Tap<T>* taps = work.taps + work.ends[roi.row_ends + p];
  int64_t rows = work.ends[roi.row_ends + p + 1] - work.ends[roi.row_ends + p];
  if (rows == 0 || roi.count == 0) return;
  std::memset(sums, 0, (roi.count + 1) * span * sizeof(T));
  for (int64_t q = work.column_first; q < work.column_last; ++q) {
    const Tap<T>* tap = work.taps + roi.column_taps + q * roi.width;
    for (int64_t j = 0; j < roi.width; ++j)
      for (int64_t c = 0; c < span; c += L) {
        Line<T> sum = load(sums + tap[j].at * span + c);
        add_scaled(sum, tap[j].weight, load(bins + q * step + c));
        store(sums + tap[j].at * span + c, sum);
      }
  }
  const int64_t* columns = work.ends + roi.columns;
  for (; rows >= 2; rows -= 2, taps += 2) spread_rows<T, 2, wide>(lines, taps, columns, roi.count, sums);
  if (rows) spread_rows<T, 1, wide>(lines, taps, columns, roi.count, sums);
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
void spread_direct(const RoiWork<T>& work, const Planes<const T>& grad, int64_t roi_step, const Planes<T>& image,
                   T* sums) {
  const Lines<T> lines(image);
  for (int64_t i = 0; i < work.count; ++i) {
    const T* bins = grad.data + work.members[i] * roi_step;
    for (int64_t p = 0; p < work.pooled_height; ++p)
      spread_row<T, true>(work, work.rois[work.members[i]], p, lines, sums, bins + p * grad.row, grad.column);
  }
}

template <class T>
void spread(const RoiWork<T>& work, const Planes<const T>& grad, int64_t roi_step, const Planes<T>& image,
            int64_t height, int64_t width, bool add, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t pooled_width = work.pooled_width, all = work.pooled_height * pooled_width;
  const Rect bins{work.row_first, work.column_first, work.row_last, work.column_last};
  const Rect& rect = work.rect;
  if (work.direct) return spread_direct(work, grad, roi_step, image, scratch);
  if (!add)
    for (int64_t y = 0; y < height; ++y) {
      const bool inside = y >= rect.y0 && y < rect.y1;
      clear(image, y, 0, inside ? rect.x0 : width);
      clear(image, y, inside ? rect.x1 : width, width);
    }
  if (rect.area() == 0) return;
  T* packed = scratch;
  T* tile = packed + rect.area() * L;
  T* sums = tile + all * L;
  const Lines<T> lines(packed, rect);
  if (add)
    pack(Planes<const T>{image.data, image.channels, image.channel, image.row, image.column}, rect, packed);
  else
    std::memset(packed, 0, rect.area() * L * sizeof(T));
  for (int64_t i = 0; i < work.count; ++i) {
    const RoiTaps& roi = work.rois[work.members[i]];
    if (roi.count == 0) continue;
    const T* data = grad.data + work.members[i] * roi_step;
    const Planes<const T> from{data, grad.channels, grad.channel, grad.row, grad.column};
    if (bins.area() == all && grad.row == pooled_width * grad.column) {
      pack(from, Rect{0, 0, 1, all}, tile);
    } else {
      for (int64_t p = bins.y0; p < bins.y1; ++p)
        pack(from, Rect{p, bins.x0, p + 1, bins.x1}, tile + (p * pooled_width + bins.x0) * L);
    }
    for (int64_t p = bins.y0; p < bins.y1; ++p)
      spread_row<T, false>(work, roi, p, lines, sums, tile + p * pooled_width * L, L);
  }
  unpack(packed, rect, image);
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
