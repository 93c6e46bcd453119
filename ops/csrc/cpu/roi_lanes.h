// What the RoI kernels share: a cache line of channels as the unit of work, and the way between strided planes and
// such lines. Included by kernel files only, inside the namespace of each instruction set.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "roi_types.h"

namespace podium {
namespace PODIUM_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

// One cache line of numbers, as many vector registers as that takes here.
template <class T>
struct Line {
  typedef T Vector __attribute__((vector_size(vector_bytes)));
  static constexpr int parts = 64 / vector_bytes;
  static constexpr int per_part = vector_bytes / int(sizeof(T));
  Vector part[parts];
};

template <class T>
inline __attribute__((always_inline)) Line<T> load(const T* from) {
  Line<T> line;
  for (int i = 0; i < Line<T>::parts; ++i)
    line.part[i] = *reinterpret_cast<const typename Line<T>::Vector*>(from + i * Line<T>::per_part);
  return line;
}

template <class T>
inline __attribute__((always_inline)) void store(T* to, const Line<T>& line) {
  for (int i = 0; i < Line<T>::parts; ++i)
    *reinterpret_cast<typename Line<T>::Vector*>(to + i * Line<T>::per_part) = line.part[i];
}

template <class T>
inline __attribute__((always_inline)) Line<T> splat(T value) {
  Line<T> line;
  for (int i = 0; i < Line<T>::parts; ++i) line.part[i] = typename Line<T>::Vector{} + value;
  return line;
}

// sum += weight * line, fused where the instruction set can: the build forbids the compiler to do it by itself.
template <class T>
inline __attribute__((always_inline)) void add_scaled(Line<T>& sum, T weight, const Line<T>& line) {
  for (int i = 0; i < Line<T>::parts; ++i) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
      sum.part[i] = _mm512_fmadd_ps(_mm512_set1_ps(weight), line.part[i], sum.part[i]);
    else
      sum.part[i] = _mm512_fmadd_pd(_mm512_set1_pd(weight), line.part[i], sum.part[i]);
#elif defined(__FMA__)
    if constexpr (sizeof(T) == 4)
      sum.part[i] = _mm256_fmadd_ps(_mm256_set1_ps(weight), line.part[i], sum.part[i]);
    else
      sum.part[i] = _mm256_fmadd_pd(_mm256_set1_pd(weight), line.part[i], sum.part[i]);
#else
    sum.part[i] += weight * line.part[i];
#endif
  }
}

#if defined(__SSE2__)
// Four rows of four numbers, turned; steps in numbers.
inline __attribute__((always_inline)) void turn4(const float* from, int64_t from_step, float* to, int64_t to_step) {
  __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + from_step);
  __m128 c = _mm_loadu_ps(from + 2 * from_step), d = _mm_loadu_ps(from + 3 * from_step);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a), _mm_storeu_ps(to + to_step, b);
  _mm_storeu_ps(to + 2 * to_step, c), _mm_storeu_ps(to + 3 * to_step, d);
}
inline __attribute__((always_inline)) void turn4(const int32_t* from, int64_t from_step, int32_t* to, int64_t to_step) {
  turn4(reinterpret_cast<const float*>(from), from_step, reinterpret_cast<float*>(to), to_step);  // bits are only moved
}
#else
template <class T>
inline void turn4(const T* from, int64_t from_step, T* to, int64_t to_step) {
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) to[j * to_step + i] = from[i * from_step + j];
}
#endif

// Rectangle `rect` of planes -> lines[pixel][lane]; lanes without a channel become 0.
template <class T>
void pack(const Planes<const T>& planes, const Rect& rect, T* lines) {
  constexpr int64_t L = lanes<T>;
  const int64_t width = rect.x1 - rect.x0, channels = planes.channels;
  for (int64_t y = rect.y0; y < rect.y1; ++y, lines += width * L) {
    const T* row = planes.data + y * planes.row + rect.x0 * planes.column;
    if (channels < L) std::memset(lines, 0, width * L * sizeof(T));
    int64_t done = 0;  // pixels whose whole groups of four channels are done
    if (planes.channel == 1) {
      for (int64_t x = 0; x < width; ++x)
        if (channels == L)
          std::memcpy(lines + x * L, row + x * planes.column, L * sizeof(T));
        else
          std::memcpy(lines + x * L, row + x * planes.column, channels * sizeof(T));
      continue;
    }
    if constexpr (sizeof(T) == 4) {
      if (planes.column == 1)
        for (; done + 4 <= width; done += 4)
          for (int64_t c = 0; c + 4 <= channels; c += 4)
            turn4(row + c * planes.channel + done, planes.channel, lines + done * L + c, L);
    }
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t x = c < channels / 4 * 4 ? done : 0; x < width; ++x)
        lines[x * L + c] = row[c * planes.channel + x * planes.column];
  }
}

// The way back: lines[pixel][lane] -> rectangle `rect` of planes. L: lanes of a line.
template <class T, int64_t L = lanes<T>>
void unpack(const T* lines, const Rect& rect, const Planes<T>& planes) {
  const int64_t width = rect.x1 - rect.x0, channels = planes.channels;
  for (int64_t y = rect.y0; y < rect.y1; ++y, lines += width * L) {
    T* row = planes.data + y * planes.row + rect.x0 * planes.column;
    int64_t done = 0;
    if (planes.channel == 1) {
      for (int64_t x = 0; x < width; ++x)
        if (channels == L)
          std::memcpy(row + x * planes.column, lines + x * L, L * sizeof(T));
        else
          std::memcpy(row + x * planes.column, lines + x * L, channels * sizeof(T));
      continue;
    }
    if constexpr (sizeof(T) == 4) {
      if (planes.column == 1)
        for (; done + 4 <= width; done += 4)
          for (int64_t c = 0; c + 4 <= channels; c += 4)
            turn4(lines + done * L + c, L, row + c * planes.channel + done, planes.channel);
    }
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t x = c < channels / 4 * 4 ? done : 0; x < width; ++x)
        row[c * planes.channel + x * planes.column] = lines[x * L + c];
  }
}

// Sixty-four bytes to an aligned place that is not read soon: past the caches, so that its old content is not fetched.
inline __attribute__((always_inline)) void stream_line(void* to, const void* from) {
#if defined(__AVX512F__)
  _mm512_stream_si512(static_cast<__m512i*>(to), _mm512_loadu_si512(from));
#elif defined(__AVX__)
  for (int i = 0; i < 2; ++i)
    _mm256_stream_si256(static_cast<__m256i*>(to) + i, _mm256_loadu_si256(static_cast<const __m256i*>(from) + i));
#elif defined(__SSE2__)
  for (int i = 0; i < 4; ++i)
    _mm_stream_si128(static_cast<__m128i*>(to) + i, _mm_loadu_si128(static_cast<const __m128i*>(from) + i));
#else
  std::memcpy(to, from, 64);
#endif
}

// Orders streamed lines before what this thread says next.
inline void finish_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

inline bool streamable(const void* to, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(to) % 64 == 0 && bytes % 64 == 0;
}

// One row of `count` pixels back to planes. It is turned in `turned`, of count lines, first, because short pieces
// written all over a destination that is in no cache are slow.
template <class T, int64_t L = lanes<T>>
void unpack_row(const T* lines, int64_t count, const Planes<T>& planes, T* turned) {
  const Rect row{0, 0, 1, count};
  if (planes.column != 1) return unpack<T, L>(lines, row, planes);
  unpack<T, L>(lines, row, Planes<T>{turned, planes.channels, count, 0, 1});
  const int64_t bytes = planes.channels * count * sizeof(T);
  if (planes.channel == count && streamable(planes.data, bytes))
    for (int64_t at = 0; at < bytes; at += 64)
      stream_line(reinterpret_cast<char*>(planes.data) + at, reinterpret_cast<const char*>(turned) + at);
  else
    for (int64_t c = 0; c < planes.channels; ++c)
      std::memcpy(planes.data + c * planes.channel, turned + c * count, count * sizeof(T));
}

}  // namespace
}  // namespace PODIUM_ISA
}  // namespace podium
