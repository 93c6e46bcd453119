// Greedy NMS of any number of segments (images times labels) in one go, without a word from the host.
//
// Boxes come sorted by image, label and descending score. Each segment is cut in blocks of 64 * words boxes. A bit mask
// says which boxes overlap within a block; one thread block for each segment then settles a block after the other, and
// between two blocks of long segments the kept boxes of the first strike out what they overlap further on. So memory is
// linear in the number of boxes, and segments of one block, which is most, are done after a single pass.
#pragma once

#include "iou.cuh"
#include "launch.cuh"
#include "ranking_kernels.cuh"

namespace podium::cuda {

constexpr int kMaxWords = 64;  // 4096 boxes in a block
constexpr int kSettleThreads = 512;
constexpr int kCompactThreads = 1024;

struct NmsShape {
  int64_t images, n;    // boxes (images, n, ...)
  int64_t max_out;      // at most so many from each segment and each image
  bool negative_is_void;  // boxes with a negative label take no part
  int words;            // of 64 boxes, in a block

  NmsShape(int64_t images, int64_t n, int64_t max_out, bool negative_is_void)
      : images(images), n(n), max_out(max_out), negative_is_void(negative_is_void) {
    if (n > (int64_t(1) << 30)) throw std::runtime_error("podium: more than 2^30 boxes in one NMS");
    // The mask takes words * 8 bytes for each box: long blocks need fewer passes, short ones less memory.
    const int64_t affordable = (int64_t(1) << 24) / std::max<int64_t>(1, total());
    words = int(std::max<int64_t>(1, std::min({std::max<int64_t>(8, affordable), int64_t(kMaxWords), (n + 63) / 64})));
  }
  __host__ __device__ int64_t total() const { return images * n; }
  __host__ __device__ int64_t block() const { return int64_t(64) * words; }
  int64_t rounds() const { return (n + block() - 1) / block(); }
  __host__ __device__ int64_t keep_stride() const { return (n + 7) / 8 * 8; }  // the compaction reads 8 flags at a time
};

// What the kernels need beside the inputs, cut from one allocation. Rows are (image, place in the sorted order).
template <class Shape>
struct NmsBuffers {
  int* segment_count;
  uint8_t* keep;      // (images, keep_stride) by rank of score: part of the result
  uint8_t* dead;      // rows struck out by earlier blocks
  int* taken;         // kept so far, at the first row of each segment
  int64_t zeroed;     // bytes up to here start as zero
  int64_t* segments;  // first rows of the segments, in no particular order
  int *first, *last;  // bounds of each row's segment within its image
  int* kept_count;    // at the first row of each block
  Shape* boxes;
  Shape* kept;        // boxes kept in a block, from its first row on
  unsigned long long* mask;
  int64_t size;       // bytes in all

  NmsBuffers(const NmsShape& shape, void* memory) {
    const uintptr_t base = reinterpret_cast<uintptr_t>(memory);
    int64_t used = 0;
    const auto cut = [&](auto*& pointer, int64_t count) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
      used += (count * int64_t(sizeof *pointer) + 255) / 256 * 256;
    };
    const int64_t total = shape.total();
    cut(segment_count, 1);
    cut(keep, shape.images * shape.keep_stride());
    cut(dead, total);
    cut(taken, total);
    zeroed = used;
    cut(segments, total);
    cut(first, total);
    cut(last, total);
    cut(kept_count, total);
    cut(boxes, total);
    cut(kept, total);
    cut(mask, total * shape.words);
    size = used;
  }
};

// Puts the boxes in order and finds their segments. `order`: places in the image by score; `ranks`: places in `order` by
// label, and `sorted` the labels so; both null where there is one segment for each image.
template <class Shape, class T>
__global__ void nms_arrange_kernel(const T* rows, const int64_t* order, const int64_t* ranks, const int64_t* sorted,
                                   NmsShape shape, NmsBuffers<Shape> to) {
  const int64_t row = thread_index();
  if (row >= shape.total()) return;
  const int place = int(row % shape.n);
  const int64_t image_row = row - place;
  const int64_t rank = ranks ? ranks[row] : place;
  to.boxes[row] = Shape::load(rows + (image_row + order[image_row + rank]) * Shape::kNumbers);
  int first = 0, last = int(shape.n);
  if (sorted) {
    const int64_t label = sorted[row];
    if (label < 0 && shape.negative_is_void) {
      first = last = place;
    } else {
      first = label_bound(sorted + image_row, int(shape.n), label, false);
      last = label_bound(sorted + image_row, int(shape.n), label, true);
    }
  }
  to.first[row] = first, to.last[row] = last;
  if (first == place && last > first) to.segments[atomicAdd(to.segment_count, 1)] = row;
}

// mask[row][word]: which of the 64 boxes of a word of the row's block overlap the row. Words before the row's own are
// not written, and not read: a box is suppressed by better ones only.
template <class Test>
__global__ void nms_mask_kernel(NmsShape shape, NmsBuffers<typename Test::Shape> data, Test test) {
  const int64_t row = thread_index();
  if (row >= shape.total()) return;
  const int place = int(row % shape.n), first = data.first[row], last = data.last[row];
  if (last <= first) return;
  const int block = int(shape.block());
  const int begin = first + (place - first) / block * block;
  const typename Test::Shape mine = data.boxes[row];
  const typename Test::Shape* others = data.boxes + (row - place);
  for (int word = blockIdx.y; word < shape.words; word += gridDim.y) {
    const int from = begin + 64 * word, to = min(from + 64, last);
    if (from >= last || from + 63 < place) continue;
    unsigned long long bits = 0;
    for (int other = from; other < to; ++other) {
      if (other == place) continue;
      const typename Test::Shape box = others[other];
      // In its own word a row also gets the better boxes that overlap it; the better of two always comes first.
      if (other > place ? test(mine, box) : test(box, mine)) bits |= 1ull << (other - from);
    }
    data.mask[row * shape.words + word] = bits;
  }
}

// Settles block number `round` of every segment that has one: sets `keep`, and lists the kept boxes for nms_strike.
template <class Shape>
__global__ void __launch_bounds__(kSettleThreads)
    nms_settle_kernel(NmsShape shape, NmsBuffers<Shape> data, const int64_t* ranks, int64_t round) {
  __shared__ unsigned long long own[64 * kMaxWords];  // of each row, its own word of the mask
  __shared__ unsigned long long removed[kMaxWords];
  __shared__ unsigned long long settled;
  const int thread = threadIdx.x, lane = thread & 31;
  const int segment_count = *data.segment_count;
  for (int segment = blockIdx.x; segment < segment_count; segment += gridDim.x) {
    const int64_t head = data.segments[segment];
    const int64_t length = data.last[head] - data.first[head], begin = round * shape.block();
    int64_t taken = data.taken[head];
    if (begin >= length || taken >= shape.max_out) continue;  // the same for all threads of the block
    const int64_t start = head + begin;
    const int here = int(length - begin < shape.block() ? length - begin : shape.block());
    const int words = (here + 63) / 64;
    for (int word = thread; word < words; word += blockDim.x)
      removed[word] = word == words - 1 && here % 64 ? ~0ull << (here % 64) : 0;
    __syncthreads();
    for (int i = thread; i < here; i += blockDim.x) {
      own[i] = data.mask[(start + i) * shape.words + i / 64];
      if (round > 0 && data.dead[start + i]) atomicOr(&removed[i / 64], 1ull << (i % 64));
    }
    __syncthreads();
    const int64_t image_row = head - head % shape.n;
    uint8_t* keep = data.keep + head / shape.n * shape.keep_stride();
    int listed = 0;
    for (int word = 0; word < words && taken < shape.max_out; ++word) {
      if (thread < 32) {
        // Boxes without an open or kept better neighbour are kept, neighbours of kept ones fall: the best open box is
        // always settled, and usually nearly all are within a few turns.
        const int low = 64 * word + lane, high = low + 32;
        const unsigned long long low_better = low < here ? own[low] & ((1ull << lane) - 1) : 0;
        const unsigned long long high_better = high < here ? own[high] & ((1ull << (lane + 32)) - 1) : 0;
        unsigned long long open = ~removed[word], kept = 0;
        while (open) {
          const bool low_open = open >> lane & 1, high_open = open >> (lane + 32) & 1;
          const bool low_falls = low_better & kept, high_falls = high_better & kept;
          const unsigned low_kept = __ballot_sync(kAllLanes, low_open && !low_falls && !(low_better & open));
          const unsigned high_kept = __ballot_sync(kAllLanes, high_open && !high_falls && !(high_better & open));
          const unsigned low_fell = __ballot_sync(kAllLanes, low_open && low_falls);
          const unsigned high_fell = __ballot_sync(kAllLanes, high_open && high_falls);
          kept |= low_kept | (unsigned long long)(high_kept) << 32;
          open &= ~(low_kept | low_fell | (unsigned long long)(high_kept | high_fell) << 32);
        }
        while (taken + __popcll(kept) > shape.max_out) kept &= ~(1ull << (63 - __clzll(kept)));
        if (lane == 0) settled = kept;
      }
      __syncthreads();
      const unsigned long long kept = settled;
      if (thread < 64 && (kept >> thread & 1)) {
        const int64_t row = start + 64 * word + thread;
        keep[ranks ? ranks[row] : row - image_row] = 1;
        data.kept[start + listed + __popcll(kept & ((1ull << thread) - 1))] = data.boxes[row];
      }
      listed += __popcll(kept), taken += __popcll(kept);
      const int later = word + 1 + thread % 64;
      if (kept && later < words) {
        unsigned long long bits = 0;
        constexpr int kEach = 64 / (kSettleThreads / 64);
        const int from = thread / 64 * kEach;
#pragma unroll
        for (int i = from; i < from + kEach; ++i)
          if (kept >> i & 1) bits |= data.mask[(start + 64 * word + i) * shape.words + later];
        if (bits) atomicOr(&removed[later], bits);
      }
      __syncthreads();
    }
    if (thread == 0) data.taken[head] = int(taken), data.kept_count[start] = listed;
  }
}

// Strikes out, beyond block number `round`, what the boxes kept in it overlap.
template <class Test>
__global__ void nms_strike_kernel(NmsShape shape, NmsBuffers<typename Test::Shape> data, Test test, int64_t round) {
  const int64_t row = thread_index();
  if (row >= shape.total()) return;
  const int64_t place = row % shape.n, first = data.first[row], last = data.last[row];
  const int64_t next = (round + 1) * shape.block();
  if (last - first <= next || place - first < next || data.dead[row]) return;
  const int64_t head = row - place + first, start = head + round * shape.block();
  if (data.taken[head] >= shape.max_out) return;  // also: then kept_count may not have been written
  const int count = data.kept_count[start];
  const typename Test::Shape mine = data.boxes[row];
  const typename Test::Shape* kept = data.kept + start;
  for (int i = blockIdx.y; i < count; i += gridDim.y) {
    const typename Test::Shape box = kept[i];
    if (test(box, mine)) {
      data.dead[row] = 1;
      return;
    }
  }
}

// The kept places of each image by descending score, -1 after them, and their number. One thread block for each image.
static __global__ void __launch_bounds__(kCompactThreads)
    nms_compact_kernel(const uint8_t* keep, const int64_t* order, NmsShape shape, int64_t* out, int64_t* counts) {
  __shared__ int sums[32];
  const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
  const int64_t stride = shape.keep_stride();
  for (int64_t image = blockIdx.x; image < shape.images; image += gridDim.x) {
    int64_t* to = out + image * shape.max_out;
    int64_t found = 0;
    for (int64_t base = 0; base < shape.n && found < shape.max_out; base += 8 * kCompactThreads) {
      const int64_t at = base + 8 * thread;
      unsigned long long flags = 0;  // 8 bytes of 0 or 1
      if (at < stride) flags = *reinterpret_cast<const unsigned long long*>(keep + image * stride + at);
      const int mine = __popcll(flags);
      int upto = mine;  // sum over the warp's lanes up to this one
      for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(kAllLanes, upto, step);
        if (lane >= step) upto += other;
      }
      if (lane == 31) sums[warp] = upto;
      __syncthreads();
      if (warp == 0) {
        int sum = sums[lane];
        for (int step = 1; step < 32; step *= 2) {
          const int other = __shfl_up_sync(kAllLanes, sum, step);
          if (lane >= step) sum += other;
        }
        sums[lane] = sum;
      }
      __syncthreads();
      int64_t slot = found + upto - mine + (warp ? sums[warp - 1] : 0);
      for (int byte = 0; byte < 8; ++byte)
        if (flags >> (8 * byte) & 1) {
          if (slot < shape.max_out) to[slot] = order[image * shape.n + at + byte];
          ++slot;
        }
      found += sums[31];
      __syncthreads();  // sums is written again
    }
    if (found > shape.max_out) found = shape.max_out;
    for (int64_t slot = found + thread; slot < shape.max_out; slot += kCompactThreads) to[slot] = -1;
    if (thread == 0) counts[image] = found;
  }
}

// NMS of the boxes `rows` (images, n, numbers) -> out (images, max_out), -1 after the kept ones, and counts (images).
// order (images, n): places by descending score. ranks and sorted: see nms_arrange_kernel. workspace: as many bytes as
// NmsBuffers::size says. At least one box and one image.
template <class Test, class T>
void nms(const T* rows, const int64_t* order, const int64_t* ranks, const int64_t* sorted, const NmsShape& shape,
         const Test& test, void* workspace, int64_t* out, int64_t* counts, cudaStream_t stream) {
  using Shape = typename Test::Shape;
  const NmsBuffers<Shape> data(shape, workspace);
  check(cudaMemsetAsync(workspace, 0, size_t(data.zeroed), stream), "memset");
  const int64_t row_blocks = blocks_for(shape.total());
  launch(nms_arrange_kernel<Shape, T>, grid_of(row_blocks), kThreads, stream, rows, order, ranks, sorted, shape, data);
  launch(nms_mask_kernel<Test>, grid_of(row_blocks, shape.words), kThreads, stream, shape, data, test);
  // How many segments there are is known on the device alone: the blocks share them out.
  const int64_t settlers = sorted ? std::min<int64_t>(shape.total(), 1024) : shape.images;
  for (int64_t round = 0; round < shape.rounds(); ++round) {
    launch(nms_settle_kernel<Shape>, grid_of(settlers), kSettleThreads, stream, shape, data, ranks, round);
    if (round + 1 < shape.rounds())
      launch(nms_strike_kernel<Test>, grid_of(row_blocks, 8), kThreads, stream, shape, data, test, round);
  }
  launch(nms_compact_kernel, grid_of(std::min<int64_t>(shape.images, 65535)), kCompactThreads, stream, data.keep, order,
         shape, out, counts);
}

// Sets *bad, which starts as 0, where a number is not finite or a box has x2 < x1 or y2 < y1.
template <class T>
__global__ void nms_valid_kernel(const T* boxes, const T* scores, int64_t n, int64_t* bad) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const Box<T> box = Box<T>::load(boxes + 4 * i);
  const bool good = isfinite(box.x1) && isfinite(box.y1) && isfinite(box.x2) && isfinite(box.y2) &&
                    scores[i] < T(INFINITY) && box.x1 <= box.x2 && box.y1 <= box.y2;
  if (!good) *bad = 1;
}

template <class T>
void nms_valid(const T* boxes, const T* scores, int64_t n, int64_t* bad, cudaStream_t stream) {
  if (n > 0) launch(nms_valid_kernel<T>, grid_of(blocks_for(n)), kThreads, stream, boxes, scores, n, bad);
}

}  // namespace podium::cuda
