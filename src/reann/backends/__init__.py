"""Backends, which compute potentials, behind one protocol, and the choice among them.

protocol    interface of a backend: supported requests, compilation of models, evaluation
reference   PyTorch, the specification: `reann.properties` and the model itself
native      C++ (`reann.native` is the compiled extension)
triton      GPUs
choice      names, backends of installed packages, and the meaning of `auto`
"""
