/* Energy and forces of molecules in a cubic box: a program that uses reann through its C interface.
 *
 *     cmake -B build/library -DREANN_LIBRARY=ON && cmake --build build/library
 *     cc -Isrc/reann/core examples/c/water.c -Lbuild/library -lreann -o water
 *     LD_LIBRARY_PATH=build/library ./water model.reann examples/c/water.txt
 *
 * water.txt: the number of atoms and the length of the box in Å, then for each atom its atomic
 * number and its position.
 */
#include <stdio.h>
#include <stdlib.h>

#include "reann.h"

static void stop(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 3) stop("usage: water model.reann water.txt");
    if (reann_interface() != REANN_INTERFACE) stop("compile this program again");
    reann_error error;
    reann_model *model = reann_open(argv[1], &error);
    if (!model) stop(error.message);

    FILE *file = fopen(argv[2], "r");
    int n, number;
    double length;
    if (!file || fscanf(file, "%d %lf", &n, &length) != 2 || n < 1) stop("no atoms, no box");
    int32_t *element = malloc(n * sizeof *element);
    double(*r)[3] = malloc(n * sizeof *r), (*forces)[3] = malloc(n * sizeof *forces);
    double *energies = malloc(n * sizeof *energies);
    for (int i = 0; i < n; ++i) {
        if (fscanf(file, "%d %lf %lf %lf", &number, &r[i][0], &r[i][1], &r[i][2]) != 4)
            stop("too few atoms");
        element[i] = reann_element(model, number);
        if (element[i] < 0) stop("an element that the potential does not know");
    }

    /* All pairs within the cutoff, including periodic images. With a skin, the list is valid for several steps. */
    const double cell[9] = {length, 0, 0, 0, length, 0, 0, 0, length};
    const int32_t periodic[3] = {1, 1, 1};
    reann_workspace *workspace = reann_workspace_new();
    reann_list list;
    if (!reann_neighbors(workspace, r[0], n, cell, periodic, reann_cutoff(model), &list, &error))
        stop(error.message);

    const reann_system system = {.n_local = n, .n_atoms = n, .element = element,
                                 .position = r[0], .first = list.first,
                                 .neighbor = list.neighbor, .shift = list.shift,
                                 .n_systems = 1, .n_threads = 1};
    const reann_result result = {.energies = energies, .forces = forces[0]};
    if (!reann_evaluate(model, 0, workspace, &system, &result, &error)) stop(error.message);

    double energy = 0.0;
    for (int i = 0; i < n; ++i) energy += energies[i];
    printf("energy %.9f eV\nforces in eV/Å:\n", energy);
    for (int i = 0; i < n; ++i)
        printf("%14.9f %14.9f %14.9f\n", forces[i][0], forces[i][1], forces[i][2]);
    reann_workspace_free(workspace);
    reann_close(model);
    return 0;
}
