// Names of the tables of an instruction set. They end with REANN_LEVEL: level_v3, equivariant_v3.
#pragma once

#include "../level.hpp"

#define REANN_JOINED_(a, b) a##b
#define REANN_JOINED(a, b) REANN_JOINED_(a, b)
#define REANN_QUOTED_(a) #a
#define REANN_QUOTED(a) REANN_QUOTED_(a)

#define REANN_TABLE REANN_JOINED(level_, REANN_LEVEL)
#define REANN_EQUIVARIANT_TABLE REANN_JOINED(equivariant_, REANN_LEVEL)
#define REANN_SPREADING_TABLE REANN_JOINED(spreading_, REANN_LEVEL)
#define REANN_CONVOLUTION_TABLE REANN_JOINED(convolution_, REANN_LEVEL)

namespace reann {

extern const Level REANN_TABLE;
extern const EquivariantForms REANN_EQUIVARIANT_TABLE;

} // namespace reann
