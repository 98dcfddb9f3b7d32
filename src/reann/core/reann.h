/* The C interface of the native engine of reann.
 *
 * A model is opened from a `.reann` file, or built from a header and named arrays as in such a file. It does
 * not change until it is updated, and several threads may use it at the same time, each with its own
 * workspace. There is no global state. No C++ exception leaves these functions; on an error they return 0 or
 * NULL and write a message to `reann_error`.
 *
 * A system is described as in a domain decomposition: local atoms, ghost atoms, the full neighbor lists of
 * the local atoms, and two callbacks that exchange numbers per atom between owners and ghosts. Without
 * ghosts, the callbacks are NULL.
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

#define REANN_INTERFACE 4 /* increases when programs must be compiled again */

typedef struct reann_model reann_model;         /* a potential or an ensemble */
typedef struct reann_workspace reann_workspace; /* memory reused by evaluations */

typedef struct {
    char message[512]; /* the error, and where it is */
} reann_error;

typedef enum { REANN_FLOAT32 = 0, REANN_FLOAT64 = 1 } reann_type;

typedef struct {
    const char *name; /* as in the file, beginning with the member: "0.recursion.host.radial.center" */
    reann_type type;
    int32_t n_axes; /* 0 for a single number */
    const int64_t *shape;
    const void *data; /* contiguous */
} reann_array;

/* REANN_INTERFACE of the library; compare it with that of the header. */
int32_t reann_interface(void);

/* Instruction set in use: "v4", "v3" or "baseline" on x86-64, "native" on other processors. It is the best
 * one that the processor supports, or the one in the environment variable REANN_ISA. NULL if the variable
 * has another value; then no model can be made. */
const char *reann_isa(void);

/* --- models ----------------------------------------------------------------------------------- */

reann_model *reann_open(const char *path, reann_error *error);

/* Size in bytes of a file for `reann_parse`. Only its header is read. Returns -1 with a message if the
 * file is missing, not a `.reann` file, or too large for one. */
int64_t reann_file_size(const char *path, reann_error *error);

/* Makes a model from the content of a file, which is not needed afterwards. */
reann_model *reann_parse(const char *content, int64_t n_bytes, reann_error *error);

/* `header`: the JSON object under "reann" in the metadata of a file. The arrays are copied. */
reann_model *reann_build(const char *header, const reann_array *arrays, int32_t n_arrays,
                         reann_error *error);

/* Replaces the numbers of a model by those of arrays with the same names, types and shapes, in the same
 * order. The model is then identical, bit for bit, to one built from these arrays, in a fraction of the
 * time. No other thread may use it meanwhile. Returns 1, or 0 with a message and an unchanged model. */
int reann_update(reann_model *model, const reann_array *arrays, int32_t n_arrays, reann_error *error);

void reann_close(reann_model *model);

int32_t reann_n_members(const reann_model *model); /* 1, or more for an ensemble */
double reann_cutoff(const reann_model *model);     /* Å */
int32_t reann_n_elements(const reann_model *model);
int32_t reann_atomic_number(const reann_model *model, int32_t element);
int32_t reann_element(const reann_model *model, int32_t atomic_number); /* -1: unknown */

/* Number of outputs of an atom, from which heads compute quantities other than the energy. Their order is
 * that of `state_outputs` in the header: one number for a scalar, x y z for a vector, five for a traceless
 * matrix: sqrt(2) (xy, xz, yz, (xx - yy) / 2, (2 zz - xx - yy) / sqrt(12)). 0 without such heads, and for
 * files without `state_outputs`. */
int32_t reann_n_outputs(const reann_model *model);

/* Numbers per atom of the head of a quantity such as "charges", "dipole" or "polarizability": 1 for a
 * scalar, 3 for a vector, 9 for a matrix. 0 if the model has no such head, or one of another form. */
int32_t reann_head_width(const reann_model *model, const char *name);

/* Computes the values (n, width) of this head from the outputs (n, reann_n_outputs) of n atoms of the
 * given elements: b_Z + s, v, or (b_Z + s) 1 + M. The dipole of a structure is the sum of these values
 * and, for a model with charges, of charges times positions. The charges here do not yet add up to the
 * total charge; add an equal part of the difference to each atom. Returns 1, or 0 with a message. */
int reann_head_values(const reann_model *model, int32_t member, const char *name, int64_t n,
                      const int32_t *element, const double *outputs, double *values, reann_error *error);

/* The derivatives of a number with respect to outputs (n, reann_n_outputs), from `value_seeds` (n, width),
 * those with respect to the values of this head; they are added to `output_seeds`, the seeds of
 * `reann_adjoint`. Returns 1, or 0 with a message. */
int reann_head_adjoint(const reann_model *model, int32_t member, const char *name, int64_t n,
                       const double *value_seeds, double *output_seeds, reann_error *error);

/* Width sigma in Å of the charges of a model whose energy contains their Coulomb energy, 0 for other models:
 *
 *     U = 1/2 sum_(i != j) q_i q_j erf(r_ij / (sqrt(2) sigma)) / (4 pi epsilon_0 r_ij),
 *
 * where the sum includes periodic images of j, also those of i. Latent charges are those of the head
 * "charges", with the correct total charge. The caller computes U and its derivatives between
 * `reann_forward` and `reann_adjoint`; the other functions below return an error for such a model. */
double reann_smearing(const reann_model *model);

/* Hardness h > 0 of an element in V/e, for a model with equilibrated charges; 0 for latent charges, and for
 * a member or an element that does not exist. Equilibrated charges minimize, with the correct total charge,
 *
 *     E = sum_i (chi_i q_i + J_i q_i^2 / 2) + U,      J = h + sqrt(2 / pi) / (4 pi epsilon_0 sigma),
 *
 * where chi, in V, is the head "electronegativities". E takes the place of U: dE/dchi_i = q_i, and E has no
 * other derivatives than those of U at fixed charges. */
double reann_hardness(const reann_model *model, int32_t member, int32_t element);

/* Whether the energy depends on an electric field. */
int32_t reann_knows_field(const reann_model *model);

/* --- evaluation ------------------------------------------------------------------------------- */

/* A callback that exchanges `width` numbers per atom between ranks, for rows of all atoms in the caller's
 * order. Forward: copy the rows of owners to their ghosts. Reverse: add the rows of ghosts to those of
 * their owners. `width` is the same on all ranks, and larger with directional messages and for the heat
 * flux. The callback is also called on ranks without atoms. It returns 0 if it failed, which ends the
 * evaluation. */
typedef int (*reann_exchange)(void *context, double *values, int32_t width);

typedef struct {
    int64_t n_local; /* atoms whose energies are summed, first in every array */
    int64_t n_atoms; /* including ghosts */
    const int32_t *element;  /* (n_atoms) index into the elements of the model */
    const double *position;  /* (n_atoms, 3) */
    const int64_t *first;    /* (n_local + 1) neighbors of atom i: first[i] .. first[i + 1] */
    const int32_t *neighbor; /* index of an atom; may be beyond the cutoff */
    const double *shift;     /* (neighbors, 3) added to position[j] - position[i]; NULL: none */
    const int32_t *system;   /* (n_local) structure of each atom, for the virials; NULL: one */
    int64_t n_systems;       /* 1 if `system` is NULL */
    int32_t n_threads;       /* maximum; small systems use fewer */
    reann_exchange forward, reverse; /* NULL if there are no ghosts */
    void *context;
    const double *field; /* (n_systems, 3) electric field in V/Å; NULL: none. Must be NULL for a model
                          * that does not depend on a field. */
} reann_system;

typedef struct {     /* quantities that are NULL are not computed */
    double *energies; /* (n_local) including the energies of the free atoms; never NULL */
    double *forces;   /* (n_atoms, 3); rows of ghosts must be added to those of their owners */
    double *virial;   /* (n_systems, 3, 3) W = sum r_ij (x) dE/dr_ij, the strain derivative */
    double *virials;  /* (n_atoms, 3, 3) -r_ij (x) dE/dr_ij, each at the neighbor j */
    double *extrapolation; /* (n_local) distance of the features of an atom from their ranges in the training data:
                            * 0 inside, else the largest distance of a feature from its range, in widths
                            * of the range. Infinite if the feature was the same for all atoms of the
                            * training data, if the training data do not contain the element, and if no
                            * ranges are stored. Distances up to 1e-4 of the scale of a feature are
                            * rounding errors. */
    double *outputs;       /* (n_local, reann_n_outputs) */
    double *dipole;        /* (n_systems, 3) -dE/d(field) in e Å, for a model with electric fields */
} reann_result;

reann_workspace *reann_workspace_new(void);
void reann_workspace_free(reann_workspace *workspace);

/* Neighbors of all atoms of a structure, including periodic images, in the form that `reann_system` needs.
 * The arrays belong to the workspace and are valid until it makes its next list. */
typedef struct {
    const int64_t *first;    /* (n_atoms + 1) */
    const int32_t *neighbor; /* (first[n_atoms]) */
    const double *shift;     /* (first[n_atoms], 3) Å */
    const int32_t *crossed;  /* (first[n_atoms], 3) the shift in cells */
} reann_list;

/* `cell`: (3, 3) Å, rows are lattice vectors; rows of directions that are not periodic are ignored. With a
 * skin, `reach` is cutoff + skin. Returns 1, or 0 with a message. */
int reann_neighbors(reann_workspace *workspace, const double *position, int64_t n_atoms,
                    const double *cell, const int32_t *periodic, double reach, reann_list *list,
                    reann_error *error);

/* Returns 1, or 0 with a message: an index out of range, a position that is not finite, atoms closer than
 * 1e-3 Å, a callback that failed, or not enough memory. */
int reann_evaluate(const reann_model *model, int32_t member, reann_workspace *workspace,
                   const reann_system *system, const reann_result *result, reann_error *error);

/* An evaluation in two calls, for an energy E that is not just the sum of the energies E_i of atoms, or
 * that depends on their outputs. The first call computes the energies (n_local) and the outputs (n_local,
 * reann_n_outputs; NULL: not computed) and keeps data for the second in the workspace. The second call
 * computes the forces, the virial and the virials of E from `seeds`, dE/dE_i (n_local), and
 * `output_seeds`, the derivatives of E with respect to the outputs. NULL stands for ones and zeros,
 * respectively; the results are then identical to those of `reann_evaluate`, bit for bit. It also gives
 * the extrapolation; `energies` and `outputs` of its result are not used. The second call may be repeated
 * with other seeds. Until the last one, the model and the system must not change, and the workspace must
 * not be used for anything else. */
int reann_forward(const reann_model *model, int32_t member, reann_workspace *workspace,
                  const reann_system *system, double *energies, double *outputs, reann_error *error);
int reann_adjoint(reann_workspace *workspace, const double *seeds, const double *output_seeds,
                  const reann_result *result, reann_error *error);

/* The heat flux without the convective part, J = -sum_ij r_ij [dE/dr_ij . v_j + sum_t dE/dc_ij^(t) .
 * dc_j^(t)/dt], in eV Å per unit of time: the contribution of this rank; the caller adds those of the
 * other ranks. Takes the time of a training step. `velocity` is (n_atoms, 3) including ghosts, `energies`
 * (n_local) excludes the energies of the free atoms, `flux` has 3 numbers. */
int reann_heat_flux(const reann_model *model, int32_t member, reann_workspace *workspace,
                    const reann_system *system, const double *velocity, double *energies,
                    double *flux, reann_error *error);

/* The dipole (n_systems, 3) in e Å and its time derivative if the atoms move with `velocity` (n_atoms, 3)
 * and the field changes with `field_rate` (n_systems, 3); NULL stands for zero. With velocities alone, the
 * rate is the current sum_i Z*_i v_i; with the field alone, it is a row of the polarizability. Takes the
 * time of a training step. Values are the contribution of this rank; the caller adds those of the other
 * ranks. */
int reann_dipole_rate(const reann_model *model, int32_t member, reann_workspace *workspace,
                      const reann_system *system, const double *velocity, const double *field_rate,
                      double *dipole, double *rate, reann_error *error);

/* For a model with electric fields: the dipole (n_systems, 3) in e Å, the polarizability (n_systems, 3, 3)
 * in e Å^2/V (last index: component of the field) and, unless `born` is NULL, the Born effective charges
 * (n_atoms, 3, 3) in e (rows: components of the dipole). Takes the time of three training steps. Values
 * are the contribution of this rank; the caller adds those of the other ranks, and the charges of ghosts
 * to those of their owners. */
int reann_responses(const reann_model *model, int32_t member, reann_workspace *workspace,
                    const reann_system *system, double *dipole, double *polarizability, double *born,
                    reann_error *error);

/* --- training --------------------------------------------------------------------------------- */

/* A callback that receives the rates of the outputs and writes derivatives with respect to the outputs, both
 * (n_local, reann_n_outputs). It returns 0 if it failed, which ends the computation. */
typedef int (*reann_seeds)(void *context, const double *rates, double *outputs);

typedef struct {         /* derivatives of a loss; NULL if it does not depend on the quantity */
    const double *energies; /* (n_local) */
    const double *forces;   /* (n_atoms, 3) */
    const double *virial;   /* (n_systems, 3, 3) of W above */
    const double *outputs;  /* (n_local, reann_n_outputs) */
    const double *dipole;   /* (n_systems, 3) */
    /* For energies with a part U(y, r) that depends on the outputs y, as in `reann_adjoint`: its slopes
     * p = dU/dy, (n_local, reann_n_outputs), and a callback; both or none. The rates that it receives are
     * dy/dt as the positions move by -dL/dF and the strain grows by dL/dW. It writes the sum of dL/dy,
     * in place of `outputs`, and of the derivatives of dU/dt with respect to y at constant rates. */
    const double *output_slopes;
    reann_seeds seeds;
    void *context;
    /* Factors of the energies E_i (n_local) in the energy whose derivatives the forces and the virial are,
     * 1 if NULL. With zeros, dL/dF is a direction along which U alone is differentiated. */
    const double *energy_slopes;
} reann_loss;

/* Derivatives of a loss with respect to the arrays of `reann_build`, in the same order, for systems
 * without ghosts. They are added to gradients[a], which has the size of array a; NULL: not computed. */
int reann_gradient(const reann_model *model, int32_t member, reann_workspace *workspace,
                   const reann_system *system, const reann_loss *loss, double *const *gradients,
                   reann_error *error);

/* For a model with electric fields: the same for the loss sum_s weights[s] d^2E_s/dt^2 of the energies in
 * the fields F_s + t directions[s], at the positions r_i + t velocity[i], with weights (n_systems),
 * directions (n_systems, 3) in V/Å and `velocity` (n_atoms, 3), NULL for atoms at rest. To get the gradient
 * of a loss L of polarizabilities alpha = -d^2E/dF^2, call this function for each eigenvector of dL/dalpha
 * as direction, with minus its eigenvalue as weight. For Born effective charges, use that the derivative
 * along a velocity and a direction is a quarter of the difference of two such losses, with the direction
 * and its opposite. */
int reann_curvature_gradient(const reann_model *model, int32_t member, reann_workspace *workspace,
                             const reann_system *system, const double *velocity,
                             const double *directions, const double *weights,
                             double *const *gradients, reann_error *error);

#ifdef __cplusplus
}
#endif
#endif
