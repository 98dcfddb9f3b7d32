// Evaluates the products and their adjoint: numbers from standard input, results to standard output.
#include <cstdio>
#include <vector>

#include "kernels/products.hpp"

using namespace reann;

constexpr int stride = 8; // a multiple of the lanes of every instruction set
constexpr int sizes[] = {1, 3, 5, 10};

using Numbers = std::vector<double>;

static Numbers read(int n) {
    Numbers numbers(n * stride);
    if (fread(numbers.data(), sizeof(double), numbers.size(), stdin) != numbers.size()) throw 1;
    return numbers;
}
static Numbers zeros(int n) { return Numbers(n * stride, 0.0); }
static void write(const Numbers &numbers) {
    fwrite(numbers.data(), sizeof(double), numbers.size(), stdout);
}

template <bool tangents, int l_max, bool tensors> void evaluate() {
    using F = Field<double, tangents>;
    using Counts = ProductCounts<l_max>;
    constexpr int planes = F::planes;

    std::vector<Numbers> moments, moments_bar;
    std::vector<const double *> m;
    std::vector<double *> m_bar;
    for (int l = 0; l <= l_max; ++l) {
        moments.push_back(read(planes * sizes[l]));
        moments_bar.push_back(zeros(planes * sizes[l]));
    }
    for (int l = 0; l <= l_max; ++l) {
        m.push_back(moments[l].data());
        m_bar.push_back(moments_bar[l].data());
    }
    const Numbers vector_weights = read(Counts::vectors), matrix_weights = read(Counts::matrices);
    const Numbers b_bar = read(planes * Counts::scalars);
    const Numbers v_bar = read(planes * 3), A_bar = read(planes * 5);

    Numbers b = zeros(planes * Counts::scalars), v = zeros(planes * 3), A = zeros(planes * 5);
    Numbers vector_bar = zeros(Counts::vectors), matrix_bar = zeros(Counts::matrices);
    products<F, l_max, tensors>(m.data(), stride, Counts::scalars * stride, vector_weights.data(), matrix_weights.data(),
                                b.data(), v.data(), A.data());
    adjoint_of_products<F, l_max, tensors>(m.data(), stride, Counts::scalars * stride, vector_weights.data(),
                                           matrix_weights.data(), b_bar.data(), v_bar.data(),
                                           A_bar.data(), m_bar.data(), vector_bar.data(),
                                           matrix_bar.data());
    for (const Numbers &numbers : {b, v, A}) write(numbers);
    for (const Numbers &numbers : moments_bar) write(numbers);
    for (const Numbers &numbers : {vector_bar, matrix_bar}) write(numbers);
}

int main() {
    unrolled<1, 4>([](auto l_max) {
        evaluate<false, l_max.value, true>();
        evaluate<false, l_max.value, false>();
        evaluate<true, l_max.value, true>();
        evaluate<true, l_max.value, false>();
    });
}
