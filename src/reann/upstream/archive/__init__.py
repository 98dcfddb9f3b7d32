"""TorchScript archives of the original package, read without executing anything in them."""
