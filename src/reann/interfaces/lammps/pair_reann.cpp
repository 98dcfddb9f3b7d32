#include "pair_reann.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "atom.h"
#include "comm.h"
#include "facts.hpp"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

constexpr int full_list = 1; // NeighConst::REQ_FULL
constexpr double kcal_mol = 23.060547830619026; // per eV

int atomic_number(const char *symbol) {
    using reann::symbols;
    for (int z = 1; z <= reann::heaviest; ++z)
        if (!std::strcmp(symbols[z], symbol)) return z;
    return 0;
}

} // namespace

PairReann::PairReann(LAMMPS *lmp) : Pair(lmp), workspace_(reann_workspace_new()) {
    manybody_flag = one_coeff = 1;
    single_enable = restartinfo = 0;
    centroidstressflag = CENTROID_AVAIL;
    unit_convert_flag = 0;
    comm_forward = comm_reverse = at_once; // must not change after construction
}

PairReann::~PairReann() {
    reann_close(model_);
    reann_workspace_free(workspace_);
    if (allocated) {
        memory->destroy(setflag);
        memory->destroy(cutsq);
    }
}

void PairReann::settings(int narg, char **arg) {
    charge_is_stated_ = narg == 2 && !std::strcmp(arg[0], "charge");
    if (narg && !charge_is_stated_)
        error->all(FLERR, "pair_style reann has no arguments except `charge Q`, the total charge in e: name the "
                          "file in pair_coeff");
    total_charge_ = charge_is_stated_ ? utils::numeric(FLERR, arg[1], false, lmp) : 0.0;
}

void PairReann::coeff(int narg, char **arg) {
    const int n = atom->ntypes;
    if (!allocated) {
        allocated = 1;
        memory->create(setflag, n + 1, n + 1, "pair:setflag");
        memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
        map = new int[n + 1];
    }
    if (narg != 3 + n)
        error->all(FLERR, "pair_coeff * * FILE.reann needs an element, or NULL, for each of the {} types", n);
    open(arg[2]);
    map_element2type(narg - 3, arg + 3);
    element_of_type_.assign(n + 1, -1);
    for (int type = 1; type <= n; ++type) {
        if (map[type] < 0) continue;
        const char *symbol = elements[map[type]];
        element_of_type_[type] = reann_element(model_, atomic_number(symbol));
        if (element_of_type_[type] >= 0) continue;
        std::string known;
        for (int e = 0; e < reann_n_elements(model_); ++e)
            known += std::string(" ") + reann::symbols[reann_atomic_number(model_, e)];
        error->all(FLERR, "{}: this potential does not have the element '{}', only{}", arg[2], symbol, known);
    }
}

// Rank 0 reads the file; all ranks parse it or report the error. A run folder stands for its potential.
void PairReann::open(std::string file) {
    std::string content;
    int64_t size = -1;
    reann_error why = {};
    std::error_code none;
    if (std::filesystem::is_directory(file, none)) file += "/model.reann";
    if (comm->me == 0) {
        size = reann_file_size(file.c_str(), &why);
        content.resize(std::max<int64_t>(size, 0));
        if (size >= 0 && !std::ifstream(file, std::ios::binary).read(&content[0], size)) size = -1;
    }
    MPI_Bcast(&size, 1, MPI_INT64_T, 0, world);
    MPI_Bcast(&why, sizeof why, MPI_CHAR, 0, world);
    if (size < 0) error->all(FLERR, "{}", why.message[0] ? why.message : file + ": it cannot be read");
    if (size > MAXSMALLINT) error->all(FLERR, "{}: the file is too large for a potential", file);
    content.resize(size);
    MPI_Bcast(&content[0], static_cast<int>(size), MPI_CHAR, 0, world);
    reann_model *found = reann_parse(content.data(), size, &why);
    if (!found) error->all(FLERR, "{}: {}", file, why.message);
    reann_close(model_);
    model_ = found;
    interactions_.reset(); // charges may have another width
}

void PairReann::init_style() {
    if (!force->newton_pair) error->all(FLERR, "pair_style reann needs newton on: `newton on`");
    if (std::strcmp(update->unit_style, "metal") && std::strcmp(update->unit_style, "real"))
        error->all(FLERR, "pair_style reann needs units metal or real, not {}", update->unit_style);
    unit_ = std::strcmp(update->unit_style, "real") ? 1.0 : kcal_mol;
    if (!model_) error->all(FLERR, "pair_style reann has no potential: name one in pair_coeff");
    check_bonds();
    check_neighbors();
    check_charges();
    // In a field there are torques, so the virial is symmetric only if it is symmetrized pair by pair. With
    // charges in periodic images, it does not follow from forces and positions.
    if (is_in_field() || has_coulomb()) no_virial_fdotr_compute = force->pair->no_virial_fdotr_compute = 1;
    neighbor->add_request(this, full_list);
}

double PairReann::init_one(int, int) { return reann_cutoff(model_); }

void PairReann::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    computed_ = update->ntimestep;
    comm_ = comm;
    if (neighbor->ago == 0 || !fits()) lay_out();
    const size_t n_rows = atom_.size();
    for (size_t r = 0; r < n_rows; ++r) {
        std::copy_n(atom->x[atom_[r]], 3, &position_[3 * r]);
        element_[r] = element_of_type_[atom->type[atom_[r]]]; // a fix may have swapped types
    }

    const int members = reann_n_members(model_);
    const bool global = vflag_global && !vflag_fdotr; // requested pair by pair
    const bool charged = has_coulomb();
    if (charged && (vflag_atom || cvflag_atom))
        error->all(FLERR, "pair_style reann has no stress of single atoms for a potential with charges, because "
                          "the Coulomb energy is that of all atoms together: use the pressure of the system");
    const bool virials = (global && !charged) || vflag_atom || cvflag_atom, spread = spread_flag_ && members > 1;
    if (spread) of_members_.assign(3 * n_rows * members, 0.0);
    if (extrapolation_flag_) std::fill(extrapolation_.begin(), extrapolation_.end(), 0.0);
    take_field();
    energy_ = 0.0;
    const bool polarized = is_polarization_due();
    polarized_ = -1;
    if (polarized) begin_polarization();
    const double share = unit_ / members;
    reann_result result = {};
    result.energies = energies_.data();
    result.forces = forces_.data();
    if (virials) virials_.resize(9 * n_rows + 1);
    result.virials = virials ? virials_.data() : nullptr;
    if (extrapolation_flag_) of_member_.resize(n_local_ + 1);
    result.extrapolation = extrapolation_flag_ ? of_member_.data() : nullptr;
    if (polarized) ask_for_polarization(result);
    result.virial = global && charged ? strain_ : nullptr;
    std::fill(charge_.begin(), charge_.end(), 0.0);
    for (int m = 0; m < members; ++m) {
        coulomb_energy_ = 0.0;
        if (charged) {
            if (m == 0) place_charges();
            begin(m);
            take_charges(m);
            finish(m, result);
        } else {
            evaluate(m, result);
        }
        if (polarized) add_polarization(m);
        if (spread) std::copy_n(forces_.begin(), 3 * n_rows, of_members_.begin() + 3 * n_rows * m);
        if (extrapolation_flag_) take_extrapolation();
        for (int64_t r = 0; r < n_local_; ++r) {
            energy_ += share * energies_[r];
            if (eflag_global) eng_vdwl += share * energies_[r];
            if (eflag_atom) eatom[atom_[r]] += share * energies_[r];
        }
        if (eflag_global) {
            eng_vdwl -= share * coulomb_energy_;
            eng_coul += share * coulomb_energy_;
        }
        for (int k = 0; k < 3 && result.virial; ++k) {
            const int i = k == 2 ? 1 : 0, j = k == 0 ? 1 : 2; // xy, xz, yz
            virial[k] -= share * strain_[4 * k];
            virial[3 + k] -= 0.5 * share * (strain_[3 * i + j] + strain_[3 * j + i]);
        }
        for (size_t r = 0; r < n_rows; ++r) {
            double *f = atom->f[atom_[r]];
            for (int a = 0; a < 3; ++a) f[a] += share * forces_[3 * r + a];
        }
        for (size_t r = 0; r < n_rows && virials; ++r) {
            const double *w = &virials_[9 * r];
            const int i = atom_[r];
            for (int a = 0; a < 3; ++a) {
                const int b = a == 2 ? 1 : 0, c = a == 0 ? 1 : 2; // xy, xz, yz
                if (global) {
                    virial[a] += share * w[4 * a];
                    virial[3 + a] += 0.5 * share * (w[3 * b + c] + w[3 * c + b]);
                }
                if (vflag_atom) {
                    vatom[i][a] += share * w[4 * a];
                    vatom[i][3 + a] += 0.5 * share * (w[3 * b + c] + w[3 * c + b]);
                }
                if (cvflag_atom) { // xx yy zz xy xz yz yx zx zy
                    cvatom[i][a] += share * w[4 * a];
                    cvatom[i][3 + a] += share * w[3 * b + c];
                    cvatom[i][6 + a] += share * w[3 * c + b];
                }
            }
        }
    }
    if (spread) add_spread();
    if (vflag_fdotr) virial_fdotr_compute();
}

void PairReann::evaluate(int member, const reann_result &result, bool with_field) {
    reann_system system = rows();
    if (!with_field) system.field = nullptr;
    reann_error why;
    if (!reann_evaluate(model_, member, workspace_, &system, &result, &why))
        error->one(FLERR, "pair_style reann: {}", why.message);
}

// Energy flows between atoms and is carried along with them.
void PairReann::heat_flux(double *flux) {
    require_current("the flux");
    const reann_system system = rows();
    const int members = reann_n_members(model_);
    std::vector<double> velocity(3 * atom_.size() + 1);
    for (int64_t r = 0; r < n_local_; ++r) std::copy_n(atom->v[atom_[r]], 3, &velocity[3 * r]);
    exchange(velocity.data(), 3, true);
    std::fill_n(flux, 6, 0.0);
    for (int m = 0; m < members; ++m) {
        double between[3];
        reann_error why;
        if (!reann_heat_flux(model_, m, workspace_, &system, velocity.data(), energies_.data(), between,
                             &why))
            error->one(FLERR, "compute reann/flux: {}", why.message);
        for (int a = 0; a < 3; ++a) flux[a] += unit_ / members * between[a];
        for (int64_t r = 0; r < n_local_; ++r)
            for (int a = 0; a < 3; ++a) flux[3 + a] += unit_ / members * energies_[r] * velocity[3 * r + a];
    }
    for (int64_t r = 0; r < n_local_; ++r) {
        const double *v = &velocity[3 * r], squared = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
        const int i = atom_[r];
        const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
        for (int a = 0; a < 3; ++a) flux[3 + a] += 0.5 * force->mvv2e * mass * squared * v[a];
    }
    for (int a = 0; a < 3; ++a) flux[a] += flux[3 + a];
}

double PairReann::memory_usage() {
    const auto bytes = [](const auto &v) { return double(v.capacity() * sizeof(v[0])); };
    return bytes(position_) + bytes(forces_) + bytes(energies_) + bytes(virials_) +
           bytes(neighbor_) + bytes(first_) + bytes(of_members_) + bytes(extrapolation_) + Pair::memory_usage();
}
