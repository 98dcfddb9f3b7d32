"""The native backend: energies, their derivatives and training in C++.

`reann.properties.evaluate` is the specification. The C++ is in `reann/core`, the extension that
calls it is `reann.native`.

    graph -> native.system -> compiled.Compiled -> function.compute           inference
                                               '-> function.Differentiable    training
    list of a calculator ---> step.Step
"""
