#include "fix_field.h"

#include <cmath>

#include "error.h"
#include "force.h"
#include "input.h"
#include "modify.h"
#include "pair_reann.h"
#include "update.h"
#include "variable.h"

using namespace LAMMPS_NS;

FixReannField::FixReannField(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg) {
    if (narg != 6)
        error->all(FLERR, "fix {} reann/field needs the three components of the field in V/Å: "
                          "`fix {} all reann/field 0 0 0.1`", id, id);
    if (igroup)
        error->all(FLERR, "fix {} reann/field needs the group all, because the field acts on all atoms", id);
    for (int a = 0; a < 3; ++a) {
        const std::string word = arg[3 + a];
        if (word.rfind("v_", 0) == 0) variable_[a] = word.substr(2);
        else field_[a] = utils::numeric(FLERR, word, false, lmp);
    }
    scalar_flag = vector_flag = global_freq = extscalar = 1;
    size_vector = 3;
    extvector = 0;
}

int FixReannField::setmask() { return FixConst::PRE_FORCE | FixConst::MIN_PRE_FORCE; }

PairReann *FixReannField::pair() const {
    auto *found = dynamic_cast<PairReann *>(force->pair_match("reann", 1));
    if (!found) error->all(FLERR, "fix {} reann/field needs exactly one pair_style reann", id);
    return found;
}

void FixReannField::init() {
    if (utils::strmatch(force->pair_style, "^hybrid/scaled"))
        error->all(FLERR, "fix {} reann/field does not support pair_style hybrid/scaled", id);
    if (!pair()->knows_field())
        error->all(FLERR, "fix {} reann/field: the potential does not depend on an electric field: train one "
                          "with `model.field: true`", id);
    for (const Fix *other : modify->get_fix_by_style("^reann/field$"))
        if (other != this)
            error->all(FLERR, "fix {} and fix {} both set the electric field of pair_style reann: `unfix` "
                              "one of them", id, other->id);
    for (const std::string &name : variable_) {
        if (name.empty()) continue;
        const int found = input->variable->find(name.c_str());
        if (found < 0) error->all(FLERR, "fix {} reann/field: variable {} does not exist", id, name);
        if (!input->variable->equalstyle(found))
            error->all(FLERR, "fix {} reann/field: variable {} must be of style equal", id, name);
    }
}

void FixReannField::pre_force(int) {
    bool varies = false;
    for (const std::string &name : variable_) varies |= !name.empty();
    if (varies) modify->clearstep_compute();
    for (int a = 0; a < 3; ++a) {
        if (!variable_[a].empty())
            field_[a] = input->variable->compute_equal(input->variable->find(variable_[a].c_str()));
        if (!std::isfinite(field_[a]))
            error->all(FLERR, "fix {} reann/field: component {} of the field is not finite at step {}", id,
                       a + 1, update->ntimestep);
    }
    if (varies) modify->addstep_compute(update->ntimestep + 1);
}

void FixReannField::setup_pre_force(int flags) { pre_force(flags); }

void FixReannField::min_pre_force(int flags) { pre_force(flags); }

double FixReannField::compute_scalar() {
    const double own = pair()->energy_of_field();
    double all = 0.0;
    MPI_Allreduce(&own, &all, 1, MPI_DOUBLE, MPI_SUM, world);
    return all;
}

double FixReannField::compute_vector(int component) { return field_[component]; }
