// The settings in the header of a model; the names are those of the configuration.
#pragma once

#include <string>
#include <vector>

#include "facts.hpp"

namespace reann {

struct NetworkSettings {
    std::vector<int> hidden; // widths of the first layer and of the layers of a block
    int blocks = 1;
    bool residual = true;
    Activation activation = Activation::silu;
    bool layer_norm = false;

    int used_blocks() const { return hidden.size() > 1 ? blocks : 0; }
    int last_width() const { return used_blocks() > 0 ? hidden.back() : hidden.front(); }
};

// An output of each atom that is linear in its states.
struct OutputSettings {
    std::string weights; // name of the array
    int l = 0;           // 0, 1, 2: a scalar, a vector, a matrix
};

struct Settings {
    std::vector<int> elements; // atomic numbers
    double cutoff = 0.0;       // Å
    int l_max = 0;
    int n_radial = 0;
    int n_recursions = 0;
    bool gram = true;   // else the features are contracted orbitals
    bool many_body = false; // also products of three and four moments; never with l_max < 2
    bool directional = false; // directional messages; only with recursions and l_max > 0
    bool equivariant = false; // the equivariant recursion
    int n_channels = 0;       // of the equivariant recursion
    bool bessel = true;       // its radial basis; else Gaussians
    double moment_limit = 0;  // limit of its moments; 0: none
    bool field = false;       // whether the energy depends on an electric field
    int n_orbitals = 0; // contracted orbitals; never 0 after parsing
    bool orbitals_per_l = false;
    bool orbitals_per_recursion = false;
    bool unit_vectors = true;       // else raw components
    bool radial_per_pair = false;   // else per element of the neighbor only
    bool radial_softplus = true;    // else the width itself
    bool polynomial_cutoff = false; // else the squared cosine
    bool standardize = true;
    bool zbl = false;
    double zbl_inner = 0.0, zbl_outer = 0.0; // fractions of the sum of the covalent radii
    bool repulsion = false; // of pairs closer than in the training data
    double smearing = 0.0;  // width in Å of charges with a Coulomb energy; 0: none
    bool equilibrated = false; // whether charges minimize the energy; else they are an output
    NetworkSettings readout, update;
    std::string head = default_head; // name of the only head
    std::vector<OutputSettings> outputs;
    bool float64 = false; // precision of the networks
    int n_members = 1;
};

// Parses the JSON object under "reann" in the metadata of a file. Types and ranges of all numbers are
// checked; a field that is missing, unknown or of another type throws `Error`.
Settings parse_settings(const std::string &header);

} // namespace reann
