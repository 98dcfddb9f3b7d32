// A q + chi = lambda with A = J + V, by conjugate gradients for changes of the charges without a change of their
// sum, until the chemical potentials of all atoms agree.

#include "equilibrium.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace reann {
namespace {

constexpr double converged = 1e-8; // largest difference of chemical potentials, of the largest electronegativity
constexpr int most_steps = 1000;
using Numbers = std::vector<double>;

double product(const Numbers &a, const Numbers &b) {
    double sum = 0.0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

double largest(const Numbers &a) {
    double most = 0.0;
    for (double x : a) most = std::max(most, std::abs(x));
    return most;
}

void add(Numbers &to, double times, const Numbers &from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += times * from[i];
}

} // namespace

Numbers equilibrated(MPI_Comm world, Coulomb &interactions, double sigma, const Numbers &chi,
                     const Numbers &hardness, double total) {
    const size_t n = chi.size();
    double sum = 0.0;
    for (double h : hardness) sum += h;
    const Numbers sums = sum_of_ranks(world, {double(n), sum});
    const double n_all = sums[0], mean_hardness = sums[1] / n_all;
    const auto level = [&](Numbers values) { // subtracts their mean
        double own = 0.0;
        for (double x : values) own += x;
        const double mean = sum_of_ranks(world, {own})[0] / n_all;
        for (double &x : values) x -= mean;
        return values;
    };
    const auto times_A = [&](const Numbers &q) {
        Numbers found = interactions.potentials(q);
        for (size_t i = 0; i < n; ++i) found[i] += (hardness[i] + self_potential(sigma)) * q[i];
        return found;
    };
    const auto preconditioned = [&](const Numbers &r) { return level(interactions.preconditioned(r, mean_hardness)); };

    Numbers q(n, total / n_all), r = times_A(q);
    const double enough = converged * largest_of_ranks(world, largest(chi) + largest(r));
    for (size_t i = 0; i < n; ++i) r[i] = -chi[i] - r[i];
    r = level(r);
    Numbers smooth = preconditioned(r), step = smooth;
    double square = sum_of_ranks(world, {product(r, smooth)})[0];
    for (int k = 0; k < most_steps; ++k) {
        if (largest_of_ranks(world, largest(r)) <= enough) return q;
        const Numbers along = level(times_A(step));
        const double length = square / sum_of_ranks(world, {product(step, along)})[0];
        add(q, length, step);
        add(r, -length, along);
        smooth = preconditioned(r);
        const double before = square;
        square = sum_of_ranks(world, {product(r, smooth)})[0];
        Numbers next = smooth;
        add(next, square / before, step);
        step.swap(next);
    }
    throw std::runtime_error("the charges do not converge: atoms are closer than those of the training, or the "
                             "potential is wrong");
}

} // namespace reann
