#include "coulomb.h"

#include <cmath>

namespace reann {

double self_potential(double sigma) { return coulomb * std::sqrt(2.0 / std::acos(-1.0)) / sigma; }

std::vector<double> sum_of_ranks(MPI_Comm world, std::vector<double> own) {
    MPI_Allreduce(MPI_IN_PLACE, own.data(), int(own.size()), MPI_DOUBLE, MPI_SUM, world);
    return own;
}

double largest_of_ranks(MPI_Comm world, double own) {
    MPI_Allreduce(MPI_IN_PLACE, &own, 1, MPI_DOUBLE, MPI_MAX, world);
    return own;
}

} // namespace reann
