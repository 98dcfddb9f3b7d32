// A q + chi = lambda with A = J + V and a given sum of q, as in reann/electrostatics/balance.py: conjugate gradients
// with coarse potentials solve for the residual, until the chemical potentials of all atoms agree.

#include "equilibrium.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace reann {
namespace {

constexpr double converged = 1e-6; // largest difference of chemical potentials, of the largest electronegativity
constexpr double coarse_residual = 1e-2; // part of the residual at which conjugate gradients end
constexpr int most_steps = 1000, most_corrections = 20;
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
    const auto times_A = [&](const Numbers &q, bool is_coarse) {
        Numbers found = is_coarse ? interactions.coarse_potentials(q) : interactions.potentials(q);
        for (size_t i = 0; i < n; ++i) found[i] += (hardness[i] + self_potential(sigma)) * q[i];
        return found;
    };
    const auto most = [&](const Numbers &values) { return largest_of_ranks(world, largest(values)); };
    const auto dot = [&](const Numbers &a, const Numbers &b) { return sum_of_ranks(world, {product(a, b)})[0]; };
    const auto preconditioned = [&](const Numbers &r) { return level(interactions.preconditioned(r, mean_hardness)); };
    const auto coarse_solution = [&](Numbers r) {
        const double enough = coarse_residual * most(r);
        Numbers x(n, 0.0), smooth = preconditioned(r), step = smooth;
        double square = dot(r, smooth);
        for (int k = 0; k < most_steps; ++k) {
            const Numbers along = level(times_A(step, true));
            const double length = square / dot(step, along);
            add(x, length, step);
            add(r, -length, along);
            if (most(r) <= enough) break;
            smooth = preconditioned(r);
            const double before = square;
            square = dot(r, smooth);
            Numbers next = smooth;
            add(next, square / before, step);
            step.swap(next);
        }
        return x;
    };

    Numbers q(n, total / n_all), r = times_A(q, false);
    const double enough = converged * (most(chi) + most(r));
    for (int k = 0; k < most_corrections; ++k) {
        for (size_t i = 0; i < n; ++i) r[i] = -chi[i] - r[i];
        r = level(r);
        if (most(r) <= enough) return q;
        add(q, 1.0, coarse_solution(r));
        r = times_A(q, false);
    }
    throw std::runtime_error("the charges do not converge: atoms are closer than those of the training, or the "
                             "potential is wrong");
}

} // namespace reann
