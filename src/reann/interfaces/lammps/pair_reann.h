// Pair style `reann` of LAMMPS: a potential from a `.reann` file, exact on any number of ranks.
//
//     pair_style reann [charge Q]         total charge in e, 0 by default, of a potential with charges
//     pair_coeff * * water.reann O H          element of each type; NULL: atoms of another style
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coulomb.h"
#include "pair.h"
#include "reann.h"

namespace LAMMPS_NS {

// Contributions to a dipole, summed over the atoms of a rank and then over ranks.
struct Polarization {
    double charges_at[3], mass, mass_at[3]; // q r, masses m, and m r
    double dipole[3];                       // e Å, sum of atomic dipoles
    double polarizability[6];               // Å^3: xx yy zz xy xz yz
    static constexpr int size = 16;
};

class PairReann : public Pair {
  public:
    explicit PairReann(LAMMPS *lmp);
    ~PairReann() override;

    void settings(int narg, char **arg) override;
    void coeff(int narg, char **arg) override;
    void init_style() override;
    void setup() override;
    double init_one(int i, int j) override;
    void compute(int eflag, int vflag) override;
    void *extract(const char *name, int &dimensions) override;
    void *extract_peratom(const char *name, int &columns) override;
    int pack_forward_comm(int n, int *list, double *buffer, int, int *) override;
    void unpack_forward_comm(int n, int first, double *buffer) override;
    int pack_reverse_comm(int n, int first, double *buffer) override;
    void unpack_reverse_comm(int n, int *list, double *buffer) override;
    double memory_usage() override;

    // For the atoms of this rank: Jx Jy Jz, then their convective parts.
    void heat_flux(double *flux);

    // Electric fields and dipoles (polarization.cpp).
    bool knows_field() const;
    bool has(const char *name) const;
    Polarization polarization(bool polarizability);
    double energy_of_field();

    // Charges and their Coulomb energy (charges.cpp).
    bool has_coulomb() const;
    double total_charge() const { return total_charge_; }

  private:
    static constexpr int at_once = 16; // doubles per atom in one message

    void open(std::string file);
    void check_bonds() const;
    void check_neighbors() const;
    void check_group(int which, const char *command) const;
    void warn(const std::string &what) const;
    bool of_style(int i) const;
    bool fits() const;
    bool current() const;
    void require_current(const char *what) const;
    void lay_out();
    reann_system rows();
    void evaluate(int member, const reann_result &result, bool with_field = true);
    void check_charges() const;
    void begin(int member);
    void finish(int member, reann_result result);
    std::vector<double> values_of(int member, const char *name, int width) const;
    bool has_charges() const;
    bool is_equilibrated() const;
    void place_charges();
    void take_charges(int member);
    bool is_in_field() const;
    void take_field();
    bool is_polarization_due() const;
    void begin_polarization();
    void ask_for_polarization(reann_result &result);
    void add_polarization(int member);
    void add_spread();
    void take_extrapolation();
    void exchange(double *values, int width, bool forward);
    static int forward(void *pair, double *values, int32_t width);
    static int reverse(void *pair, double *values, int32_t width);

    reann_model *model_ = nullptr;
    reann_workspace *workspace_ = nullptr;
    std::vector<int32_t> element_of_type_; // index in the model; -1: not of this style
    double unit_ = 1.0;                    // unit of energy in LAMMPS, per eV

    // The atoms of this style in rows, local ones first, from the last neighbor list.
    std::vector<int> atom_;       // of each row
    std::vector<int32_t> row_;    // of each atom; -1: not of this style
    std::vector<int32_t> element_, neighbor_;
    std::vector<int64_t> first_;
    int64_t n_local_ = 0;
    bigint computed_ = -1;       // step of the results below
    const Comm *comm_ = nullptr; // `comm` at that step

    std::vector<double> position_, energies_, forces_, virials_;

    // The numbers in the present exchange: columns `column_` to `column_ + columns_` of rows.
    double *values_ = nullptr;
    int width_ = 0, column_ = 0, columns_ = 0;

    // Ensembles: the forces of every member, and their standard deviation for each atom.
    std::vector<double> of_members_, spread_;
    int spread_flag_ = 0;

    // From the last computation: the electric field, V/Å, empty without one, and the energy of this rank.
    std::vector<double> field_;
    double energy_ = 0.0;

    // The dipole at step `polarized_`; outputs of atoms and -dE/dF of one member.
    Polarization polarization_ = {};
    bigint polarized_ = -1;
    std::vector<double> outputs_;
    double dipole_[3] = {};

    // Charges: their sum, whether it was stated, those of one member, the mean over members for each atom, the
    // Coulomb energy of this rank, and the strain derivative of the whole energy for one member.
    double total_charge_ = 0.0;
    bool charge_is_stated_ = false;
    std::vector<double> q_, charge_;
    double coulomb_energy_ = 0.0, strain_[9] = {};
    std::unique_ptr<reann::Coulomb> interactions_;

    // Extrapolation: of rows for one member, and of atoms for all members.
    std::vector<double> of_member_, extrapolation_;
    int extrapolation_flag_ = 0;
};

} // namespace LAMMPS_NS
