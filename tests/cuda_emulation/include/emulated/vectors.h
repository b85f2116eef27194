// What programs use of thrust: vectors in host and device memory, and algorithms on them.
#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "cuda_runtime.h"

namespace thrust {

using std::get;
using std::make_pair;
using std::make_tuple;
using std::pair;
using std::tuple;
template <class T = void>
using plus = std::plus<T>;
template <class T = void>
using less = std::less<T>;
template <class T = void>
using greater = std::greater<T>;
template <class T>
struct maximum {
    T operator()(const T& a, const T& b) const { return a < b ? b : a; }
};
template <class T>
struct minimum {
    T operator()(const T& a, const T& b) const { return b < a ? b : a; }
};

struct system_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct host_policy {};
struct device_policy {};
constexpr host_policy host{}, seq{};
constexpr device_policy device{};
namespace cuda {
struct stream_policy : device_policy {
    device_policy on(cudaStream_t) const { return {}; }
};
constexpr stream_policy par{};
}  // namespace cuda

template <class T>
T* raw_pointer_cast(T* pointer) {
    return pointer;
}

// A value in device memory that host code reads and writes by copies.
template <class T>
struct device_reference {
    T* pointer;
    operator T() const {
        T value;
        if (cudaMemcpy((void*)&value, (const void*)pointer, sizeof(T), cudaMemcpyDeviceToHost))
            throw system_error("reading device memory");
        return value;
    }
    device_reference& operator=(const T& value) {
        if (cudaMemcpy((void*)pointer, (const void*)&value, sizeof(T), cudaMemcpyHostToDevice))
            throw system_error("writing device memory");
        return *this;
    }
    device_reference& operator=(const device_reference& other) { return *this = (T)other; }
    device_reference(const device_reference&) = default;
    explicit device_reference(T* pointer) : pointer(pointer) {}
    device_reference& operator+=(const T& value) { return *this = (T)*this + value; }
    auto operator&() const;
};

template <class T>
struct device_ptr {
    using iterator_category = std::random_access_iterator_tag;
    using value_type = std::remove_const_t<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = device_ptr;
    using reference = device_reference<T>;

    T* raw = nullptr;
    device_ptr() = default;
    explicit device_ptr(T* raw) : raw(raw) {}
    T* get() const { return raw; }
    reference operator*() const { return reference(raw); }
    reference operator[](difference_type k) const { return reference(raw + k); }
    device_ptr& operator++() { return raw++, *this; }
    device_ptr& operator+=(difference_type k) { return raw += k, *this; }
    device_ptr operator+(difference_type k) const { return device_ptr(raw + k); }
    device_ptr operator-(difference_type k) const { return device_ptr(raw - k); }
    difference_type operator-(device_ptr other) const { return raw - other.raw; }
    bool operator==(device_ptr other) const { return raw == other.raw; }
    bool operator!=(device_ptr other) const { return raw != other.raw; }
    bool operator<(device_ptr other) const { return raw < other.raw; }
};
template <class T>
auto device_reference<T>::operator&() const {
    return device_ptr<T>(pointer);
}
template <class T>
T* raw_pointer_cast(device_ptr<T> pointer) {
    return pointer.raw;
}
template <class T>
device_ptr<T> device_pointer_cast(T* raw) {
    return device_ptr<T>(raw);
}

template <class T>
class device_vector;

// Unlike std::vector<bool>, one of bool is an array of them.
template <class T>
class host_vector {
public:
    using value_type = T;
    using iterator = T*;
    using const_iterator = const T*;

    host_vector() = default;
    explicit host_vector(std::size_t n, const T& value = T()) { resize(n, value); }
    host_vector(const host_vector& other) { assign(other.begin(), other.end()); }
    host_vector(host_vector&& other) noexcept { swap(other); }
    host_vector(const device_vector<T>& other) { *this = other; }
    template <class I, class = typename std::iterator_traits<I>::iterator_category>
    host_vector(I first, I last) {
        assign(first, last);
    }
    ~host_vector() { clear_all(); }

    host_vector& operator=(const host_vector& other) {
        if (this != &other) assign(other.begin(), other.end());
        return *this;
    }
    host_vector& operator=(host_vector&& other) noexcept {
        swap(other);
        return *this;
    }
    host_vector& operator=(const device_vector<T>& other);

    T& operator[](std::size_t k) { return items[k]; }
    const T& operator[](std::size_t k) const { return items[k]; }
    T* begin() { return items; }
    T* end() { return items + count; }
    const T* begin() const { return items; }
    const T* end() const { return items + count; }
    T* data() { return items; }
    const T* data() const { return items; }
    T& front() { return items[0]; }
    T& back() { return items[count - 1]; }
    std::size_t size() const { return count; }
    std::size_t capacity() const { return room; }
    bool empty() const { return count == 0; }

    void reserve(std::size_t n) {
        if (n <= room) return;
        T* bigger = std::allocator<T>().allocate(n);
        std::uninitialized_move(items, items + count, bigger);
        std::size_t kept = count;
        clear_all();
        items = bigger;
        count = kept;
        room = n;
    }
    void resize(std::size_t n, const T& value = T()) {
        if (n > room) reserve(std::max(n, 2 * room));
        if (n > count) std::uninitialized_fill(items + count, items + n, value);
        if (n < count) std::destroy(items + n, items + count);
        count = n;
    }
    void push_back(const T& value) {
        T copy = value;
        resize(count + 1, copy);
    }
    void pop_back() { resize(count - 1); }
    T* erase(T* first, T* last) {
        std::move(last, end(), first);
        resize(count - (last - first));
        return first;
    }
    T* erase(T* at) { return erase(at, at + 1); }
    void clear() { resize(0); }
    void shrink_to_fit() {}
    void swap(host_vector& other) {
        std::swap(items, other.items);
        std::swap(count, other.count);
        std::swap(room, other.room);
    }
    template <class I>
    void assign(I first, I last) {
        clear();
        reserve(std::distance(first, last));
        for (; first != last; ++first) push_back(*first);
    }

private:
    void clear_all() {
        std::destroy(items, items + count);
        if (items) std::allocator<T>().deallocate(items, room);
        items = nullptr;
        count = room = 0;
    }
    T* items = nullptr;
    std::size_t count = 0, room = 0;
};

template <class T>
class device_vector {
public:
    using value_type = T;
    using iterator = device_ptr<T>;

    device_vector() = default;
    explicit device_vector(std::size_t n, const T& value = T()) { resize(n, value); }
    device_vector(const device_vector& other) { *this = other; }
    device_vector(device_vector&& other) noexcept { swap(other); }
    template <class V, class = decltype(std::declval<const V&>().begin())>
    device_vector(const V& other) {
        *this = other;
    }
    ~device_vector() { cudaFree((void*)items); }

    device_vector& operator=(const device_vector& other) {
        if (this != &other) copy_from((const void*)other.items, other.count, cudaMemcpyDeviceToDevice);
        return *this;
    }
    template <class V, class = decltype(std::declval<const V&>().data())>
    device_vector& operator=(const V& other) {
        copy_from((const void*)other.data(), other.size(), cudaMemcpyHostToDevice);
        return *this;
    }

    device_reference<T> operator[](std::size_t k) const { return device_reference<T>(items + k); }
    iterator begin() const { return iterator(items); }
    iterator end() const { return iterator(items + count); }
    iterator data() const { return begin(); }
    device_reference<T> front() const { return (*this)[0]; }
    device_reference<T> back() const { return (*this)[count - 1]; }
    std::size_t size() const { return count; }
    std::size_t capacity() const { return room; }
    bool empty() const { return count == 0; }

    void reserve(std::size_t n) {
        if (n <= room) return;
        T* bigger = nullptr;
        if (cudaMalloc(&bigger, n * sizeof(T)) != cudaSuccess)
            throw system_error("no device memory");
        cudaMemcpy((void*)bigger, (const void*)items, count * sizeof(T), cudaMemcpyDeviceToDevice);
        cudaFree((void*)items);
        items = bigger;
        room = n;
    }
    void resize(std::size_t n, const T& value = T()) {
        if (n > room) reserve(std::max(n, 2 * room));
        emulated::Access access;
        for (std::size_t k = count; k < n; k++) items[k] = value;
        count = n;
    }
    void push_back(const T& value) { resize(count + 1, value); }
    void clear() { count = 0; }
    void shrink_to_fit() {}
    void swap(device_vector& other) {
        std::swap(items, other.items);
        std::swap(count, other.count);
        std::swap(room, other.room);
    }

private:
    void copy_from(const void* other, std::size_t n, cudaMemcpyKind kind) {
        count = 0;
        reserve(n);
        cudaMemcpy((void*)items, other, n * sizeof(T), kind);
        count = n;
    }
    T* items = nullptr;
    std::size_t count = 0, room = 0;
};

template <class T>
host_vector<T>& host_vector<T>::operator=(const device_vector<T>& other) {
    resize(other.size());
    cudaMemcpy((void*)items, (const void*)other.begin().raw, count * sizeof(T),
               cudaMemcpyDeviceToHost);
    return *this;
}

template <class T>
void swap(device_vector<T>& one, device_vector<T>& other) {
    one.swap(other);
}

// --- algorithms: on plain pointers, wherever they lead

namespace raw {
template <class I>
I of(I iterator) {
    return iterator;
}
template <class T>
T* of(device_ptr<T> iterator) {
    return iterator.raw;
}
}  // namespace raw

#define EMULATED_POLICY(name)                                                          \
    template <class... A>                                                              \
    auto name(host_policy, A... a) {                                                   \
        return name(a...);                                                             \
    }                                                                                  \
    template <class... A>                                                              \
    auto name(device_policy, A... a) {                                                 \
        return name(a...);                                                             \
    }

template <class I, class O>
O copy(I first, I last, O to) {
    emulated::Access access;
    auto end = std::copy(raw::of(first), raw::of(last), raw::of(to));
    return to + (end - raw::of(to));
}
EMULATED_POLICY(copy)
template <class I, class O, class P>
O copy_if(I first, I last, O to, P wanted) {
    emulated::Access access;
    auto end = std::copy_if(raw::of(first), raw::of(last), raw::of(to), wanted);
    return to + (end - raw::of(to));
}
template <class I, class V>
void fill(I first, I last, const V& value) {
    emulated::Access access;
    std::fill(raw::of(first), raw::of(last), value);
}
EMULATED_POLICY(fill)
template <class I>
void sequence(I first, I last) {
    emulated::Access access;
    std::iota(raw::of(first), raw::of(last), 0);
}
EMULATED_POLICY(sequence)
template <class I, class P>
auto count_if(I first, I last, P wanted) {
    emulated::Access access;
    return std::count_if(raw::of(first), raw::of(last), wanted);
}
template <class I, class V>
auto count(I first, I last, const V& value) {
    emulated::Access access;
    return std::count(raw::of(first), raw::of(last), value);
}
template <class I>
auto reduce(I first, I last) {
    emulated::Access access;
    return std::accumulate(raw::of(first), raw::of(last),
                           typename std::iterator_traits<I>::value_type(0));
}
template <class I, class V, class F = std::plus<>>
V reduce(I first, I last, V start, F together = {}) {
    emulated::Access access;
    return std::accumulate(raw::of(first), raw::of(last), start, together);
}
template <class I, class O, class F>
O transform(I first, I last, O to, F changed) {
    emulated::Access access;
    auto end = std::transform(raw::of(first), raw::of(last), raw::of(to), changed);
    return to + (end - raw::of(to));
}
template <class I, class O>
O exclusive_scan(I first, I last, O to) {
    emulated::Access access;
    auto end = std::exclusive_scan(raw::of(first), raw::of(last), raw::of(to),
                                   typename std::iterator_traits<I>::value_type(0));
    return to + (end - raw::of(to));
}
template <class I, class O>
O inclusive_scan(I first, I last, O to) {
    emulated::Access access;
    auto end = std::inclusive_scan(raw::of(first), raw::of(last), raw::of(to));
    return to + (end - raw::of(to));
}
template <class I>
I max_element(I first, I last) {
    emulated::Access access;
    return first + (std::max_element(raw::of(first), raw::of(last)) - raw::of(first));
}
template <class I>
I min_element(I first, I last) {
    emulated::Access access;
    return first + (std::min_element(raw::of(first), raw::of(last)) - raw::of(first));
}
template <class I, class C = std::less<>>
void sort(I first, I last, C before = {}) {
    emulated::Access access;
    std::stable_sort(raw::of(first), raw::of(last), before);
}
template <class I>
I unique(I first, I last) {
    emulated::Access access;
    return first + (std::unique(raw::of(first), raw::of(last)) - raw::of(first));
}
template <class K, class V, class C = std::less<>>
void stable_sort_by_key(K first, K last, V values, C before = {}) {
    emulated::Access access;
    auto keys = raw::of(first);
    auto items = raw::of(values);
    std::vector<std::size_t> order(raw::of(last) - keys);
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return before(keys[a], keys[b]); });
    std::vector<typename std::iterator_traits<K>::value_type> sorted_keys;
    std::vector<typename std::iterator_traits<V>::value_type> sorted_items;
    for (std::size_t k : order) {
        sorted_keys.push_back(keys[k]);
        sorted_items.push_back(items[k]);
    }
    std::copy(sorted_keys.begin(), sorted_keys.end(), keys);
    std::copy(sorted_items.begin(), sorted_items.end(), items);
}
template <class K, class V, class C = std::less<>>
void sort_by_key(K first, K last, V values, C before = {}) {
    stable_sort_by_key(first, last, values, before);
}
template <class K, class V>
pair<K, V> unique_by_key(K first, K last, V values) {
    emulated::Access access;
    auto keys = raw::of(first);
    auto items = raw::of(values);
    std::ptrdiff_t n = raw::of(last) - keys, kept = 0;
    for (std::ptrdiff_t k = 0; k < n; k++) {
        if (k > 0 && keys[k] == keys[kept - 1]) continue;
        keys[kept] = keys[k];
        items[kept++] = items[k];
    }
    return {first + kept, values + kept};
}

}  // namespace thrust
