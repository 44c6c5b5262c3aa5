"""Protein backbones: frames on SE(3), from PDB files to samples."""
