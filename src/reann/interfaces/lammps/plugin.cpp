// The function that LAMMPS calls when it loads the plugin. LAMMPS accepts a plugin that was compiled for
// another version, although the layout of its classes may differ; this function rejects it.

#include <cstdint>
#include <cstdio>

#include "compute_dipole.h"
#include "compute_flux.h"
#include "fix_field.h"
#include "library.h"
#include "pair_reann.h"

namespace {

// Copied from lammpsplugin.h, which is not among the installed headers.
struct Plugin {
    const char *version, *style, *name, *info, *author;
    void *creator; // called with lmp; for computes and fixes also with the words of their command
    void *handle;
};
using Register = void (*)(Plugin *, void *lmp);

void *pair(void *lmp) {
    return new LAMMPS_NS::PairReann(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
}

template <class Style> void *style(void *lmp, int narg, char **arg) {
    return new Style(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg);
}

} // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle,
                                                                          void *registers) {
    const int version = lammps_version(lmp), bytes = lammps_extract_setting(lmp, "tagint");
    const bool fits = version == REANN_LAMMPS && bytes == int(sizeof(LAMMPS_NS::tagint)) &&
                      reann_interface() == REANN_INTERFACE;
    if (!fits) {
        if (lammps_extract_setting(lmp, "world_rank") == 0)
            std::fprintf(stderr,
                         "reann: the plugin was compiled for LAMMPS %d with tags of %d bytes, not "
                         "for this one, %d with %d: there is no pair_style reann. Run `reann lammps "
                         "install`.\n",
                         REANN_LAMMPS, int(sizeof(LAMMPS_NS::tagint)), version, bytes);
        return;
    }
    const char *authors = "the reann developers";
    static Plugin plugins[] = {
        {"", "pair", "reann", "Recursively embedded atom neural networks", authors,
         reinterpret_cast<void *>(pair), handle},
        {"", "compute", "reann/flux", "Exact heat flux of pair_style reann", authors,
         reinterpret_cast<void *>(style<LAMMPS_NS::ComputeReannFlux>), handle},
        {"", "compute", "reann/dipole", "Dipole and polarizability of pair_style reann", authors,
         reinterpret_cast<void *>(style<LAMMPS_NS::ComputeReannDipole>), handle},
        {"", "fix", "reann/field", "Electric field for pair_style reann", authors,
         reinterpret_cast<void *>(style<LAMMPS_NS::FixReannField>), handle},
    };
    for (Plugin &plugin : plugins) reinterpret_cast<Register>(registers)(&plugin, lmp);
}
