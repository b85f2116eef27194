// What the headers declare: device memory, its registry, and the fibres that threads run on.
#include "cuda_runtime.h"

#include <malloc.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#endif

namespace emulated {

Position here;

namespace {

cudaError_t last_error = cudaSuccess;

long setting(const char* name, long otherwise) {
    const char* text = std::getenv(name);
    return text ? std::atol(text) : otherwise;
}

const int multiprocessors = (int)setting("EMULATED_MULTIPROCESSORS", 4);
const int suggested_threads = (int)setting("EMULATED_THREADS_PER_BLOCK", 1024);
constexpr std::size_t MOST_THREADS = 1024, SHARED = 48 << 10, SHARED_OPTIN = 227 << 10;

}  // namespace

[[noreturn]] void stop(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::fflush(stdout);
    std::fputs("emulated CUDA: ", stderr);
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    std::_Exit(70);
}

cudaError_t fail(cudaError_t error, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::fputs("emulated CUDA: ", stderr);
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    return last_error = error;
}

// As a double or float it is no number, as an integer it is large.
void poison(void* memory, std::size_t bytes) {
    static const unsigned char pattern[4] = {0xad, 0xde, 0xfa, 0x7f};
    auto* at = static_cast<unsigned char*>(memory);
    std::size_t whole = bytes / 4 * 4;
    for (std::size_t k = 0; k < whole; k += 4) std::memcpy(at + k, pattern, 4);
    std::memcpy(at + whole, pattern, bytes - whole);
}

// --- device memory: one range of addresses that only kernels and the runtime may touch

namespace {

constexpr std::size_t REACH = std::size_t(64) << 30, MEMORY = std::size_t(16) << 30;
constexpr std::size_t ALIGNMENT = 256, FENCE = 256, PAGE = 4096;

class Memory {
public:
    Memory() : guarded(setting("EMULATED_GUARD", 1) != 0) {
        mallopt(M_PERTURB, 0x5a);
        void* found = mmap(nullptr, REACH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                           -1, 0);
        if (found == MAP_FAILED) stop("no address space for device memory");
        base = top = static_cast<char*>(found);
        open_to = base;
    }

    // Whole lengths, fences included, are reused by their size.
    void* allocate(std::size_t bytes) {
        if (used + bytes > MEMORY) return nullptr;
        std::size_t length = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + 2 * FENCE;
        Access access;
        char* start;
        if (auto spare = spares.find(length); spare != spares.end()) {
            start = spare->second;
            spares.erase(spare);
        } else {
            start = top;
            top += length;
            open();
        }
        ASAN_UNPOISON_MEMORY_REGION(start, length);
        std::memset(start, 0xfe, length);
        char* memory = start + FENCE;
        poison(memory, bytes);
        ASAN_POISON_MEMORY_REGION(start, FENCE);
        ASAN_POISON_MEMORY_REGION(memory + bytes, start + length - memory - bytes);
        blocks[memory] = {bytes, length};
        used += bytes;
        return memory;
    }

    bool release(void* pointer) {
        auto block = blocks.find(static_cast<char*>(pointer));
        if (block == blocks.end()) return false;
        check(*block);
        auto [memory, size] = *block;
        Access access;
        poison(memory, size.first);
        ASAN_POISON_MEMORY_REGION(memory, size.first);
        spares.emplace(size.second, memory - FENCE);
        used -= size.first;
        blocks.erase(block);
        return true;
    }

    // Bytes from here to the end of the allocation that this lies in; 0 if it lies in none.
    std::size_t behind(const void* pointer) const {
        auto at = static_cast<const char*>(pointer);
        if (inside(pointer)) {
            auto next = blocks.upper_bound(const_cast<char*>(at));
            if (next == blocks.begin()) return 0;
            auto [memory, size] = *std::prev(next);
            return at < memory + size.first ? memory + size.first - at : 0;
        }
        auto next = symbols.upper_bound(at);
        if (next == symbols.begin()) return 0;
        auto [symbol, size] = *std::prev(next);
        return at < symbol + size ? symbol + size - at : 0;
    }

    bool inside(const void* pointer) const { return pointer >= base && pointer < base + REACH; }

    void enter() {
        if (depth++ == 0) open();
    }
    void leave() {
        if (--depth == 0 && guarded) protect(PROT_NONE);
    }

    void check_all() {
        for (auto& block : blocks) check(block);
    }

    std::map<const char*, std::size_t> symbols;
    std::size_t used = 0;

private:
    using Block = std::pair<char* const, std::pair<std::size_t, std::size_t>>;

    void check(const Block& block) {
#ifndef __SANITIZE_ADDRESS__
        Access access;
        auto [memory, size] = block;
        for (char* at = memory - FENCE; at < memory - FENCE + size.second; at++) {
            if (at == memory) at += size.first;
            if (at == memory - FENCE + size.second) break;
            if (*at != char(0xfe))
                stop("a kernel wrote %td bytes from the start of an allocation of %zu bytes",
                     at - memory, size.first);
        }
#endif
    }

    void open() {
        if (guarded || top > open_to) protect(PROT_READ | PROT_WRITE);
    }
    void protect(int how) {
        std::size_t length = (top - base + PAGE - 1) / PAGE * PAGE;
        if (length && mprotect(base, length, how)) stop("mprotect failed");
        open_to = base + length;
    }

    const bool guarded;
    char *base, *top, *open_to;
    int depth = 0;
    std::map<char*, std::pair<std::size_t, std::size_t>> blocks;
    std::multimap<std::size_t, char*> spares;
};

Memory& memory() {
    static Memory only;
    return only;
}

// Whether device memory holds so many bytes from here.
bool fits(const char* what, const void* pointer, std::size_t bytes) {
    std::size_t behind = memory().behind(pointer);
    if (bytes <= behind) return true;
    if (behind == 0)
        fail(cudaErrorInvalidValue, "%s: %p is not in an allocation of device memory", what,
             pointer);
    else
        fail(cudaErrorInvalidValue, "%s: %zu bytes, but the allocation ends after %zu", what, bytes,
             behind);
    return false;
}

}  // namespace

Access::Access() { memory().enter(); }
Access::~Access() { memory().leave(); }

bool is_device_memory(const void* pointer) { return memory().inside(pointer); }
std::size_t bytes_behind(const void* pointer) { return memory().behind(pointer); }

void know_symbol(const void* symbol, std::size_t size) {
    memory().symbols[static_cast<const char*>(symbol)] = size;
}

cudaError_t copy_symbol(void* symbol, std::size_t size, void* other, std::size_t bytes,
                        std::size_t offset, bool to_symbol) {
    know_symbol(symbol, size);
    if (offset + bytes > size)
        return fail(cudaErrorInvalidValue, "%zu bytes at %zu of a symbol of %zu", bytes, offset,
                    size);
    char* at = static_cast<char*>(symbol) + offset;
    Access access;
    std::memcpy(to_symbol ? at : other, to_symbol ? other : at, bytes);
    return cudaSuccess;
}

// --- fibres

#if defined(__x86_64__)
extern "C" void emulated_switch(void** from, void* to);
asm(R"(
.text
.type emulated_switch, @function
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulated_switch, .-emulated_switch
)");
#else
#error "fibres are written for x86-64"
#endif

namespace {

constexpr std::size_t STACK = 256 << 10;

struct Fibre {
    void* top = nullptr;
    char* stack = nullptr;
};

struct Waiting {
    Fibre* fibre;
    unsigned place;  // in the order in which the threads of the block are run
    unsigned thread;
    bool in_warp;
    const char* file;
    int line;
};

struct Warp {
    unsigned arrived = 0, alive = 0;
    unsigned mask[32];
    std::uint64_t value[32], result[32][32];
};

class Block {
public:
    void run(const Work& todo, const std::vector<unsigned>& order, std::mt19937_64* shuffle) {
        work = &todo;
        places = &order;
        next = 0;
        alive = (unsigned)order.size();
        if (warps.size() < (order.size() + 31) / 32) warps.resize((order.size() + 31) / 32);
        for (std::size_t k = 0; k * 32 < order.size(); k++) {
            std::size_t lanes = std::min<std::size_t>(32, order.size() - 32 * k);
            warps[k].arrived = 0;
            warps[k].alive = lanes == 32 ? ~0u : (1u << lanes) - 1;
        }
        for (;;) {
            while (next < order.size()) resume(idle());
            if (waiting.empty()) return;
            std::vector<Waiting> ready = take_ready();
            if (shuffle) std::shuffle(ready.begin(), ready.end(), *shuffle);
            for (const Waiting& one : ready) resume(one.fibre);
        }
    }

    void wait(bool in_warp, const char* file, int line) {
        Fibre* mine = current;
        const uint3 thread = here.thread;
        const unsigned number = linear;
        const unsigned stands = place;
        waiting.push_back({mine, stands, number, in_warp, file, line});
        leave();
        here.thread = thread;
        linear = number;
        place = stands;
    }

    const std::uint64_t* exchange(unsigned mask, std::uint64_t value) {
        const unsigned lane = linear % 32;
        Warp& warp = warps[linear / 32];
        if (!(mask >> lane & 1)) stop("a lane of %s is not in the mask of its call", work->name);
        warp.mask[lane] = mask;
        warp.value[lane] = value;
        warp.arrived |= 1u << lane;
        const std::uint64_t* result = warp.result[lane];
        wait(true, "", 0);
        return result;
    }

private:
    static void enter() {
        block().begin();
    }

    void begin() {
        arrive();
        for (;;) {
            while (next < places->size()) {
                place = next++;
                linear = (*places)[place];
                const dim3& size = here.threads;
                here.thread = {linear % size.x, linear / size.x % size.y,
                               linear / (size.x * size.y)};
                work->thread(work->data);
                alive--;
                warps[linear / 32].alive &= ~(1u << linear % 32);
            }
            spare.push_back(current);
            leave();
        }
    }

    Fibre* idle() {
        if (!spare.empty()) {
            Fibre* fibre = spare.back();
            spare.pop_back();
            return fibre;
        }
        auto* fibre = new Fibre;
        void* found = mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (found == MAP_FAILED) stop("no memory for the stack of a thread");
        fibre->stack = static_cast<char*>(found);
        mprotect(fibre->stack, PAGE, PROT_NONE);
        // What a switch takes off the stack, the address to go on at, and a missing return address.
        auto** top = reinterpret_cast<void**>(fibre->stack + STACK) - 8;
        std::memset(top, 0, 8 * sizeof(void*));
        top[6] = reinterpret_cast<void*>(&enter);
        fibre->top = top;
        return fibre;
    }

    void resume(Fibre* fibre) {
        current = fibre;
#ifdef __SANITIZE_ADDRESS__
        void* fake = nullptr;
        __sanitizer_start_switch_fiber(&fake, fibre->stack, STACK);
        emulated_switch(&host, fibre->top);
        __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
        emulated_switch(&host, fibre->top);
#endif
    }

    void leave() {
        Fibre* mine = current;
#ifdef __SANITIZE_ADDRESS__
        void* fake = nullptr;
        __sanitizer_start_switch_fiber(&fake, host_stack, host_size);
        emulated_switch(&mine->top, host);
        __sanitizer_finish_switch_fiber(fake, &host_stack, &host_size);
#else
        emulated_switch(&mine->top, host);
#endif
    }

    void arrive() {
#ifdef __SANITIZE_ADDRESS__
        __sanitizer_finish_switch_fiber(nullptr, &host_stack, &host_size);
#endif
    }

    // Lanes whose whole mask has come, or else the whole block at its barrier.
    std::vector<Waiting> take_ready() {
        std::vector<Waiting> ready, others;
        for (const Waiting& one : waiting) {
            Warp& warp = warps[one.thread / 32];
            const unsigned lane = one.thread % 32;
            const bool came = one.in_warp && !(warp.mask[lane] & warp.alive & ~warp.arrived);
            (came ? ready : others).push_back(one);
        }
        for (const Waiting& one : ready) {
            Warp& warp = warps[one.thread / 32];
            std::memcpy(warp.result[one.thread % 32], warp.value, sizeof(warp.value));
        }
        for (const Waiting& one : ready) warps[one.thread / 32].arrived &= ~(1u << one.thread % 32);
        if (ready.empty()) {
            for (const Waiting& one : others)
                if (one.in_warp)
                    stop("threads of %s wait for each other for ever: thread %u in its warp",
                         work->name, one.thread);
            look_for_divergence();
            ready.swap(others);
        }
        waiting.swap(others);
        return ready;
    }

    void look_for_divergence() {
        for (const Waiting& one : waiting) {
            const Waiting& first = waiting.front();
            if (one.line == first.line && std::strcmp(one.file, first.file) == 0) continue;
            std::string said = std::string(work->name) + ": " + first.file + ":" +
                               std::to_string(first.line) + " and " + one.file + ":" +
                               std::to_string(one.line);
            if (divergent.insert(said).second)
                std::fprintf(stderr,
                             "emulated CUDA: threads of one block wait at different barriers of "
                             "%s\n",
                             said.c_str());
            return;
        }
    }

public:
    static Block& block() {
        static Block only;
        return only;
    }
    unsigned linear = 0;

private:
    const Work* work = nullptr;
    const std::vector<unsigned>* places = nullptr;
    std::size_t next = 0;
    unsigned alive = 0, place = 0;
    Fibre* current = nullptr;
    void* host = nullptr;
    const void* host_stack = nullptr;
    std::size_t host_size = 0;
    std::vector<Fibre*> spare;
    std::vector<Waiting> waiting;
    std::vector<Warp> warps;
    std::set<std::string> divergent;
};

// --- launches

struct Order {
    enum { forward, reversed, shuffled } kind = forward;
    std::mt19937_64 random;

    Order() {
        const char* text = std::getenv("EMULATED_ORDER");
        if (!text || !*text || !std::strcmp(text, "forward")) return;
        if (!std::strcmp(text, "reversed")) {
            kind = reversed;
        } else if (!std::strncmp(text, "shuffled:", 9)) {
            kind = shuffled;
            random.seed(std::strtoull(text + 9, nullptr, 10));
        } else {
            stop("EMULATED_ORDER must be forward, reversed or shuffled:SEED, got %s", text);
        }
    }

    void arrange(std::vector<unsigned>& places, std::size_t n) {
        places.resize(n);
        std::iota(places.begin(), places.end(), 0u);
        if (kind == reversed) std::reverse(places.begin(), places.end());
        if (kind == shuffled) std::shuffle(places.begin(), places.end(), random);
    }
};

std::map<const void*, std::size_t>& allowed_shared() {
    static std::map<const void*, std::size_t> only;
    return only;
}

}  // namespace

void barrier(const char* file, int line) {
    if (!here.in_kernel) stop("__syncthreads outside of a kernel");
    Block::block().wait(false, file, line);
}

const std::uint64_t* exchange(unsigned mask, std::uint64_t value) {
    return Block::block().exchange(mask, value);
}

void run(dim3 blocks, dim3 threads, std::size_t shared, const Work& work) {
    static Order order;
    static std::vector<unsigned> block_places, thread_places;
    const std::size_t n_blocks = (std::size_t)blocks.x * blocks.y * blocks.z;
    const std::size_t n_threads = (std::size_t)threads.x * threads.y * threads.z;
    std::size_t most_shared = SHARED;
    if (auto own = allowed_shared().find(work.kernel); own != allowed_shared().end())
        most_shared = std::max(most_shared, own->second);
    if (n_blocks == 0 || n_threads == 0 || n_threads > MOST_THREADS || threads.z > 64 ||
        blocks.x > 0x7fffffffu || blocks.y > 65535 || blocks.z > 65535 || shared > most_shared) {
        fail(cudaErrorInvalidConfiguration, "%s: %zu blocks of %zu threads, %zu bytes shared",
             work.name, n_blocks, n_threads, shared);
        return;
    }
    static const bool traced = setting("EMULATED_TRACE", 0) != 0;
    if (traced)
        std::fprintf(stderr, "emulated CUDA: %s %zu x %zu\n", work.name, n_blocks, n_threads);
    Access access;
    here.in_kernel = true;
    here.blocks = blocks;
    here.threads = threads;
    char* scratch = shared ? static_cast<char*>(aligned_alloc(256, (shared + 255) / 256 * 256 + 256)) : nullptr;
    here.dynamic_shared = scratch;
    if (scratch) ASAN_POISON_MEMORY_REGION(scratch + shared, 256);
    order.arrange(block_places, n_blocks);
    if (order.kind != Order::shuffled) order.arrange(thread_places, n_threads);
    for (std::size_t number : block_places) {
        here.block = {(unsigned)(number % blocks.x), (unsigned)(number / blocks.x % blocks.y),
                      (unsigned)(number / ((std::size_t)blocks.x * blocks.y))};
        here.block_number++;
        if (scratch) {
            poison(scratch, shared);
#ifndef __SANITIZE_ADDRESS__
            std::memset(scratch + shared, 0xfe, 256);
#endif
        }
        if (order.kind == Order::shuffled) order.arrange(thread_places, n_threads);
        Block::block().run(work, thread_places,
                           order.kind == Order::shuffled ? &order.random : nullptr);
#ifndef __SANITIZE_ADDRESS__
        for (std::size_t k = 0; scratch && k < 256; k++)
            if (scratch[shared + k] != char(0xfe))
                stop("%s wrote behind its %zu bytes of shared memory", work.name, shared);
#endif
    }
    if (scratch) ASAN_UNPOISON_MEMORY_REGION(scratch + shared, 256);
    std::free(scratch);
    here.in_kernel = false;
}

cudaError_t describe(cudaFuncAttributes* found, const void* kernel) {
    *found = {};
    found->maxThreadsPerBlock = (int)MOST_THREADS;
    found->numRegs = 32;
    found->ptxVersion = found->binaryVersion = 90;
    auto own = allowed_shared().find(kernel);
    found->maxDynamicSharedSizeBytes = (int)(own == allowed_shared().end() ? SHARED : own->second);
    return cudaSuccess;
}

cudaError_t allow_shared(const void* kernel, std::size_t bytes) {
    if (bytes > SHARED_OPTIN)
        return fail(cudaErrorInvalidValue, "%zu bytes of shared memory, at most %zu", bytes,
                    SHARED_OPTIN);
    allowed_shared()[kernel] = bytes;
    return cudaSuccess;
}

int block_size(int limit) { return limit > 0 ? std::min(limit, suggested_threads) : suggested_threads; }

int blocks_per_multiprocessor(int threads, std::size_t shared) {
    if (threads <= 0 || threads > (int)MOST_THREADS) return 0;
    int whole = 2048 / ((threads + 31) / 32 * 32);
    int by_shared = shared ? (int)(SHARED_OPTIN / shared) : whole;
    return std::min({whole, by_shared, 32});
}

}  // namespace emulated

using namespace emulated;

// --- the runtime's functions

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
        case cudaErrorInvalidSymbol: return "cudaErrorInvalidSymbol";
        case cudaErrorInvalidDevicePointer: return "cudaErrorInvalidDevicePointer";
        case cudaErrorInvalidMemcpyDirection: return "cudaErrorInvalidMemcpyDirection";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
        default: return "cudaErrorUnknown";
    }
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaMalloc(void** result, std::size_t bytes) {
    *result = nullptr;
    if (bytes == 0) return cudaSuccess;
    *result = memory().allocate(bytes);
    if (*result) return cudaSuccess;
    return fail(cudaErrorMemoryAllocation, "no %zu bytes of device memory", bytes);
}
cudaError_t cudaFree(void* pointer) {
    if (!pointer || memory().release(pointer)) return cudaSuccess;
    return fail(cudaErrorInvalidValue, "cudaFree: %p is not the start of an allocation", pointer);
}
// Unlike other device memory, host code may touch it.
cudaError_t cudaMallocManaged(void** result, std::size_t bytes, unsigned) {
    *result = std::malloc(bytes);
    know_symbol(*result, bytes);
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void** result, std::size_t bytes, unsigned) {
    *result = std::malloc(bytes ? bytes : 1);
    if (*result) poison(*result, bytes);
    return *result ? cudaSuccess : fail(cudaErrorMemoryAllocation, "no %zu bytes", bytes);
}
cudaError_t cudaFreeHost(void* pointer) {
    std::free(pointer);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return cudaSuccess;
    if (kind == cudaMemcpyDefault) {
        if (bytes_behind(to)) kind = bytes_behind(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
        else kind = bytes_behind(from) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
    }
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device && !fits("cudaMemcpy to the device", to, bytes)) return last_error;
    if (from_device && !fits("cudaMemcpy from the device", from, bytes)) return last_error;
    if ((!to_device && is_device_memory(to)) || (!from_device && is_device_memory(from)))
        return fail(cudaErrorInvalidMemcpyDirection, "cudaMemcpy: device memory taken for the host's");
    Access access;
    std::memmove(to, from, bytes);
    return cudaSuccess;
}
cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
    if (bytes == 0) return cudaSuccess;
    if (!fits("cudaMemset", pointer, bytes)) return last_error;
    Access access;
    std::memset(pointer, value, bytes);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
    *total = MEMORY;
    *available = MEMORY - memory().used;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice, "there is no device %d", device);
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* found, int device) {
    if (device != 0) return cudaSetDevice(device);
    *found = {};
    std::strcpy(found->name, "emulated on the CPU");
    found->totalGlobalMem = MEMORY;
    found->sharedMemPerBlock = SHARED;
    found->sharedMemPerBlockOptin = SHARED_OPTIN;
    found->sharedMemPerMultiprocessor = SHARED_OPTIN + 1024;
    found->totalConstMem = 64 << 10;
    found->regsPerBlock = found->regsPerMultiprocessor = 65536;
    found->warpSize = 32;
    found->maxThreadsPerBlock = (int)MOST_THREADS;
    found->maxThreadsDim[0] = found->maxThreadsDim[1] = 1024;
    found->maxThreadsDim[2] = 64;
    found->maxGridSize[0] = 0x7fffffff;
    found->maxGridSize[1] = found->maxGridSize[2] = 65535;
    found->major = 9;
    found->multiProcessorCount = multiprocessors;
    found->maxThreadsPerMultiProcessor = 2048;
    found->maxBlocksPerMultiProcessor = 32;
    found->l2CacheSize = 50 << 20;
    found->concurrentKernels = found->unifiedAddressing = found->managedMemory = 1;
    found->cooperativeLaunch = 0;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp found;
    if (cudaError_t error = cudaGetDeviceProperties(&found, device)) return error;
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: *value = found.maxThreadsPerBlock; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = (int)found.sharedMemPerBlock; break;
        case cudaDevAttrWarpSize: *value = found.warpSize; break;
        case cudaDevAttrMultiProcessorCount: *value = found.multiProcessorCount; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor:
            *value = found.maxThreadsPerMultiProcessor;
            break;
        case cudaDevAttrComputeCapabilityMajor: *value = found.major; break;
        case cudaDevAttrComputeCapabilityMinor: *value = found.minor; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = (int)found.sharedMemPerBlockOptin;
            break;
        default: return fail(cudaErrorInvalidValue, "attribute %d is not emulated", (int)attribute);
    }
    return cudaSuccess;
}

static std::map<cudaLimit, std::size_t> limits{
    {cudaLimitStackSize, 1024}, {cudaLimitPrintfFifoSize, 1 << 20}, {cudaLimitMallocHeapSize, 8 << 20}};

cudaError_t cudaDeviceSetLimit(cudaLimit limit, std::size_t value) {
    limits[limit] = value;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetLimit(std::size_t* value, cudaLimit limit) {
    *value = limits[limit];
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

struct emulated_event {
    std::chrono::steady_clock::time_point time;
};
cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned) {
    *event = new emulated_event;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    event->time = std::chrono::steady_clock::now();
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t stop) {
    *ms = std::chrono::duration<float, std::milli>(stop->time - start->time).count();
    return cudaSuccess;
}

// At the end of the program nothing may have been written beside an allocation.
static struct AtTheEnd {
    AtTheEnd() { memory(); }
    ~AtTheEnd() { memory().check_all(); }
} at_the_end;
