// Checks whether an input of LAMMPS excludes neighbors that the pair style needs.
#include "pair_reann.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "neigh_list.h"
#include "neighbor.h"

using namespace LAMMPS_NS;

namespace {

// `bordergroup` is protected; a class derived from Comm can access it.
struct Borders : Comm {
    static int group_of(const Comm &comm) { return comm.*&Borders::bordergroup; }
};

} // namespace

// Pairs of bonded atoms may be missing in the list. In a hybrid style they may belong to other styles.
void PairReann::check_bonds() const {
    bool all = true;
    for (int k = 1; k <= 3; ++k)
        all &= force->special_lj[k] != 0.0 || force->special_coul[k] != 0.0;
    if (all || !atom->molecular || atom->nbonds == 0) return;
    const char *what = "pair_style reann needs all pairs of its atoms, bonded ones too: `special_bonds "
                       "lj/coul 1 1 1`";
    if (force->pair == this)
        error->all(FLERR, what);
    else
        warn(what);
}

// Without some of its neighbors an atom has another energy, which changes the forces on its other neighbors.
void PairReann::check_neighbors() const {
    bool some = neighbor->nex_type > 0 || neighbor->nex_mol > 0;
    for (int k = 0; k < neighbor->nex_group; ++k)
        some |= neighbor->ex1_group[k] != 0 && neighbor->ex2_group[k] != 0; // 0: all
    if (some)
        warn("neigh_modify exclude leaves pairs out that pair_style reann needs: exclude atoms from "
             "everything, `neigh_modify exclude group GROUP all`, or not at all");
}

// With a group, LAMMPS has lists or ghosts only for the atoms of the group.
void PairReann::check_group(int which, const char *command) const {
    bigint outside = 0, all = 0;
    for (int i = 0; i < atom->nlocal; ++i)
        outside += of_style(i) && !(atom->mask[i] & group->bitmask[which]);
    MPI_Allreduce(&outside, &all, 1, MPI_LMP_BIGINT, MPI_SUM, world);
    if (all)
        error->all(FLERR, "`{}` excludes neighbors of {} atoms of pair_style reann that are not in its "
                          "group '{}'", command, all, group->names[which]);
}

// In a hybrid style some pairs may belong to other styles. Only the neighbor list shows which.
void PairReann::setup() {
    check_group(neighbor->includegroup, "neigh_modify include");
    check_group(Borders::group_of(*comm), "comm_modify group");
    if (!list || !list->ijskip) return;
    const int n = atom->ntypes;
    for (int i = 1; i <= n; ++i)
        for (int j = i; j <= n; ++j)
            if (element_of_type_[i] >= 0 && element_of_type_[j] >= 0 && list->ijskip[i][j])
                warn("pair_style hybrid gives the pairs of types " + std::to_string(i) + " and " +
                     std::to_string(j) + " to another style, which leaves pairs out that pair_style reann "
                     "needs: use hybrid/overlay");
}

void PairReann::warn(const std::string &what) const {
    if (comm->me == 0) error->warning(FLERR, what);
}
