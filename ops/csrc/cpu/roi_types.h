// What the RoI bindings hand to the RoI kernels.
#pragma once

#include <cstdint>

namespace podium {

// Channels that a kernel works on at once: a cache line of them.
template <class T>
constexpr int64_t lanes = 64 / sizeof(T);

// Some channels of an image: channel c of pixel (y, x) is data[c * channel + y * row + x * column].
template <class T>
struct Planes {
  T* data;
  int64_t channels;
  int64_t channel, row, column;
};

// Pixels [y0, y1) x [x0, x1).
struct Rect {
  int64_t y0, x0, y1, x1;
  int64_t area() const { return (y1 - y0) * (x1 - x0); }
};

template <class T>
struct Tap {
  int64_t at;
  T weight;
};

// How one RoI pools: every bin is a product of a weighted sum over rows and one over columns. Positions are into the
// arrays of the plan.
struct RoiTaps {
  int64_t row_ends;      // of ends[]: bin row p takes taps ends[row_ends + p] up to ends[row_ends + p + 1]
  int64_t columns;       // of ends[]: the columns that any bin takes, `count` of them
  int64_t count;
  int64_t column_taps;   // of taps[]: `width` for each bin column; Tap::at counts in `columns`, and `count` means none
  int64_t width;
  Rect window;           // the pixels taken
};

// The work of one task: some RoIs of one image.
template <class T>
struct RoiWork {
  const RoiTaps* rois;   // of all RoIs
  const int64_t* ends;
  const Tap<T>* taps;
  const int64_t* members;  // the RoIs of this task, in order
  int64_t count;
  int64_t pooled_height, pooled_width;
  int64_t row_first, row_last, column_first, column_last;  // the bins wanted: all, or one in position-sensitive pooling
  Rect rect;       // holds the windows of all members
  bool one_by_one;  // the windows are so small together that packing each is cheaper than packing `rect`
  bool direct;      // image and bins consist of aligned lines of channels already: nothing is packed, and all of
                    // the channels given are worked on at once
  bool sparse;      // so few pixels are taken that each is read where it is, a channel at a time
};

}  // namespace podium
