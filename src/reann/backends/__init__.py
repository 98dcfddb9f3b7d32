"""What computes a potential: backends behind one protocol, and the one place that chooses.

protocol    what a backend is: says what it supports, compiles a model, evaluates requests
reference   PyTorch, the specification: `reann.properties` and the model itself
native      C++ (`reann.native` is the compiled extension)
triton      GPUs
choice      names, packages that add backends, and what `auto` takes
"""
