/* The C interface of the native engine of reann.
 *
 * A model is opened from a `.reann` file, or built from the header and the named arrays of one.
 * Until it is updated it never changes, and may be used by several threads at once; every thread that
 * computes owns a workspace. Nothing here keeps global state, and no C++ exception leaves these functions: they
 * return 0 and NULL or a message in `reann_error` when something is wrong.
 *
 * The unit of work is what a domain decomposition has: local atoms, ghost atoms, the full list of
 * neighbors of the local ones, and two callbacks that exchange numbers per atom between owners and
 * ghosts. A program without ghosts gives no callbacks.
 *
 * Units: eV, Å. Matrices are row-major.
 */
#ifndef REANN_H
#define REANN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REANN_INTERFACE 3 /* grows when a program has to be compiled again */

typedef struct reann_model reann_model;         /* weights, or those of an ensemble */
typedef struct reann_workspace reann_workspace; /* memory that evaluations reuse */

typedef struct {
    char message[512]; /* what is wrong, and where */
} reann_error;

typedef enum { REANN_FLOAT32 = 0, REANN_FLOAT64 = 1 } reann_type;

typedef struct {
    const char *name; /* as in the file, with the member first: "0.recursion.host.radial.center" */
    reann_type type;
    int32_t n_axes; /* 0 for a number */
    const int64_t *shape;
    const void *data; /* contiguous */
} reann_array;

/* REANN_INTERFACE of the library, to be compared with that of the header. */
int32_t reann_interface(void);

/* Instruction set in use: "v4", "v3" or "baseline" of x86-64, or "native" elsewhere. The best
 * that the processor has, or what the environment variable REANN_ISA asks for; NULL if it asks for
 * another, with which no model can be made. */
const char *reann_isa(void);

/* --- models ----------------------------------------------------------------------------------- */

reann_model *reann_open(const char *path, reann_error *error);

/* Size of a file to be parsed, or -1 and says why: absent, no file of reann, or larger than any of
 * them. Only its header is read. */
int64_t reann_file_size(const char *path, reann_error *error);

/* The same for the content of a file, which may go afterwards. */
reann_model *reann_parse(const char *content, int64_t n_bytes, reann_error *error);

/* `header`: the JSON object under "reann" in the metadata of a file. The arrays are copied. */
reann_model *reann_build(const char *header, const reann_array *arrays, int32_t n_arrays,
                         reann_error *error);

/* Takes over other numbers of the arrays that the model was made from: the same names, types and
 * shapes, in the same order. The model is then, bit for bit, the one that they would give, and made in a
 * fraction of the time. No other thread may use it meanwhile. Returns 1, or 0, says why, and leaves the
 * model as it was. */
int reann_update(reann_model *model, const reann_array *arrays, int32_t n_arrays, reann_error *error);

void reann_close(reann_model *model);

int32_t reann_n_members(const reann_model *model); /* 1, more for an ensemble */
double reann_cutoff(const reann_model *model);     /* Å */
int32_t reann_n_elements(const reann_model *model);
int32_t reann_atomic_number(const reann_model *model, int32_t element);
int32_t reann_element(const reann_model *model, int32_t atomic_number); /* -1: unknown */

/* Outputs of an atom: numbers that heads read off its states, and make quantities of other than energies.
 * In the order of `state_outputs` of the header: one number for a scalar, x y z of a vector, five of a
 * traceless matrix: sqrt(2) (xy, xz, yz, (xx - yy) / 2, (2 zz - xx - yy) / sqrt(12)). There are none
 * without such heads, and in files that do not name them. */
int32_t reann_n_outputs(const reann_model *model);

/* How many numbers an atom has of the head of a quantity, such as "charges", "dipole" or "polarizability": 1 of
 * a scalar, 3 of a vector, 9 of a matrix. 0 if the model has no such head, or one of another form. */
int32_t reann_head_width(const reann_model *model, const char *name);

/* What this head makes of the outputs (n, reann_n_outputs) of n atoms of the given elements: values (n, width),
 * b_Z + s, v, or (b_Z + s) 1 + M. A dipole of a structure also has the charges at their positions; charges
 * here do not yet add up to the total charge, each atom takes an equal part of the difference. Returns 1, or 0
 * and says why. */
int reann_head_values(const reann_model *model, int32_t member, const char *name, int64_t n,
                      const int32_t *element, const double *outputs, double *values, reann_error *error);

/* Whether the energy depends on an electric field. */
int32_t reann_knows_field(const reann_model *model);

/* --- evaluation ------------------------------------------------------------------------------- */

/* Exchange of `width` numbers per atom, more with directional messages and for the heat flux, the
 * same on every rank; rows of all atoms in the caller's order. Forward: the rows of owners are
 * copied to their ghosts. Reverse: the rows of ghosts are added to those of their owners. A rank
 * without atoms is called too. Return 0 if it went wrong, which ends the evaluation. */
typedef int (*reann_exchange)(void *context, double *values, int32_t width);

typedef struct {
    int64_t n_local; /* atoms whose energies are summed, first in every array */
    int64_t n_atoms; /* with ghosts */
    const int32_t *element;  /* (n_atoms) index into the elements of the model */
    const double *position;  /* (n_atoms, 3) */
    const int64_t *first;    /* (n_local + 1) neighbors of atom i: first[i] .. first[i + 1] */
    const int32_t *neighbor; /* index of an atom; may lie beyond the cutoff */
    const double *shift;     /* (neighbors, 3) added to position[j] - position[i]; NULL: none */
    const int32_t *system;   /* (n_local) structure of each atom, for the virials; NULL: one */
    int64_t n_systems;       /* 1 if `system` is NULL */
    int32_t n_threads;       /* at most; small systems use fewer */
    reann_exchange forward, reverse; /* NULL if there are no ghosts */
    void *context;
    const double *field; /* (n_systems, 3) electric field in V/Å; NULL: none, and always NULL for a model
                          * that knows no fields */
} reann_system;

typedef struct {     /* what is NULL is not computed */
    double *energies; /* (n_local) with the energies of the free atoms; never NULL */
    double *forces;   /* (n_atoms, 3); a ghost's row is its share, to be added to its owner */
    double *virial;   /* (n_systems, 3, 3) W = sum r_ij (x) dE/dr_ij, the strain derivative */
    double *virials;  /* (n_atoms, 3, 3) -r_ij (x) dE/dr_ij, each at the neighbor j */
    double *extrapolation; /* (n_local) how far the density of an atom lies outside the range that it had
                            * in the training: 0 inside, else the largest distance of a feature from its
                            * range, in widths of the range. Infinite for a feature that was the same for
                            * all atoms of the training, and where the training had no such element or
                            * recorded no range. Distances of 1e-4 of the feature's scale are rounding. */
    double *outputs;       /* (n_local, reann_n_outputs) */
    double *dipole;        /* (n_systems, 3) -dE/d(field) in e Å, of a model that knows electric fields */
} reann_result;

reann_workspace *reann_workspace_new(void);
void reann_workspace_free(reann_workspace *workspace);

/* Neighbors of all atoms of a structure, periodic images included, in the form that a
 * `reann_system` takes; they belong to the workspace, until it makes its next list. */
typedef struct {
    const int64_t *first;    /* (n_atoms + 1) */
    const int32_t *neighbor; /* (first[n_atoms]) */
    const double *shift;     /* (first[n_atoms], 3) Å */
    const int32_t *crossed;  /* (first[n_atoms], 3) the same shift in cells */
} reann_list;

/* `cell`: (3, 3) Å, rows are lattice vectors; those that are not periodic do not count. With a
 * skin, `reach` is the cutoff and the skin. Returns 1, or 0 and says why. */
int reann_neighbors(reann_workspace *workspace, const double *position, int64_t n_atoms,
                    const double *cell, const int32_t *periodic, double reach, reann_list *list,
                    reann_error *error);

/* Returns 1, or 0 and says why: an index out of range, a position that is no finite number, atoms
 * closer than 1e-3 Å, a callback that failed, or not enough memory. */
int reann_evaluate(const reann_model *model, int32_t member, reann_workspace *workspace,
                   const reann_system *system, const reann_result *result, reann_error *error);

/* An evaluation in two calls, for an E that depends on the energies of the atoms otherwise than by their
 * sum, or on their outputs. The first gives energies (n_local) and outputs (n_local, reann_n_outputs),
 * NULL if they are not wanted, and keeps in the workspace what the second needs. That takes `seeds`,
 * dE/dE_i (n_local), and `output_seeds`, the derivatives of E with respect to the outputs, and gives
 * forces, virial and virials of E. NULL means ones and zeros, and then the results are those of
 * `reann_evaluate` bit for bit. It may be called again with other seeds. Until the last of them model and
 * system stay as they are, and the workspace is used for nothing else. */
int reann_forward(const reann_model *model, int32_t member, reann_workspace *workspace,
                  const reann_system *system, double *energies, double *outputs, reann_error *error);
int reann_adjoint(reann_workspace *workspace, const double *seeds, const double *output_seeds,
                  const reann_result *result, reann_error *error);

/* The heat flux without what atoms carry along, J = -sum_ij r_ij [dE/dr_ij . v_j + sum_t dE/dc_ij^(t)
 * . dc_j^(t)/dt], eV Å per unit of time: that of this rank, which adds those of the others. Takes the
 * time of a step of training. `velocity` is (n_atoms, 3) with those of ghosts, `energies` (n_local)
 * without those of the free atoms, `flux` has 3 numbers. */
int reann_heat_flux(const reann_model *model, int32_t member, reann_workspace *workspace,
                    const reann_system *system, const double *velocity, double *energies,
                    double *flux, reann_error *error);

/* Dipole (n_systems, 3) in e Å, and its rate as atoms move with `velocity` (n_atoms, 3) and the field changes
 * with `field_rate` (n_systems, 3); NULL means that they do not. With velocities alone the rate is the
 * current sum_i Z*_i v_i, with the field alone a row of the polarizability. Takes the time of a step of
 * training. The values of this rank, which adds those of the others. */
int reann_dipole_rate(const reann_model *model, int32_t member, reann_workspace *workspace,
                      const reann_system *system, const double *velocity, const double *field_rate,
                      double *dipole, double *rate, reann_error *error);

/* Dipole (n_systems, 3) in e Å, polarizability (n_systems, 3, 3) in e Å^2/V, whose last index is the field's, and
 * if `born` is not NULL Born effective charges (n_atoms, 3, 3) in e, rows are dipoles: those of a ghost are its
 * share, to be added to its owner. Of a model that knows electric fields; takes the time of three steps of
 * training. The values of this rank, which adds those of the others. */
int reann_responses(const reann_model *model, int32_t member, reann_workspace *workspace,
                    const reann_system *system, double *dipole, double *polarizability, double *born,
                    reann_error *error);

/* --- training --------------------------------------------------------------------------------- */

typedef struct {         /* derivatives of a loss; NULL where it does not depend on it */
    const double *energies; /* (n_local) */
    const double *forces;   /* (n_atoms, 3) */
    const double *virial;   /* (n_systems, 3, 3) of W above */
    const double *outputs;  /* (n_local, reann_n_outputs) */
    const double *dipole;   /* (n_systems, 3) */
} reann_loss;

/* Derivatives of a loss with respect to the arrays that the model was built from, in their order:
 * they are added to gradients[a], of the size of array a, or NULL where none is wanted. Systems
 * without ghosts. */
int reann_gradient(const reann_model *model, int32_t member, reann_workspace *workspace,
                   const reann_system *system, const reann_loss *loss, double *const *gradients,
                   reann_error *error);

/* The same for the loss sum_s weights[s] d^2E_s/dt^2, of energies in the fields F_s + t directions[s]: with
 * weights (n_systems) and directions (n_systems, 3), (V/Å)^-2 and V/Å. So one gets the gradient of a loss of
 * polarizabilities alpha = -d^2E/dF^2: from each eigenvector of dL/dalpha, with minus its eigenvalue. Of a model
 * that knows electric fields. */
int reann_curvature_gradient(const reann_model *model, int32_t member, reann_workspace *workspace,
                             const reann_system *system, const double *directions, const double *weights,
                             double *const *gradients, reann_error *error);

#ifdef __cplusplus
}
#endif
#endif
