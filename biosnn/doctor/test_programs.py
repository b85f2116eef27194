"""Small programs with which C++ compilers are tried."""

HELLO = '#include <iostream>\nint main() { std::cout << "hello"; }\n'
# A loop that the compiler turns into the widest instructions that it believes the CPU has.
HELLO_VECTOR = """#include <cstdlib>
#include <iostream>
int main() {
    static double x[4096];
    for (int i = 0; i < 4096; i++) x[i] = std::rand() * 0.5;
    double sum = 0;
    for (int i = 0; i < 4096; i++) sum += x[i] * x[i] + 1;
    std::cout << (sum > 0 ? "hello" : "wrong");
}
"""
HELLO_OPENMP = """#include <omp.h>
#include <iostream>
int main() {
    int n = 0;
    #pragma omp parallel for reduction(+ : n)
    for (int i = 0; i < 100; i++) n += omp_get_num_threads() > 0;
    std::cout << (n == 100 ? "hello" : "wrong");
}
"""
