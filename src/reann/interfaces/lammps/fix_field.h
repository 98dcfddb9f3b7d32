// Fix `reann/field` of LAMMPS: a uniform electric field for a potential that depends on electric fields. The
// pair style evaluates the energy in this field; the fix itself adds no forces.
//
//     fix F all reann/field 0 0 v_Ez      V/Å; numbers or equal-style variables
//
//     f_F           E(F) - E(0) in units of energy
//     f_F[1..3]     the field, V/Å
#pragma once

#include <string>

#include "fix.h"

namespace LAMMPS_NS {

class PairReann;

class FixReannField : public Fix {
  public:
    FixReannField(LAMMPS *lmp, int narg, char **arg);
    int setmask() override;
    void init() override;
    void setup_pre_force(int) override;
    void pre_force(int) override;
    void min_pre_force(int) override;
    double compute_scalar() override;
    double compute_vector(int component) override;

    const double *field() const { return field_; } // V/Å, in the present step

  private:
    PairReann *pair() const;

    double field_[3] = {};
    std::string variable_[3]; // names; empty for numbers
};

} // namespace LAMMPS_NS
