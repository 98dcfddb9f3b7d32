"""What runs a potential: ASE's calculator, molecular dynamics and relaxation."""
