// Facts that both the engine and Python need. Written by `make facts` from reann/facts.py, which
// explains them and gives their units: change them there.
#pragma once

#include <cstdint>

namespace reann {

constexpr int format_version = 3;
constexpr int64_t largest_file = 2147483648;
constexpr int largest_header = 100000000;
constexpr int deepest_header = 32;
constexpr const char *length_unit = "Ang";
constexpr const char *energy_unit = "eV";
enum class Activation { silu, relu_like, tanh_like };
constexpr const char *activation_names[] = {"silu", "relu_like", "tanh_like"};
enum class Angular { unit, raw };
constexpr const char *angular_names[] = {"unit", "raw"};
enum class CutoffFunction { squared_cosine, polynomial };
constexpr const char *cutoff_function_names[] = {"squared_cosine", "polynomial"};
enum class Features { gram, many_body, orbitals };
constexpr const char *features_names[] = {"gram", "many_body", "orbitals"};
enum class Messages { scalar, directional, equivariant };
constexpr const char *messages_names[] = {"scalar", "directional", "equivariant"};
enum class Precision { float32, float64 };
constexpr const char *precision_names[] = {"float32", "float64"};
enum class Radial { neighbor, pair };
constexpr const char *radial_names[] = {"neighbor", "pair"};
enum class RadialBasis { bessel, gaussian };
constexpr const char *radial_basis_names[] = {"bessel", "gaussian"};
enum class RadialWidth { softplus, free };
constexpr const char *radial_width_names[] = {"softplus", "free"};
constexpr const char *default_host = "density";
constexpr const char *field_density = "field_density";
constexpr const char *default_messages = "scalar";
constexpr const char *default_head = "energy";
constexpr const char *default_basis = "bessel";
constexpr int highest_l_max = 4;
constexpr int equivariant_l_max = 3;
constexpr double least_limit = 0.1;
constexpr int most_basis = 64;
constexpr int orbitals_of_many = 16;
constexpr int heaviest = 118;
constexpr double shortest_distance = 0.001;
constexpr double flattest_cell = 1e-06;
constexpr double gaussian_margin = 0.6;
constexpr double gaussian_width = 0.6;
constexpr double layer_norm_epsilon = 1e-05;
constexpr double range_rounding = 0.0001;
constexpr double zbl_coulomb = 14.399645478425668;
constexpr double zbl_amplitudes[] = {0.18175, 0.50986, 0.28022, 0.02817};
constexpr double zbl_decays[] = {3.1998, 0.94229, 0.4029, 0.20162};
constexpr double zbl_exponent = 0.23;
constexpr double zbl_length = 0.4685;
constexpr double zbl_largest_inner = 0.9;
constexpr double repulsion_width = 0.3;

// Beginnings of tensor names, which the version after this one replaces.
struct Renamed {
    int version;
    const char *before, *now;
};
constexpr Renamed renamed[] = {
    {1, "orbital_coefficients", "recursion.weights"},
    {1, "coefficient_scale", "recursion.update_scale"},
    {1, "density_mean", "recursion.feature_mean"},
    {1, "density_scale", "recursion.feature_scale"},
    {1, "updates.", "recursion.updates."},
    {1, "messages.", "recursion.messages."},
    {1, "radial.", "recursion.host.radial."},
    {1, "density.", "recursion.host.density."},
    {2, "recursion.weights", "recursion.update.weights"},
    {2, "recursion.update_scale", "recursion.update.scale"},
    {2, "recursion.updates.", "recursion.update.networks."},
    {2, "recursion.messages.", "recursion.update.moments."},
    {2, "readout.", "heads.energy.readout."},
    {2, "reference_energies", "heads.energy.reference_energies"},
    {2, "energy_scale", "heads.energy.energy_scale"},
};

// By atomic number; 0 is no element.
constexpr const char *symbols[] = {
    "X", "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S",
    "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge",
    "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd",
    "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd",
    "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg",
    "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg",
    "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
};

// Å, those of ASE: Cordero et al., Dalton Trans. 2832 (2008); a guess beyond curium.
constexpr double covalent_radii[] = {
    0.2, 0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07,
    1.05, 1.02, 1.06, 2.03, 1.76, 1.7, 1.6, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22,
    1.2, 1.19, 1.2, 1.2, 1.16, 2.2, 1.95, 1.9, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45,
    1.44, 1.42, 1.39, 1.39, 1.38, 1.39, 1.4, 2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98,
    1.96, 1.94, 1.92, 1.92, 1.89, 1.9, 1.87, 1.87, 1.75, 1.7, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36,
    1.32, 1.45, 1.46, 1.48, 1.4, 1.5, 1.5, 2.6, 2.21, 2.15, 2.06, 2.0, 1.96, 1.9, 1.87, 1.8, 1.69,
    2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0,
    2.0, 2.0, 2.0,
};

} // namespace reann
