// Orders that NMS needs: boxes by score, and these by label. Stable radix sorts of (key, position) pairs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

namespace podium {

template <class Key>
struct Item {
  Key key;
  uint32_t at;
};

// An unsigned key whose ascending order is the descending order of scores: NaN first (as torch.sort), then +infinity;
// -0 is +0.
inline uint32_t descending_key(float score) {
  if (score != score) return 0;
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  return bits >> 31 ? bits : ~bits & 0x7FFFFFFFu;
}

inline uint64_t descending_key(double score) {
  if (score != score) return 0;
  const uint64_t bits = std::bit_cast<uint64_t>(score + 0.0);
  return bits >> 63 ? bits : ~bits & 0x7FFFFFFFFFFFFFFFu;
}

// Sorts by ascending key, equal keys in the order given. `spare` has as much room as `items`; returns whichever of the
// two holds the result.
template <class Key>
Item<Key>* radix_sort(Item<Key>* items, Item<Key>* spare, int64_t count) {
  if (count <= 32) {
    for (int64_t k = 1; k < count; ++k) {
      const Item<Key> item = items[k];
      int64_t to = k;
      for (; to > 0 && item.key < items[to - 1].key; --to) items[to] = items[to - 1];
      items[to] = item;
    }
    return items;
  }
  Key differences = 0;
  for (int64_t k = 1; k < count; ++k) differences |= items[k].key ^ items[0].key;
  for (int shift = 0; shift < int(8 * sizeof(Key)); shift += 8) {
    if ((differences >> shift & 255) == 0) continue;  // one digit for all
    uint32_t start[256] = {}, total = 0;
    for (int64_t k = 0; k < count; ++k) ++start[items[k].key >> shift & 255];
    for (uint32_t& digit : start) total += std::exchange(digit, total);
    for (int64_t k = 0; k < count; ++k) spare[start[items[k].key >> shift & 255]++] = items[k];
    std::swap(items, spare);
  }
  return items;
}

// Room for the items of a sort and for its spare.
template <class Key>
struct SortRoom {
  std::unique_ptr<Item<Key>[]> items, spare;
  explicit SortRoom(int64_t count)
      : items(std::make_unique_for_overwrite<Item<Key>[]>(count)),
        spare(std::make_unique_for_overwrite<Item<Key>[]>(count)) {}
  Item<Key>* sort(int64_t count) { return radix_sort(items.get(), spare.get(), count); }
};

using Positions = std::unique_ptr<uint32_t[]>;

inline Positions room_for(int64_t count) { return std::make_unique_for_overwrite<uint32_t[]>(count); }

// Rows that take part, by descending score; equal scores by row.
template <class T>
struct Ranking {
  int64_t count = 0;
  Positions rows;

  template <class TakesPart>
  Ranking(const T* scores, int64_t size, const TakesPart& takes_part) : rows(room_for(size)) {
    SortRoom<decltype(descending_key(T()))> room(size);
    for (int64_t row = 0; row < size; ++row)
      if (takes_part(row)) room.items[count++] = {descending_key(scores[row]), uint32_t(row)};
    const auto* sorted = room.sort(count);
    for (int64_t rank = 0; rank < count; ++rank) rows[rank] = sorted[rank].at;
  }
};

// The first `count` of a ranking by label, keeping their order within one: run r is [starts[r], starts[r + 1]).
struct Runs {
  int64_t runs = 0;
  Positions ranks, rows, starts;

  Runs(const int64_t* labels, const uint32_t* ranking, int64_t count)
      : ranks(room_for(count)), rows(room_for(count)), starts(room_for(count + 1)) {
    int64_t low = std::numeric_limits<int64_t>::max(), high = std::numeric_limits<int64_t>::min();
    for (int64_t rank = 0; rank < count; ++rank) {
      low = std::min(low, labels[ranking[rank]]);
      high = std::max(high, labels[ranking[rank]]);
    }
    if (count && uint64_t(high) - uint64_t(low) > std::numeric_limits<uint32_t>::max())
      fill<uint64_t>(labels, low, ranking, count);
    else
      fill<uint32_t>(labels, low, ranking, count);
  }

 private:
  template <class Key>
  void fill(const int64_t* labels, int64_t low, const uint32_t* ranking, int64_t count) {
    SortRoom<Key> room(count);
    for (int64_t rank = 0; rank < count; ++rank)
      room.items[rank] = {Key(uint64_t(labels[ranking[rank]]) - uint64_t(low)), uint32_t(rank)};
    const Item<Key>* sorted = room.sort(count);
    for (int64_t k = 0; k < count; ++k) {
      ranks[k] = sorted[k].at;
      rows[k] = ranking[sorted[k].at];
      if (k == 0 || sorted[k].key != sorted[k - 1].key) starts[runs++] = uint32_t(k);
    }
    starts[runs] = uint32_t(count);
  }
};

}  // namespace podium
